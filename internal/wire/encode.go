package wire

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// AppendJSON appends m as Mesos writes it: fields in declaration order under
// their .proto names, unset ones left out unless they have an explicit default
// and are not deprecated, integers of 64 bits as numbers, enums by name, bytes
// in base64, no white space. An enum number without a name counts as unset, as
// it does in a reader that does not know it. Required fields are not checked.
func AppendJSON(b []byte, m proto.Message) []byte {
	return encodeJSON(b, m, false)
}

// AppendSortedJSON is AppendJSON with the members of every object sorted by
// name. Mesos writes so what it first makes a tree of: the MasterInfo in
// ZooKeeper, the statistics of containers.
func AppendSortedJSON(b []byte, m proto.Message) []byte {
	return encodeJSON(b, m, true)
}

// MarshalJSON returns m as AppendJSON writes it. It is an error if a required
// field is missing.
func MarshalJSON(m proto.Message) ([]byte, error) {
	if err := checkRequired(m); err != nil {
		return nil, err
	}
	return AppendJSON(nil, m), nil
}

func encodeJSON(b []byte, m proto.Message, sorted bool) []byte {
	e := encoder{b: b, sorted: sorted}
	r := m.ProtoReflect()
	e.message(planFor(r.Descriptor()), r)
	return e.b
}

// An encoder appends JSON to b.
type encoder struct {
	b      []byte
	sorted bool // members by name
}

// message appends m, of p's type.
func (e *encoder) message(p *plan, m protoreflect.Message) {
	fields := p.fields
	if e.sorted {
		fields = p.sorted
	}
	e.b = append(e.b, '{')
	start := len(e.b)
	for _, f := range fields {
		e.field(f, m, start)
	}
	e.b = append(e.b, '}')
}

// field appends the field f of m with its key, or nothing. The object's first
// field stands at start.
func (e *encoder) field(f *field, m protoreflect.Message, start int) {
	if !m.Has(f.desc) {
		e.fallback(f, start)
		return
	}
	v := m.Get(f.desc)
	switch {
	case f.value != nil:
		e.key(f, start)
		e.mapping(f, v.Map())
	case f.list:
		e.key(f, start)
		e.list(f, v.List())
	case f.enum != nil && f.enum.names[v.Enum()] == "":
		e.fallback(f, start)
	default:
		e.key(f, start)
		e.scalar(f, v)
	}
}

// fallback appends what stands for the unset f, if anything.
func (e *encoder) fallback(f *field, start int) {
	if f.fallback != "" {
		e.key(f, start)
		e.b = append(e.b, f.fallback...)
	}
}

func (e *encoder) key(f *field, start int) {
	if len(e.b) > start {
		e.b = append(e.b, ',')
	}
	e.b = append(e.b, f.key...)
}

func (e *encoder) list(f *field, list protoreflect.List) {
	e.b = append(e.b, '[')
	start := len(e.b)
	for i := range list.Len() {
		v := list.Get(i)
		if f.enum != nil && f.enum.names[v.Enum()] == "" {
			continue
		}
		if len(e.b) > start {
			e.b = append(e.b, ',')
		}
		e.scalar(f, v)
	}
	e.b = append(e.b, ']')
}

// mapping appends a map, its keys sorted so that equal maps are equal texts.
func (e *encoder) mapping(f *field, m protoreflect.Map) {
	e.b = append(e.b, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(appendString(e.b, k.String()), ':')
		e.scalar(f.value, m.Get(k))
	}
	e.b = append(e.b, '}')
}

func sortedKeys(m protoreflect.Map) []protoreflect.MapKey {
	keys := make([]protoreflect.MapKey, 0, m.Len())
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return cmp.Compare(a.String(), b.String()) })
	return keys
}

// scalar appends one value: a scalar, an enum or a message.
func (e *encoder) scalar(f *field, v protoreflect.Value) {
	switch f.kind {
	case protoreflect.BoolKind:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case protoreflect.StringKind:
		e.b = appendString(e.b, v.String())
	case protoreflect.BytesKind:
		e.b = append(base64.StdEncoding.AppendEncode(append(e.b, '"'), v.Bytes()), '"')
	case protoreflect.EnumKind:
		e.b = append(append(append(e.b, '"'), f.enum.names[v.Enum()]...), '"')
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		e.b = appendDouble(e.b, v.Float())
	case protoreflect.MessageKind:
		e.message(f.message, v.Message())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		e.b = strconv.AppendUint(e.b, v.Uint(), 10)
	default:
		e.b = strconv.AppendInt(e.b, v.Int(), 10)
	}
}
