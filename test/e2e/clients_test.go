package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestMesosGo runs mesos-go's example framework, with its own executor fetched
// from its own HTTP server. Success is what it prints: it exits 1 either way.
func TestMesosGo(t *testing.T) {
	t.Parallel()
	bin := cluster.MesosGoV1.Bin(t)
	c := cluster.New(t, 1)
	for _, codec := range []string{"protobuf", "json"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			p := cluster.Start(t, "example-scheduler", nil, filepath.Join(bin, "example-scheduler"),
				"-url", c.Master.URL+"/api/v1/scheduler", "-executor", filepath.Join(bin, "example-executor"),
				"-server.address", "127.0.0.1", "-metrics.port", strconv.Itoa(cluster.FreePort(t)),
				"-name", "mesos-go-"+codec, "-tasks", "5", "-verbose", "-codec", codec)
			p.WaitLog("mission accomplished", time.Minute)
			p.Exit(cluster.Patience)
			if strings.Contains(p.Log(), "unexpected state") {
				t.Error("a task went wrong")
			}
		})
	}
}

// TestPymesos runs a scheduler and an executor on pymesos: tasks with data, a
// message there and back, a kill.
func TestPymesos(t *testing.T) {
	t.Parallel()
	python := cluster.Pymesos(t)
	c := cluster.New(t, 1)
	p := cluster.Start(t, "pymesos-scheduler", nil,
		python, script(t, "scheduler.py"), c.Master.Addr, python, script(t, "executor.py"))
	p.WaitLog("all done", time.Minute)
	if code := p.Exit(cluster.Patience).ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	cluster.Eventually(t, cluster.Patience, func() error {
		state := cluster.MustGet(t, c.Master.URL+"/state")
		if gone := state.Find("completed_frameworks", "name", "pymesos-echo"); gone.V == nil {
			return errors.New("the framework is not among the completed ones")
		}
		return nil
	})
}

// TestPymesosOperator asks master and agent all that pymesos's operator client
// asks, and follows the master's event stream with it.
func TestPymesosOperator(t *testing.T) {
	t.Parallel()
	python := cluster.Pymesos(t)
	c := cluster.New(t, 1)
	p := cluster.Start(t, "pymesos-operator", nil,
		python, script(t, "operator_client.py"), c.Master.Addr, c.Agents[0].Addr, "watched")
	p.WaitLog("subscribed, agents: 1", cluster.Patience)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "watched", "sleep 1000"))
	s.AwaitState("watched", "TASK_RUNNING")
	if code := p.Exit(cluster.Patience).ExitCode(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	checkOperatorAnswers(t, p.Log(), s.ID)
}

// checkOperatorAnswers looks into what the operator client collected.
func checkOperatorAnswers(t *testing.T, log, framework string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(log), "\n")
	answers, err := cluster.ParseJSON([]byte(lines[len(lines)-1]))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"master.version.get_version.version_info.version": "1.11.0",
		"agent.version.get_version.version_info.version":  "1.11.0",
	} {
		if got := answers.Text(path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	for path, want := range map[string]int{
		"master.frameworks.get_frameworks.frameworks": 1,
		"master.tasks.get_tasks.tasks":                1,
		"master.agents.get_agents.agents":             1,
		"agent.frameworks.get_frameworks.frameworks":  1,
		"agent.executors.get_executors.executors":     1,
		"agent.tasks.get_tasks.launched_tasks":        1,
		"agent.containers.get_containers.containers":  1,
	} {
		if got := len(answers.List(path)); got != want {
			t.Errorf("%s has %d elements, want %d", path, got, want)
		}
	}
	var events []string
	for _, event := range answers.List("events") {
		events = append(events, event.V.(string))
	}
	for _, want := range []string{"FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED"} {
		if !slices.Contains(events, want) {
			t.Errorf("no %s among the events %v", want, events)
		}
	}
}

// script returns the absolute path of one of our programs on pymesos.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata/pymesos", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}
