package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	install(t, path, oldBinary(t, oldCommit))
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

// TestUpgradePods replaces an agent that gave the tasks of a pod control groups beside
// each other. They go on, the new agent ends them, others join them, and nothing is left.
func TestUpgradePods(t *testing.T) {
	t.Parallel()
	needRuntime(t, "crun")
	old := oldBinary(t, flatCommit)
	c := &containers{root: fmt.Sprintf("meseta-e2e-%d-%s", os.Getpid(), t.Name()), Master: cluster.StartMaster(t)}
	t.Cleanup(func() { c.removeGroups(t) })
	c.agent = cluster.StartAgent(t, c.Master, append(slices.Clip(launcherFlags["crun"]), "--cgroups_root="+c.root)...)
	c.agent.Terminate()
	path := c.agent.Args[0]
	c.agent.Args[0] = old
	c.agent.Restart(t)
	s := cluster.Subscribe(t, c.Master, durable("survivor"))
	offer := s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "a", "exec sleep 1000"))
	s.AwaitState("a", "TASK_RUNNING")
	offer = s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "b", "until [ -e go ]; do sleep 0.1; done; exit 3"))
	s.AwaitState("b", "TASK_RUNNING")
	separate, _ := filepath.Glob("/sys/fs/cgroup/pids/" + c.root + "/*-*.*-*")
	unified, _ := filepath.Glob("/sys/fs/cgroup/" + c.root + "/*-*.*-*")
	if len(separate)+len(unified) != 2 {
		t.Fatalf("the old agent has made %q and %q", separate, unified)
	}
	c.agent.Terminate()
	c.agent.Args[0] = path
	c.agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.agent) })
	offer = s.AwaitOffer()
	launchPod(s, offer, "pod", cluster.Task(offer, "new", "true"))
	s.AwaitState("new", "TASK_FINISHED")
	s.Kill("a")
	s.AwaitState("a", "TASK_KILLED")
	sandboxes, _ := filepath.Glob(filepath.Join(c.agent.WorkDir, "slaves/*/frameworks/*/executors/pod/runs/latest/tasks/b"))
	if len(sandboxes) != 1 {
		t.Fatalf("b has the sandboxes %q", sandboxes)
	}
	if err := os.WriteFile(filepath.Join(sandboxes[0], "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status := s.AwaitState("b", "TASK_FAILED"); status.Text("message") != "Command exited with status 3" {
		t.Errorf("%v", status)
	}
	s.Teardown()
	c.checkNothingLeft(t)
}

// Commits of this repository of long ago.
const (
	// oldCommit is the first of which master and agent did what these tests want of them.
	oldCommit = "b1cfdcdad1db6461bebc5b82a618377daf5bf3cd"
	// flatCommit is the last of which containers in others had groups beside the others'.
	flatCommit = "a743fe8751f8469b35e60c745d1cc31deda97a29"
)

// oldBinary returns an older Meseta, which is built once for this checkout; for
// oldCommit it is what MESETA_OLD_BINARY names, if that is set.
func oldBinary(t *testing.T, commit string) string {
	t.Helper()
	if path := os.Getenv("MESETA_OLD_BINARY"); path != "" && commit == oldCommit {
		return path
	}
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("git", "-C", root, "cat-file", "-e", commit).Run(); err != nil {
		cluster.Unavailable(t, "no commit %s to upgrade from: clone the whole history: %v", commit, err)
	}
	building.Lock()
	defer building.Unlock()
	path := filepath.Join(root, "bin", "meseta-"+commit[:7])
	if _, err := os.Stat(path); err == nil {
		return path
	}
	source, built := t.TempDir(), filepath.Join(t.TempDir(), "meseta")
	build := exec.Command("sh", "-ec", "git archive --output=$0/source.tar "+commit+"; cd $0; tar -xf source.tar; go build -o $1 ./cmd/meseta", source, built)
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
	old := oldBinary(t, oldCommit)
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
