package resources

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// UpgradeMessage upgrades every Resource in m, which it changes, to the form
// with the stack of reservations. It is for the edge, right after decoding and
// validation.
func UpgradeMessage(m proto.Message) { change(m, Upgrade) }

// DowngradeMessage downgrades every Resource in m, which it changes, to the
// older form. It fails, with m half changed, at one that has more than one
// reservation.
func DowngradeMessage(m proto.Message) error { return visit(m.ProtoReflect(), Downgrade) }

// EndpointMessage adds the older form to every Resource in m that it can
// express, as Mesos's endpoints do.
func EndpointMessage(m proto.Message) { change(m, inject) }

// change calls f for every Resource in m.
func change(m proto.Message, f func(*mesos.Resource)) {
	_ = visit(m.ProtoReflect(), func(r *mesos.Resource) error {
		f(r)
		return nil
	})
}

// visit calls f for every Resource in m until it fails.
func visit(m protoreflect.Message, f func(*mesos.Resource) error) (err error) {
	if r, ok := m.Interface().(*mesos.Resource); ok {
		return f(r)
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.IsMap():
			err = visitMap(field, v.Map(), f)
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				if err = visit(v.List().Get(i).Message(), f); err != nil {
					break
				}
			}
		default:
			err = visit(v.Message(), f)
		}
		return err == nil
	})
	return err
}

func visitMap(field protoreflect.FieldDescriptor, m protoreflect.Map, f func(*mesos.Resource) error) (err error) {
	if field.MapValue().Message() == nil {
		return nil
	}
	m.Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
		err = visit(v.Message(), f)
		return err == nil
	})
	return err
}
