package command

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/probe"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is an executor, its time, and the updates that it has sent.
type world struct {
	x       *Executor
	now     time.Time
	killing bool // whether the framework knows TASK_KILLING
	last    []byte
}

func (w *world) log() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (w *world) config() Config {
	return Config{Framework: "f", Executor: "t", ShutdownGrace: 5 * time.Second}
}

// TestScenarios runs the files of testdata. A "new" block starts an executor;
// each line of a "run" block is one step, after which its effects are printed.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := &world{now: epoch}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			r := rand.New(rand.NewPCG(1, 2))
			switch d.Cmd {
			case "new":
				w.killing = d.HasArg("killing")
				w.x = New(w.now, w.config(), r, w.log())
			case "recover":
				cfg := w.config()
				cfg.Last = &mesos.TaskStatus{State: mesos.TaskState_TASK_RUNNING.Enum()}
				for _, arg := range d.CmdArgs {
					switch arg.Key {
					case "unhealthy":
						cfg.Last.Healthy = new(false)
						continue
					case "inspected":
						cfg.Data = []byte("inspected")
						continue
					}
					cfg.Last.State = mesos.TaskState(mesos.TaskState_value["TASK_"+strings.ToUpper(arg.Key)]).Enum()
				}
				w.x = Recover(w.now, w.now.Add(-time.Minute), cfg, task(strings.Fields(d.Input)), r, w.log())
				d.Input = ""
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
			ev.Subscribed.FrameworkInfo.Capabilities = []*mesos.FrameworkInfo_Capability{
				{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE.Enum()},
			}
		}
	case "launch":
		ev.Type, ev.Launch = executorpb.Event_LAUNCH.Enum(), &executorpb.Event_Launch{Task: task(f[1:])}
	case "launch_group":
		ev.Type = executorpb.Event_LAUNCH_GROUP.Enum()
	case "kill":
		ev.Type, ev.Kill = executorpb.Event_KILL.Enum(), &executorpb.Event_Kill{TaskId: taskID("t")}
		if len(f) > 1 {
			ev.Kill.KillPolicy = &mesos.KillPolicy{GracePeriod: duration(f[1])}
		}
	case "ack":
		ev.Type, ev.Acknowledged = executorpb.Event_ACKNOWLEDGED.Enum(), &executorpb.Event_Acknowledged{Uuid: w.last}
	case "shutdown":
		ev.Type = executorpb.Event_SHUTDOWN.Enum()
	case "started":
		w.x.Step(w.now, Started{PID: 7, Data: []byte(strings.Join(f[1:], " "))})
		return
	case "failed":
		w.x.Step(w.now, StartFailed{Message: strings.Join(f[1:], " ")})
		return
	case "exited":
		status, err := strconv.Atoi(f[1])
		w.x.Step(w.now, Exited{Status: int32(status), Known: err == nil})
		return
	case "probed":
		code, _ := strconv.Atoi(f[2])
		r := probe.Result{Kind: map[string]probe.Kind{"check": probe.Check, "health": probe.Health}[f[1]]}
		r.Status = &mesos.CheckStatusInfo{Type: mesos.CheckInfo_COMMAND.Enum(), Command: &mesos.CheckStatusInfo_Command{ExitCode: new(int32(code))}}
		w.x.Step(w.now, Probed{r})
		return
	case "after":
		d, _ := time.ParseDuration(f[1])
		w.now = w.now.Add(d)
		w.x.Step(w.now, Tick{})
		return
	}
	w.x.Step(w.now, Event{ev})
}

func (w *world) effects() string {
	var out strings.Builder
	fx := w.x.Effects()
	for _, c := range fx.Calls {
		if st := c.GetUpdate().GetStatus(); st != nil {
			w.last = st.GetUuid()
			fmt.Fprintf(&out, "%s %s", st.GetState(), st.GetTaskId().GetValue())
			if st.Reason != nil {
				fmt.Fprintf(&out, " %s", st.GetReason())
			}
			if st.Message != nil {
				fmt.Fprintf(&out, " %q", st.GetMessage())
			}
			if len(st.GetData()) > 0 {
				fmt.Fprintf(&out, " data %s", st.GetData())
			}
			if st.Healthy != nil {
				fmt.Fprintf(&out, " healthy %v", st.GetHealthy())
			}
			if c := st.CheckStatus.GetCommand(); c != nil && c.ExitCode == nil {
				out.WriteString(" check nothing")
			} else if c != nil {
				fmt.Fprintf(&out, " check %d", c.GetExitCode())
			}
			out.WriteString("\n")
			continue
		}
		fmt.Fprintf(&out, "%s tasks %d updates %d\n", c.GetType(), len(c.GetSubscribe().GetUnacknowledgedTasks()), len(c.GetSubscribe().GetUnacknowledgedUpdates()))
	}
	for _, a := range fx.Process {
		fmt.Fprintf(&out, "process: %s\n", [...]string{Start: "start", Terminate: "SIGTERM", Kill: "SIGKILL"}[a])
	}
	for _, p := range fx.Probes {
		fmt.Fprintf(&out, "probe: %s %s\n", p.Name(), p.Command.GetValue())
	}
	if !fx.Wake.IsZero() {
		fmt.Fprintf(&out, "wake in %s\n", fx.Wake.Sub(w.now))
	}
	if fx.Done {
		out.WriteString("done\n")
	}
	return out.String()
}

// task returns a task made of words: its name, "grace 5s", "limit 10s", "check
// COMMAND", "health COMMAND", "container DOCKER".
func task(f []string) *mesos.TaskInfo {
	t := &mesos.TaskInfo{TaskId: taskID("t")}
	for i := 0; i < len(f); i++ {
		switch f[i] {
		case "grace":
			t.KillPolicy = &mesos.KillPolicy{GracePeriod: duration(f[i+1])}
		case "limit":
			t.MaxCompletionTime = duration(f[i+1])
		case "check":
			t.Check = &mesos.CheckInfo{Type: mesos.CheckInfo_COMMAND.Enum(), Command: &mesos.CheckInfo_Command{Command: &mesos.CommandInfo{Value: &f[i+1]}}}
		case "health":
			t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND.Enum(), Command: &mesos.CommandInfo{Value: &f[i+1]}}
		case "container":
			t.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_Type(mesos.ContainerInfo_Type_value[f[i+1]]).Enum()}
		default:
			t.TaskId = taskID(f[i])
			continue
		}
		i++
	}
	return t
}

func taskID(s string) *mesos.TaskID { return &mesos.TaskID{Value: &s} }

func duration(s string) *mesos.DurationInfo {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return &mesos.DurationInfo{Nanoseconds: new(int64(d))}
}
