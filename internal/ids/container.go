package ids

import "strings"

// ContainerID is the values of a container and of those it is nested in, the
// outermost first, joined by dots: "parent.child". A value never contains a
// dot. A top-level container's value is a UUID given by the agent.
type ContainerID string

// Child returns the ID of the container called value inside c.
func (c ContainerID) Child(value string) ContainerID {
	return c + "." + ContainerID(value)
}

// Parent returns the container that c is nested in; a top-level one has none.
func (c ContainerID) Parent() (parent ContainerID, ok bool) {
	i := strings.LastIndexByte(string(c), '.')
	if i < 0 {
		return "", false
	}
	return c[:i], true
}

// Root returns the top-level container that c is, or is nested in.
func (c ContainerID) Root() ContainerID {
	root, _, _ := strings.Cut(string(c), ".")
	return ContainerID(root)
}

// Value returns c's own value, without its parents'.
func (c ContainerID) Value() string {
	return string(c[strings.LastIndexByte(string(c), '.')+1:])
}

// Nested reports whether c has a parent.
func (c ContainerID) Nested() bool { return strings.Contains(string(c), ".") }
