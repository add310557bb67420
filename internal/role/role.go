// Package role knows the names of roles: which are valid and which lie below
// which. A role is a plain string, a path of components joined by '/'; the
// hierarchy is in the text alone.
package role

import (
	"iter"
	"strings"

	"github.com/meseta-project/meseta/internal/refusal"
)

// Default is the role of unreserved resources, and of a framework that names
// none.
const Default = "*"

// whitespace lists what no component may contain: the ASCII white space and
// DEL. Other control characters are allowed, as they are in Mesos.
const whitespace = "\t\n\v\f\r \x7f"

// Validate returns a [refusal.Invalid] unless name is a role.
func Validate(name string) error {
	switch {
	case name == Default:
		return nil
	case name == "":
		return refusal.Invalidf("Role names cannot be the empty string")
	case strings.HasPrefix(name, "/"):
		return refusal.Invalidf("Role '%s' cannot start with a slash", name)
	case strings.HasSuffix(name, "/"):
		return refusal.Invalidf("Role '%s' cannot end with a slash", name)
	}
	for component := range strings.SplitSeq(name, "/") {
		if err := validateComponent(name, component); err != nil {
			return err
		}
	}
	return nil
}

// validateComponent refuses one component of name's path.
func validateComponent(name, c string) error {
	switch {
	case c == "":
		return refusal.Invalidf("Role '%s' cannot contain two adjacent slashes", name)
	case c == "." || c == ".." || c == Default:
		return refusal.Invalidf("Role '%s' cannot include '%s' as a component", name, c)
	case c[0] == '-':
		return refusal.Invalidf("Role component '%s' is invalid because it starts with a dash", c)
	case strings.ContainsAny(c, whitespace):
		return refusal.Invalidf("Role component '%s' is invalid because it contains backspace or whitespace", c)
	}
	return nil
}

// IsStrictSubrole reports whether name lies below ancestor: "a/b" below "a".
// Nothing lies below "*".
func IsStrictSubrole(name, ancestor string) bool {
	return len(name) > len(ancestor) && name[len(ancestor)] == '/' && name[:len(ancestor)] == ancestor
}

// Parent returns the role just above name; a top-level role has none.
func Parent(name string) (parent string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", false
	}
	return name[:i], true
}

// Ancestors yields the roles above name, the nearest first: for "a/b/c" they
// are "a/b" and "a".
func Ancestors(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for p, ok := Parent(name); ok && yield(p); p, ok = Parent(p) {
		}
	}
}

// Top returns the top-level role of name's tree: "a" for "a/b/c" and for "a".
func Top(name string) string {
	top, _, _ := strings.Cut(name, "/")
	return top
}
