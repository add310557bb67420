package wire

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
)

func TestUnmarshalJSON(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want proto.Message // said in full
	}{
		"unknown fields are ignored": {
			`{"value":"x","other":{"deep":[1,{"a":null}]}}`,
			&mesos.TaskID{Value: new("x")},
		},
		"null is unset": {
			`{"name":"f","value":null}`,
			&mesos.Environment_Variable{Name: new("f")},
		},
		"the last of equal names counts": {
			`{"value":"x","value":"y"}`,
			&mesos.TaskID{Value: new("y")},
		},
		"a later list replaces": {
			`{"labels":[{"key":"a"}],"labels":[{"key":"b"}]}`,
			&mesos.Labels{Labels: []*mesos.Label{{Key: new("b")}}},
		},
		"a later message replaces": {
			`{"id":{"value":"a"},"hostname":"h","id":{"value":"b"},"domain":{"fault_domain":null},"domain":null}`,
			&mesos.AgentInfo{Id: &mesos.AgentID{Value: new("b")}, Hostname: new("h")},
		},
		"one object for a list": {
			`{"labels":{"key":"a"}}`,
			&mesos.Labels{Labels: []*mesos.Label{{Key: new("a")}}},
		},
		"lists in lists are flat": {
			`{"labels":[[{"key":"a"}],null,{"key":"b"}]}`,
			&mesos.Labels{Labels: []*mesos.Label{{Key: new("a")}, {Key: new("b")}}},
		},
		"a string for a list of strings": {
			`{"arguments":"x"}`,
			&mesos.CommandInfo{Arguments: []string{"x"}},
		},
		"numbers and booleans as strings": {
			`{"task_id":{"value":"t"},"state":"TASK_RUNNING","timestamp":" 1.5 ","healthy":"true"}`,
			&mesos.TaskStatus{
				TaskId: &mesos.TaskID{Value: new("t")}, State: mesos.TaskState_TASK_RUNNING.Enum(),
				Timestamp: new(1.5), Healthy: new(true),
			},
		},
		"integers from doubles, strings and beyond": {
			`{"begin":1.9,"end":"18446744073709551615"}`,
			&mesos.Value_Range{Begin: proto.Uint64(1), End: proto.Uint64(1<<64 - 1)},
		},
		"integers wrap": {
			`{"begin":-1,"end":-9223372036854775808}`,
			&mesos.Value_Range{Begin: proto.Uint64(1<<64 - 1), End: proto.Uint64(1 << 63)},
		},
		"numbers as C reads them": {
			`{"begin":007,"end":1e2}`,
			&mesos.Value_Range{Begin: proto.Uint64(7), End: proto.Uint64(100)},
		},
		"a negative fraction is zero": {
			`{"begin":-0.5,"end":0.99}`,
			&mesos.Value_Range{Begin: proto.Uint64(0), End: proto.Uint64(0)},
		},
		"an unknown name of an enum is unset": {
			`{"type":"NOPE"}`,
			&masterpb.Call{},
		},
		"unknown names in a list are left out": {
			`{"services":["NOPE","NODE_SERVICE"]}`,
			&mesos.CSIPluginContainerInfo{Services: []mesos.CSIPluginContainerInfo_Service{mesos.CSIPluginContainerInfo_NODE_SERVICE}},
		},
		"base64 without padding, with white space": {
			`{"slave_id":1,"agent_id":{"value":"a"},"executor_id":{"value":"e"},"data":"aGk\n h"}`,
			&schedulerpb.Call_Message{
				AgentId: &mesos.AgentID{Value: new("a")}, ExecutorId: &mesos.ExecutorID{Value: new("e")}, Data: []byte("hi!"),
			},
		},
		"a map": {
			`{"quantities":{"a":{"value":1},"a":{"value":2},"b":{"value":"3"}}}`,
			&mesos.OfferFilters_ResourceQuantities{Quantities: map[string]*mesos.Value_Scalar{
				"a": {Value: proto.Float64(2)}, "b": {Value: proto.Float64(3)},
			}},
		},
		"escapes": {
			`{"value":"\"\\\/\b\f\n\r\té😀\u0000"}`,
			&mesos.TaskID{Value: new("\"\\/\b\f\n\r\té😀\x00")},
		},
		"an escaped name": {
			`{"val\u0075e":"x"}`,
			&mesos.TaskID{Value: new("x")},
		},
		"bytes that are no text": {
			"{\"value\":\"\xff\"}",
			&mesos.TaskID{Value: new("\xff")},
		},
		"white space": {
			" \t\r\n{ \"value\" : \"x\" } \n",
			&mesos.TaskID{Value: new("x")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.want.ProtoReflect().New().Interface()
			if err := UnmarshalJSON([]byte(test.text), got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestUnmarshalJSONErrors(t *testing.T) {
	const task = `"task_id":{"value":"t"}`
	for _, test := range []struct {
		m          proto.Message
		text, want string
	}{
		{&mesos.TaskID{}, ``, "syntax error at line 1 near: "},
		{&mesos.TaskID{}, `{"value":`, "syntax error at line 1 near: "},
		{&mesos.TaskID{}, "{\n\"value\": tru }", "syntax error at line 2 near:  }"},
		{&mesos.TaskID{}, "{\"value\":\n\n\"a\x01b\"", "syntax error at line 3 near: b\""},
		{&mesos.TaskID{}, `{"value":"\q"}`, `syntax error at line 1 near: "}`},
		{&mesos.TaskID{}, `{"value":"\ud800"}`, `syntax error at line 1 near: "}`},
		{&mesos.TaskID{}, `{"value":"\udc00"}`, `syntax error at line 1 near: "}`},
		{&mesos.TaskID{}, `{"value":"x",}`, "syntax error at line 1 near: }"},
		{&mesos.TaskID{}, `{'value':"x"}`, `syntax error at line 1 near: 'value':"x"}`},
		{&mesos.TaskID{}, `{"a":.5}`, "syntax error at line 1 near: .5}"},
		{&mesos.TaskID{}, `{"a":1e}`, "syntax error at line 1 near: }"},
		{&mesos.TaskID{}, `{"a":1e999}`, "Value out of range"},
		{&mesos.TaskID{}, `{"value":"x"} {}`, "Parsed JSON included non-whitespace trailing characters: {}"},
		{&mesos.TaskID{}, `[]`, "Expecting a JSON object"},
		{&mesos.TaskID{}, `{"value":{}}`, "Not expecting a JSON object for field 'value'"},
		{&mesos.TaskID{}, `{"value":["x"]}`, "Not expecting a JSON array for field 'value'"},
		{&mesos.TaskID{}, `{"value":1}`, "Not expecting a JSON number for field 'value'"},
		{&mesos.TaskID{}, `{"value":false}`, "Not expecting a JSON boolean for field 'value'"},
		{&mesos.TaskStatus{}, `{"task_id":"x"}`, "Not expecting a JSON string for field 'task_id'"},
		{&mesos.TaskStatus{}, `{` + task + `,"state":6}`, "Not expecting a JSON number for field 'state'"},
		{&mesos.TaskStatus{}, `{` + task + `,"state":"NOPE"}`, "Failed to find enum for 'NOPE'"},
		{
			&mesos.TaskStatus{}, `{"timestamp":"soon"}`,
			"Failed to parse 'soon' as a JSON number for field 'timestamp': syntax error at line 1 near: soon",
		},
		{
			&mesos.TaskStatus{}, `{"timestamp":"[1]"}`,
			"Failed to parse '[1]' as a JSON number for field 'timestamp': Unexpected JSON type parsed",
		},
		{
			&mesos.TaskStatus{}, `{"healthy":"yes"}`,
			"Failed to parse 'yes' as a JSON boolean for field 'healthy': syntax error at line 1 near: yes",
		},
		{
			&mesos.TaskStatus{}, `{"data":"a-b"}`,
			"Failed to base64 decode bytes field 'data': Invalid character '-'",
		},
		{&mesos.Value_Range{}, `{"begin":1e30}`, "Value out of range for field 'begin'"},
		{&mesos.Value_Range{}, `{"begin":-1.5}`, "Value out of range for field 'begin'"},
		// Bad syntax is reported before a bad value.
		{&mesos.TaskID{}, `{"value":1, x`, "syntax error at line 1 near: x"},
		{&mesos.TaskStatus{}, `{}`, "Missing required fields: task_id, state"},
		{
			&schedulerpb.Call{}, `{"accept":{"operations":[{"launch":{"task_infos":[{},{"name":"n"}]}}]}}`,
			"Missing required fields: accept.operations[0].launch.task_infos[0].name, " +
				"accept.operations[0].launch.task_infos[0].task_id, accept.operations[0].launch.task_infos[0].agent_id, " +
				"accept.operations[0].launch.task_infos[1].task_id, accept.operations[0].launch.task_infos[1].agent_id",
		},
		{
			&mesos.OfferFilters_ResourceQuantities{}, `{"quantities":{"a":{"value":1},"b":null}}`,
			"Missing required fields: quantities[1].value.value",
		},
	} {
		if err := UnmarshalJSON([]byte(test.text), test.m); err == nil || err.Error() != test.want {
			t.Errorf("%s\n got %v\nwant %s", test.text, err, test.want)
		}
	}
}

// TestDeepJSON is about CVE-2018-11793: deep nesting must cost nothing.
func TestDeepJSON(t *testing.T) {
	const million = 1_000_000
	for _, text := range []string{
		strings.Repeat("[", million),
		strings.Repeat(`{"parent":`, million),
		`{"x":` + strings.Repeat("[", million) + strings.Repeat("]", million) + `}`,
	} {
		err := UnmarshalJSON([]byte(text), &mesos.ContainerID{})
		if err == nil || !strings.HasPrefix(err.Error(), "syntax error at line 1 near: ") {
			t.Errorf("got %.80v", err)
		}
		if len(err.Error()) > 1000 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
	nested := strings.Repeat(`{"x":`, 199) + "{}" + strings.Repeat("}", 199)
	if err := UnmarshalJSON([]byte(nested), &masterpb.Call{}); err != nil {
		t.Errorf("200 levels: %v", err)
	}
	if err := UnmarshalJSON([]byte(`{"x":`+nested+`}`), &masterpb.Call{}); err == nil {
		t.Error("201 levels were accepted")
	}
}

func TestUnmarshalJSONArray(t *testing.T) {
	fresh := func() *mesos.Label { return &mesos.Label{} }
	all, err := UnmarshalJSONArray([]byte(`[{"key":"a"},{"key":"b","value":"c"}]`), fresh)
	if err != nil || len(all) != 2 || all[1].GetValue() != "c" {
		t.Errorf("got %v, %v", all, err)
	}
	for text, want := range map[string]string{
		`{}`:               "Expecting a JSON array",
		`[1]`:              "Expecting a JSON object",
		`[{"key":"a"},{}]`: "Missing required fields: key",
		`[{"key":"a"}`:     "syntax error at line 1 near: ",
		`[] x`:             "Parsed JSON included non-whitespace trailing characters: x",
	} {
		if _, err := UnmarshalJSONArray([]byte(text), fresh); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// FuzzUnmarshalJSON checks that whatever is read can be written and read again
// without change, and is what protojson reads in what we wrote.
func FuzzUnmarshalJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"type":"TEARDOWN","framework_id":{"value":"f"}}`,
		`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"u","name":"n","roles":["a","b"],"failover_timeout":1e21,` +
			`"capabilities":[{"type":"MULTI_ROLE"}],"labels":{"labels":{"key":"\u00e9"}},"offer_filters":{"a":{}}}}}`,
		`{"type":"ACCEPT","accept":{"offer_ids":{"value":"o"},"filters":{"refuse_seconds":"Infinity"},"operations":[{"type":"LAUNCH",` +
			`"launch":{"task_infos":[{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"data":"aGk=",` +
			`"limits":{"cpus":{"value":"Infinity"}},"resources":[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2}]}}]}]}}]}}`,
		`[[[`, `{"type":null,"type":"\ud83d\ude00"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var call schedulerpb.Call
		if err := UnmarshalJSON(text, &call); err != nil {
			return
		}
		written, err := MarshalJSON(&call)
		if err != nil {
			t.Fatalf("read, but: %v", err)
		}
		var again schedulerpb.Call
		if err := UnmarshalJSON(written, &again); err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if rewritten, _ := MarshalJSON(&again); string(rewritten) != string(written) {
			t.Fatalf("%s\nbecame\n%s", written, rewritten)
		}
		var other schedulerpb.Call
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(written, &other); err == nil && !proto.Equal(&other, &again) {
			t.Fatalf("%s\nprotojson read %v", written, &other)
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	call := &executorpb.Call{
		ExecutorId: &mesos.ExecutorID{Value: new("e")}, FrameworkId: &mesos.FrameworkID{Value: new("f")},
		Type: executorpb.Call_UPDATE.Enum(),
	}
	seed, err := Marshal(call)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var fast, slow executorpb.Call
		err := Unmarshal(b, &fast)
		if err != nil {
			return
		}
		p := planFor(fast.ProtoReflect().Descriptor())
		if err := proto.Unmarshal(b, &slow); err == nil && !p.strange(b) && !proto.Equal(&fast, &slow) {
			t.Fatalf("%x\n got %v\nwant %v", b, &fast, &slow)
		}
		if again, err := Marshal(&fast); err != nil || p.strange(again) {
			t.Fatalf("%x was read, but: %v", b, err)
		}
		_ = AppendJSON(nil, &fast)
	})
}
