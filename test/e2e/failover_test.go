package e2e

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// soon is how fast a cluster must have healed after a process is back. Mesos
// takes 75 s where a socket has closed; the bound is generous on purpose.
const soon = 20 * time.Second

// gate is a file that a task waits for before it ends.
type gate string

func newGate(t *testing.T) gate { return gate(filepath.Join(t.TempDir(), "open")) }

// command is a shell command that ends when the gate is opened.
func (g gate) command() string {
	return fmt.Sprintf("until [ -e %s ]; do sleep 0.05; done", string(g))
}

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(string(g), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// durable is a FrameworkInfo that survives its scheduler's and agents' deaths.
func durable(name string) J {
	info := cluster.Framework(name, "*")
	info["failover_timeout"] = 600.0
	info["checkpoint"] = true
	return info
}

// withID returns the FrameworkInfo for subscribing again.
func withID(info J, id string) J {
	again := J{"id": J{"value": id}}
	maps.Copy(again, info)
	return again
}

// workload is a framework with tasks of both kinds, started on one offer: "runs"
// and "ends" are shell commands, "own" is in an executor of the framework's.
type workload struct {
	*cluster.Scheduler
	ends gate
	pid  int // of the shell of "runs"
}

func startWorkload(t *testing.T, c *cluster.Cluster, info J) workload {
	t.Helper()
	w := workload{Scheduler: cluster.Subscribe(t, c.Master, info), ends: newGate(t)}
	offer := w.AwaitOffer()
	own := cluster.Task(offer, "own", "")
	delete(own, "command")
	own["executor"] = cluster.Executor("executor")
	w.Launch(offer, 0, cluster.Task(offer, "runs", "sleep 1000 & echo $! >pid; wait"),
		cluster.Task(offer, "ends", w.ends.command()), own)
	awaitAll(t, w.Scheduler, "TASK_RUNNING", "runs", "ends", "own")
	w.pid = sandboxPid(t, c.Agents[0], "runs")
	return w
}

// awaitAll waits until every task has been said to be in the state, whatever the
// order, and acknowledges all updates on the way.
func awaitAll(t *testing.T, s *cluster.Scheduler, state string, tasks ...string) {
	t.Helper()
	waiting := slices.Clone(tasks)
	for len(waiting) > 0 {
		status := s.Await("UPDATE", nil).Get("update.status")
		s.Acknowledge(status)
		if status.Text("state") == state {
			waiting = slices.DeleteFunc(waiting, func(task string) bool { return task == status.Text("task_id.value") })
		}
	}
}

// sandboxPid waits for the file "pid" in a task's sandbox and returns what it says.
func sandboxPid(t *testing.T, agent *cluster.Node, executor string) int {
	t.Helper()
	pattern := filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", executor, "runs/latest/pid")
	var pid int
	cluster.Eventually(t, cluster.Patience, func() error {
		files, _ := filepath.Glob(pattern)
		if len(files) != 1 {
			return fmt.Errorf("%d files %s", len(files), pattern)
		}
		text, err := os.ReadFile(files[0])
		if err == nil {
			_, err = fmt.Sscan(string(text), &pid)
		}
		return err
	})
	return pid
}

// TestMasterKilled kills the master under running tasks. Agent and framework
// must be back within seconds of its restart, under the ids they had, the tasks
// must not notice, and what ended meanwhile must be told.
func TestMasterKilled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("survivor")
	w := startWorkload(t, c, info)
	before, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Master.Kill9()
	w.AwaitEnd()
	w.ends.open(t)
	c.Master.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	after, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
	}
	s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
	if s.ID != w.ID {
		t.Fatalf("framework %s is now %s", w.ID, s.ID)
	}
	s.AwaitState("ends", "TASK_FINISHED")
	checkRunsOn(t, s, w.pid, "runs", "own")
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "new", "true"))
	s.AwaitState("new", "TASK_FINISHED")
}

// checkRunsOn checks that the tasks are running, by reconciliation and by the
// process table, and that they can be killed.
func checkRunsOn(t *testing.T, s *cluster.Scheduler, pid int, tasks ...string) {
	t.Helper()
	if !cluster.Alive(pid) {
		t.Errorf("process %d of a task is gone", pid)
	}
	for _, task := range tasks {
		cluster.Eventually(t, soon, func() error { return reconciled(s, task, "TASK_RUNNING") })
	}
	for _, task := range tasks {
		s.Kill(task)
		s.AwaitState(task, "TASK_KILLED")
	}
	cluster.Eventually(t, cluster.Patience, func() error {
		if cluster.Alive(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
}

// reconciled asks for a task's state and says when it is not the one wanted.
func reconciled(s *cluster.Scheduler, task, want string) error {
	s.Reconcile(task)
	event, err := s.Poll("UPDATE", func(e cluster.Event) bool {
		status := e.Get("update.status")
		return status.Text("task_id.value") == task && status.Text("reason") == "REASON_RECONCILIATION"
	}, 5*time.Second)
	if err != nil {
		return err
	}
	if state := event.Text("update.status.state"); state != want {
		return fmt.Errorf("%s is %s, want %s", task, state, want)
	}
	return nil
}

// TestAgentKilled kills the agent of a checkpointing framework. Executors and
// tasks live on, one ends while the agent is away, and nothing is lost.
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	w := startWorkload(t, c, durable("survivor"))
	before, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil {
		t.Fatal(err)
	}
	c.Agents[0].Kill9()
	w.ends.open(t)
	if !cluster.Alive(w.pid) {
		t.Fatal("the task died with its agent")
	}
	c.Agents[0].Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	if after, err := cluster.AgentRow(c.Master, c.Agents[0]); err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
	}
	w.AwaitState("ends", "TASK_FINISHED")
	checkRunsOn(t, w.Scheduler, w.pid, "runs", "own")
	for _, task := range []string{"runs", "own"} {
		if slices.Contains(w.History(task), "TASK_LOST") {
			t.Errorf("%s was said to be lost: %v", task, w.History(task))
		}
	}
}

// TestAgentKilledUpdateUnacknowledged kills the agent between an update and its
// acknowledgement: the agent that comes back must repeat it.
func TestAgentKilledUpdateUnacknowledged(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("slow"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "echo $$ >pid; exec sleep 1000"))
	first := s.Await("UPDATE", nil).Get("update.status")
	sandboxPid(t, c.Agents[0], "t")
	c.Agents[0].Kill9()
	c.Agents[0].Restart(t)
	again := s.Await("UPDATE", func(e cluster.Event) bool { return e.At("update.status.uuid") != nil }).Get("update.status")
	if again.Text("uuid") != first.Text("uuid") {
		t.Errorf("the agent came back with %v, not with the unacknowledged %v", again, first)
	}
	s.Acknowledge(again)
	s.AwaitState("t", "TASK_RUNNING")
	if got := fmt.Sprint(s.History("t")); got != "[TASK_STARTING TASK_RUNNING]" {
		t.Errorf("history %s", got)
	}
}

// TestAgentKilledWithoutCheckpoint: a task of a framework that does not
// checkpoint ends with its agent, and the framework is told when the agent is
// back. Until then nobody knows (MESOS-7911: a cut is no loss).
func TestAgentKilledWithoutCheckpoint(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("careless", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "echo $$ >pid; exec sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")
	pid := sandboxPid(t, c.Agents[0], "t")
	c.Agents[0].Kill9()
	gone(t, pid)
	c.Agents[0].Restart(t)
	if status := s.AwaitState("t", "TASK_DROPPED"); status.Text("reason") != "REASON_RECONCILIATION" {
		t.Errorf("%v", status)
	}
}

// TestExecutorKilled kills a framework's own executor.
func TestExecutorKilled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	w := startWorkload(t, c, durable("victim"))
	pids := executorPids(t, c.Agents[0], "executor")
	syscall.Kill(pids[0], syscall.SIGKILL)
	status := w.AwaitState("own", "TASK_FAILED")
	if status.Text("reason") != "REASON_EXECUTOR_TERMINATED" || status.Text("source") != "SOURCE_AGENT" {
		t.Errorf("%v", status)
	}
	cluster.Eventually(t, soon, func() error {
		for _, event := range w.Events() {
			if event.Type == "FAILURE" && event.Text("failure.executor_id.value") == "executor" {
				if got := event.Text("failure.status"); got != "9" {
					t.Fatalf("wait status %s, want 9", got)
				}
				return nil
			}
		}
		return errors.New("no FAILURE event")
	})
	checkRunsOn(t, w.Scheduler, w.pid, "runs")
}

// executorPids returns the processes of the test executor of that id.
func executorPids(t *testing.T, agent *cluster.Node, id string) []int {
	t.Helper()
	var pids []int
	for _, pid := range cluster.Inside(agent.WorkDir) {
		environment, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		self, _ := os.Executable()
		if exe == self && strings.Contains(string(environment), "MESOS_EXECUTOR_ID="+id+"\x00") {
			pids = append(pids, pid)
		}
	}
	if len(pids) != 1 {
		t.Fatalf("processes %v run executor %s, want one", pids, id)
	}
	return pids
}

// TestTaskKilled kills a command's shell with SIGKILL.
func TestTaskKilled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "echo $$ >pid; exec sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")
	syscall.Kill(sandboxPid(t, c.Agents[0], "t"), syscall.SIGKILL)
	if got := s.AwaitState("t", "TASK_FAILED").Text("message"); got != "Command terminated with signal Killed" {
		t.Errorf("message %q", got)
	}
}

// TestSchedulerKilled: a scheduler that is back within its failover timeout has
// its tasks, and hears what happened while it was away.
func TestSchedulerKilled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("back")
	w := startWorkload(t, c, info)
	w.Close()
	cluster.Eventually(t, soon, func() error {
		row := cluster.MustGet(t, c.Master.URL+"/frameworks").Find("frameworks", "id", w.ID)
		if row.At("connected") != false {
			return errors.New("the master takes the framework for connected")
		}
		return nil
	})
	w.ends.open(t)
	s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
	s.AwaitState("ends", "TASK_FINISHED")
	checkRunsOn(t, s, w.pid, "runs", "own")
}

// TestSchedulerReplaced: a second scheduler with the same id takes over from one
// that is still connected, and the first one is told.
func TestSchedulerReplaced(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("twice")
	first := cluster.Subscribe(t, c.Master, info)
	offer := first.AwaitOffer()
	second := cluster.Subscribe(t, c.Master, withID(info, first.ID))
	if got := first.Await("ERROR", nil).Text("error.message"); got != "Framework failed over" {
		t.Errorf("the first scheduler is told %q", got)
	}
	first.AwaitEnd()
	reply := first.Send(J{"type": "DECLINE", "decline": J{"offer_ids": []any{offer.At("id")}}})
	if reply.Status != 400 {
		t.Errorf("a call of the first scheduler: %d %s", reply.Status, reply.Body)
	}
	second.AwaitOffer()
}

// TestSchedulerGone: a scheduler that stays away longer than its failover
// timeout loses its tasks and may not come back.
func TestSchedulerGone(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := durable("gone")
	info["failover_timeout"] = 0.5
	w := startWorkload(t, c, info)
	w.Close()
	cluster.Eventually(t, soon, func() error {
		state := cluster.MustGet(t, c.Master.URL+"/state")
		if state.Find("completed_frameworks", "id", w.ID).V == nil {
			return errors.New("the framework is not among the completed ones")
		}
		if cluster.Alive(w.pid) {
			return fmt.Errorf("its task lives on as process %d", w.pid)
		}
		return nil
	})
	s, err := cluster.Open(t, c.Master.URL, J{
		"type": "SUBSCRIBE", "framework_id": J{"value": w.ID}, "subscribe": J{"framework_info": withID(info, w.ID)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Await("ERROR", nil).Text("error.message"); got != "Framework has been removed" {
		t.Errorf("the master says %q", got)
	}
	s.AwaitEnd()
}

// TestTaskEndsWhileSchedulerIsAway: a master that loses a task of a framework
// that is not connected goes on (MESOS-10146), whether the task ends by itself or
// its agent comes back without it.
func TestTaskEndsWhileSchedulerIsAway(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	info := cluster.Framework("away", "*")
	info["failover_timeout"] = 600.0 // and no checkpoints
	s := cluster.Subscribe(t, c.Master, info)
	offer := s.AwaitOffer()
	ends := newGate(t)
	s.Launch(offer, 0, cluster.Task(offer, "ends", ends.command()), cluster.Task(offer, "dies", "sleep 1000"))
	awaitAll(t, s, "TASK_RUNNING", "ends", "dies")
	s.Close()
	ends.open(t)
	cluster.Eventually(t, soon, func() error {
		row := cluster.MustGet(t, c.Master.URL+"/tasks").Find("tasks", "id", "ends")
		if row.Text("state") != "TASK_FINISHED" {
			return fmt.Errorf("the task is %s", row.Text("state"))
		}
		return nil
	})
	c.Agents[0].Kill9()
	c.Agents[0].Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	s = cluster.Subscribe(t, c.Master, withID(info, s.ID))
	cluster.Eventually(t, soon, func() error {
		if err := reconciled(s, "dies", "TASK_RUNNING"); err == nil {
			return errors.New("the task of an agent that forgot it is said to run")
		}
		return nil
	})
	cluster.Healthy(t, c.Master)
}
