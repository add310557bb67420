package wire

import (
	"bytes"
	"encoding/base64"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// text stores what the JSON string s means to t's field. s is not kept.
func (d *decoder) text(t target, s []byte) {
	switch t.kind {
	case protoreflect.StringKind:
		t.store(protoreflect.ValueOfString(string(s)))
	case protoreflect.BytesKind:
		d.base64(t, s)
	case protoreflect.EnumKind:
		d.enumName(t, s)
	case protoreflect.BoolKind:
		if v, err := parseBool(s); err != nil {
			d.refuse("Failed to parse '%s' as a JSON boolean for field '%s': %s", clip(string(s)), t.name, err.text)
		} else {
			t.store(protoreflect.ValueOfBool(v))
		}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		d.unexpected("string", t.field)
	default:
		d.textNumber(t, s)
	}
}

// textNumber stores the number in s.
func (d *decoder) textNumber(t target, s []byte) {
	if t.kind == protoreflect.DoubleKind || t.kind == protoreflect.FloatKind {
		switch string(s) {
		case "Infinity":
			d.number(t, number{kind: floating, f: math.Inf(1)})
			return
		case "-Infinity":
			d.number(t, number{kind: floating, f: math.Inf(-1)})
			return
		}
	}
	n, err := parseNumber(s)
	if err != nil {
		d.refuse("Failed to parse '%s' as a JSON number for field '%s': %s", clip(string(s)), t.name, err.text)
		return
	}
	d.number(t, n)
}

// enumName stores the number of the name s. An unknown name is as good as
// none, but for a required field.
func (d *decoder) enumName(t target, s []byte) {
	if number, known := t.enum.numbers[string(s)]; known {
		t.store(protoreflect.ValueOfEnum(number))
	} else if t.required {
		d.refuse("Failed to find enum for '%s'", clip(string(s)))
	}
}

// base64 stores the bytes that s stands for. Like Mesos it passes over white
// space, stops at the first '=' and asks for no padding.
func (d *decoder) base64(t target, s []byte) {
	s, _, _ = bytes.Cut(s, []byte("="))
	text := make([]byte, 0, len(s))
	for _, c := range s {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/':
			text = append(text, c)
		default:
			d.refuse("Failed to base64 decode bytes field '%s': Invalid character '%c'", t.name, c)
			return
		}
	}
	if len(text)%4 == 1 {
		text = text[:len(text)-1] // six bits are no byte
	}
	n, err := base64.RawStdEncoding.Decode(text, text)
	if err != nil {
		d.refuse("Failed to base64 decode bytes field '%s': %v", t.name, err)
		return
	}
	t.store(protoreflect.ValueOfBytes(text[:n]))
}

// number stores n in the type of t's field. As in C++, an integer loses the
// bits that do not fit and a double its fraction; but a double that no integer
// of the type can hold is refused.
func (d *decoder) number(t target, n number) {
	var v protoreflect.Value
	ok := true
	switch t.kind {
	case protoreflect.DoubleKind:
		v = protoreflect.ValueOfFloat64(n.float())
	case protoreflect.FloatKind:
		v = protoreflect.ValueOfFloat32(float32(n.float()))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		v, ok = protoreflect.ValueOfInt32(int32(n.bits())), n.within(math.MinInt32, 1<<31)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		v, ok = protoreflect.ValueOfUint32(uint32(n.bits())), n.within(0, 1<<32)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		v, ok = protoreflect.ValueOfInt64(int64(n.bits())), n.within(math.MinInt64, 1<<63)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		v, ok = protoreflect.ValueOfUint64(n.bits()), n.within(0, 1<<64)
	default:
		d.unexpected("number", t.field)
		return
	}
	if !ok {
		d.refuse("Value out of range for field '%s'", t.name)
		return
	}
	t.store(v)
}

func (n number) float() float64 {
	switch n.kind {
	case signed:
		return float64(n.i)
	case unsigned:
		return float64(n.u)
	default:
		return n.f
	}
}

// bits returns the integer part of n, modulo 2^64.
func (n number) bits() uint64 {
	switch {
	case n.kind == signed:
		return uint64(n.i)
	case n.kind == unsigned:
		return n.u
	case n.f < 0:
		return uint64(int64(max(n.f, math.MinInt64)))
	case n.f < 1<<64:
		return uint64(n.f)
	default:
		return 0
	}
}

// within tells whether n, if a double, has its integer part in [low, high).
func (n number) within(low, high float64) bool {
	whole := math.Trunc(n.f)
	return n.kind != floating || whole >= low && whole < high
}

// parseNumber returns the number that is all of the text.
func parseNumber(text []byte) (number, *SyntaxError) {
	s := scanner{in: text}
	if c := s.peek(); c == '-' || c >= '0' && c <= '9' {
		n, _ := s.number()
		_ = s.err != nil || s.end()
		return n, s.err
	}
	return number{}, s.otherType()
}

// parseBool returns the boolean that is all of the text.
func parseBool(text []byte) (bool, *SyntaxError) {
	s := scanner{in: text}
	c := s.peek()
	if c != 't' && c != 'f' {
		return false, s.otherType()
	}
	_ = s.skip() && s.end()
	return c == 't', s.err
}

// otherType says why a text is not of the type that is due: it is of another
// type, or not JSON at all.
func (s *scanner) otherType() *SyntaxError {
	if s.skip() && s.end() {
		return &SyntaxError{"Unexpected JSON type parsed"}
	}
	return s.err
}
