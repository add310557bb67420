package wire

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
)

// TestRoundTrip writes and reads random messages in both formats, and lets
// protojson read our JSON.
func TestRoundTrip(t *testing.T) {
	for _, m := range []proto.Message{
		&schedulerpb.Call{}, &schedulerpb.Event{}, &executorpb.Call{}, &executorpb.Event{}, &masterpb.Call{}, &masterpb.Response{},
		&masterpb.Event{}, &agentpb.Call{}, &agentpb.Response{}, &messages.ReregisterSlaveMessage{}, &messages.Registry{},
	} {
		t.Run(string(m.ProtoReflect().Descriptor().FullName()), rapid.MakeCheck(func(t *rapid.T) {
			m := m.ProtoReflect().New().Interface()
			fill(t, planFor(m.ProtoReflect().Descriptor()), m.ProtoReflect(), 8)
			survivesJSON(t, m)
			survivesProtobuf(t, m)
		}))
	}
}

func survivesJSON(t *rapid.T, m proto.Message) {
	text, err := MarshalJSON(m)
	if err != nil {
		t.Fatal(err)
	}
	got, other := m.ProtoReflect().New().Interface(), m.ProtoReflect().New().Interface()
	if err := UnmarshalJSON(text, got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if !proto.Equal(got, m) {
		t.Fatalf("%s\nwas read as %v", text, got)
	}
	// It has a form of its own for google.protobuf.Duration, which Mesos has not.
	if err := protojson.Unmarshal(text, other); err == nil && !proto.Equal(other, m) {
		t.Fatalf("%s\nprotojson read %v", text, other)
	}
}

func survivesProtobuf(t *rapid.T, m proto.Message) {
	b, err := Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got := m.ProtoReflect().New().Interface()
	if err := Unmarshal(b, got); err != nil || !proto.Equal(got, m) {
		t.Fatalf("%x\nwas read as %v, %v", b, got, err)
	}
}

// fill sets fields of m at random: those that are required or have a default
// always, and messages no deeper than depth unless they must be.
func fill(t *rapid.T, p *plan, m protoreflect.Message, depth int) {
	for _, f := range p.fields {
		must := f.required || f.fallback != "" && f.fallback != "[]"
		if !must && (depth <= 0 && f.inner() != nil || rapid.IntRange(0, 3).Draw(t, f.name) > 0) {
			continue
		}
		if one := f.desc.ContainingOneof(); one != nil && m.WhichOneof(one) != nil {
			continue
		}
		fillField(t, f, m, depth-1)
	}
}

func fillField(t *rapid.T, f *field, m protoreflect.Message, depth int) {
	switch {
	case f.value != nil:
		entries := m.Mutable(f.desc).Map()
		key := protoreflect.ValueOfString(rapid.String().Draw(t, "key")).MapKey()
		if f.value.message == nil {
			entries.Set(key, scalar(t, f.value))
			return
		}
		fill(t, f.value.message, entries.Mutable(key).Message(), depth)
	case f.list && f.message != nil:
		for range rapid.IntRange(1, 2).Draw(t, "length") {
			fill(t, f.message, m.Mutable(f.desc).List().AppendMutable().Message(), depth)
		}
	case f.list:
		for range rapid.IntRange(1, 3).Draw(t, "length") {
			m.Mutable(f.desc).List().Append(scalar(t, f))
		}
	case f.message != nil:
		fill(t, f.message, m.Mutable(f.desc).Message(), depth)
	default:
		m.Set(f.desc, scalar(t, f))
	}
}

func scalar(t *rapid.T, f *field) protoreflect.Value {
	switch f.kind {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, f.name))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Draw(t, f.name))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, f.name))
	case protoreflect.EnumKind:
		values := f.desc.Enum().Values()
		return protoreflect.ValueOfEnum(values.Get(rapid.IntRange(0, values.Len()-1).Draw(t, f.name)).Number())
	case protoreflect.DoubleKind:
		v := rapid.Float64().Draw(t, f.name)
		if math.IsNaN(v) {
			v = math.Inf(1)
		}
		return protoreflect.ValueOfFloat64(v)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, f.name))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, f.name))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, f.name))
	default:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, f.name))
	}
}
