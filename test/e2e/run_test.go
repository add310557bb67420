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

// meseta starts the binary with arguments, outside any cluster's directories.
func meseta(t *testing.T, args ...string) *cluster.Process {
	t.Helper()
	return cluster.Start(t, "meseta-"+args[0], nil, append([]string{cluster.Binary(t)}, args...)...)
}

// TestRun runs commands and looks at what the shell would see of them.
func TestRun(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	for _, test := range []struct {
		name   string
		args   []string
		status int
		output []string
	}{
		{"success", []string{"--", "true"}, 0, nil},
		{"status", []string{"--", "sh", "-c", "exit 7"}, 7, nil},
		{"output", []string{"--", "sh", "-c", "echo to stdout; echo to stderr >&2"}, 0, []string{"to stdout", "to stderr"}},
		{"arguments", []string{"--", "printf", "%s|", "a b", "c"}, 0, []string{"a b|c|"}},
		{"environment", []string{"--env", "A=b", "--", "sh", "-c", "echo A is $A"}, 0, []string{"A is b"}},
		{"resources", []string{"--cpus", "0.5", "--mem", "64", "--name", "named", "--role", "eng", "--", "true"}, 0, nil},
		{"no such command", []string{"--", "/nonexistent"}, 127, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := meseta(t, append([]string{"run", "--master=" + c.Master.Addr}, test.args...)...)
			if status := p.Exit(time.Minute).ExitCode(); status != test.status {
				t.Errorf("exit status %d, want %d", status, test.status)
			}
			for _, text := range test.output {
				if !strings.Contains(p.Log(), text) {
					t.Errorf("no %q in the output", text)
				}
			}
		})
	}
}

// TestRunInterrupted: Ctrl-C is passed on as a kill, and the task is gone when
// the command returns.
func TestRunInterrupted(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	p := meseta(t, "run", "--master="+c.Master.Addr, "--", "sh", "-c", "echo up; sleep 1000")
	p.WaitLog("up", time.Minute)
	p.Signal(syscall.SIGINT)
	if state := p.Exit(time.Minute); state.Success() {
		t.Error("an interrupted command is said to have succeeded")
	}
	cluster.Eventually(t, soon, func() error {
		if tasks := cluster.MustGet(t, c.Master.URL+"/tasks"); !over(tasks) {
			return fmt.Errorf("a task lives on: %v", tasks)
		}
		return nil
	})
}

// over says whether all tasks have ended.
func over(tasks cluster.Value) bool {
	for _, task := range tasks.List("tasks") {
		switch task.Text("state") {
		case "TASK_KILLED", "TASK_FINISHED", "TASK_FAILED":
		default:
			return false
		}
	}
	return true
}

// TestRunMany runs one command many times.
func TestRunMany(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	p := meseta(t, "run", "--master="+c.Master.Addr, "-n", "20", "--", "true")
	if status := p.Exit(time.Minute).ExitCode(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestFlags: what is not a flag is an error, on the command line as in Mesos.
func TestFlags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		text string
	}{
		{[]string{"master", "--nonsense=1"}, "nonsense"},
		{[]string{"agent", "--nonsense"}, "nonsense"},
		{[]string{"master", "--allocation_interval=soon"}, "allocation_interval"},
		{[]string{"agent", "--work_dir=/tmp/x"}, "master"},
		{[]string{"nonsense"}, "nonsense"},
	} {
		p := meseta(t, test.args...)
		if p.Exit(cluster.Patience).Success() || !strings.Contains(p.Log(), test.text) {
			t.Errorf("%v: %v, %q", test.args, p.Log(), test.text)
		}
	}
}

// TestMesosNames: under Mesos's names for them master and agent take the flags
// as Mesos does, from the environment and from files too.
func TestMesosNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"mesos-master", "mesos-agent"} {
		if err := os.Symlink(cluster.Binary(t), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	attributes := filepath.Join(dir, "attributes")
	if err := os.WriteFile(attributes, []byte("rack:from-a-file"), 0o644); err != nil {
		t.Fatal(err)
	}
	port, agentPort := cluster.FreePort(t), cluster.FreePort(t)
	cluster.Start(t, "mesos-master", []string{"MESOS_CLUSTER=from the environment", "MESOS_IP=127.0.0.1"},
		filepath.Join(dir, "mesos-master"), fmt.Sprintf("--port=%d", port), "--work_dir="+filepath.Join(dir, "master"), "--registry=in_memory")
	cluster.Start(t, "mesos-agent", []string{"MESOS_ATTRIBUTES=file://" + attributes, "MESOS_IP=127.0.0.1"},
		filepath.Join(dir, "mesos-agent"), fmt.Sprintf("--master=127.0.0.1:%d", port), fmt.Sprintf("--port=%d", agentPort),
		"--work_dir="+filepath.Join(dir, "agent"), "--runtime_dir="+filepath.Join(dir, "run"), "--fetcher_cache_dir="+filepath.Join(dir, "fetch"))
	cluster.Eventually(t, cluster.Patience, func() error {
		reply, err := cluster.Get(fmt.Sprintf("http://127.0.0.1:%d/state", port))
		if err != nil {
			return err
		}
		state := reply.JSON()
		if agents := state.List("slaves"); state.Text("cluster") != "from the environment" || len(agents) != 1 ||
			agents[0].Text("attributes.rack") != "from-a-file" {
			return fmt.Errorf("the state is %.2000s", reply.Body)
		}
		return nil
	})
}

// TestRunSurvives: the master and the agent are killed and come back while a
// command runs; nothing of what it writes is lost, nor its exit status.
func TestRunSurvives(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	p := meseta(t, "run", "--master="+c.Master.Addr, "--", "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 1; done; exit 9")
	p.WaitLog("line 1", time.Minute)
	c.Master.Kill9()
	p.WaitLog("line 2", time.Minute)
	c.Master.Restart(t)
	c.Agents[0].Kill9()
	c.Agents[0].Restart(t)
	if status := p.Exit(time.Minute).ExitCode(); status != 9 {
		t.Errorf("exit status %d", status)
	}
	for i := range 8 {
		if text := fmt.Sprintf("line %d\n", i+1); strings.Count(p.Log(), text) != 1 {
			t.Errorf("%q is not there once", text)
		}
	}
}
