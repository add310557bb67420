package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// slowTasks is how many tasks an executor of mesos-go's gets when one is to end
// soon: each takes between 10 and 100 seconds.
const slowTasks = 20

// driverExecutor is the unmodified executor of mesos-go's v0 example, whose
// tasks take long.
func driverExecutor(t *testing.T) J {
	t.Helper()
	return J{
		"type": "CUSTOM", "executor_id": J{"value": "driver"}, "name": "driver",
		"command":   J{"value": filepath.Join(cluster.MesosGoV0.Bin(t), "executor") + " -slow_tasks -logtostderr"},
		"resources": cluster.Resources(0.1, 32),
	}
}

// launchOnDriver starts tasks on an executor of that kind and waits until all are
// said to run.
func launchOnDriver(t *testing.T, s *cluster.Scheduler, executor J) (ids []string) {
	t.Helper()
	offer := s.AwaitOffer()
	var tasks []J
	for i := range slowTasks {
		id := fmt.Sprint("slow-", i)
		task := cluster.Task(offer, id, "")
		delete(task, "command")
		task["executor"], task["resources"] = executor, cluster.Resources(0.1, 16)
		ids, tasks = append(ids, id), append(tasks, task)
	}
	s.Launch(offer, 0, tasks...)
	awaitAll(t, s, "TASK_STARTING", ids...) // which it says after TASK_RUNNING
	return ids
}

// programs returns the processes of an agent's that run mesos-go's executor.
func programs(t *testing.T, agent *cluster.Node) (pids []int) {
	t.Helper()
	want, err := filepath.EvalSymlinks(filepath.Join(cluster.MesosGoV0.Bin(t), "executor"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range cluster.Inside(agent.WorkDir) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == want {
			pids = append(pids, pid)
		}
	}
	return pids
}

// writtenBy returns what the executor has written.
func writtenBy(t *testing.T, agent *cluster.Node, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors/driver/runs/latest", name))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s of the executor: %v %v", name, found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDriverExecutorSurvivesAgent: an executor on a libprocess driver comes back
// to an agent that was killed, however often that asks it; its tasks run on, and
// what it says later is heard.
func TestDriverExecutorSurvivesAgent(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent := c.Agents[0]
	s := cluster.Subscribe(t, c.Master, durable("v0 executor"))
	tasks := launchOnDriver(t, s, driverExecutor(t))
	before := programs(t, agent)
	if len(before) != 1 {
		t.Fatalf("executors %v", before)
	}

	agent.Kill9()
	syscall.Kill(before[0], syscall.SIGSTOP) // so that it is asked more than once
	agent.Args = append(agent.Args, "--executor_reregistration_retry_interval=50ms", "--executor_reregistration_timeout=15secs")
	agent.Restart(t)
	syscall.Kill(before[0], syscall.SIGCONT)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	if out := writtenBy(t, agent, "stdout"); !strings.Contains(out, "Re-registered Executor") {
		t.Errorf("the executor was not told that it is back:\n%s", out)
	}
	if after := programs(t, agent); len(after) != 1 || after[0] != before[0] {
		t.Fatalf("the executor was process %v, and is %v", before, after)
	}
	for _, task := range tasks[:2] {
		cluster.Eventually(t, soon, func() error { return stillOn(s, task) })
	}
	awaitFinished(t, s)

	s.Teardown()
	gone(t, before[0])
	if text := writtenBy(t, agent, "stderr"); !strings.Contains(text, "Executor driver received shutdown") {
		t.Errorf("the executor was not told to end:\n%s", text)
	}
}

// stillOn asks for the state of a task and says when it is over.
func stillOn(s *cluster.Scheduler, task string) error {
	s.Reconcile(task)
	event, err := s.Poll("UPDATE", func(e cluster.Event) bool {
		status := e.Get("update.status")
		return status.Text("task_id.value") == task && status.Text("reason") == "REASON_RECONCILIATION"
	}, soon)
	if err != nil {
		return err
	}
	switch state := event.Text("update.status.state"); state {
	case "TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED":
		return nil
	default:
		return fmt.Errorf("task %s is %s", task, state)
	}
}

// awaitFinished waits for the first task that is done, which no other end may
// precede.
func awaitFinished(t *testing.T, s *cluster.Scheduler) {
	t.Helper()
	event, err := s.Poll("UPDATE", func(e cluster.Event) bool {
		status := e.Get("update.status")
		return status.Text("reason") != "REASON_RECONCILIATION" && status.Text("state") != "TASK_STARTING" && status.Text("state") != "TASK_RUNNING"
	}, 2*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	status := event.Get("update.status")
	s.Acknowledge(status)
	if status.Text("state") != "TASK_FINISHED" {
		t.Errorf("task %s is %s: %s", status.Text("task_id.value"), status.Text("state"), status.Text("message"))
	}
}
