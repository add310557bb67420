package compat

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// TestEnvironment compares what a task finds around it (variables, working
// directory, umask) with the captured ones, for a command through the shell, one
// with an argument vector, and a framework's own executor.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	info := pysched("eng")
	info["checkpoint"] = true
	s := cluster.Subscribe(t, c.Master, info)
	offer := s.AwaitOffer()
	s.Launch(offer, 3600, environmentTasks(offer)...)
	for _, want := range []string{"t-cmd TASK_FINISHED", "t-argv TASK_FAILED", "t-exec TASK_FAILED"} {
		task, state, _ := strings.Cut(want, " ")
		cluster.Eventually(t, cluster.Patience, func() error {
			if history := s.History(task); !slices.Contains(history, state) {
				acknowledgeAll(s)
				return fmt.Errorf("%s went through %v", task, history)
			}
			return nil
		})
	}
	for executor, sample := range map[string]string{"t-cmd": "t-cmd", "t-argv": "t-argv", "custom": "custom"} {
		t.Run(executor, func(t *testing.T) {
			sandbox := latest(t, c.Agents[0], executor)
			checkEnvironment(t, string(golden.Read(t, "task_environment/sandbox/"+sample+".stdout")), sandbox, s.ID)
			checkMode(t, sandbox, 0o750)
			checkMode(t, filepath.Join(sandbox, "stdout"), 0o644)
			checkMode(t, filepath.Join(sandbox, "stderr"), 0o644)
		})
	}
	if _, err := os.Stat(filepath.Join(latest(t, c.Agents[0], "t-cmd"), "fetched_hosts")); err != nil {
		t.Errorf("the fetched file: %v", err)
	}
}

// environmentTasks are the tasks of the capture.
func environmentTasks(offer cluster.Value) []J {
	command := cluster.Task(offer, "t-cmd", "")
	command["command"] = J{
		"value":       "env | sort; echo PWD is $(pwd); umask; ulimit -n",
		"uris":        []J{{"value": "file:///etc/hosts", "output_file": "fetched_hosts"}},
		"environment": J{"variables": []J{{"name": "MINE", "value": "1"}}},
	}
	argv := cluster.Task(offer, "t-argv", "")
	argv["command"] = J{"shell": false, "value": "/usr/bin/env", "arguments": []string{"env", "A=1", "sh", "-c", "env | sort; exit 7"}}
	custom := cluster.Task(offer, "t-exec", "")
	delete(custom, "command")
	custom["executor"] = J{
		"type": "CUSTOM", "executor_id": J{"value": "custom"}, "resources": cluster.Resources(0.1, 32),
		"command": J{"value": "env | sort"},
	}
	return []J{command, argv, custom}
}

func acknowledgeAll(s *cluster.Scheduler) {
	for _, event := range s.Events() {
		s.Acknowledge(event.Get("update.status"))
	}
}

// latest returns the sandbox of the latest run of an executor.
func latest(t *testing.T, agent *cluster.Node, executor string) string {
	t.Helper()
	links, _ := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", executor, "runs/latest"))
	if len(links) != 1 {
		t.Fatalf("executor %s has %d sandboxes", executor, len(links))
	}
	sandbox, err := filepath.EvalSymlinks(links[0])
	if err != nil {
		t.Fatal(err)
	}
	return sandbox
}

// checkEnvironment compares two outputs of env. Both are reduced to what does
// not depend on the run.
func checkEnvironment(t *testing.T, sample, sandbox, framework string) {
	t.Helper()
	var got string
	cluster.Eventually(t, cluster.Patience, func() error {
		text, err := os.ReadFile(filepath.Join(sandbox, "stdout"))
		if got = string(text); err == nil && !strings.Contains(got, "PATH=") {
			err = fmt.Errorf("no environment in %q", got)
		}
		return err
	})
	for _, name := range []string{"MESOS_DIRECTORY", "MESOS_SANDBOX", "PWD"} {
		if !strings.Contains(got, name+"="+sandbox+"\n") {
			t.Errorf("%s is not %s", name, sandbox)
		}
	}
	if !strings.Contains(got, "MESOS_FRAMEWORK_ID="+framework+"\n") {
		t.Errorf("MESOS_FRAMEWORK_ID is not %s", framework)
	}
	ours, theirs := reduce(got), reduce(sample)
	for _, line := range theirs {
		if !slices.Contains(ours, line) {
			t.Errorf("%q is missing", line)
		}
	}
	for _, line := range ours {
		if !slices.Contains(theirs, line) {
			t.Errorf("%q is there, in Mesos it is not", line)
		}
	}
}

var (
	variable = regexp.MustCompile(`^[A-Z_]+=`)
	// perRun are variables whose values belong to the run, and PWD's line.
	perRun = regexp.MustCompile(`^(MESOS_DIRECTORY|MESOS_SANDBOX|MESOS_FRAMEWORK_ID|MESOS_SLAVE_ID|PWD)=.*|:\d+$`)
)

// reduce returns the lines of an output that set a variable, without what
// belongs to one run, and the umask.
func reduce(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case variable.MatchString(line):
			lines = append(lines, perRun.ReplaceAllString(line, "$1"))
		case len(line) == 4 && strings.HasPrefix(line, "0"):
			lines = append(lines, "umask "+line)
		}
	}
	return lines
}

func checkMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("mode of %s is %o, in Mesos %o", filepath.Base(path), got, want)
	}
}
