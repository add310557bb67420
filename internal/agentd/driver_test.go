package agentd

import (
	"testing"

	"google.golang.org/protobuf/proto"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/wire"
)

func decode[M proto.Message](t *testing.T, text string, m M) M {
	t.Helper()
	if err := wire.UnmarshalJSON([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return m
}

// TestExecutorDriverMessages: each message of an executor's driver becomes the call
// that says the same.
func TestExecutorDriverMessages(t *testing.T) {
	const (
		update = `{"framework_id":{"value":"f"},"executor_id":{"value":"x"},"slave_id":{"value":"s"},"status":{"task_id":{"value":"t"},"state":"TASK_RUNNING"},"timestamp":7.5,"uuid":"AAAA"}`
		status = `{"status":{"task_id":{"value":"t"},"state":"TASK_RUNNING","timestamp":7.5,"executor_id":{"value":"x"},"source":"SOURCE_EXECUTOR","uuid":"AAAA"}}`
		who    = `"executor_id":{"value":"x"},"framework_id":{"value":"f"}`
	)
	for _, c := range []struct {
		message    proto.Message
		text, want string
	}{
		{
			&messages.RegisterExecutorMessage{}, `{` + who + `}`,
			`{` + who + `,"type":"SUBSCRIBE","subscribe":{}}`,
		},
		{
			&messages.ReregisterExecutorMessage{},
			`{` + who + `,"tasks":[{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"s"}}],"updates":[` + update + `]}`,
			`{` + who + `,"type":"SUBSCRIBE","subscribe":{"unacknowledged_tasks":[{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"s"}}],"unacknowledged_updates":[` + status + `]}}`,
		},
		{
			&messages.StatusUpdateMessage{}, `{"update":` + update + `,"pid":"executor(1)@h:1"}`,
			`{` + who + `,"type":"UPDATE","update":` + status + `}`,
		},
		{
			&messages.ExecutorToFrameworkMessage{}, `{"slave_id":{"value":"s"},` + who + `,"data":"aGk="}`,
			`{` + who + `,"type":"MESSAGE","message":{"data":"aGk="}}`,
		},
	} {
		got := executorCall(decode(t, c.text, c.message))
		if want := decode(t, c.want, &executorpb.Call{}); !proto.Equal(got, want) {
			t.Errorf("%T: %s; want %s", c.message, wire.AppendJSON(nil, got), c.want)
		}
	}
}

// TestExecutorDriverEvents: each event is told a driver by the message that says
// the same, or not at all; what names the agent and the framework is as it was
// when the driver registered.
func TestExecutorDriverEvents(t *testing.T) {
	const (
		info      = `{"user":"u","name":"n","id":{"value":"f"}}`
		executor  = `{"executor_id":{"value":"x"}}`
		here      = `{"hostname":"h","id":{"value":"s"}}`
		whose     = `"slave_id":{"value":"s"},"framework_id":{"value":"f"}`
		task      = `{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"s"}}`
		subscribe = `{"type":"SUBSCRIBED","subscribed":{"executor_info":` + executor + `,"framework_info":` + info + `,"agent_info":` + here + `}}`
	)
	for _, again := range []bool{false, true} {
		sink := &driverSink{again: again, call: decode(t, `{"framework_id":{"value":"f"},"executor_id":{"value":"x"}}`, &executorpb.Call{})}
		first, fields := proto.Message(&messages.ExecutorRegisteredMessage{}),
			`{"executor_info":`+executor+`,"framework_id":{"value":"f"},"framework_info":`+info+`,"slave_id":{"value":"s"},"slave_info":`+here+`}`
		if again {
			first, fields = &messages.ExecutorReregisteredMessage{}, `{"slave_id":{"value":"s"},"slave_info":`+here+`}`
		}
		for _, c := range []struct {
			event  string
			want   proto.Message // nil: nothing is told
			fields string
		}{
			{subscribe, first, fields},
			{`{"type":"LAUNCH","launch":{"task":` + task + `}}`, &messages.RunTaskMessage{}, `{"framework":` + info + `,"pid":"scheduler@h:2","task":` + task + `}`},
			{
				`{"type":"KILL","kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":5}}}}`,
				&messages.KillTaskMessage{}, `{"framework_id":{"value":"f"},"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":5}}}`,
			},
			{
				`{"type":"ACKNOWLEDGED","acknowledged":{"task_id":{"value":"t"},"uuid":"AAAA"}}`,
				&messages.StatusUpdateAcknowledgementMessage{}, `{` + whose + `,"task_id":{"value":"t"},"uuid":"AAAA"}`,
			},
			{
				`{"type":"MESSAGE","message":{"data":"aGk="}}`,
				&messages.FrameworkToExecutorMessage{}, `{` + whose + `,"executor_id":{"value":"x"},"data":"aGk="}`,
			},
			{`{"type":"SHUTDOWN"}`, &messages.ShutdownExecutorMessage{}, `{}`},
			{`{"type":"HEARTBEAT"}`, nil, ""},
			{`{"type":"LAUNCH_GROUP","launch_group":{"task_group":{"tasks":[` + task + `]}}}`, nil, ""},
		} {
			got := sink.message(agent.ToExecutor{Event: decode(t, c.event, &executorpb.Event{}), Scheduler: "scheduler@h:2"})
			if c.want == nil {
				if got != nil {
					t.Errorf("%s: a driver is told %v", c.event, got)
				}
				continue
			}
			if want := decode(t, c.fields, c.want); !proto.Equal(got, want) {
				t.Errorf("%s: %v; want %v", c.event, got, want)
			}
		}
	}
}
