package masterd

import (
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	v0 "github.com/meseta-project/meseta/api/messages/v0"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// encode returns a message of which the JSON is given, as a driver sends it.
func encode(t *testing.T, m proto.Message, text string) []byte {
	t.Helper()
	if err := wire.UnmarshalJSON([]byte(text), m); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	body, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestDriverMessages: each message of a scheduler's driver, of either generation,
// becomes the call that says the same.
func TestDriverMessages(t *testing.T) {
	const info = `{"user":"u","name":"n","id":{"value":"f"},"roles":["r"],"capabilities":[{"type":"MULTI_ROLE"}]}`
	for _, c := range []struct {
		message proto.Message
		text    string
		want    string
		force   bool
	}{
		{
			&messages.RegisterFrameworkMessage{}, `{"framework":` + info + `}`,
			`{"framework_id":{"value":"f"},"type":"SUBSCRIBE","subscribe":{"framework_info":` + shown(t, info) + `}}`, false,
		},
		{
			&messages.ReregisterFrameworkMessage{}, `{"framework":` + info + `,"failover":true}`,
			`{"framework_id":{"value":"f"},"type":"SUBSCRIBE","subscribe":{"framework_info":` + shown(t, info) + `}}`, true,
		},
		{&messages.UnregisterFrameworkMessage{}, `{"framework_id":{"value":"f"}}`, `{"framework_id":{"value":"f"},"type":"TEARDOWN"}`, false},
		{&messages.DeactivateFrameworkMessage{}, `{"framework_id":{"value":"f"}}`, `{"framework_id":{"value":"f"}}`, false},
		{
			&messages.ResourceRequestMessage{}, `{"framework_id":{"value":"f"},"requests":[{"agent_id":{"value":"s"}}]}`,
			`{"framework_id":{"value":"f"},"type":"REQUEST","request":{"requests":[{"agent_id":{"value":"s"}}]}}`, false,
		},
		{
			&messages.LaunchTasksMessage{},
			`{"framework_id":{"value":"f"},"tasks":[{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"s"}}],"filters":{"refuse_seconds":3},"offer_ids":[{"value":"o"}]}`,
			`{"framework_id":{"value":"f"},"type":"ACCEPT","accept":{"offer_ids":[{"value":"o"}],"operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"t","task_id":{"value":"t"},"agent_id":{"value":"s"}}]}}],"filters":{"refuse_seconds":3.0}}}`, false,
		},
		{&messages.ReviveOffersMessage{}, `{"framework_id":{"value":"f"},"roles":["r"]}`, `{"framework_id":{"value":"f"},"type":"REVIVE","revive":{"roles":["r"]}}`, false},
		{
			&messages.KillTaskMessage{}, `{"framework_id":{"value":"f"},"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":5}}}`,
			`{"framework_id":{"value":"f"},"type":"KILL","kill":{"task_id":{"value":"t"},"kill_policy":{"grace_period":{"nanoseconds":5}}}}`, false,
		},
		{
			&messages.StatusUpdateAcknowledgementMessage{}, `{"slave_id":{"value":"s"},"framework_id":{"value":"f"},"task_id":{"value":"t"},"uuid":"AAAA"}`,
			`{"framework_id":{"value":"f"},"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":"s"},"task_id":{"value":"t"},"uuid":"AAAA"}}`, false,
		},
		{
			&messages.FrameworkToExecutorMessage{}, `{"slave_id":{"value":"s"},"framework_id":{"value":"f"},"executor_id":{"value":"x"},"data":"aGk="}`,
			`{"framework_id":{"value":"f"},"type":"MESSAGE","message":{"agent_id":{"value":"s"},"executor_id":{"value":"x"},"data":"aGk="}}`, false,
		},
		{
			&messages.ReconcileTasksMessage{},
			`{"framework_id":{"value":"f"},"statuses":[{"task_id":{"value":"t"},"state":"TASK_RUNNING","agent_id":{"value":"s"}},{"task_id":{"value":"u"},"state":"TASK_LOST"}]}`,
			`{"framework_id":{"value":"f"},"type":"RECONCILE","reconcile":{"tasks":[{"task_id":{"value":"t"},"agent_id":{"value":"s"}},{"task_id":{"value":"u"}}]}}`, false,
		},
		{&messages.ReconcileTasksMessage{}, `{"framework_id":{"value":"f"}}`, `{"framework_id":{"value":"f"},"type":"RECONCILE","reconcile":{}}`, false},
		{
			&v0.Call{}, `{"framework_id":{"value":"f"},"type":"SUBSCRIBE","subscribe":{"framework_info":` + info + `,"force":true,"suppressed_roles":["r"]}}`,
			`{"framework_id":{"value":"f"},"type":"SUBSCRIBE","subscribe":{"framework_info":` + shown(t, info) + `,"suppressed_roles":["r"]}}`, true,
		},
		{
			&v0.Call{}, `{"framework_id":{"value":"f"},"type":"ACCEPT_INVERSE_OFFERS","accept_inverse_offers":{"inverse_offer_ids":[{"value":"i"}]}}`,
			`{"framework_id":{"value":"f"},"type":"ACCEPT_INVERSE_OFFERS","accept_inverse_offers":{"inverse_offer_ids":[{"value":"i"}]}}`, false,
		},
		{&v0.Call{}, `{"framework_id":{"value":"f"}}`, `{"framework_id":{"value":"f"},"type":"UNKNOWN"}`, false},
	} {
		name := libprocess.MessageName(c.message)
		if _, ok := c.message.(*v0.Call); ok {
			name = driverCall
		}
		call, force, err := decodeDriver(name, encode(t, c.message, c.text))
		if err != nil || force != c.force {
			t.Errorf("%s: force %t, %v", name, force, err)
			continue
		}
		if got := string(wire.AppendJSON(nil, call)); got != c.want {
			t.Errorf("%s: %s; want %s", name, got, c.want)
		}
	}
	if call, _, err := decodeDriver("mesos.internal.PingSlaveMessage", nil); call != nil || err != nil {
		t.Errorf("a ping is %v (%v)", call, err)
	}
	if _, _, err := decodeDriver("mesos.internal.KillTaskMessage", []byte{0xff}); err == nil {
		t.Error("a message that cannot be read is taken")
	}
}

// shown returns a framework as it is in JSON, with what has a default.
func shown(t *testing.T, text string) string {
	t.Helper()
	info := &mesos.FrameworkInfo{}
	if err := wire.UnmarshalJSON([]byte(text), info); err != nil {
		t.Fatal(err)
	}
	return string(wire.AppendJSON(nil, info))
}

// TestDriverEvents: each event is told a driver by the message that says the same,
// or not at all.
func TestDriverEvents(t *testing.T) {
	const (
		offer  = `{"id":{"value":"o"},"framework_id":{"value":"f"},"agent_id":{"value":"s"},"hostname":"h"}`
		status = `{"task_id":{"value":"t"},"state":"TASK_LOST","agent_id":{"value":"s"},"timestamp":7.5,"executor_id":{"value":"x"},"uuid":"AAAA"}`
	)
	info := `{"id":"m","ip":1,"port":5050}`
	for _, c := range []struct {
		event  string
		add    master.ToFramework
		want   proto.Message // nil: nothing is told
		fields string
	}{
		{
			`{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f"},"master_info":` + info + `}}`,
			master.ToFramework{},
			&messages.FrameworkRegisteredMessage{}, `{"framework_id":{"value":"f"},"master_info":` + info + `}`,
		},
		{
			`{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"f"},"master_info":` + info + `}}`,
			master.ToFramework{Again: true},
			&messages.FrameworkReregisteredMessage{}, `{"framework_id":{"value":"f"},"master_info":` + info + `}`,
		},
		{
			`{"type":"OFFERS","offers":{"offers":[` + offer + `]}}`,
			master.ToFramework{AgentPIDs: []ids.UPID{"slave(1)@h:1"}},
			&messages.ResourceOffersMessage{}, `{"offers":[` + offer + `],"pids":["slave(1)@h:1"]}`,
		},
		{
			`{"type":"INVERSE_OFFERS","inverse_offers":{"inverse_offers":[{"id":{"value":"o"},"framework_id":{"value":"f"},"agent_id":{"value":"s"},"unavailability":{"start":{"nanoseconds":1}}}]}}`,
			master.ToFramework{AgentPIDs: []ids.UPID{"slave(1)@h:1"}},
			&messages.InverseOffersMessage{},
			`{"inverse_offers":[{"id":{"value":"o"},"framework_id":{"value":"f"},"agent_id":{"value":"s"},"unavailability":{"start":{"nanoseconds":1}}}],"pids":["slave(1)@h:1"]}`,
		},
		{`{"type":"RESCIND","rescind":{"offer_id":{"value":"o"}}}`, master.ToFramework{}, &messages.RescindResourceOfferMessage{}, `{"offer_id":{"value":"o"}}`},
		{
			`{"type":"RESCIND_INVERSE_OFFER","rescind_inverse_offer":{"inverse_offer_id":{"value":"o"}}}`,
			master.ToFramework{},
			&messages.RescindInverseOfferMessage{}, `{"inverse_offer_id":{"value":"o"}}`,
		},
		{
			`{"type":"UPDATE","update":{"status":` + status + `}}`,
			master.ToFramework{},
			&messages.StatusUpdateMessage{},
			`{"update":{"framework_id":{"value":"f"},"executor_id":{"value":"x"},"slave_id":{"value":"s"},"status":` + status + `,"timestamp":7.5,"uuid":"AAAA"}}`,
		},
		{
			`{"type":"UPDATE","update":{"status":` + status + `}}`,
			master.ToFramework{AgentPIDs: []ids.UPID{"slave(1)@h:1"}, Latest: mesos.TaskState_TASK_FINISHED.Enum()},
			&messages.StatusUpdateMessage{},
			`{"update":{"framework_id":{"value":"f"},"executor_id":{"value":"x"},"slave_id":{"value":"s"},"status":` + status + `,"timestamp":7.5,"uuid":"AAAA","latest_state":"TASK_FINISHED"},"pid":"slave(1)@h:1"}`,
		},
		{
			`{"type":"MESSAGE","message":{"agent_id":{"value":"s"},"executor_id":{"value":"x"},"data":"aGk="}}`,
			master.ToFramework{},
			&messages.ExecutorToFrameworkMessage{}, `{"slave_id":{"value":"s"},"framework_id":{"value":"f"},"executor_id":{"value":"x"},"data":"aGk="}`,
		},
		{`{"type":"FAILURE","failure":{"agent_id":{"value":"s"}}}`, master.ToFramework{}, &messages.LostSlaveMessage{}, `{"slave_id":{"value":"s"}}`},
		{
			`{"type":"FAILURE","failure":{"agent_id":{"value":"s"},"executor_id":{"value":"x"},"status":9}}`,
			master.ToFramework{},
			&messages.ExitedExecutorMessage{}, `{"slave_id":{"value":"s"},"framework_id":{"value":"f"},"executor_id":{"value":"x"},"status":9}`,
		},
		{`{"type":"ERROR","error":{"message":"no"}}`, master.ToFramework{}, &messages.FrameworkErrorMessage{}, `{"message":"no"}`},
		{`{"type":"HEARTBEAT"}`, master.ToFramework{}, nil, ""},
	} {
		m := c.add
		m.Framework, m.Event = "f", &schedulerpb.Event{}
		if err := wire.UnmarshalJSON([]byte(c.event), m.Event); err != nil {
			t.Fatalf("%s: %v", c.event, err)
		}
		got := driverMessage(m)
		if c.want == nil {
			if got != nil {
				t.Errorf("%s: a driver is told %v", c.event, got)
			}
			continue
		}
		encode(t, c.want, c.fields)
		if !proto.Equal(got, c.want) {
			t.Errorf("%s: %v; want %v", c.event, got, c.want)
		}
	}
}
