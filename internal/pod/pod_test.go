package pod

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/encoding/prototext"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/builtin"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/probe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an executor, its time, and what it has sent and started.
type world struct {
	x       *Executor
	now     time.Time
	killing bool
	sent    [][]byte
	at      map[string]ids.ContainerID
}

func config() Config {
	return Config{Framework: "f", Executor: "x", Container: "c", Sandbox: "/s", IP: "10.0.0.2", ShutdownGrace: 5 * time.Second}
}

// TestScenarios runs the files of testdata: each line of a block is one step,
// after which its effects are printed.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := &world{now: epoch}
		datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
			r, log := rand.New(rand.NewPCG(1, 2)), slog.New(slog.DiscardHandler)
			switch d.Cmd {
			case "new":
				w.killing, w.sent, w.at = d.HasArg("killing"), nil, map[string]ids.ContainerID{}
				w.x = New(w.now, config(), r, log)
			case "recover":
				w.at = map[string]ids.ContainerID{"t": "c.1", "u": "c.2"}
				w.x = Recover(w.now, config(), []Recovered{
					{Task: task("t"), Container: "c.1", Group: "t", Launched: w.now, Last: said(mesos.TaskState_TASK_STARTING)},
					{Task: task("u"), Container: "c.2", Group: "t", Launched: w.now, Last: said(mesos.TaskState_TASK_KILLING)},
				}, r, log)
			}
			out := w.effects()
			for line := range strings.Lines(d.Input) {
				w.step(strings.Fields(line))
				out += w.effects()
			}
			return out
		})
	})
}

func (w *world) step(f []string) {
	ev := &executorpb.Event{}
	switch f[0] {
	case "subscribed":
		ev.Type = executorpb.Event_SUBSCRIBED.Enum()
		ev.Subscribed = &executorpb.Event_Subscribed{FrameworkInfo: &mesos.FrameworkInfo{}}
		if w.killing {
			ev.Subscribed.FrameworkInfo.Capabilities = []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE.Enum()}}
		}
	case "launch":
		ev.Type, ev.LaunchGroup = executorpb.Event_LAUNCH_GROUP.Enum(), &executorpb.Event_LaunchGroup{TaskGroup: &mesos.TaskGroupInfo{}}
		for _, id := range f[1:] {
			ev.LaunchGroup.TaskGroup.Tasks = append(ev.LaunchGroup.TaskGroup.Tasks, task(id))
		}
	case "launch_task":
		ev.Type = executorpb.Event_LAUNCH.Enum()
	case "kill":
		ev.Type, ev.Kill = executorpb.Event_KILL.Enum(), &executorpb.Event_Kill{TaskId: &mesos.TaskID{Value: &f[1]}}
		if len(f) > 2 {
			d, _ := time.ParseDuration(f[2])
			ev.Kill.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(int64(d))}}
		}
	case "ack": // everything
		for _, u := range w.sent {
			w.x.Step(w.now, Event{&executorpb.Event{Type: executorpb.Event_ACKNOWLEDGED.Enum(), Acknowledged: &executorpb.Event_Acknowledged{Uuid: u}}})
		}
		w.sent = nil
		return
	case "shutdown":
		ev.Type = executorpb.Event_SHUTDOWN.Enum()
	default:
		w.happen(f)
		return
	}
	w.x.Step(w.now, Event{ev})
}

// happen steps what is not an event of the agent's.
func (w *world) happen(f []string) {
	switch f[0] {
	case "started":
		w.x.Step(w.now, Started{Container: w.at[f[1]], PID: 7})
	case "failed":
		w.x.Step(w.now, StartFailed{Container: w.at[f[1]], Message: strings.Join(f[2:], " ")})
	case "exited":
		status, err := strconv.Atoi(f[2])
		w.x.Step(w.now, Exited{Container: w.at[f[1]], Status: int32(status), Known: err == nil})
	case "limited":
		w.x.Step(w.now, Exited{Container: w.at[f[1]], Status: 9, Known: true, Limited: &builtin.Limitation{
			Reason: mesos.TaskStatus_REASON_CONTAINER_LIMITATION_MEMORY, Message: "Memory limit exceeded",
			Resources: []*mesos.Resource{{Name: new("mem")}},
		}})
	case "probed":
		r := probe.Result{Kind: map[string]probe.Kind{"check": probe.Check, "health": probe.Health}[f[2]]}
		r.Status = &mesos.CheckStatusInfo{Type: mesos.CheckInfo_TCP.Enum(), Tcp: &mesos.CheckStatusInfo_Tcp{Succeeded: new(f[3] == "up")}}
		w.x.Step(w.now, Probed{Container: w.at[f[1]], Result: r})
	case "after":
		d, _ := time.ParseDuration(f[1])
		w.now = w.now.Add(d)
		w.x.Step(w.now, Tick{})
	}
}

func (w *world) effects() string {
	var out strings.Builder
	fx := w.x.Effects()
	for _, c := range fx.Calls {
		st := c.GetUpdate().GetStatus()
		if st == nil {
			fmt.Fprintf(&out, "%s tasks %d\n", c.GetType(), len(c.GetSubscribe().GetUnacknowledgedTasks()))
			continue
		}
		w.sent = append(w.sent, st.GetUuid())
		fmt.Fprintf(&out, "%s %s pid %d", st.GetState(), st.GetTaskId().GetValue(), st.GetContainerStatus().GetExecutorPid())
		if st.Reason != nil {
			fmt.Fprintf(&out, " %s", st.GetReason())
		}
		if st.Message != nil {
			fmt.Fprintf(&out, " %q", st.GetMessage())
		}
		for _, r := range st.GetLimitation().GetResources() {
			fmt.Fprintf(&out, " of %s", r.GetName())
		}
		if st.Healthy != nil {
			fmt.Fprintf(&out, " healthy %v", st.GetHealthy())
		}
		if c := st.CheckStatus; c != nil {
			fmt.Fprintf(&out, " check %v", map[*bool]string{nil: "nothing"}[c.GetTcp().Succeeded])
			if c.GetTcp().Succeeded != nil {
				fmt.Fprintf(&out, "%v", c.GetTcp().GetSucceeded())
			}
		}
		if st.GetContainerStatus().GetContainerId().GetParent().GetValue() != "c" {
			out.WriteString(" in no container of the executor's")
		}
		out.WriteString("\n")
	}
	for _, a := range fx.Containers {
		if a.Do == builtin.Start {
			w.at[a.Task.GetTaskId().GetValue()] = a.Container
		}
		for id, c := range w.at {
			if c == a.Container {
				fmt.Fprintf(&out, "%s %s\n", [...]string{builtin.Start: "start", builtin.Terminate: "SIGTERM", builtin.Kill: "SIGKILL"}[a.Do], id)
			}
		}
	}
	for _, p := range fx.Probes {
		for id, c := range w.at {
			if c == p.Container {
				fmt.Fprintf(&out, "probe %s: %s\n", id, p.Request.Name())
			}
		}
	}
	if !fx.Wake.IsZero() {
		fmt.Fprintf(&out, "wake in %s\n", fx.Wake.Sub(w.now))
	}
	if fx.Done {
		out.WriteString("done\n")
	}
	return out.String()
}

func said(s mesos.TaskState) *mesos.TaskStatus { return &mesos.TaskStatus{State: s.Enum()} }

// task returns a task of that name; those that begin with "probed" have a check
// and a health check.
func task(id string) *mesos.TaskInfo {
	t := &mesos.TaskInfo{TaskId: &mesos.TaskID{Value: &id}}
	if strings.HasPrefix(id, "probed") {
		t.Check = &mesos.CheckInfo{Type: mesos.CheckInfo_TCP.Enum(), Tcp: &mesos.CheckInfo_Tcp{Port: new(uint32(1))}}
		t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_TCP.Enum(), Tcp: &mesos.HealthCheck_TCPCheckInfo{Port: new(uint32(2))}}
	}
	return t
}

// TestEnvironmentAsMesos compares with what a task of a pod was seen to have.
func TestEnvironmentAsMesos(t *testing.T) {
	var want []string
	sandbox := ""
	for line := range strings.Lines(string(golden.Read(t, "task_environment/sandbox/p1.stdout"))) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || name == "PATH" || name == "PWD" {
			continue
		}
		if name == "MESOS_SANDBOX" {
			sandbox = value
		}
		want = append(want, name+"="+value)
	}
	executor, container, _ := strings.Cut(sandbox, "/containers/")
	cfg := config()
	cfg.Sandbox, cfg.IP = executor, "127.0.0.1"
	x := New(epoch, cfg, rand.New(rand.NewPCG(1, 2)), slog.New(slog.DiscardHandler))
	x.Effects()
	info := task("p1")
	info.Resources = []*mesos.Resource{{Name: new("cpus"), AllocationInfo: &mesos.Resource_AllocationInfo{Role: new("eng")}}}
	x.Step(epoch, Event{&executorpb.Event{Type: executorpb.Event_LAUNCH_GROUP.Enum(), LaunchGroup: &executorpb.Event_LaunchGroup{TaskGroup: &mesos.TaskGroupInfo{Tasks: []*mesos.TaskInfo{info}}}}})
	got := x.Effects().Containers[0]
	own := strings.ReplaceAll(strings.Join(got.Environment, "\n"), got.Container.Value(), container)
	if own != strings.Join(want, "\n") {
		t.Errorf("environment:\n%s\nwant\n%s", own, strings.Join(want, "\n"))
	}
}

// TestStatusesAsMesos compares what a probed task tells with what was seen of one.
func TestStatusesAsMesos(t *testing.T) {
	info := &mesos.TaskInfo{
		TaskId: &mesos.TaskID{Value: new("p2")},
		HealthCheck: &mesos.HealthCheck{
			Type: mesos.HealthCheck_COMMAND.Enum(), Command: &mesos.CommandInfo{Value: new("env | sort > health_env")},
			DelaySeconds: new(1.0), IntervalSeconds: new(5.0),
		},
		Check: &mesos.CheckInfo{Type: mesos.CheckInfo_COMMAND.Enum(), Command: &mesos.CheckInfo_Command{Command: &mesos.CommandInfo{Value: new("exit 3")}}},
	}
	x := New(epoch, config(), rand.New(rand.NewPCG(1, 2)), slog.New(slog.DiscardHandler))
	x.Step(epoch, Event{&executorpb.Event{Type: executorpb.Event_LAUNCH_GROUP.Enum(), LaunchGroup: &executorpb.Event_LaunchGroup{TaskGroup: &mesos.TaskGroupInfo{Tasks: []*mesos.TaskInfo{info}}}}})
	launched := x.Effects()
	c := launched.Containers[0].Container
	x.Step(epoch, Started{Container: c})
	x.Step(epoch.Add(time.Second), Tick{})
	x.Step(epoch.Add(time.Second), Probed{c, probe.Result{Kind: probe.Health, Status: &mesos.CheckStatusInfo{
		Type: mesos.CheckInfo_COMMAND.Enum(), Command: &mesos.CheckStatusInfo_Command{ExitCode: new(int32(0))},
	}}})
	x.Step(epoch.Add(14*time.Second), Exited{Container: c, Known: true})
	var got []string
	for _, call := range slices.Concat(launched.Calls, x.Effects().Calls) {
		if st := call.GetUpdate().GetStatus(); st != nil {
			got = append(got, statusText(st))
		}
	}
	want := sampleStatuses(t, "p2")
	if !slices.Equal(got, want) {
		t.Errorf("statuses:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// statusText returns a status without what is never the same twice, and without
// the pid, which Mesos's agent adds.
func statusText(st *mesos.TaskStatus) string {
	st.Uuid, st.Timestamp, st.ContainerStatus, st.ExecutorId = nil, nil, nil, nil
	return strings.ReplaceAll(prototext.MarshalOptions{}.Format(st), "  ", " ")
}

// sampleStatuses returns what Mesos's default executor was seen to tell of a task.
func sampleStatuses(t *testing.T, task string) []string {
	t.Helper()
	var all []string
	_, rest, found := strings.Cut(string(golden.Read(t, "executor_http/05_mixed_tasks_and_health_check.txt")), "-- mesos.v1.executor.Call (")
	for found {
		var text string
		text, rest, found = strings.Cut(rest, "-- mesos.v1.executor.Call (")
		_, text, _ = strings.Cut(text, "\n")
		text, _, _ = strings.Cut(text, "\n\n#")
		call := &executorpb.Call{}
		if err := prototext.Unmarshal([]byte(text), call); err != nil {
			t.Fatal(err)
		}
		if st := call.GetUpdate().GetStatus(); st.GetTaskId().GetValue() == task {
			all = append(all, statusText(st))
		}
	}
	return all
}
