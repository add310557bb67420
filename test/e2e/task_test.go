package e2e

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestKillEscalates: a task that does not mind SIGTERM is killed when its grace
// period is over, and says in between that it is being killed.
func TestKillEscalates(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "trap '' TERM; echo $$ >pid; while :; do sleep 0.1; done")
	task["kill_policy"] = J{"grace_period": J{"nanoseconds": 300_000_000}}
	s.Launch(offer, 0, task)
	s.AwaitState("t", "TASK_RUNNING")
	pid := sandboxPid(t, c.Agents[0], "t")
	s.Kill("t")
	s.AwaitState("t", "TASK_KILLING")
	if got := s.AwaitState("t", "TASK_KILLED").Text("message"); got != "Command terminated with signal Killed" {
		t.Errorf("message %q", got)
	}
	gone(t, pid)
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		if cluster.Alive(pid) {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
}

// TestKillTree: what a task has started ends with it, in its own session too.
func TestKillTree(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	for i, command := range []string{
		"sleep 1000 & echo $! >pid; wait",
		"setsid sleep 1000 & echo $! >pid; wait",
		"(sleep 1000 & echo $! >pid); exec sleep 1000", // its parent has gone
	} {
		id := fmt.Sprint("t", i)
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, id, command))
		s.AwaitState(id, "TASK_RUNNING")
		pid := sandboxPid(t, c.Agents[0], id)
		s.Kill(id)
		s.AwaitState(id, "TASK_KILLED")
		gone(t, pid)
	}
}

// TestMaxCompletionTime: a task that takes longer than it may has failed.
func TestMaxCompletionTime(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "exec sleep 1000")
	task["max_completion_time"] = J{"nanoseconds": 200_000_000}
	s.Launch(offer, 0, task)
	if got := s.AwaitState("t", "TASK_FAILED").Text("reason"); got != "REASON_MAX_COMPLETION_TIME_REACHED" {
		t.Errorf("reason %q", got)
	}
}

// TestExits: how a command ended is said in the state and in words.
func TestExits(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	for i, test := range []struct{ command, state, message string }{
		{"exit 0", "TASK_FINISHED", "Command exited with status 0"},
		{"exit 7", "TASK_FAILED", "Command exited with status 7"},
		{"kill -SEGV $$", "TASK_FAILED", "Command terminated with signal Segmentation fault"},
	} {
		id := fmt.Sprint("t", i)
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, id, test.command))
		if got := s.AwaitState(id, test.state).Text("message"); got != test.message {
			t.Errorf("%s: %q, want %q", test.command, got, test.message)
		}
	}
}

// TestSwitchUser: root's agent runs a task as the user that it names.
func TestSwitchUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		cluster.Unavailable(t, "only root may become somebody else")
	}
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "")
	task["command"] = J{"value": `test "$(id -un)" = nobody && touch mine`, "user": "nobody"}
	s.Launch(offer, 0, task)
	s.AwaitState("t", "TASK_FINISHED")
	task = cluster.Task(offer, "stranger", "true")
	offer = s.AwaitOffer()
	task["command"] = J{"value": "true", "user": "no-such-user"}
	s.Launch(offer, 0, task)
	s.AwaitState("stranger", "TASK_FAILED")
}

// TestFetcher brings files of all kinds into a sandbox and lets the task look.
func TestFetcher(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	dir := t.TempDir()
	archive(t, filepath.Join(dir, "some.tar.gz"), "inner/file", "packed")
	archive(t, filepath.Join(dir, "other.tgz"), "größer/ファイル", "far") // MESOS-9393
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\necho ran\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var served atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			served.Add(1)
		}
		http.ServeFile(w, r, plain)
	}))
	defer server.Close()
	uris := []J{
		{"value": "file://" + dir + "/some.tar.gz"},
		{"value": "file://" + dir + "/other.tgz"},
		{"value": "file://" + dir + "/some.tar.gz", "extract": false, "output_file": "kept.tar.gz"},
		{"value": plain, "executable": true, "output_file": "runs"},
		{"value": server.URL + "/a/script?x=1", "output_file": "below/script"},
		{"value": server.URL + "/cached", "cache": true},
	}
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	const look = `test "$(cat inner/file)" = packed && test "$(cat größer/ファイル)" = far && test -f kept.tar.gz && test "$(./runs)" = ran && ` +
		`test -f below/script && test ! -x below/script && test -f cached`
	for _, id := range []string{"first", "second"} {
		offer := s.AwaitOffer()
		task := cluster.Task(offer, id, "")
		task["command"] = J{"value": look, "uris": uris}
		s.Launch(offer, 0, task)
		s.AwaitState(id, "TASK_FINISHED")
	}
	if got := served.Load(); got != 3 { // the script twice, what is cached once
		t.Errorf("the server was asked %d times, want 3", got)
	}
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "missing", "")
	task["command"] = J{"value": "true", "uris": []J{{"value": server.URL + "/x", "output_file": "x"}, {"value": "file:///nonexistent"}}}
	s.Launch(offer, 0, task)
	if got := s.AwaitState("missing", "TASK_FAILED").Text("reason"); got != "REASON_CONTAINER_LAUNCH_FAILED" {
		t.Errorf("reason %q", got)
	}
}

// archive writes a compressed archive with one file.
func archive(t *testing.T, path, name, text string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	zip := gzip.NewWriter(file)
	w := tar.NewWriter(zip)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAgentLeaves: an agent told to go by SIGUSR1 says so, its tasks are lost at
// once, and it takes them with it.
func TestAgentLeaves(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, durable("f"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "echo $$ >pid; exec sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")
	pid := sandboxPid(t, c.Agents[0], "t")
	syscall.Kill(c.Agents[0].Pid(), syscall.SIGUSR1)
	status := s.AwaitState("t", "TASK_LOST")
	if status.Text("reason") != "REASON_AGENT_REMOVED" || status.Text("source") != "SOURCE_MASTER" {
		t.Errorf("%v", status)
	}
	if event := s.Await("FAILURE", nil); event.Text("failure.agent_id.value") != offer.Text("agent_id.value") {
		t.Errorf("%s", event.Raw)
	}
	c.Agents[0].Exit(cluster.Patience)
	gone(t, pid)
}

// TestNoRoot runs master, agent and a task as an ordinary user.
func TestNoRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("all tests run like that here")
	}
	c := cluster.New(t, 0)
	agent := cluster.NewAgentAs(t, 65534, c.Master.Addr)
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(c.Master, agent) })
	info := cluster.Framework("f", "*")
	info["user"] = "nobody"
	s := cluster.Subscribe(t, c.Master, info)
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "id -u >who; echo $$ >pid; exec sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")
	pid := sandboxPid(t, agent, "t")
	who, err := filepath.Glob(agent.WorkDir + "/slaves/*/frameworks/*/executors/t/runs/latest/who")
	if err != nil || len(who) != 1 {
		t.Fatalf("%v %v", who, err)
	}
	if text, err := os.ReadFile(who[0]); err != nil || strings.TrimSpace(string(text)) != "65534" {
		t.Errorf("the task runs as %q (%v)", text, err)
	}
	s.Kill("t")
	s.AwaitState("t", "TASK_KILLED")
	gone(t, pid)
}
