package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// often is the timing of probes in tests.
func often(probe J) J {
	probe["delay_seconds"], probe["interval_seconds"] = 0.0, 0.1
	return probe
}

// probing is a cluster of one agent whose tasks are probed.
type probing struct {
	s     *cluster.Scheduler
	agent *cluster.Node
}

// offer waits for an offer of most of the agent: what tasks have had comes back in
// pieces.
func (p *probing) offer() cluster.Value {
	for {
		offer := p.s.AwaitOffer()
		if offer.Find("resources", "name", "cpus").Number("scalar.value") > 1 {
			return offer
		}
		p.s.Decline(offer, 0)
	}
}

// run launches a task with what it is probed by: "check" and "health_check".
func (p *probing) run(id, command string, probes J) {
	offer := p.offer()
	task := cluster.Task(offer, id, command)
	maps.Copy(task, probes)
	p.s.Launch(offer, 0, task)
}

// told waits for a status of a task with this reason, and returns what it says of
// the task's health and of its check.
func (p *probing) told(t *testing.T, id, reason string) (healthy any, check cluster.Value) {
	t.Helper()
	for {
		status := p.s.AwaitUpdate(id)
		if status.Text("reason") == reason {
			return status.At("healthy"), status.Get("check_status")
		}
		if status.Text("state") != "TASK_STARTING" && status.Text("state") != "TASK_RUNNING" {
			t.Fatalf("%s: %v", id, status)
		}
	}
}

const (
	checked = "REASON_TASK_CHECK_STATUS_UPDATED"
	health  = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED"
)

func (p *probing) health(t *testing.T, id string, want bool) {
	t.Helper()
	if healthy, _ := p.told(t, id, health); healthy != want {
		t.Fatalf("%s is healthy: %v; want %v", id, healthy, want)
	}
}

func (p *probing) check(t *testing.T, id, field string, want any) {
	t.Helper()
	if _, status := p.told(t, id, checked); fmt.Sprint(status.At(field)) != fmt.Sprint(want) {
		t.Fatalf("the check of %s says %v; want %v", id, status, want)
	}
}

// end kills a task.
func (p *probing) end(t *testing.T, id string) {
	t.Helper()
	p.s.Kill(id)
	p.s.AwaitState(id, "TASK_KILLED")
}

// TestProbes probes tasks on agents with either launcher.
func TestProbes(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, master, agent *cluster.Node) {
		p := &probing{cluster.Subscribe(t, master, durable("probed")), agent}
		t.Run("unhealthy", func(t *testing.T) { unhealthy(t, p) })
		t.Run("grace", func(t *testing.T) { inGrace(t, p) })
		t.Run("command", func(t *testing.T) { commandCheck(t, p) })
		t.Run("too long", func(t *testing.T) { tooLong(t, p) })
		t.Run("http", func(t *testing.T) { httpProbes(t, p) })
		t.Run("tcp", func(t *testing.T) { tcpProbes(t, p) })
		t.Run("network", func(t *testing.T) { networkProbes(t, p) })
		t.Run("pod", func(t *testing.T) { podProbes(t, p) })
		t.Run("recovered", func(t *testing.T) { probesGoOn(t, p) })
	}
	t.Run("posix", func(t *testing.T) {
		c := cluster.New(t, 1)
		test(t, c.Master, c.Agents[0])
	})
	eachRuntime(t, func(t *testing.T, c *containers) {
		test(t, c.Master, c.agent)
		c.checkNothingLeft(t)
	})
}

// unhealthy: a task tells its health when it changes, each failure, and is killed
// after three of them.
func unhealthy(t *testing.T, p *probing) {
	p.run("sick", "exec sleep 1000", J{"health_check": often(J{
		"type": "COMMAND", "grace_period_seconds": 0.0, "command": J{"value": "test ! -e sick && echo well >&2"},
	})})
	p.health(t, "sick", true)
	writeSandbox(t, p.agent, "sick", "sick", "")
	for range 3 {
		p.health(t, "sick", false)
	}
	status := p.s.AwaitState("sick", "TASK_KILLED")
	if status.At("healthy") != false ||
		!strings.HasPrefix(status.Text("message"), "Command terminated with signal ") {
		t.Errorf("%v", status)
	}
	stderr := sandboxText(t, p.agent, "sick", "stderr")
	if !strings.Contains(stderr, "well\n") || strings.Count(stderr, "COMMAND health check failed: Command exited with status 1\n") != 3 {
		t.Errorf("stderr %q", stderr)
	}
}

// inGrace: what fails before it has ever succeeded is let be for a while.
func inGrace(t *testing.T, p *probing) {
	ready := newGate(t)
	p.run("slow", "exec sleep 1000", J{"health_check": often(J{
		"type": "COMMAND", "grace_period_seconds": 3600.0, "consecutive_failures": 1,
		"command": J{"value": "echo tried >>tries; test -e " + string(ready)},
	})})
	p.s.AwaitState("slow", "TASK_RUNNING")
	cluster.Eventually(t, soon, func() error {
		if tries, _ := filepath.Glob(filepath.Join(runOf(t, p.agent, "slow"), "tries")); len(tries) == 1 {
			if text, _ := os.ReadFile(tries[0]); strings.Count(string(text), "tried") > 2 {
				return nil
			}
		}
		return errors.New("not tried three times")
	})
	ready.open(t)
	p.health(t, "slow", true)
	p.end(t, "slow")
}

// commandCheck: a command runs in the sandbox, with the task's variables and its
// own; its exit code is told when it changes, and never ends the task.
func commandCheck(t *testing.T, p *probing) {
	offer := p.offer()
	task := cluster.Task(offer, "checked", "exec sleep 1000")
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "A", "value": "task"}, {"name": "B", "value": "task"}}}
	task["check"] = often(J{"type": "COMMAND", "command": J{"command": J{
		"value":       `test "$A$B$PWD" = "taskcheck$MESOS_SANDBOX" || exit 99; exit $(cat code || echo 3)`,
		"environment": J{"variables": []J{{"name": "B", "value": "check"}}},
	}}})
	p.s.Launch(offer, 0, task)
	status := p.s.AwaitUpdate("checked")
	if status.Text("state") != "TASK_STARTING" || fmt.Sprint(status.At("check_status")) != "map[command:map[] type:COMMAND]" {
		t.Errorf("%v", status)
	}
	p.check(t, "checked", "command.exit_code", 3)
	for _, code := range []string{"0", "200"} {
		writeSandbox(t, p.agent, "checked", "code", code)
		p.check(t, "checked", "command.exit_code", code)
	}
	p.end(t, "checked")
	if got := p.s.History("checked"); !slices.Equal(got, []string{
		"TASK_STARTING", "TASK_RUNNING", "TASK_RUNNING", "TASK_RUNNING", "TASK_RUNNING", "TASK_KILLING", "TASK_KILLED",
	}) {
		t.Errorf("history %v", got)
	}
}

// tooLong: a probe that does not end is ended, and has found nothing; nothing of it
// is left.
func tooLong(t *testing.T, p *probing) {
	hangs := J{"value": "sleep 1234567 & trap '' TERM; wait"}
	p.run("hangs", "exec sleep 1000", J{
		"check":        often(J{"type": "COMMAND", "command": J{"command": J{"value": "test -e again && exec sleep 1234567; touch again; exit 5"}}, "timeout_seconds": 1.0}),
		"health_check": often(J{"type": "COMMAND", "grace_period_seconds": 0.0, "command": hangs, "timeout_seconds": 0.2, "consecutive_failures": 1000}),
	})
	var exit, nothing, failed bool
	for !exit || !nothing || !failed {
		switch status := p.s.AwaitUpdate("hangs"); {
		case status.Text("reason") == health:
			failed = status.At("healthy") == false
		case status.Text("reason") != checked:
		case status.At("check_status.command.exit_code") != nil:
			exit = true
		default:
			nothing = true
		}
	}
	p.s.Kill("hangs")
	p.s.AwaitState("hangs", "TASK_KILLED")
	cluster.Eventually(t, soon, func() error {
		if left := cluster.Inside(runOf(t, p.agent, "hangs")); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	})
	if stderr := sandboxText(t, p.agent, "hangs", "stderr"); !strings.Contains(stderr, "COMMAND health check failed: Timed out after 200ms\n") {
		t.Errorf("stderr %q", stderr)
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(strings.TrimPrefix(address, "https://"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if _, err := fmt.Sscan(port, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// httpProbes: 200 to 399 is health, whoever has signed the certificate; a check
// tells the code.
func httpProbes(t *testing.T, p *probing) {
	var code atomic.Int32
	code.Store(204)
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" && r.Method == http.MethodGet {
			w.WriteHeader(int(code.Load()))
		}
	})
	plain, secure := httptest.NewServer(answer), httptest.NewTLSServer(answer)
	defer plain.Close()
	defer secure.Close()
	p.run("http", "exec sleep 1000", J{
		"check":        often(J{"type": "HTTP", "http": J{"port": portOf(t, plain.URL), "path": "/health"}}),
		"health_check": often(J{"type": "HTTP", "http": J{"scheme": "https", "port": portOf(t, secure.URL), "path": "/health"}, "consecutive_failures": 1000}),
	})
	await := func(code int, healthy bool) {
		var told, judged bool
		for !told || !judged {
			status := p.s.AwaitUpdate("http")
			told = told || status.Number("check_status.http.status_code") == float64(code)
			judged = judged || status.At("healthy") == healthy
		}
	}
	await(204, true)
	code.Store(503)
	await(503, false)
	code.Store(399)
	await(399, true)
	p.end(t, "http")
}

// tcpProbes: a check tells whether somebody is there, and a task where nobody is any
// more is killed.
func tcpProbes(t *testing.T, p *probing) {
	port := unusedPort(t)
	listener, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	p.run("tcp", "exec sleep 1000", J{
		"check":        often(J{"type": "TCP", "tcp": J{"port": port}}), // by IPv4: nobody is there
		"health_check": often(J{"type": "TCP", "tcp": J{"port": port, "protocol": "IPv6"}, "consecutive_failures": 2, "grace_period_seconds": 0.0}),
	})
	var told, judged bool
	for !told || !judged {
		status := p.s.AwaitUpdate("tcp")
		told = told || status.At("check_status.tcp.succeeded") == false
		judged = judged || status.At("healthy") == true
	}
	listener.Close()
	if got := p.s.AwaitState("tcp", "TASK_KILLED"); got.At("healthy") != false {
		t.Errorf("%v", got)
	}
}

// unusedPort returns a port where nobody listens by IPv4, as long as the test runs.
func unusedPort(t *testing.T) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*syscall.SockaddrInet4).Port
}

// networkProbes: a port is looked for in the task's own network.
func networkProbes(t *testing.T, p *probing) {
	_, err := exec.LookPath("unshare")
	if _, no := os.Stat("/bin/busybox"); err != nil || no != nil || os.Getuid() != 0 {
		cluster.Unavailable(t, "a network of a task's own needs root, unshare and /bin/busybox")
	}
	inside := "ip link set lo up; echo hello >index.html; exec /bin/busybox httpd -f -p 127.0.0.1:%d -h ."
	taken, err := net.Listen("tcp", "127.0.0.1:0") // outside, the port is another's
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := portOf(t, taken.Addr().String())
	offer := p.offer()
	task := cluster.Task(offer, "alone", "exec unshare --net sh -c '"+fmt.Sprintf(inside, port)+"'")
	task["container"] = J{"type": "MESOS", "linux_info": J{"capability_info": J{"capabilities": []string{"SYS_ADMIN", "NET_ADMIN", "DAC_OVERRIDE"}}}}
	// The first probes may come before the task has left the machine's network.
	task["health_check"] = often(J{"type": "HTTP", "http": J{"port": port, "path": "/index.html"}, "timeout_seconds": 0.5, "grace_period_seconds": 3600.0})
	p.s.Launch(offer, 0, task)
	p.health(t, "alone", true)
	p.end(t, "alone")
}

// podProbes: the tasks of a pod are probed each in its own container, and one that
// is not healthy takes the others along.
func podProbes(t *testing.T, p *probing) {
	offer := p.offer()
	a, b := cluster.Task(offer, "a", "exec sleep 1000"), cluster.Task(offer, "b", "exec sleep 1000")
	a["command"].(J)["environment"] = J{"variables": []J{{"name": "MINE", "value": "a"}}}
	a["check"] = often(J{"type": "COMMAND", "command": J{"command": J{"value": `test "$MINE$PWD" = "a$MESOS_SANDBOX" && exit 7`}}})
	fails := newGate(t)
	b["health_check"] = often(J{"type": "COMMAND", "grace_period_seconds": 0.0, "command": J{"value": "test ! -e " + string(fails)}})
	launchPod(p.s, offer, "pod", a, b)
	p.check(t, "a", "command.exit_code", 7)
	p.health(t, "b", true)
	fails.open(t)
	for _, task := range []string{"b", "a"} {
		if got := p.s.AwaitState(task, "TASK_KILLED"); got.At("healthy") != false {
			t.Errorf("%v", got)
		}
	}
}

// probesGoOn: an agent that was killed probes on when it is back, and tells what
// has changed.
func probesGoOn(t *testing.T, p *probing) {
	offer := p.offer()
	changed, ill := newGate(t), newGate(t)
	probes := func(task J) J {
		task["command"].(J)["environment"] = J{"variables": []J{{"name": "MINE", "value": "kept"}}}
		task["check"] = often(J{"type": "COMMAND", "command": J{"command": J{"value": `test "$MINE" = kept && test -e ` + string(changed)}}})
		task["health_check"] = often(J{"type": "COMMAND", "command": J{"value": "test ! -e " + string(ill)}, "consecutive_failures": 2})
		return task
	}
	p.s.Accept(offer, 0,
		J{"type": "LAUNCH", "launch": J{"task_infos": []J{probes(cluster.Task(offer, "goes", "exec sleep 1000"))}}},
		groupOf(p.s, "podding", probes(cluster.Task(offer, "pods", "exec sleep 1000"))))
	for _, task := range []string{"goes", "pods"} {
		for exit, well := false, false; !exit || !well; {
			status := p.s.AwaitUpdate(task)
			exit = exit || fmt.Sprint(status.At("check_status.command.exit_code")) == "1"
			well = well || status.At("healthy") == true
		}
	}
	p.agent.Kill9()
	p.agent.Restart(t)
	changed.open(t)
	for _, task := range []string{"goes", "pods"} {
		for fmt.Sprint(p.s.AwaitUpdate(task).At("check_status.command.exit_code")) != "0" {
			continue
		}
	}
	ill.open(t)
	for _, task := range []string{"goes", "pods"} {
		for sick := false; ; {
			status := p.s.AwaitUpdate(task)
			sick = sick || status.At("healthy") == false && status.Text("state") == "TASK_RUNNING"
			if status.Text("state") == "TASK_KILLED" {
				if !sick || status.At("healthy") != false {
					t.Errorf("%s: told sick: %v; %v", task, sick, status)
				}
				break
			}
		}
	}
}

func runOf(t *testing.T, agent *cluster.Node, task string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves", "*", "frameworks", "*", "executors", task, "runs", "latest"))
	if err != nil || len(found) != 1 {
		t.Fatalf("sandboxes of %s: %v, %v", task, found, err)
	}
	path, err := filepath.EvalSymlinks(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func writeSandbox(t *testing.T, agent *cluster.Node, task, name, text string) {
	t.Helper()
	path := filepath.Join(runOf(t, agent, task), name)
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o644), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
}
