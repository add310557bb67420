package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/internal/wire"
)

// A message on disk: four bytes of length, the low one first, and the message.
const prefix = 4

// maxMessage bounds what a length may say: more is a file that is not ours.
const maxMessage = 256 << 20

// errTorn says that a file ends in the middle of a message.
var errTorn = errors.New("the last record is cut off")

// appendMessage adds a message to b.
func appendMessage(b []byte, m proto.Message) ([]byte, error) {
	data, err := wire.Marshal(m)
	if err != nil {
		return nil, err
	}
	if len(data) > maxMessage {
		return nil, fmt.Errorf("a %s of %d bytes is too large to be remembered", m.ProtoReflect().Descriptor().Name(), len(data))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...), nil
}

// cutMessage reads the first message of b into m, and returns what follows it.
// At a message that is cut off it returns errTorn.
func cutMessage(b []byte, m proto.Message) (rest []byte, err error) {
	if len(b) < prefix {
		return nil, errTorn
	}
	n := binary.LittleEndian.Uint32(b)
	switch {
	case n > maxMessage:
		return nil, fmt.Errorf("a record claims to have %d bytes", n)
	case uint64(len(b)-prefix) < uint64(n):
		return nil, errTorn
	}
	b = b[prefix:]
	if err := wire.Unmarshal(b[:n], m); err != nil {
		return nil, fmt.Errorf("read a %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return b[n:], nil
}

// oneMessage reads a file that holds one message.
func oneMessage(b []byte, m proto.Message) error {
	rest, err := cutMessage(b, m)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow the record", len(rest))
	}
	return err
}

// sequence reads a sequence of messages. It returns those before the first that
// cannot be read, and how many bytes they take.
func sequence[M proto.Message](b []byte, fresh func() M) (all []M, size int, err error) {
	for len(b) > size {
		m := fresh()
		rest, err := cutMessage(b[size:], m)
		if err != nil {
			return all, size, err
		}
		all, size = append(all, m), len(b)-len(rest)
	}
	return all, size, nil
}
