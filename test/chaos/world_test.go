package chaos

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// hub is the bridge's own address, in the test's namespace: schedulers are here.
const hub = "10.77.0.1"

// member is a process of the cluster, which has a network namespace, an address
// and a cable to the bridge of its own, or, as a scheduler, is in the hub.
type member struct {
	*cluster.Process
	kind string // master, agent, scheduler, store
	ip   string
	hold string // path of the namespace
	dev  string // the bridge's end of the cable
	work string
}

// world is a cluster to be mistreated.
type world struct {
	t       *testing.T
	dir     string // of the histories
	program string // of masters and agents
	clocks  bool   // it is one whose clocks can be wrong
	members []*member
}

// ip runs iproute2, in a namespace if one is named.
func ip(t *testing.T, namespace string, args ...string) {
	t.Helper()
	if err := tryIP(namespace, args...); err != nil {
		t.Fatal(err)
	}
}

func tryIP(namespace string, args ...string) error {
	command := append([]string{"ip"}, args...)
	if namespace != "" {
		command = append([]string{"nsenter", "--net=" + namespace}, command...)
	}
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}

// newWorld makes the bridge and starts masters, agents and schedulers, on a
// store of their own or on a ZooKeeper.
func newWorld(t *testing.T, backend backend, program string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), program: program, clocks: program != cluster.Binary(t)}
	if err := os.MkdirAll(filepath.Join(w.dir, "starts"), 0o755); err != nil {
		t.Fatal(err)
	}
	ip(t, "", "link", "set", "lo", "up")
	ip(t, "", "link", "add", "hub", "type", "bridge")
	ip(t, "", "addr", "add", hub+"/24", "dev", "hub")
	ip(t, "", "link", "set", "hub", "up")
	where := addresses("master", 5050)
	var flags []string
	switch backend {
	case embedded:
	case zookeeper:
		where = "zk://" + w.zookeeper() + "/mesos"
		flags = []string{"--zk=" + where, "--zk_session_timeout=2secs"}
	case etcd:
		where = "etcd://" + w.etcd() + "/meseta"
		flags = []string{"--etcd=" + where}
	}
	for i := range 3 {
		w.master(i, flags...)
	}
	for i := range 5 {
		w.agent(i, where)
	}
	for _, name := range []string{"a", "b", "c"} {
		w.scheduler(name)
	}
	return w
}

// at returns the address of a member of a kind.
func at(kind string, i int) string {
	return "10.77.0." + strconv.Itoa(map[string]int{"master": 10, "agent": 20, "store": 30}[kind]+i)
}

func addresses(kind string, port int) string {
	var all []string
	for i := range 3 {
		all = append(all, fmt.Sprintf("%s:%d", at(kind, i), port))
	}
	return strings.Join(all, ",")
}

// place makes a namespace with a cable to the bridge.
func (w *world) place(kind string, i int) *member {
	w.t.Helper()
	m := &member{kind: kind, ip: at(kind, i), dev: kind + strconv.Itoa(i), work: w.t.TempDir()}
	w.members = append(w.members, m)
	holder := cluster.Start(w.t, "netns-"+m.dev, nil, lookPath(w.t, "unshare"), "--net", "sleep", "100000")
	m.hold = fmt.Sprintf("/proc/%d/ns/net", holder.Pid())
	cluster.Eventually(w.t, cluster.Patience, func() error {
		own, err := os.Readlink("/proc/self/ns/net")
		if err != nil {
			return err
		}
		if its, err := os.Readlink(m.hold); err != nil || its == own {
			return fmt.Errorf("no namespace yet: %w", err)
		}
		return nil
	})
	ip(w.t, "", "link", "add", m.dev, "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(holder.Pid()))
	ip(w.t, "", "link", "set", m.dev, "master", "hub", "up")
	ip(w.t, m.hold, "link", "set", "lo", "up")
	ip(w.t, m.hold, "addr", "add", m.ip+"/24", "dev", "eth0")
	ip(w.t, m.hold, "link", "set", "eth0", "up")
	return m
}

func lookPath(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a program in the member's namespace.
func (m *member) start(t *testing.T, args ...string) {
	t.Helper()
	m.Process = cluster.Start(t, m.dev, []string{clockEnv + "=" + m.clock()}, append([]string{lookPath(t, "nsenter"), "--net=" + m.hold}, args...)...)
}

func (w *world) master(i int, flags ...string) {
	m := w.place("master", i)
	if len(flags) == 0 {
		flags = []string{"--peers=" + addresses("master", 5060), "--peer_address=" + m.ip + ":5060"}
	}
	m.start(w.t, append([]string{
		w.program, "master", "--ip=" + m.ip, "--hostname=" + m.ip, "--work_dir=" + m.work,
		"--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=4", "--allocation_interval=100ms",
	}, flags...)...)
}

func (w *world) agent(i int, where string) {
	m := w.place("agent", i)
	w.t.Cleanup(func() {
		for _, pid := range cluster.Inside(m.work) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	m.start(w.t, w.program, "agent", "--master="+where, "--ip="+m.ip, "--hostname="+m.ip, "--work_dir="+m.work,
		"--runtime_dir="+filepath.Join(m.work, "run"), "--fetcher_cache_dir="+filepath.Join(m.work, "fetch"),
		"--registration_backoff_factor=100ms", "--executor_reregistration_timeout=500ms", "--resources="+cluster.AgentResources)
}

func (w *world) scheduler(name string) {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	m := &member{kind: "scheduler", dev: "scheduler-" + name}
	m.Process = cluster.Start(w.t, m.dev, []string{
		"CHAOS_SCHEDULER=" + name, "CHAOS_DIR=" + w.dir, "CHAOS_MASTERS=" + addresses("master", 5050),
	}, self)
	w.members = append(w.members, m)
}

// A backend is where masters elect the leader and keep the registry.
type backend int

const (
	embedded backend = iota // etcd in the masters
	zookeeper
	etcd // outside
)

// etcd starts an etcd server and returns its address.
func (w *world) etcd() string {
	m := w.place("store", 0)
	e := cluster.StartEtcdAt(w.t, m.ip+":2379", m.ip+":2380", nil, lookPath(w.t, "nsenter"), "--net="+m.hold)
	m.Process = e.Process
	return e.Addr
}

// zookeeper starts a ZooKeeper and returns its address.
func (w *world) zookeeper() string {
	m := w.place("store", 0)
	z := cluster.StartZooKeeperAt(w.t, time.Second, m.ip+":2181", lookPath(w.t, "nsenter"), "--net="+m.hold)
	m.Process = z.Process
	return z.Addr
}

// of returns the members of a kind.
func (w *world) of(kind string) []*member {
	var all []*member
	for _, m := range w.members {
		if m.kind == kind {
			all = append(all, m)
		}
	}
	return all
}

// revive starts again what has ended, as a supervisor does.
func (w *world) revive() {
	for _, m := range w.members {
		if !m.Running() {
			m.Start()
		}
	}
}

// history reads what the schedulers have written so far.
func (w *world) history() *history {
	w.t.Helper()
	h, err := readHistory(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

var errNobody = errors.New("no master leads")

// leader returns what the leader has at a path.
func (w *world) leader(path string) (cluster.Value, error) {
	for _, m := range w.of("master") {
		if reply, err := cluster.Get("http://" + m.ip + ":5050" + path); err == nil && reply.Status == http.StatusOK {
			return reply.JSON(), nil
		}
	}
	return cluster.Value{}, errNobody
}

// awaited returns the agents that the leader has from its registry and that have
// not come back. One that was registered and not told so before its master fell
// never does: it registers anew. What was launched there is lost, and nobody
// says so before the ten minutes are over that it has at least.
func (w *world) awaited() (map[string]bool, error) {
	slaves, err := w.leader("/slaves")
	if err != nil {
		return nil, err
	}
	agents := map[string]bool{}
	for _, a := range slaves.List("recovered_slaves") {
		agents[a.Text("id")] = true
	}
	return agents, nil
}

// idle says why the leader's books are not empty: each agent is there and has
// nothing on it, each framework is there and has no tasks.
func (w *world) idle() error {
	state, err := w.leader("/state")
	if err != nil {
		return err
	}
	agents, frameworks := state.List("slaves"), state.List("frameworks")
	if len(agents) != len(w.of("agent")) || len(frameworks) != len(w.of("scheduler")) {
		return fmt.Errorf("%d agents and %d frameworks are there", len(agents), len(frameworks))
	}
	for _, a := range agents {
		if a.Number("used_resources.cpus") != 0 || a.At("active") != true {
			return fmt.Errorf("agent %s has %v in use, active %v", a.Text("hostname"), a.Number("used_resources.cpus"), a.At("active"))
		}
	}
	for _, f := range frameworks {
		if f.At("connected") != true {
			return fmt.Errorf("framework %s is not connected", f.Text("name"))
		}
		if tasks := append(f.List("tasks"), f.List("unreachable_tasks")...); len(tasks) > 0 {
			return fmt.Errorf("framework %s has %d tasks; one is %v", f.Text("name"), len(tasks), tasks[0])
		}
	}
	return nil
}
