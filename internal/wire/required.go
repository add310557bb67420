package wire

import (
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// MissingError reports required fields that are not set.
type MissingError struct {
	Fields []string // paths, such as "subscribe.framework_info.user"
}

// Error is Mesos's text.
func (e *MissingError) Error() string {
	return "Missing required fields: " + strings.Join(e.Fields, ", ")
}

// checkRequired returns a *MissingError if m lacks required fields.
func checkRequired(m proto.Message) error {
	r := m.ProtoReflect()
	if paths := planFor(r.Descriptor()).missing(nil, r); len(paths) > 0 {
		return &MissingError{Fields: paths}
	}
	return nil
}

// missing appends the paths of the required fields that m lacks, in the order
// in which C++ protobuf lists them: a message's own by declaration, then those
// inside its set fields by number.
func (p *plan) missing(paths []string, m protoreflect.Message) []string {
	for _, f := range p.requires {
		if !m.Has(f.desc) {
			paths = append(paths, f.name)
		}
	}
	for _, f := range p.nested {
		if m.Has(f.desc) {
			paths = f.missing(paths, m.Get(f.desc))
		}
	}
	return paths
}

// missing appends what the messages in v, the value of f, lack.
func (f *field) missing(paths []string, v protoreflect.Value) []string {
	switch {
	case f.value != nil:
		return f.missingEntries(paths, v.Map())
	case f.list:
		list := v.List()
		for i := range list.Len() {
			before := len(paths)
			paths = f.message.missing(paths, list.Get(i).Message())
			f.prefix(paths[before:], i, ".")
		}
		return paths
	default:
		before := len(paths)
		paths = f.message.missing(paths, v.Message())
		f.prefix(paths[before:], -1, ".")
		return paths
	}
}

// missingEntries numbers the entries of a map by the order of their keys.
func (f *field) missingEntries(paths []string, m protoreflect.Map) []string {
	for i, k := range sortedKeys(m) {
		before := len(paths)
		paths = f.value.message.missing(paths, m.Get(k).Message())
		f.prefix(paths[before:], i, ".value.")
	}
	return paths
}

// prefix says of paths that they are inside f, in its element index if that is
// not negative.
func (f *field) prefix(paths []string, index int, after string) {
	for i := range paths {
		path := f.name
		if index >= 0 {
			path += "[" + strconv.Itoa(index) + "]"
		}
		paths[i] = path + after + paths[i]
	}
}

// findRequired fills in what missing needs, once all plans are linked.
func (p *plan) findRequired() {
	for _, f := range p.fields {
		if f.required {
			p.requires = append(p.requires, f)
		}
		if in := f.inner(); in != nil && in.hasRequired {
			p.nested = append(p.nested, f)
		}
	}
	slices.SortFunc(p.nested, func(a, b *field) int { return int(a.desc.Number() - b.desc.Number()) })
}
