package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// The enums of Mesos's messages are closed: a value that an enum does not have is as
// if it were not there, and if the field is required the message is none. So it is
// with C++ protobuf, and with names in JSON. The generated code takes any number for
// a value, and who counts by states, or knows all there are, does not reckon with a
// task in state 1000.

// A closed is a field that is an enum, or holds messages that have one.
type closed struct {
	enum  *enum
	inner *plan
}

func (p *plan) ownEnum() bool {
	for _, f := range p.fields {
		if f.isEnum() {
			return true
		}
	}
	return false
}

func (f *field) isEnum() bool { return f.enum != nil && f.desc.Enum().IsClosed() }

// findClosed fills in closed, once hasEnums is known.
func (p *plan) findClosed() {
	for _, f := range p.fields {
		if f.value != nil { // the field 2 of an entry
			entry := &plan{closed: make([]closed, 3)}
			if entry.closed[2] = f.value.asClosed(); entry.closed[2] != (closed{}) {
				p.setClosed(f, closed{inner: entry})
			}
			continue
		}
		if c := f.asClosed(); c != (closed{}) {
			p.setClosed(f, c)
		}
	}
}

func (f *field) asClosed() closed {
	switch {
	case f.isEnum():
		return closed{enum: f.enum}
	case f.message != nil && f.message.hasEnums:
		return closed{inner: f.message}
	}
	return closed{}
}

func (p *plan) setClosed(f *field, c closed) {
	n := int(f.desc.Number())
	if n >= len(p.closed) {
		p.closed = append(p.closed, make([]closed, n+1-len(p.closed))...)
	}
	p.closed[n] = c
}

// at returns what is known of the field with a number, in one of its encodings.
func (p *plan) at(number protowire.Number, typ protowire.Type) (c closed) {
	if int(number) >= len(p.closed) {
		return c
	}
	c = p.closed[number]
	if typ == protowire.BytesType || typ == protowire.VarintType && c.enum != nil {
		return c
	}
	return closed{}
}

func (e *enum) has(v uint64) bool {
	_, known := e.names[protoreflect.EnumNumber(int32(v))]
	return known
}

// strange reports whether an encoding of a message of p's type has values that its
// enums do not have. What is no encoding is for the generated code to say.
func (p *plan) strange(b []byte) bool {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return false
		}
		if p.at(number, typ).strange(typ, b[:n]) {
			return true
		}
		b = b[n:]
	}
	return false
}

func (c closed) strange(typ protowire.Type, b []byte) bool {
	switch {
	case c.inner != nil:
		value, _ := protowire.ConsumeBytes(b)
		return c.inner.strange(value)
	case c.enum == nil:
		return false
	case typ == protowire.BytesType: // a packed list
		b, _ = protowire.ConsumeBytes(b)
	}
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || !c.enum.has(v) {
			return n >= 0
		}
		b = b[n:]
	}
	return false
}

// without returns an encoding of a message of p's type without such values.
func (p *plan) without(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		number, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			break
		}
		n := protowire.ConsumeFieldValue(number, typ, b[tag:])
		if n < 0 {
			break
		}
		whole, value := b[:tag+n], b[tag:tag+n]
		b = b[tag+n:]
		c := p.at(number, typ)
		switch {
		case !c.strange(typ, value):
			out = append(out, whole...)
		case c.inner != nil:
			value, _ = protowire.ConsumeBytes(value)
			out = protowire.AppendBytes(protowire.AppendTag(out, number, typ), c.inner.without(value))
		case typ == protowire.BytesType:
			value, _ = protowire.ConsumeBytes(value)
			out = protowire.AppendBytes(protowire.AppendTag(out, number, typ), c.enum.among(value))
		}
	}
	return append(out, b...) // nothing, or what is no encoding
}

// among returns those values of a packed list that an enum has.
func (e *enum) among(b []byte) (out []byte) {
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			break
		}
		if e.has(v) {
			out = append(out, b[:n]...)
		}
		b = b[n:]
	}
	return append(out, b...)
}
