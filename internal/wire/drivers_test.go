package wire

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	v0 "github.com/meseta-project/meseta/api/messages/v0"
)

// TestDriverCall checks that no part of a call is left behind.
func TestDriverCall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &v0.Call{}
		fill(t, planFor(c.ProtoReflect().Descriptor()), c.ProtoReflect(), 5)
		call, force := DriverCall(c)
		if force != c.GetSubscribe().GetForce() {
			t.Error("force is wrong")
		}
		if s := c.Subscribe; s != nil {
			if !proto.Equal(call.Subscribe.FrameworkInfo, s.FrameworkInfo) ||
				!proto.Equal(call.Subscribe.OfferConstraints, s.OfferConstraints) ||
				len(call.Subscribe.SuppressedRoles) != len(s.SuppressedRoles) {
				t.Errorf("got %v, of %v", call.Subscribe, s)
			}
		}
		c.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			twin := call.ProtoReflect().Descriptor().Fields().ByName(f.Name())
			if f.Name() != "subscribe" && !call.ProtoReflect().Get(twin).Equal(v) {
				t.Errorf("%s was left behind", f.Name())
			}
			return true
		})
	})
}
