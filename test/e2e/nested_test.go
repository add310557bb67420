package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// containerCall makes a call about a container and checks the status.
func containerCall(t *testing.T, agent *cluster.Node, status int, kind string, id J, more J) cluster.Reply {
	t.Helper()
	field := strings.ToLower(kind)
	of := J{"container_id": id}
	maps.Copy(of, more)
	reply, err := cluster.Post(agent.URL+"/api/v1", nil, J{"type": kind, field: of})
	if err != nil || reply.Status != status {
		t.Fatalf("%s: %v, %d %s; want %d", kind, err, reply.Status, reply.Body, status)
	}
	return reply
}

func shell(script string) J { return J{"command": J{"value": script}} }

// TestStandaloneContainer: a container of nobody's outlives the agent, is seen by
// those who ask for it, and takes those in it along.
func TestStandaloneContainer(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent, alone, inner := c.Agents[0], J{"value": "alone"}, J{"value": "inner", "parent": J{"value": "alone"}}
	containerCall(t, agent, 200, "LAUNCH_CONTAINER", alone, shell("exec sleep 1000"))
	containerCall(t, agent, 202, "LAUNCH_CONTAINER", alone, shell("exec sleep 1000"))
	containerCall(t, agent, 200, "LAUNCH_NESTED_CONTAINER", inner, shell("exec sleep 1000"))
	containerCall(t, agent, 500, "REMOVE_CONTAINER", alone, nil)
	agent.Kill9()
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	for show, want := range map[string]int{"show_nested": 0, "show_standalone": 1} {
		seen := cluster.Operate(t, agent, J{"type": "GET_CONTAINERS", "get_containers": J{show: true}})
		if got := len(seen.List("get_containers.containers")); got != want {
			t.Errorf("%s: %d containers, want %d", show, got, want)
		}
	}
	containerCall(t, agent, 200, "KILL_CONTAINER", alone, nil)
	if got := containerCall(t, agent, 200, "WAIT_CONTAINER", alone, nil).Body; !strings.Contains(got, `"exit_status":9`) {
		t.Errorf("the container: %s", got)
	}
	if got := containerCall(t, agent, 200, "WAIT_CONTAINER", inner, nil).Body; !strings.Contains(got, `"exit_status":9`) {
		t.Errorf("the one in it: %s", got)
	}
	containerCall(t, agent, 200, "REMOVE_CONTAINER", alone, nil)
	containerCall(t, agent, 404, "WAIT_CONTAINER", alone, nil)
	containerCall(t, agent, 200, "REMOVE_CONTAINER", alone, nil)
	if _, err := os.Stat(filepath.Join(agent.WorkDir, "containers/alone")); !os.IsNotExist(err) {
		t.Errorf("its sandbox: %v", err)
	}
}

// TestNestedContainerEndsWithTask: what was launched in a task of a pod ends
// with the task, and is over before the task is said to be.
func TestNestedContainerEndsWithTask(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("f"))
	offer := s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "a", "exec sleep 1000"), cluster.Task(offer, "b", "exec sleep 1000"))
	s.AwaitState("b", "TASK_RUNNING")
	status := s.AwaitState("a", "TASK_RUNNING")
	task := J{"value": status.Text("container_status.container_id.value"), "parent": J{
		"value": status.Text("container_status.container_id.parent.value"),
	}}
	containerCall(t, c.Agents[0], 200, "LAUNCH_NESTED_CONTAINER", J{"value": "in", "parent": task},
		shell("echo $MESOS_SANDBOX; echo $$ > pid; exec sleep 1000"))
	pattern := filepath.Join(c.Agents[0].WorkDir, "slaves/*/frameworks/*/executors/pod/runs/latest/tasks/a/containers/in/pid")
	var pid string
	cluster.Eventually(t, soon, func() error {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) != 1 {
			return os.ErrNotExist
		}
		text, err := os.ReadFile(files[0])
		pid = strings.TrimSpace(string(text))
		if pid == "" {
			return os.ErrNotExist
		}
		return err
	})
	s.Kill("a")
	s.AwaitState("a", "TASK_KILLED")
	if _, err := os.Stat("/proc/" + pid); !os.IsNotExist(err) {
		t.Errorf("process %s of the nested container is there after the task (%v)", pid, err)
	}
}

// TestNestedContainerFollowsNoLink: the user of a container that puts a link in
// the way of those nested in it does not reach out of its sandbox by that.
func TestNestedContainerFollowsNoLink(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent, outside := c.Agents[0], t.TempDir()
	containerCall(t, agent, 200, "LAUNCH_CONTAINER", J{"value": "bad"}, shell("ln -s "+outside+" containers; exec sleep 1000"))
	cluster.Eventually(t, soon, func() error {
		_, err := os.Lstat(filepath.Join(agent.WorkDir, "containers/bad/containers"))
		return err
	})
	containerCall(t, agent, 400, "LAUNCH_NESTED_CONTAINER", J{"value": "in", "parent": J{"value": "bad"}}, shell("true"))
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("outside of the sandbox there is %v (%v)", left, err)
	}
	containerCall(t, agent, 200, "KILL_CONTAINER", J{"value": "bad"}, nil)
	containerCall(t, agent, 200, "WAIT_CONTAINER", J{"value": "bad"}, nil)
}

// TestNestedContainerOfExecutor: what an executor launches in its own container
// runs on while the agent is away, and ends with the executor.
func TestNestedContainerOfExecutor(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("f"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "")
	delete(task, "command")
	task["executor"] = cluster.Executor("x")
	s.Launch(offer, 0, task)
	root := J{"value": s.AwaitState("t", "TASK_RUNNING").Text("container_status.container_id.value")}
	agent, runs, ends := c.Agents[0], J{"value": "runs", "parent": root}, J{"value": "ends", "parent": root}
	containerCall(t, agent, 200, "LAUNCH_NESTED_CONTAINER", runs, shell("exec sleep 1000"))
	containerCall(t, agent, 200, "LAUNCH_NESTED_CONTAINER", ends, shell("exit 3"))
	containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", ends, nil)
	agent.Kill9()
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	if got := containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", ends, nil).Body; !strings.Contains(got, `"exit_status":768`) {
		t.Errorf("after the agent's restart: %s", got)
	}
	containerCall(t, agent, 202, "LAUNCH_NESTED_CONTAINER", runs, shell("exec sleep 1000"))
	s.Teardown()
	cluster.Eventually(t, soon, func() error {
		reply, err := cluster.Post(agent.URL+"/api/v1", nil, J{"type": "KILL_NESTED_CONTAINER", "kill_nested_container": J{"container_id": runs, "signal": 0}})
		if err == nil && reply.Status != 404 {
			err = fmt.Errorf("it is there: %d", reply.Status)
		}
		return err
	})
}
