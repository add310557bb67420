package libprocess

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/meseta-project/meseta/internal/wire"
)

// internalPackage is the proto package of what masters and agents send.
const internalPackage = "mesos.internal"

// MessageName returns the name under which a message travels.
func MessageName(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// Decode returns the message of mesos.internal with that full name, if the last
// part of the name is one of those taken.
func Decode(name string, body []byte, taken map[string]bool) (proto.Message, error) {
	full := protoreflect.FullName(name)
	if !Taken(name, taken) {
		return nil, fmt.Errorf("message %q is not taken here", name)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(full)
	if err != nil {
		return nil, fmt.Errorf("message %q: %w", name, err)
	}
	message := kind.New().Interface()
	if err := wire.Unmarshal(body, message); err != nil {
		return nil, fmt.Errorf("message %q: %w", name, err)
	}
	return message, nil
}

// Taken reports whether a name is that of a message of mesos.internal whose
// last part is one of those taken.
func Taken(name string, taken map[string]bool) bool {
	full := protoreflect.FullName(name)
	return full.Parent() == internalPackage && taken[string(full.Name())]
}
