package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// disk is a small file system that only the processes on it see.
type disk struct {
	path string
	in   []string // begins the command of a process that is to see it
}

// newDisk mounts a file system of a few megabytes, without room for more.
func newDisk(t *testing.T) *disk {
	t.Helper()
	unshare, err := exec.LookPath("unshare")
	if err == nil {
		err = exec.Command(unshare, "--mount", "mount", "-t", "tmpfs", "none", t.TempDir()).Run()
	}
	if err != nil {
		cluster.Unavailable(t, "no file systems of one's own: run as root: %v", err)
	}
	d := &disk{path: t.TempDir()}
	holder := cluster.Start(t, "mount", nil, unshare, "--mount", "sh", "-c", "mount -t tmpfs -o size=16m none "+d.path+" && echo mounted && exec sleep 100000")
	holder.WaitLog("mounted", cluster.Patience)
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		t.Fatal(err)
	}
	d.in = []string{nsenter, fmt.Sprintf("--mount=/proc/%d/ns/mnt", holder.Pid())}
	return d
}

// do runs a shell command where the disk is.
func (d *disk) do(t *testing.T, command string) {
	t.Helper()
	args := append(slices.Clone(d.in[1:]), "sh", "-c", command)
	if out, err := exec.Command(d.in[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// put has a node start again on the disk.
func (d *disk) put(n *cluster.Node) {
	n.Kill9()
	n.Args = append(append([]string{}, d.in...), n.Args...)
	n.Process.Start()
}

const (
	fillDisk = "head -c 100m /dev/zero >fill 2>/dev/null || true"
	diskFull = "no space left on device"
)

// TestAgentsDiskFull: an agent that cannot remember what it does ends, and says
// why. What runs goes on; when there is room again and the agent is back, all is
// as it was, and of the task that it could not remember the framework hears that
// it was dropped.
func TestAgentsDiskFull(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	master := cluster.StartMaster(t)
	agent := cluster.NewAgent(t, master.Addr, "--work_dir="+filepath.Join(d.path, "work"),
		"--runtime_dir="+filepath.Join(t.TempDir(), "run"), "--fetcher_cache_dir="+filepath.Join(t.TempDir(), "fetch"))
	d.put(agent)
	agent.Ready(t)
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(master, agent) })
	s := cluster.Subscribe(t, master, durable("f"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "runs", "until [ -e "+agent.Dir+"/end ]; do sleep 0.1; done"))
	s.AwaitState("runs", "TASK_RUNNING")

	d.do(t, "cd "+d.path+" && "+fillDisk)
	offer = s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "late", "true"))
	if code := agent.Exit(cluster.Patience).ExitCode(); code == 0 || !strings.Contains(agent.Log(), diskFull) {
		t.Errorf("it ended with %d and does not say why:\n%s", code, agent.Log())
	}
	d.do(t, "rm "+d.path+"/fill")
	agent.Restart(t)
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(master, agent) })
	s.AwaitState("late", "TASK_DROPPED")
	d.do(t, "touch "+agent.Dir+"/end")
	s.AwaitState("runs", "TASK_FINISHED")
}

// TestMastersDiskFull: a master that cannot write its registry ends, and says
// why. It knows what it has admitted when there is room again.
func TestMastersDiskFull(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	master := cluster.StartMaster(t, "--work_dir="+filepath.Join(d.path, "work"))
	d.put(master)
	master.Ready(t)
	agent := cluster.StartAgent(t, master)
	before, err := cluster.AgentRow(master, agent)
	if err != nil {
		t.Fatal(err)
	}
	d.do(t, "cd "+d.path+" && "+fillDisk)
	large := cluster.NewAgent(t, master.Addr, "--attributes=notes:"+strings.Repeat("x", 100<<10)) // more than is left in the file
	if code := master.Exit(cluster.Patience).ExitCode(); code == 0 || !strings.Contains(master.Log(), diskFull) {
		t.Errorf("it ended with %d and does not say why:\n%s", code, master.Log())
	}
	d.do(t, "rm "+d.path+"/fill")
	master.Restart(t)
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(master, agent) })
	after, err := cluster.AgentRow(master, agent)
	if err != nil || after.Text("agent_info.id.value") != before.Text("agent_info.id.value") {
		t.Errorf("the agent is another now: %v %v", after, err)
	}
	cluster.Eventually(t, cluster.Patience, func() error { return cluster.Registered(master, large) })
}

// TestReadOnlyDisk: on a disk that cannot be written, neither starts.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	d.do(t, "mkdir "+d.path+"/work && mount -o remount,ro "+d.path)
	for _, flags := range [][]string{{"master"}, {"agent", "--master=127.0.0.1:1", "--runtime_dir=" + t.TempDir()}} {
		args := append(append([]string{}, d.in...), cluster.Binary(t))
		args = append(append(args, flags...), "--ip=127.0.0.1", "--port=0", "--work_dir="+d.path+"/work")
		p := cluster.Start(t, flags[0], nil, args...)
		if code := p.Exit(cluster.Patience).ExitCode(); code == 0 || !strings.Contains(p.Log(), "read-only file system") {
			t.Errorf("the %s ended with %d and does not say why:\n%s", flags[0], code, p.Log())
		}
	}
}
