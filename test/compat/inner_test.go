package compat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// play repeats captures between servers with one of ours in the place of one of
// theirs: it sends what the others sent, and expects of ours what theirs said.
type play struct {
	t *testing.T
	// ours is the part that a real process plays: "master" or "agent".
	ours string
	// addr is its address.
	addr string
	// theirs plays the server on the other side.
	theirs *peer
	// drivers play a scheduler and an executor on libprocess drivers, by their
	// roles; without, these are not there.
	drivers map[string]*peer
	words   dictionary
	streams map[int]*eventStream // by the capture's connection
}

// TestMasterAgainstMesosAgent has our master talk to the captured agent and
// scheduler: a registration, a task to its end, one that is killed, the deaths of the agent
// and of the master, and the agent's leave.
func TestMasterAgainstMesosAgent(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	addr := shortAddr(t)
	master := cluster.StartMaster(t, portFlag(addr), "--hostname=master1.test",
		"--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=5")
	agent := newPeer(t)
	agent.pong = true
	p := &play{t: t, ours: "master", addr: addr, theirs: agent, streams: map[int]*eventStream{}}
	p.addresses(addr, agent.addr)
	for _, name := range []string{"01_register_and_ping", "02_task_to_the_end", "03_task_killed", "04_agent_killed_and_restarted"} {
		p.run(name)
	}
	agent.close()
	agent.listen()
	cluster.Eventually(t, cluster.Patience, func() error { // or what comes next goes where the agent was
		if cluster.Registered(master, &cluster.Node{Addr: agent.addr, Process: master.Process}) == nil {
			return errors.New("the master has not noticed that the agent died")
		}
		return nil
	})
	p.run("04b_agent_back")
	master.Kill9()
	agent.unlink()
	agent.close()
	agent.listen()
	master.Restart(t)
	p.run("05b_master_back")
	p.run("06_agent_sigusr1")
	cluster.Healthy(t, master)
	if rest := agent.rest(); rest != "" {
		t.Errorf("more messages than Mesos's master sends: %s", rest)
	}
}

// TestAgentAgainstMesosMaster has our agent talk to the captured master: the
// same tasks, then the death of the agent and, after it, of the master.
func TestAgentAgainstMesosMaster(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	master := newPeer(t)
	addr := shortAddr(t)
	agent := cluster.NewAgent(t, master.addr, portFlag(addr), "--hostname=agent1.test", "--attributes=", "--resources="+cluster.AgentResources)
	p := &play{t: t, ours: "agent", addr: addr, theirs: master}
	p.addresses(master.addr, addr)
	for _, name := range []string{"01_register_and_ping", "02_task_to_the_end", "03_task_killed", "04_agent_killed_and_restarted"} {
		p.run(name)
	}
	p.stored("04_agent_killed_and_restarted", agent.WorkDir)
	agent.Kill9()
	master.unlink()
	agent.Start()
	p.run("04b_agent_back")
	master.close()
	master.listen()
	p.run("05b_master_back")
	syscall.Kill(agent.Pid(), syscall.SIGUSR1)
	p.run("06_agent_sigusr1")
	agent.Exit(cluster.Patience)
	if rest := master.rest(); rest != "" {
		t.Errorf("more messages than Mesos's agent sends: %s", rest)
	}
}

// addresses says where master and agent are in this run.
func (p *play) addresses(master, agent string) {
	p.words.add("127.0.0.1:5050", master)
	p.words.add("127.0.0.1:5051", agent)
	p.words.numbers = map[string]string{portOf(master): "5050", portOf(agent): "5051"}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func portFlag(addr string) string { return "--port=" + portOf(addr) }

// run repeats one capture and stops the test at the first difference.
func (p *play) run(name string) {
	p.t.Helper()
	for i, m := range readCapture(p.t, "inner_registration/"+name) {
		if m.Src == p.ours || m.Dst == p.ours {
			p.take(name, i, m)
		}
		if p.t.Failed() {
			p.t.Fatalf("in %s at %v", name, m)
		}
	}
	// The captured scheduler was gone before its last acknowledgement counted;
	// ours is in time.
	p.theirs.forget("mesos.internal.StatusUpdateAcknowledgementMessage")
}

func (p *play) take(name string, i int, m message) {
	p.t.Helper()
	inner := strings.HasPrefix(m.Type, "mesos.internal.") || m.Type == "mesos.scheduler.Call"
	switch {
	case p.drivers == nil && (m.Src == "executor" || m.Dst == "executor"): // built in here
	case inner && pinging(m) && (name != "01_register_and_ping" || i > 8): // on their own clock
	case inner && m.Type == "mesos.internal.PongSlaveMessage" && m.Dst == p.ours: // the peer has answered
	case inner && m.Kind == "request" && m.Src == p.ours:
		p.expect(m)
	case inner && m.Kind == "request":
		p.send(m)
	case m.Kind == "request" && m.Dst == p.ours:
		p.call(m)
	case m.Kind == "record":
		p.expectRecord(m)
	case m.Kind == "close" && m.Src == "scheduler" && p.streams[m.Conn] != nil:
		p.streams[m.Conn].cancel()
	}
}

// stored waits until the agent has written down the capture's last
// acknowledgement: the uuid stands twice in an update and once more in an
// acknowledgement.
func (p *play) stored(name, workDir string) {
	p.t.Helper()
	var uuid string
	for _, m := range readCapture(p.t, "inner_registration/"+name) {
		if m.Type == "mesos.internal.StatusUpdateAcknowledgementMessage" && m.Src == "master" {
			lines, _ := Lines(m.Body)
			uuid = p.words.translate(lines[len(lines)-1].Value)
		}
	}
	cluster.Eventually(p.t, cluster.Patience, func() error {
		files, _ := filepath.Glob(workDir + "/meta/slaves/latest/frameworks/*/executors/*/runs/latest/tasks/*/task.updates")
		for _, file := range files {
			if text, _ := os.ReadFile(file); strings.Count(string(text), uuid) >= 3 {
				return nil
			}
		}
		return fmt.Errorf("no acknowledgement of %q in %v", uuid, files)
	})
}

func pinging(m message) bool { return strings.HasSuffix(m.Type, "gSlaveMessage") }

// peer returns who plays a role of the others'.
func (p *play) peer(role string) *peer {
	if driver := p.drivers[role]; driver != nil {
		return driver
	}
	return p.theirs
}

// updateOf returns the uuid of the status update that a message carries or
// acknowledges, if the captured executor has made it: those of several tasks come
// in the order that threads gave them.
func (p *play) updateOf(m message) string {
	if p.drivers == nil || !strings.HasSuffix(m.Type, ".StatusUpdateMessage") && !strings.HasSuffix(m.Type, ".StatusUpdateAcknowledgementMessage") {
		return ""
	}
	lines, err := Lines(m.Body)
	if err != nil {
		p.t.Fatalf("%v: %v", m, err)
	}
	for _, line := range lines {
		if line.Path == "1.6" || line.Path == "4" {
			return line.Value
		}
	}
	return ""
}

// send sends a captured message in this run's words.
func (p *play) send(m message) {
	process := strings.Split(strings.Fields(m.First)[1], "/")[1]
	from, _, _ := strings.Cut(m.header("Libprocess-From"), "@")
	p.peer(m.Src).send(p.addr, process, m.Type, from, []byte(p.words.translate(string(m.Body))))
}

// expect waits for a message like the captured one and compares the two, head
// and body.
func (p *play) expect(m message) {
	p.t.Helper()
	got := p.peer(m.Dst).awaitOf(m.Type, p.updateOf(m))
	if got.first != m.First {
		p.t.Errorf("%v: %q, in Mesos %q", m, got.first, m.First)
	}
	var want [][2]string
	for _, header := range m.Headers {
		want = append(want, [2]string{header[0], p.words.translate(header[1])})
	}
	if fmt.Sprint(got.header) != fmt.Sprint(want) {
		p.t.Errorf("%v: the headers are\n%q, in Mesos\n%q", m, got.header, want)
	}
	if len(got.chunks) > 1 {
		p.t.Errorf("%v: comes in %d chunks", m, len(got.chunks))
	}
	p.words.compareMessages(p.t, m, m.Body, got.body)
}

// eventStream is an open subscription.
type eventStream struct {
	cancel context.CancelFunc
	events chan []byte // closed at its end
}

// call makes a captured scheduler's call. The answer to SUBSCRIBE stays open.
func (p *play) call(m message) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(p.t.Context())
	path := strings.Fields(m.First)[1]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+path, strings.NewReader(p.words.translate(string(m.Body))))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, header := range m.Headers {
		if header[0] != "Host" && header[0] != "Content-Length" {
			request.Header.Set(header[0], p.words.translate(header[1]))
		}
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		p.t.Fatalf("%v: %v", m, err)
	}
	if response.StatusCode != http.StatusOK {
		defer cancel()
		defer response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			p.t.Errorf("%v: answered %s", m, response.Status)
		}
		return
	}
	p.words.add(p.streamID(m.Conn), response.Header.Get("Mesos-Stream-Id"))
	s := &eventStream{cancel: cancel, events: make(chan []byte, 1000)}
	p.streams[m.Conn] = s
	go func() {
		defer close(s.events)
		defer response.Body.Close()
		for r := bufio.NewReader(response.Body); ; {
			record, err := cluster.ReadRecord(r)
			if err != nil {
				return
			}
			s.events <- record
		}
	}()
}

// streamID is the captured Mesos-Stream-Id of a connection.
func (p *play) streamID(conn int) string {
	for _, name := range []string{"02_task_to_the_end", "03_task_killed", "04_agent_killed_and_restarted", "05b_master_back"} {
		for _, m := range readCapture(p.t, "inner_registration/"+name) {
			if m.Conn == conn && m.Kind == "response" && m.header("Mesos-Stream-Id") != "" {
				return m.header("Mesos-Stream-Id")
			}
		}
	}
	return ""
}

// expectRecord waits for an event of the captured one's type and compares the
// two. Heartbeats come when they come.
func (p *play) expectRecord(m message) {
	p.t.Helper()
	timeout := time.After(cluster.Patience)
	for {
		select {
		case event, open := <-p.streams[m.Conn].events:
			if !open {
				p.t.Fatalf("%v: the stream has ended", m)
			}
			if len(event) > 1 && event[1] == m.Body[1] { // Event.type is first
				p.words.compareMessages(p.t, m, m.Body, event)
				return
			}
		case <-timeout:
			p.t.Fatalf("%v: has not come", m)
		}
	}
}

// TestPlay lets the captured master and the captured agent play to each other,
// which shows that nothing of the player itself is different.
func TestPlay(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	master, agent := newPeer(t), newPeer(t)
	agent.pong = true
	done := make(chan bool)
	go func() {
		defer close(done)
		p := &play{t: t, ours: "master", addr: master.addr, theirs: agent}
		p.addresses(master.addr, agent.addr)
		p.run("01_register_and_ping")
	}()
	p := &play{t: t, ours: "agent", addr: agent.addr, theirs: master}
	p.addresses(master.addr, agent.addr)
	p.run("01_register_and_ping")
	<-done
}
