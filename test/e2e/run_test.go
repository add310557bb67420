package e2e

import (
	"fmt"
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
