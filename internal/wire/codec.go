package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Media types of Mesos's HTTP APIs.
const (
	JSON     = "application/json"
	Protobuf = "application/x-protobuf"
	RecordIO = "application/recordio" // a stream of records, each of one of the others
)

// maxNesting is how deep messages may stand inside each other in protocol
// buffers, as in C++ protobuf.
const maxNesting = 100

var errTooDeep = errors.New("messages are nested too deeply")

// fast is what vtprotobuf generates.
type fast interface {
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
}

// Marshal returns m as protocol buffer. It is an error if a required field is
// missing.
func Marshal(m proto.Message) ([]byte, error) {
	if f, ok := m.(fast); ok {
		return f.MarshalVT()
	}
	return proto.Marshal(m)
}

// Unmarshal makes m what b says in protocol buffers; b is not kept. It is an
// error if a required field is missing or messages nest deeper than 100. A value
// that an enum does not have is as if it were not there.
func Unmarshal(b []byte, m proto.Message) error {
	p := planFor(m.ProtoReflect().Descriptor())
	if p.nests {
		if err := p.checkNesting(b, maxNesting); err != nil {
			return err
		}
	}
	if p.strange(b) {
		b = p.without(b)
	}
	f, ok := m.(fast)
	if !ok {
		return proto.Unmarshal(b, m)
	}
	proto.Reset(m)
	return f.UnmarshalVT(b)
}

// checkNesting refuses an encoding of a message of p's type in which messages
// of types that can contain themselves nest deeper than depth. The generated
// code recurses without a limit, and a stack that overflows ends the process.
func (p *plan) checkNesting(b []byte, depth int) error {
	if depth == 0 {
		return errTooDeep
	}
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return protowire.ParseError(n)
		}
		if in := p.byNumber[number]; in != nil && typ == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(b)
			if err := in.checkNesting(value, depth-1); err != nil {
				return err
			}
		}
		b = b[n:]
	}
	return nil
}

// Encode returns m in the given media type, JSON or Protobuf.
func Encode(contentType string, m proto.Message) ([]byte, error) {
	switch contentType {
	case JSON:
		return MarshalJSON(m)
	case Protobuf:
		return Marshal(m)
	default:
		return nil, fmt.Errorf("no encoding for media type %q", contentType)
	}
}

// Decode makes m what body says in the given media type, JSON or Protobuf. Its
// errors have the texts that Mesos answers a bad request with; they name the
// message by its short name ("Call").
func Decode(contentType string, body []byte, m proto.Message) error {
	name := m.ProtoReflect().Descriptor().Name()
	switch contentType {
	case JSON:
		err := UnmarshalJSON(body, m)
		if _, bad := errors.AsType[*SyntaxError](err); bad {
			return fmt.Errorf("Failed to parse body into JSON: %w", err)
		} else if err != nil {
			return fmt.Errorf("Failed to convert JSON into %s protobuf: %w", name, err)
		}
		return nil
	case Protobuf:
		if Unmarshal(body, m) != nil {
			return fmt.Errorf("Failed to parse body into %s protobuf", name)
		}
		return nil
	default:
		return fmt.Errorf("no decoding for media type %q", contentType)
	}
}
