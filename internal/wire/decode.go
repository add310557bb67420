package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A ConvertError says that a JSON text does not fit the message.
type ConvertError struct{ text string }

// Error is Mesos's text.
func (e *ConvertError) Error() string { return e.text }

// UnmarshalJSON makes m what b says, as leniently as Mesos: unknown fields and
// unknown names of enums are ignored, null is unset, numbers and booleans may
// be strings, a repeated field may be a single value, of members with the same
// name the last counts. Objects and arrays may nest 200 deep. The error is a
// *SyntaxError, *ConvertError or *MissingError; m is then unspecified.
func UnmarshalJSON(b []byte, m proto.Message) error {
	d := decoder{scanner: scanner{in: b}}
	proto.Reset(m)
	d.top(m.ProtoReflect())
	if err := d.failure(); err != nil {
		return err
	}
	return checkRequired(m)
}

// UnmarshalJSONArray returns the messages that the array b says, each as
// UnmarshalJSON reads it into what fresh returns.
func UnmarshalJSONArray[M proto.Message](b []byte, fresh func() M) ([]M, error) {
	d := decoder{scanner: scanner{in: b}}
	var all []M
	if d.peek() != '[' {
		d.refuse("Expecting a JSON array")
		_ = d.skip() && d.end()
	} else {
		_ = d.array(func() bool {
			m := fresh()
			all = append(all, m)
			return d.message(m.ProtoReflect())
		}) && d.end()
	}
	if err := d.failure(); err != nil {
		return nil, err
	}
	for _, m := range all {
		if err := checkRequired(m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// A decoder reads JSON into messages. Its methods tell whether the text is
// JSON; a value that does not fit is remembered and the reading goes on, since
// Mesos reports bad syntax before bad values.
type decoder struct {
	scanner
	refused *ConvertError // the first
}

func (d *decoder) failure() error {
	if d.err != nil {
		return d.err
	}
	if d.refused != nil {
		return d.refused
	}
	return nil
}

func (d *decoder) refuse(format string, args ...any) {
	if d.refused == nil {
		d.refused = &ConvertError{fmt.Sprintf(format, args...)}
	}
}

// unexpected refuses a value of the given JSON type for f.
func (d *decoder) unexpected(kind string, f *field) {
	d.refuse("Not expecting a JSON %s for field '%s'", kind, f.name)
}

func (d *decoder) top(m protoreflect.Message) {
	_ = d.message(m) && d.end()
}

// message reads an object into m.
func (d *decoder) message(m protoreflect.Message) bool {
	if d.peek() != '{' {
		d.refuse("Expecting a JSON object")
		return d.skip()
	}
	return d.fields(planFor(m.Descriptor()), m)
}

// fields reads an object into m, of p's type.
func (d *decoder) fields(p *plan, m protoreflect.Message) bool {
	return d.object(func(key []byte) bool {
		f, known := p.byName[string(key)]
		if !known {
			return d.skip()
		}
		if m.Has(f.desc) {
			m.Clear(f.desc)
		}
		return d.value(target{field: f, message: m})
	})
}

// A target is where a value goes: a field of a message, an element more of a
// repeated one, or the value of a map's key.
type target struct {
	*field
	message protoreflect.Message
	entries protoreflect.Map // if set, in place of message
	key     protoreflect.MapKey
}

// store puts a scalar in its place.
func (t target) store(v protoreflect.Value) {
	switch {
	case t.entries != nil:
		t.entries.Set(t.key, v)
	case t.list:
		t.message.Mutable(t.desc).List().Append(v)
	default:
		t.message.Set(t.desc, v)
	}
}

// open returns the message to read an object into.
func (t target) open() protoreflect.Message {
	switch {
	case t.entries != nil:
		return t.entries.Mutable(t.key).Message()
	case t.list:
		return t.message.Mutable(t.desc).List().AppendMutable().Message()
	default:
		return t.message.Mutable(t.desc).Message()
	}
}

// value reads any value into t.
func (d *decoder) value(t target) bool {
	switch c := d.peek(); {
	case c == '{':
		return d.objectInto(t)
	case c == '[':
		return d.arrayInto(t)
	case c == '"':
		d.pos++
		text, ok := d.str()
		if ok {
			d.text(t, text)
		}
		return ok
	case c == 't':
		d.boolean(t, true)
		return d.literal("true")
	case c == 'f':
		d.boolean(t, false)
		return d.literal("false")
	case c >= '0' && c <= '9' || c == '-':
		n, ok := d.scanner.number()
		if ok {
			d.number(t, n)
		}
		return ok
	default:
		return d.skip() // null, or nothing
	}
}

func (d *decoder) objectInto(t target) bool {
	switch {
	case t.field.value != nil:
		return d.entries(t)
	case t.field.message != nil:
		return d.fields(t.field.message, t.open())
	default:
		d.unexpected("object", t.field)
		return d.skip()
	}
}

// entries reads an object into the map t.
func (d *decoder) entries(t target) bool {
	entries := t.message.Mutable(t.desc).Map()
	return d.object(func(key []byte) bool {
		k := protoreflect.ValueOfString(string(key)).MapKey()
		entries.Set(k, entries.NewValue())
		return d.value(target{field: t.field.value, entries: entries, key: k})
	})
}

// arrayInto adds each element to the repeated field t; an array inside the
// array does the same.
func (d *decoder) arrayInto(t target) bool {
	if !t.list && t.field.value == nil {
		d.unexpected("array", t.field)
		return d.skip()
	}
	return d.array(func() bool { return d.value(t) })
}

func (d *decoder) boolean(t target, v bool) {
	if t.kind != protoreflect.BoolKind {
		d.unexpected("boolean", t.field)
		return
	}
	t.store(protoreflect.ValueOfBool(v))
}
