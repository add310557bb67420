package agentd

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/fetcher"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/wire"
)

// sampled returns the agent that the samples were taken of: what GET_STATE and
// GET_AGENT said, put back into rows. Where runs are is told by /state only.
func sampled(t *testing.T) *view {
	t.Helper()
	state, info := &agentpb.Response{}, &agentpb.Response{}
	load(t, "v1agent/GET_STATE.json", state)
	load(t, "v1agent/GET_AGENT.json", info)
	older := &olderState{}
	if err := json.Unmarshal(golden.Read(t, "agent/state.json"), older); err != nil {
		t.Fatal(err)
	}
	rows := &tables{runs: older.runs()}
	rows.put(state.GetState)
	return newView(&Server{
		pid: ids.UPID(older.PID),
		cfg: Config{Flags: older.Flags, LogDir: older.LogDir, Log: slog.New(slog.DiscardHandler)},
	}, &agent.Snapshot{
		State: agent.Running, Info: info.GetAgent.AgentInfo,
		Frameworks: rows.framework.Snapshot(), Executors: rows.executor.Snapshot(), Tasks: rows.task.Snapshot(),
	})
}

func load(t *testing.T, sample string, response *agentpb.Response) {
	t.Helper()
	if err := wire.UnmarshalJSON(golden.Read(t, sample), response); err != nil {
		t.Fatal(err)
	}
}

// olderState is what the test needs of /state.
type olderState struct {
	PID        string
	LogDir     string `json:"log_dir"`
	Flags      map[string]string
	Frameworks []olderFramework
	Completed  []olderFramework `json:"completed_frameworks"`
}

type olderFramework struct {
	ID        string
	Executors []olderExecutor
	Completed []olderExecutor `json:"completed_executors"`
}

type olderExecutor struct{ ID, Container, Directory string }

// run is where an executor runs.
type run struct {
	meta.Run
	sandbox string
}

func (s *olderState) runs() map[string]run {
	runs := map[string]run{}
	for _, f := range slices.Concat(s.Frameworks, s.Completed) {
		for _, x := range slices.Concat(f.Executors, f.Completed) {
			runs[f.ID+" "+x.ID] = run{meta.Run{
				Framework: ids.FrameworkID(f.ID), Executor: ids.ExecutorID(x.ID), Container: ids.ContainerID(x.Container),
			}, x.Directory}
		}
	}
	return runs
}

// tables are the rows of an agent, numbered in the order in which they came.
type tables struct {
	framework cow.Table[uint64, agent.FrameworkRow]
	executor  cow.Table[uint64, agent.ExecutorRow]
	task      cow.Table[uint64, agent.TaskRow]
	runs      map[string]run
	serial    uint64
}

func (r *tables) next() uint64 {
	r.serial++
	return r.serial
}

func (r *tables) put(s *agentpb.Response_GetState) {
	frameworks, executors, tasks := s.GetFrameworks, s.GetExecutors, s.GetTasks
	r.frameworks(frameworks.Frameworks, false)
	r.frameworks(frameworks.CompletedFrameworks, true)
	r.executors(executors.Executors, false)
	r.executors(executors.CompletedExecutors, true)
	r.tasks(tasks.LaunchedTasks, agent.TaskLaunched)
	r.tasks(tasks.TerminatedTasks, agent.TaskTerminated)
	r.tasks(tasks.CompletedTasks, agent.TaskCompleted)
}

func (r *tables) frameworks(all []*agentpb.Response_GetFrameworks_Framework, completed bool) {
	for _, f := range all {
		n := r.next()
		r.framework.Put(n, &agent.FrameworkRow{Serial: n, Info: f.FrameworkInfo, Completed: completed})
	}
}

func (r *tables) executors(all []*agentpb.Response_GetExecutors_Executor, completed bool) {
	for _, x := range all {
		n, info := r.next(), x.ExecutorInfo
		run := r.runs[info.GetFrameworkId().GetValue()+" "+info.GetExecutorId().GetValue()]
		r.executor.Put(n, &agent.ExecutorRow{
			Serial: n, Run: run.Run, Info: info, State: agent.ExecutorRunning, Sandbox: run.sandbox, Completed: completed,
		})
	}
}

func (r *tables) tasks(all []*mesos.Task, phase agent.TaskPhase) {
	for _, t := range all {
		n, executor := r.next(), t.GetExecutorId().GetValue()
		if executor == "" { // a command task's is called as the task
			executor = t.GetTaskId().GetValue()
		}
		run := r.runs[t.GetFrameworkId().GetValue()+" "+executor]
		r.task.Put(n, &agent.TaskRow{Serial: n, Run: run.Run, Task: t, Phase: phase})
	}
}

// text returns what is written of a view.
func text(t *testing.T, write func(*wire.Writer)) string {
	t.Helper()
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares two long texts, and shows where they part.
func same(t *testing.T, name, got, want string) {
	t.Helper()
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	if got != want {
		t.Errorf("%s: after %q we write\n%.200s\nand Mesos\n%.200s", name, got[max(0, n-60):n], got[n:], want[n:])
	}
}

// TestGoldenState renders the sampled agent on /state, to the byte but for what
// tells of the build. Mesos adds up 0.1 nine times, and we in thousandths.
func TestGoldenState(t *testing.T) {
	got := text(t, func(w *wire.Writer) { sampled(t).writeState(w, "localhost") })
	_, got, _ = strings.Cut(got, `"id"`)
	_, want, _ := strings.Cut(string(golden.Read(t, "agent/state.json")), `"id"`)
	same(t, "state", got, strings.Replace(want, "0.8999999999999999", "0.9", 1))
}

// TestGoldenLists renders the sampled agent in the v1 API, in both encodings.
func TestGoldenLists(t *testing.T) {
	v := sampled(t)
	for call, l := range lists {
		got := text(t, func(w *wire.Writer) {
			w.BeginObject()
			w.Key("type").String(call.String())
			l.write(v, w.Key(l.member))
			w.EndObject()
		})
		same(t, call.String(), got, string(golden.Read(t, "v1agent/"+call.String()+".json")))
	}
	for _, call := range []agentpb.Call_Type{
		agentpb.Call_GET_STATE, agentpb.Call_GET_TASKS, agentpb.Call_GET_EXECUTORS, agentpb.Call_GET_FRAMEWORKS,
		agentpb.Call_GET_AGENT, agentpb.Call_GET_OPERATIONS, agentpb.Call_GET_RESOURCE_PROVIDERS, agentpb.Call_GET_HEALTH,
	} {
		ours, err := reads[call](v, t.Context(), &agentpb.Call{Type: call.Enum()})
		if err != nil {
			t.Fatal(err)
		}
		ours.Type = agentpb.Response_Type(agentpb.Response_Type_value[call.String()]).Enum()
		theirs := &agentpb.Response{}
		load(t, "v1agent/"+call.String()+".json", theirs)
		same(t, call.String()+" as a message", string(wire.AppendJSON(nil, ours)), string(wire.AppendJSON(nil, theirs)))
	}
}

// TestGoldenMetrics: every metric that Mesos has of what the agent knows is
// there, and tells the same of what the sample shows.
func TestGoldenMetrics(t *testing.T) {
	var want metrics
	if err := json.Unmarshal(golden.Read(t, "agent/metrics_snapshot.json"), &want); err != nil {
		t.Fatal(err)
	}
	v := sampled(t)
	v.server.cfg.Fetcher = noFetches{}
	got := v.metrics()
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{
		"slave/mem_used", "slave/mem_percent", "slave/cpus_total", "slave/tasks_running", "slave/executors_running",
		"slave/frameworks_active", "slave/registered",
	} {
		if got[name] != want[name] {
			t.Errorf("%s is %v, in Mesos %v", name, got[name], want[name])
		}
	}
}

// noFetches is a fetcher that has done nothing.
type noFetches struct{ Fetcher }

func (noFetches) Statistics() fetcher.Statistics { return fetcher.Statistics{} }
