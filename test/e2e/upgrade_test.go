package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestUpgrade replaces the binary of a master and an agent while tasks run, as a
// package does: under the same path, first the file, and later the processes.
// Until then the old agent starts tasks by the new binary. Tasks do not notice,
// one ends while the agent is away, and no update is lost.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent := c.Agents[0]
	path := filepath.Join(t.TempDir(), "meseta")
	install(t, path, oldBinary(t))
	for _, n := range []*cluster.Node{c.Master, agent} {
		n.Terminate()
		n.Args[0] = path
		n.Restart(t)
	}
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	before, err := cluster.AgentRow(c.Master, agent)
	if err != nil {
		t.Fatal(err)
	}
	info := durable("survivor")
	w := startWorkload(t, c, info)

	install(t, path, cluster.Binary(t))
	offer := w.AwaitOffer()
	w.Launch(offer, 0, cluster.Task(offer, "between", "sleep 1000"))
	w.AwaitState("between", "TASK_RUNNING")
	agent.Terminate()
	w.ends.open(t)
	if !cluster.Alive(w.pid) {
		t.Fatal("the task ended with the agent that is replaced")
	}
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	if is, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", agent.Pid())); err != nil || is != path {
		t.Errorf("the agent that is back runs %s (%v)", is, err)
	}
	if after, err := cluster.AgentRow(c.Master, agent); err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
	}
	w.AwaitState("ends", "TASK_FINISHED")

	c.Master.Terminate()
	w.AwaitEnd()
	c.Master.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
	checkRunsOn(t, s, w.pid, "runs", "own", "between")
	offer = s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "new", "true"))
	s.AwaitState("new", "TASK_FINISHED")
}

// oldCommit is a commit of this repository, of long ago: the first of which master
// and agent did what this test wants of them.
const oldCommit = "b1cfdcdad1db6461bebc5b82a618377daf5bf3cd"

// oldBinary returns an older Meseta: what MESETA_OLD_BINARY names, or oldCommit,
// which is built once for this checkout.
func oldBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("MESETA_OLD_BINARY"); path != "" {
		return path
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("git", "-C", root, "cat-file", "-e", oldCommit).Run(); err != nil {
		cluster.Unavailable(t, "no commit %s to upgrade from: clone the whole history, or set MESETA_OLD_BINARY: %v", oldCommit, err)
	}
	building.Lock()
	defer building.Unlock()
	path := filepath.Join(root, "bin", "meseta-"+oldCommit[:7])
	if _, err := os.Stat(path); err == nil {
		return path
	}
	source, built := t.TempDir(), filepath.Join(t.TempDir(), "meseta")
	build := exec.Command("sh", "-ec", "git archive --output=$0/source.tar "+oldCommit+"; cd $0; tar -xf source.tar; go build -o $1 ./cmd/meseta", source, built)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", oldCommit, err, out)
	}
	install(t, path, built)
	return path
}

var building sync.Mutex

// install puts a copy of a program where another is or was. What runs goes on
// with that.
func install(t *testing.T, path, from string) {
	t.Helper()
	program, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// TestDowngrade goes back to an older Meseta under running tasks: registry and
// checkpoints have the same format.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	old := oldBinary(t)
	c := cluster.New(t, 1)
	info := durable("survivor")
	w := startWorkload(t, c, info)
	w.ends.open(t)
	w.AwaitState("ends", "TASK_FINISHED")
	before, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []*cluster.Node{c.Master, c.Agents[0]} { // the old agent could miss that a master is another
		n.Terminate()
		n.Args[0] = old
		n.Restart(t)
		cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	}
	after, err := cluster.AgentRow(c.Master, c.Agents[0])
	if err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
	}
	s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
	checkRunsOn(t, s, w.pid, "runs", "own")
}

// TestRegistryLost: a single master begins again without its registry. The agent
// is taken in under the ID that it had, with its tasks, which do not notice.
func TestRegistryLost(t *testing.T) {
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
	if err := os.Remove(filepath.Join(c.Master.WorkDir, "registry.db")); err != nil {
		t.Fatal(err)
	}
	c.Master.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.Agents[0]) })
	if after, err := cluster.AgentRow(c.Master, c.Agents[0]); err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent was %s and is %s (%v)", before.Text("agent_info.id.value"), after.Text("agent_info.id.value"), err)
	}
	s := cluster.Subscribe(t, c.Master, withID(info, w.ID))
	if s.ID != w.ID {
		t.Errorf("framework %s is now %s", w.ID, s.ID)
	}
	s.AwaitState("ends", "TASK_FINISHED")
	checkRunsOn(t, s, w.pid, "runs", "own")
}
