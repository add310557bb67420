package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// launchPod runs tasks as one group on a default executor.
func launchPod(s *cluster.Scheduler, offer cluster.Value, executor string, tasks ...J) {
	s.Accept(offer, 0, groupOf(s, executor, tasks...))
}

// groupOf is the operation that launches tasks as one group.
func groupOf(s *cluster.Scheduler, executor string, tasks ...J) J {
	resources := append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}})
	return J{"type": "LAUNCH_GROUP", "launch_group": J{
		"executor": J{
			"type": "DEFAULT", "executor_id": J{"value": executor},
			"framework_id": J{"value": s.ID}, "resources": resources,
		},
		"task_group": J{"tasks": tasks},
	}}
}

// taskOutput reads what a task of a pod has written, through the link that the
// pod's sandbox has for it.
func taskOutput(t *testing.T, agent *cluster.Node, executor, task string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", executor, "runs/latest/tasks", task, "stdout"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d outputs of task %s (%v)", len(files), task, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPod: the tasks of a group run each in a sandbox of its own below the
// pod's, see nothing of the executor, and the pod ends with the last of them.
func TestPod(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "a", "env; pwd"), cluster.Task(offer, "b", "sleep 0.2"))
	for _, task := range []string{"a", "b"} {
		s.AwaitState(task, "TASK_FINISHED")
		if got := fmt.Sprint(s.History(task)); got != "[TASK_STARTING TASK_RUNNING TASK_FINISHED]" {
			t.Errorf("history of %s: %s", task, got)
		}
	}
	out := taskOutput(t, c.Agents[0], "pod", "a")
	if strings.Contains(out, "MESOS_EXECUTOR_ID") || !strings.Contains(out, "MESOS_SANDBOX=") || !strings.Contains(out, "/containers/") {
		t.Errorf("environment and folder:\n%s", out)
	}
	s.Await("FAILURE", nil) // the executor has ended, as Mesos says it
}

// TestPodSharesFate: when one of a group fails, the others are killed.
func TestPodSharesFate(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "a", "sleep 0.2; exit 3"), cluster.Task(offer, "b", "exec sleep 1000"))
	if got := s.AwaitState("a", "TASK_FAILED").Text("message"); got != "Command exited with status 3" {
		t.Errorf("message %q", got)
	}
	s.AwaitState("b", "TASK_KILLED")
}

// TestPodUser: a task of a pod that runs as somebody can write to its sandbox by
// the name that it is told (MESOS-9536).
func TestPodUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		cluster.Unavailable(t, "only root may become somebody else")
	}
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "")
	task["command"] = J{"value": `test "$(id -un)" = nobody && touch "$MESOS_SANDBOX/mine"`, "user": "nobody"}
	launchPod(s, offer, "pod", task)
	s.AwaitState("t", "TASK_FINISHED")
}

// TestPodSurvivesAgent kills the agent under a pod, and the pod is taken up
// again: its tasks go on, and it can be killed.
func TestPodSurvivesAgent(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("f"))
	offer := s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "ends", "sleep 1; exit 0"), cluster.Task(offer, "runs", "exec sleep 1000"))
	s.AwaitState("ends", "TASK_RUNNING")
	s.AwaitState("runs", "TASK_RUNNING")
	c.Agents[0].Kill9()
	c.Agents[0].Restart(t)
	s.AwaitState("ends", "TASK_FINISHED")
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	s.Kill("runs")
	s.AwaitState("runs", "TASK_KILLED")
}

// TestPodKillHangs: a first kill that gets nowhere holds up no other one in the
// pod, and a later one of the same task with less patience ends it (MESOS-8679).
func TestPodKillHangs(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	var tasks []J
	for _, id := range []string{"stuck", "too"} {
		task := cluster.Task(offer, id, "trap '' TERM; echo ready >../"+id+"-ready; while :; do sleep 0.1; done")
		task["kill_policy"] = J{"grace_period": J{"nanoseconds": int64(time.Hour)}}
		tasks = append(tasks, task)
	}
	launchPod(s, offer, "pod", tasks...)
	awaitAll(t, s, "TASK_RUNNING", "stuck", "too")
	cluster.Eventually(t, cluster.Patience, func() error { // both turn TERM down
		ready, _ := filepath.Glob(filepath.Join(c.Agents[0].WorkDir, "slaves/*/frameworks/*/executors/pod/runs/latest/containers/*-ready"))
		if len(ready) != 2 {
			return fmt.Errorf("ready are %v", ready)
		}
		return nil
	})
	s.Kill("stuck")
	s.AwaitState("stuck", "TASK_KILLING")
	for _, id := range []string{"too", "stuck"} {
		s.Call(J{"type": "KILL", "kill": J{
			"task_id": J{"value": id}, "kill_policy": J{"grace_period": J{"nanoseconds": 1_000_000}},
		}})
		s.AwaitState(id, "TASK_KILLED")
	}
}
