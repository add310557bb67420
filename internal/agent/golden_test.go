package agent

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// captured is one message of a capture.
type captured struct {
	Src, Dst, Type string
	Body           []byte
}

// capture reads the messages of a capture that are of a type.
func capture(t *testing.T, name string) (out []captured) {
	t.Helper()
	for line := range bytes.Lines(golden.Read(t, "inner_registration/"+name+".jsonl")) {
		var c captured
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(c.Type, "mesos.internal.") {
			out = append(out, c)
		}
	}
	return out
}

func (c captured) message(t *testing.T) proto.Message {
	t.Helper()
	typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(c.Type))
	if err != nil {
		t.Fatal(err)
	}
	m := typ.New().Interface()
	if err := proto.Unmarshal(c.Body, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// find returns the n-th captured message of a type from src to dst.
func find(t *testing.T, all []captured, src, dst, typ string, n int) proto.Message {
	t.Helper()
	for _, c := range all {
		if c.Src == src && c.Dst == dst && c.Type == "mesos.internal."+typ {
			if n == 0 {
				return c.message(t)
			}
			n--
		}
	}
	t.Fatalf("no %s from %s to %s", typ, src, dst)
	return nil
}

// capturedAgent is an agent as the captured one was.
func capturedAgent() *world {
	w := newWorld()
	w.cfg.Info = &mesos.AgentInfo{
		Hostname: new("agent1.test"), Port: proto.Int32(5051), Checkpoint: new(true),
		Resources: resources.MustParse("cpus:4;mem:4096;disk:8192;ports:[31000-32000]").Proto(),
	}
	w.cfg.PID, w.cfg.Version, w.cfg.WorkDir = "slave(1)@127.0.0.1:5051", "1.12.0", "/var/lib/mesos-a1"
	w.cfg.Environment = []Variable{{"LIBPROCESS_IP", "127.0.0.1"}}
	return w
}

const capturedMaster = "master@127.0.0.1:5050"

// hears steps a message of the master, as captured.
func (w *world) hears(m proto.Message) Effects {
	if run, ok := m.(*messages.RunTaskMessage); ok {
		for _, v := range run.ResourceVersionUuids {
			v.Uuid.Value = w.a.version
		}
	}
	w.step(MasterMessage{From: capturedMaster, Message: m})
	return w.drain()
}

// drain takes the effects, and keeps what was to be remembered.
func (w *world) drain() Effects {
	fx := w.a.Effects()
	for _, r := range fx.Persist {
		w.disk.Apply(r)
	}
	return fx
}

// sent returns the n-th message to the master.
func sent(t *testing.T, fx Effects, n int) proto.Message {
	t.Helper()
	for _, m := range fx.Deferred {
		if p, ok := m.(ToProcess); ok {
			if n == 0 {
				return p.Message
			}
			n--
		}
	}
	t.Fatalf("nothing was sent to the master")
	return nil
}

// same compares messages, but for what is drawn at random.
func same(t *testing.T, got, want proto.Message, ignore ...string) {
	t.Helper()
	got, want = proto.CloneOf(got), proto.CloneOf(want)
	for _, m := range []proto.Message{got, want} {
		for _, path := range ignore {
			forget(m.ProtoReflect(), strings.Split(path, "."))
		}
	}
	if !proto.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", got.ProtoReflect().Descriptor().Name(), prototext.Format(got), prototext.Format(want))
	}
}

// forget clears the field at a path.
func forget(m protoreflect.Message, path []string) {
	f := m.Descriptor().Fields().ByName(protoreflect.Name(path[0]))
	switch {
	case len(path) == 1:
		m.Clear(f)
	case f.IsList():
		for i := range m.Get(f).List().Len() {
			forget(m.Get(f).List().Get(i).Message(), path[1:])
		}
	case m.Has(f):
		forget(m.Mutable(f).Message(), path[1:])
	}
}

// register brings an agent to where the captured one was registered.
func (w *world) register(t *testing.T) {
	t.Helper()
	w.start(nil)
	w.step(MasterDetected{Master: capturedMaster})
	w.now = w.now.Add(time.Second)
	w.step(Tick{})
	all := capture(t, "01_register_and_ping")
	same(t, sent(t, w.drain(), 0), find(t, all, "agent", "master", "RegisterSlaveMessage", 0), "resource_version_uuid")
	fx := w.hears(find(t, all, "master", "agent", "SlaveRegisteredMessage", 0))
	same(t, sent(t, fx, 0), find(t, all, "agent", "master", "UpdateSlaveMessage", 0), "resource_version_uuid")
}

// statusIgnored is what differs by nature in a StatusUpdateMessage: our command
// executor has no process of its own, so while the task starts there is no pid.
var statusIgnored = []string{"update.status.container_status.container_id", "update.status.container_status.executor_pid"}

// TestTaskAsMesos plays the captured life of a command task and compares what
// the master is told.
func TestTaskAsMesos(t *testing.T) {
	w := capturedAgent()
	w.register(t)
	all := capture(t, "02_task_to_the_end")
	fx := w.hears(find(t, all, "master", "agent", "RunTaskMessage", 0))
	spec := fx.Containers[0].(Launch).Spec
	told := find(t, all, "agent", "executor", "ExecutorRegisteredMessage", 0).(*messages.ExecutorRegisteredMessage)
	same(t, spec.Executor, told.GetExecutorInfo())
	x := ids.ExecutorID(told.GetExecutorInfo().GetExecutorId().GetValue())

	call := func(ty executorpb.Call_Type) *executorpb.Call {
		return &executorpb.Call{Type: ty.Enum(), FrameworkId: told.GetFrameworkId(), ExecutorId: &mesos.ExecutorID{Value: (*string)(&x)}}
	}
	w.step(ExecutorSubscribe{Conn: 1, Call: call(executorpb.Call_SUBSCRIBE)})
	w.step(ContainerLaunched{Container: spec.Run.Container, PID: 48})
	for _, m := range w.drain().Deferred {
		if ev, ok := m.(ToExecutor); ok && ev.Event.GetSubscribed() != nil {
			same(t, ev.Event.GetSubscribed().GetAgentInfo(), told.GetSlaveInfo())
			same(t, ev.Event.GetSubscribed().GetFrameworkInfo(), told.GetFrameworkInfo())
		}
	}
	for i := range 3 {
		status := find(t, all, "executor", "agent", "StatusUpdateMessage", i).(*messages.StatusUpdateMessage).GetUpdate().GetStatus()
		c := call(executorpb.Call_UPDATE)
		c.Update = &executorpb.Call_Update{Status: status}
		w.step(ExecutorCall{Request: 1, Call: c})
		fx := w.drain()
		same(t, sent(t, fx, 0), find(t, all, "agent", "master", "StatusUpdateMessage", i), statusIgnored...)
		if i == 2 {
			break // the framework was gone before it could acknowledge the last
		}
		w.hears(find(t, all, "master", "agent", "StatusUpdateAcknowledgementMessage", i))
	}
	w.a.Check()
}

// TestReregistrationAsMesos restarts the agent under a task that checkpoints,
// as captured, and compares what it tells the master.
func TestReregistrationAsMesos(t *testing.T) {
	w := capturedAgent()
	w.register(t)
	all := capture(t, "04_agent_killed_and_restarted")
	fx := w.hears(find(t, all, "master", "agent", "RunTaskMessage", 0))
	spec := fx.Containers[0].(Launch).Spec
	call := func(ty executorpb.Call_Type) *executorpb.Call {
		return &executorpb.Call{Type: ty.Enum(), FrameworkId: spec.Framework.GetId(), ExecutorId: spec.Executor.GetExecutorId()}
	}
	w.step(ExecutorSubscribe{Conn: 1, Call: call(executorpb.Call_SUBSCRIBE)})
	w.step(ContainerLaunched{Container: spec.Run.Container, PID: 94})
	for i := range 2 {
		c := call(executorpb.Call_UPDATE)
		c.Update = &executorpb.Call_Update{Status: find(t, all, "executor", "agent", "StatusUpdateMessage", i).(*messages.StatusUpdateMessage).GetUpdate().GetStatus()}
		w.step(ExecutorCall{Request: 1, Call: c})
		w.drain()
		w.hears(find(t, all, "master", "agent", "StatusUpdateAcknowledgementMessage", i))
	}

	w.start([]ids.ContainerID{spec.Run.Container})
	w.step(MasterDetected{Master: capturedMaster})
	c := call(executorpb.Call_SUBSCRIBE)
	c.Subscribe = &executorpb.Call_Subscribe{UnacknowledgedTasks: []*mesos.TaskInfo{spec.Task}}
	w.step(ExecutorSubscribe{Conn: 2, Call: c})
	w.drain()
	w.now = w.now.Add(time.Second)
	w.step(Tick{})
	back := capture(t, "04b_agent_back")
	same(t, sent(t, w.drain(), 0), find(t, back, "agent", "master", "ReregisterSlaveMessage", 0),
		"resource_version_uuid", "tasks.statuses.container_status.container_id")
	fx = w.hears(find(t, back, "master", "agent", "SlaveReregisteredMessage", 0))
	same(t, sent(t, fx, 0), find(t, back, "agent", "master", "UpdateSlaveMessage", 0), "resource_version_uuid")
	w.hears(find(t, back, "master", "agent", "UpdateFrameworkMessage", 0))
	w.a.Check()
}

// TestEnvironmentAsMesos compares the environment of tasks with what tasks of
// Mesos were seen to have. PATH and PWD are the launcher's.
func TestEnvironmentAsMesos(t *testing.T) {
	w := capturedAgent()
	const agent = "435032c4-e8ec-4b59-8b20-616da707192d-S0"
	w.start(nil)
	w.a.info = withID(w.cfg.Info, &mesos.AgentID{Value: proto.String(agent)})
	w.a.layout.Agent = agent
	f := &mesos.FrameworkInfo{Id: fid("435032c4-e8ec-4b59-8b20-616da707192d-0000"), User: new("root"), Checkpoint: new(true), Roles: []string{"eng"}}
	for _, tc := range []struct {
		sample, container string
		info              *mesos.TaskInfo
	}{
		{"t-cmd", "c750c6e4-0c90-4825-8b11-5948713e38c6", &mesos.TaskInfo{Command: command("MINE", "1")}},
		{"t-argv", "251843c7-5ee9-464b-a926-c07571aa4b3d", &mesos.TaskInfo{Command: command("A", "1")}},
		{"custom", "39b21c8c-4f53-40ab-8706-8818d34744d7", &mesos.TaskInfo{Executor: &mesos.ExecutorInfo{ExecutorId: xid("custom"), Command: &mesos.CommandInfo{}}}},
	} {
		tc.info.TaskId = tid(tc.sample)
		tc.info.Resources = resources.MustParse("cpus:1").AllocatedTo("eng").Proto()
		info, generated := tc.info.GetExecutor(), tc.info.GetExecutor() == nil
		if generated {
			info = w.a.commandExecutor(f, tc.info)
		}
		x := w.a.addExecutor(w.a.framework(f, ""), info, generated)
		x.run.Container = ids.ContainerID(tc.container)
		x.sandbox = w.a.layout.Sandbox(x.run)
		var got, want []string
		for _, v := range w.a.spec(x, order{tasks: []*mesos.TaskInfo{tc.info}}).Environment {
			got = append(got, v.Name+"="+v.Value)
		}
		for line := range strings.Lines(string(golden.Read(t, "task_environment/sandbox/"+tc.sample+".stdout"))) {
			line = strings.TrimSpace(line)
			if name, _, ok := strings.Cut(line, "="); ok && name != "PATH" && name != "PWD" {
				want = append(want, line)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", tc.sample, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func command(name, value string) *mesos.CommandInfo {
	return &mesos.CommandInfo{Value: new("true"), Environment: &mesos.Environment{Variables: []*mesos.Environment_Variable{{Name: &name, Value: &value}}}}
}
