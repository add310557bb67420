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
	r := m.ProtoReflect()
	return planFor(r.Descriptor()).append(b, r)
}

// MarshalJSON returns m as AppendJSON writes it. It is an error if a required
// field is missing.
func MarshalJSON(m proto.Message) ([]byte, error) {
	if err := checkRequired(m); err != nil {
		return nil, err
	}
	return AppendJSON(nil, m), nil
}

// append appends m, a message of p's type.
func (p *plan) append(b []byte, m protoreflect.Message) []byte {
	b = append(b, '{')
	start := len(b)
	for i := range p.fields {
		b = p.fields[i].append(b, m, start)
	}
	return append(b, '}')
}

// append appends the field f of m with its key, or nothing. The object's first
// field stands at start.
func (f *field) append(b []byte, m protoreflect.Message, start int) []byte {
	if !m.Has(f.desc) {
		return f.appendFallback(b, start)
	}
	v := m.Get(f.desc)
	if f.enum != nil && !f.list && f.enum.names[v.Enum()] == "" {
		return f.appendFallback(b, start)
	}
	b = f.appendKey(b, start)
	switch {
	case f.value != nil:
		return f.appendMap(b, v.Map())
	case f.list:
		return f.appendList(b, v.List())
	default:
		return f.appendScalar(b, v)
	}
}

// appendFallback appends what stands for the unset f, if anything.
func (f *field) appendFallback(b []byte, start int) []byte {
	if f.fallback == "" {
		return b
	}
	return append(f.appendKey(b, start), f.fallback...)
}

func (f *field) appendKey(b []byte, start int) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return append(b, f.key...)
}

func (f *field) appendList(b []byte, list protoreflect.List) []byte {
	b = append(b, '[')
	start := len(b)
	for i := range list.Len() {
		v := list.Get(i)
		if f.enum != nil && f.enum.names[v.Enum()] == "" {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = f.appendScalar(b, v)
	}
	return append(b, ']')
}

// appendMap appends a map, its keys sorted so that equal maps are equal texts.
func (f *field) appendMap(b []byte, m protoreflect.Map) []byte {
	b = append(b, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k.String()), ':')
		b = f.value.appendScalar(b, m.Get(k))
	}
	return append(b, '}')
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

// appendScalar appends one value: a scalar, an enum or a message.
func (f *field) appendScalar(b []byte, v protoreflect.Value) []byte {
	switch f.kind {
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v.Bool())
	case protoreflect.StringKind:
		return appendString(b, v.String())
	case protoreflect.BytesKind:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	case protoreflect.EnumKind:
		return append(append(append(b, '"'), f.enum.names[v.Enum()]...), '"')
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return appendDouble(b, v.Float())
	case protoreflect.MessageKind:
		return f.message.append(b, v.Message())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(b, v.Uint(), 10)
	default:
		return strconv.AppendInt(b, v.Int(), 10)
	}
}
