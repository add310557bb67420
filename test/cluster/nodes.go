package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Node is a running master or agent.
type Node struct {
	*Process
	// Addr is host:port.
	Addr string
	// URL is http://host:port.
	URL string
	// WorkDir is what --work_dir was set to.
	WorkDir string

	probe string // a path that answers 200 when the node is of use
}

// Cluster is one master and its agents.
type Cluster struct {
	Master *Node
	Agents []*Node
}

// AgentResources is what an agent offers unless told otherwise.
const AgentResources = "cpus:4;mem:4096;disk:8192;ports:[31000-32000]"

// New starts a master and n agents and returns when all have registered.
func New(t TB, n int) *Cluster {
	t.Helper()
	c := &Cluster{Master: StartMaster(t)}
	for range n {
		c.Agents = append(c.Agents, StartAgent(t, c.Master))
	}
	return c
}

// StartMaster starts a master with flags added to the usual ones and returns
// when it answers. A flag given replaces the usual one of the same name.
func StartMaster(t TB, flags ...string) *Node {
	t.Helper()
	work := t.TempDir()
	port := FreePort(t)
	n := &Node{Addr: loopback(port), URL: "http://" + loopback(port), WorkDir: work, probe: "/slaves"} // not before it leads
	for _, flag := range flags {
		if given, ok := strings.CutPrefix(flag, "--port="); ok {
			n.Addr, n.URL = "127.0.0.1:"+given, "http://127.0.0.1:"+given
		}
	}
	usual := []string{"--ip=127.0.0.1", "--hostname=127.0.0.1", fmt.Sprintf("--port=%d", port), "--work_dir=" + work}
	n.Process = Start(t, "master", nil, append([]string{Binary(t), "master"}, override(usual, flags)...)...)
	n.Ready(t)
	return n
}

// StartAgent starts an agent of the master and returns when the master lists it
// as active. A flag given replaces the usual one of the same name.
func StartAgent(t TB, master *Node, flags ...string) *Node {
	t.Helper()
	n := NewAgent(t, master.Addr, flags...)
	n.Ready(t)
	Eventually(t, Patience, func() error { return Registered(master, n) })
	return n
}

// NewAgent starts an agent and returns at once.
func NewAgent(t TB, master string, flags ...string) *Node {
	t.Helper()
	return NewAgentAs(t, os.Getuid(), master, flags...)
}

// NewAgentAs starts an agent as a user. Only root can do it for another.
func NewAgentAs(t TB, uid int, master string, flags ...string) *Node {
	t.Helper()
	work := ownDir(t, uid)
	t.Cleanup(func() { killInside(work) })
	port := FreePort(t)
	n := &Node{Addr: loopback(port), URL: "http://" + loopback(port), WorkDir: work, probe: "/health"}
	usual := []string{
		"--master=" + master, "--ip=127.0.0.1", "--hostname=127.0.0.1",
		fmt.Sprintf("--port=%d", port), "--work_dir=" + work,
		"--runtime_dir=" + filepath.Join(work, "run"), "--fetcher_cache_dir=" + filepath.Join(work, "fetch"),
		"--registration_backoff_factor=100ms", "--resources=" + AgentResources, "--attributes=rack:r1;zone:a",
	}
	n.Process = newProcess(t, fmt.Sprintf("agent-%d", port), nil,
		append([]string{Binary(t), "agent"}, override(usual, flags)...)...)
	n.uid = uid
	n.Start()
	return n
}

// ownDir returns a temporary directory that belongs to a user, in folders that
// everybody may pass.
func ownDir(t TB, uid int) string {
	dir := t.TempDir()
	if err := os.Chown(dir, uid, -1); err != nil {
		t.Fatal(err)
	}
	for folder := filepath.Dir(dir); folder != os.TempDir() && len(folder) > 1; folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// override returns the usual flags without those given, then the given ones. One
// given as "--name=" only takes the usual one away.
func override(usual, given []string) []string {
	named := map[string]bool{}
	for _, flag := range given {
		name, _, _ := strings.Cut(flag, "=")
		named[name] = true
	}
	var out []string
	for _, flag := range usual {
		if name, _, _ := strings.Cut(flag, "="); !named[name] {
			out = append(out, flag)
		}
	}
	for _, flag := range given {
		if !strings.HasSuffix(flag, "=") {
			out = append(out, flag)
		}
	}
	return out
}

// Ready waits until the node answers, and a master leads.
func (n *Node) Ready(t TB) {
	t.Helper()
	Eventually(t, Patience, func() error {
		if !n.Running() {
			t.Fatalf("%s ended before it was ready", n.Name)
		}
		reply, err := Get(n.URL + n.probe)
		if err == nil && reply.Status != 200 {
			err = fmt.Errorf("%s: %s says %d %s", n.Name, n.probe, reply.Status, reply.Body)
		}
		return err
	})
}

// Restart starts the node again, on the same port and directories, after it was
// killed, and returns when it answers.
func (n *Node) Restart(t TB) {
	t.Helper()
	n.Start()
	n.Ready(t)
}

// Registered says, with an error, why the master does not list the agent as
// active; nil means that it does.
func Registered(master, agent *Node) error {
	row, err := AgentRow(master, agent)
	if err != nil {
		return err
	}
	if row.At("active") != true {
		return fmt.Errorf("%s is registered but not active", agent.Name)
	}
	return nil
}

// AgentRow returns what the master's GET_AGENTS says about the agent.
func AgentRow(master, agent *Node) (Value, error) {
	reply, err := Post(master.URL+"/api/v1", nil, J{"type": "GET_AGENTS"})
	if err != nil {
		return Value{}, err
	}
	for _, row := range reply.JSON().List("get_agents.agents") {
		if strings.HasSuffix(row.Text("pid"), "@"+agent.Addr) {
			return row, nil
		}
	}
	return Value{}, fmt.Errorf("%s is not registered", agent.Name)
}

// StartDev starts a whole cluster by the one command for it, with n agents, and
// returns its master when it leads and lists them all.
func StartDev(t TB, n int, flags ...string) *Node {
	t.Helper()
	port := FreePort(t)
	dev := &Node{Addr: loopback(port), URL: "http://" + loopback(port), WorkDir: t.TempDir(), probe: "/slaves"}
	t.Cleanup(func() { killInside(dev.WorkDir) })
	usual := []string{
		fmt.Sprintf("--port=%d", port), "--agent_port=0", fmt.Sprintf("--agents=%d", n),
		"--work_dir=" + dev.WorkDir, "--resources=" + AgentResources,
	}
	dev.Process = Start(t, "dev", nil, append([]string{Binary(t), "dev"}, override(usual, flags)...)...)
	dev.Ready(t)
	Eventually(t, Patience, func() error {
		reply, err := Get(dev.URL + "/slaves")
		if err == nil && len(reply.JSON().List("slaves")) != n {
			err = fmt.Errorf("%d agents are there, want %d", len(reply.JSON().List("slaves")), n)
		}
		return err
	})
	return dev
}
