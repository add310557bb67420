package wire

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
)

func TestMarshalRequires(t *testing.T) {
	incomplete := &mesos.TaskStatus{TaskId: &mesos.TaskID{}}
	if _, err := Marshal(incomplete); err == nil {
		t.Error("protobuf: a message without required fields was written")
	}
	if _, err := MarshalJSON(incomplete); err == nil || err.Error() != "Missing required fields: state, task_id.value" {
		t.Errorf("JSON: got %v", err)
	}
	if err := Unmarshal(nil, incomplete); err == nil {
		t.Error("a message without required fields was read")
	}
}

// TestDeepProtobuf sends container IDs inside each other: the generated code
// recurses as deep as the message says.
func TestDeepProtobuf(t *testing.T) {
	nest := func(levels int) []byte {
		b := []byte{}
		for range levels {
			inner := b
			b = protowire.AppendTag(nil, 1, protowire.BytesType)
			b = protowire.AppendString(b, "c")
			b = protowire.AppendTag(b, 2, protowire.BytesType)
			b = protowire.AppendBytes(b, inner)
		}
		return b
	}
	err := Unmarshal(nest(10_000), &mesos.ContainerID{})
	if err == nil || !strings.Contains(err.Error(), "nested too deeply") {
		t.Errorf("10,000 levels: %v", err)
	}
	deep := mesos.ContainerID{Value: new("c")}
	for range 50 {
		deep = mesos.ContainerID{Value: new("c"), Parent: proto.CloneOf(&deep)}
	}
	b, err := Marshal(&deep)
	if err != nil {
		t.Fatal(err)
	}
	if err := Unmarshal(b, &mesos.ContainerID{}); err != nil {
		t.Errorf("50 levels: %v", err)
	}
}

// TestUnknownEnums: a value that an enum does not have is not there, wherever it is;
// a message that must have one is none.
func TestUnknownEnums(t *testing.T) {
	strange, running := mesos.TaskState(1000), mesos.TaskState_TASK_RUNNING
	update := func(status, latest *mesos.TaskState) *messages.StatusUpdateMessage {
		return &messages.StatusUpdateMessage{Update: &messages.StatusUpdate{
			FrameworkId: &mesos.FrameworkID{Value: new("f")}, Timestamp: new(1.0), LatestState: latest,
			Status: &mesos.TaskStatus{TaskId: &mesos.TaskID{Value: new("t")}, State: status},
		}}
	}
	status := update(&running, nil).Update.Status
	capability := func(types ...mesos.CapabilityInfo_Capability) *mesos.CapabilityInfo {
		return &mesos.CapabilityInfo{Capabilities: types}
	}
	packed := protowire.AppendTag(nil, 1, protowire.BytesType)
	packed = protowire.AppendBytes(packed, protowire.AppendVarint(protowire.AppendVarint(nil, 1001), 5_000_000_000))
	for name, c := range map[string]struct {
		encoded []byte
		want    proto.Message // nil: it is refused
		as      proto.Message
	}{
		"known":                {encoded(t, update(&running, &running)), update(&running, &running), &messages.StatusUpdateMessage{}},
		"optional":             {encoded(t, update(&running, &strange)), update(&running, nil), &messages.StatusUpdateMessage{}},
		"required":             {encoded(t, update(&strange, &running)), nil, &messages.StatusUpdateMessage{}},
		"in a list":            {encoded(t, capability(1001, 7, 1002)), capability(1001, 1002), &mesos.CapabilityInfo{}},
		"in a packed list":     {packed, capability(1001), &mesos.CapabilityInfo{}},
		"after a known one":    {append(encoded(t, status), 0x10, 0xe8, 0x07), status, &mesos.TaskStatus{}},
		"and what is cut":      {append(encoded(t, capability(7)), 0x0a), nil, &mesos.CapabilityInfo{}},
		"of a call is no type": {[]byte{0x10, 0x7f}, &schedulerpb.Call{}, &schedulerpb.Call{}},
	} {
		err := Unmarshal(c.encoded, c.as)
		if (err != nil) != (c.want == nil) || err == nil && !proto.Equal(c.as, c.want) {
			t.Errorf("%s: %v, %v; want %v", name, c.as, err, c.want)
		}
	}
}

// encoded returns a message in protocol buffers, whether it has all that it must.
func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{AllowPartial: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncodeDecode(t *testing.T) {
	call := &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum(), FrameworkId: &mesos.FrameworkID{Value: new("f")}}
	for _, contentType := range []string{JSON, Protobuf} {
		body, err := Encode(contentType, call)
		if err != nil {
			t.Fatal(err)
		}
		got := &schedulerpb.Call{Accept: &schedulerpb.Call_Accept{}}
		if err := Decode(contentType, body, got); err != nil || !proto.Equal(got, call) {
			t.Errorf("%s: %v, %v", contentType, got, err)
		}
	}
	for _, test := range []struct{ contentType, body, want string }{
		{JSON, `{`, "Failed to parse body into JSON: syntax error at line 1 near: "},
		{JSON, `{"type":1}`, "Failed to convert JSON into Call protobuf: Not expecting a JSON number for field 'type'"},
		{Protobuf, "\xff", "Failed to parse body into Call protobuf"},
		{"text/html", "", `no decoding for media type "text/html"`},
	} {
		if err := Decode(test.contentType, []byte(test.body), &masterpb.Call{}); err == nil || err.Error() != test.want {
			t.Errorf("%s %q: got %v, want %s", test.contentType, test.body, err, test.want)
		}
	}
	if _, err := Encode(RecordIO, call); err == nil {
		t.Error("a stream is no encoding of a message")
	}
}

func TestAppendJSON(t *testing.T) {
	for name, test := range map[string]struct {
		m    proto.Message
		want string
	}{
		"explicit defaults, but not deprecated ones": {
			&mesos.Resource{Name: new("cpus")}, `{"name":"cpus"}`,
		},
		"defaults": {
			&mesos.CommandInfo_URI{Value: new("x")}, `{"value":"x","extract":true}`,
		},
		"text": {
			&mesos.TaskID{Value: new("\"\\/<>&\b\f\n\r\t\x00\x1f\x7fé\u2028\xff")},
			`{"value":"\"\\/<>&\b\f\n\r\t\u0000\u001F` + "\x7fé\u2028\xff" + `"}`,
		},
		"64-bit integers are numbers": {
			&mesos.Value_Range{Begin: proto.Uint64(0), End: proto.Uint64(1<<64 - 1)},
			`{"begin":0,"end":18446744073709551615}`,
		},
		"a number without a name is unset": {
			&masterpb.Call{Type: masterpb.Call_Type(9999).Enum()}, `{}`,
		},
		"maps by rising key": {
			&mesos.OfferFilters_ResourceQuantities{Quantities: map[string]*mesos.Value_Scalar{
				"b": {Value: proto.Float64(1)}, "a": {Value: new(0.5)},
			}},
			`{"quantities":{"a":{"value":0.5},"b":{"value":1.0}}}`,
		},
		"lists that Mesos always writes": {
			&masterpb.Response_GetAgents{}, `{"agents":[],"recovered_agents":[]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(AppendJSON(nil, test.m)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
