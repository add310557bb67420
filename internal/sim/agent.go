package sim

import (
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// An agentNode is an agent's process, or the place of one that has died, on its
// machine.
type agentNode struct {
	w       *world
	number  int
	name    string
	address string
	all     resources.Resources
	machine *machine
	disk    disk
	core    *agent.Agent // nil: no process
	life    int
	lost    bool     // the machine is, and will be replaced
	losses  int      // how often it was
	leader  ids.UPID // as its detector has it

	link    agent.LinkID
	linked  string // the node that it is to
	version string
	clock   clock
	gate    *gate

	inbox    []agent.Input
	pumping  bool
	wake     waker
	conns    agent.ConnID
	sinks    map[agent.ConnID]sink
	requests agent.RequestID
	calls    map[agent.RequestID]func(error)
}

// A sink is an executor's end of an event stream.
type sink interface {
	event(*executorpb.Event)
	closed()
}

func newAgent(w *world, i int) *agentNode {
	a := &agentNode{w: w, number: i + 1, name: fmt.Sprintf("a%d", i), address: fmt.Sprintf("10.0.1.%d:5051", i+1)}
	a.version, a.clock, a.gate = "1.11.0", clock{w: w}, newGate(w)
	r := w.rand("agent config")
	text := fmt.Sprintf("cpus:%d;mem:%d;disk:10000;ports:[31000-31099]", 1+r.IntN(4), 256*(1+r.IntN(8)))
	if r.IntN(3) == 0 {
		text += ";cpus(blue):1;mem(blue):256"
	}
	a.all = resources.MustParse(text)
	a.machine = &machine{w: w, name: a.name, boot: 1, containers: map[ids.ContainerID]*container{}}
	a.disk = disk{a: a}
	w.net.add(a.name, a)
	return a
}

func (a *agentNode) pid() ids.UPID { return ids.UPID("slave(1)@" + a.address) }

func (a *agentNode) up() bool { return a.core != nil }

// id returns the ID of the agent that runs, "" if it has none yet.
func (a *agentNode) id() ids.AgentID { return ids.AgentID(a.core.Snapshot().Info.GetId().GetValue()) }

func (w *world) agentAt(address string) *agentNode {
	for _, a := range w.agents {
		if a.address == address {
			return a
		}
	}
	return nil
}

func (a *agentNode) config() agent.Config {
	return agent.Config{
		Info: &mesos.AgentInfo{
			Hostname: new(a.name + ".test"), Port: proto.Int32(5051), Checkpoint: new(true),
			Resources: a.all.Proto(),
		},
		PID: a.pid(), Version: a.version, WorkDir: "/w", LauncherDir: "/usr/libexec/mesos",
		BootID: fmt.Sprintf("boot%d", a.machine.boot),
	}
}

// start starts the process.
func (a *agentNode) start() {
	if a.core != nil {
		return
	}
	a.life++
	a.clock.reset()
	a.gate = newGate(a.w)
	if a.lost {
		a.lost = false
		a.losses++
		a.address = fmt.Sprintf("10.%d.1.%d:5051", a.losses, a.number)
	}
	a.inbox, a.pumping = nil, false
	a.sinks = map[agent.ConnID]sink{}
	a.calls = map[agent.RequestID]func(error){}
	a.core = agent.New(a.config(), agent.Deps{Rand: a.w.coreRand(a.name, a.life), Log: a.w.log.With(slog.String("node", a.name))})
	running := a.machine.running()
	a.w.note("%s    starts, life %d, %d containers", a.name, a.life, len(running))
	a.core.Recover(a.clock.now(), a.disk.state(), running)
	a.round()
	if a.core != nil && a.leader != "" {
		a.tell("election", agent.MasterDetected{Master: a.leader})
	}
}

// die ends the process at once.
func (a *agentNode) die(why string) {
	if a.core == nil {
		return
	}
	a.w.note("%s    dies: %s", a.name, why)
	a.core = nil
	a.life++
	a.wake.stop()
	a.disk.crash()
	a.machine.orphan()
	a.w.net.down(a.name)
	a.w.after(a.w.between("start", 50*time.Millisecond, 20*time.Second), a.start)
}

// tell gives the core an input that comes by some way, a moment later: the loop
// takes what has gathered.
func (a *agentNode) tell(way string, in agent.Input) {
	if a.core != nil {
		a.gate.pass(way, a.inThisLife(func() { a.enter(in) }))
	}
}

func (a *agentNode) enter(in agent.Input) {
	a.inbox = append(a.inbox, in)
	if a.pumping {
		return
	}
	a.pumping = true
	a.w.after(a.w.between("loops", 0, 500*time.Microsecond), a.inThisLife(a.pump))
}

// inThisLife returns do, for as long as this process lives.
func (a *agentNode) inThisLife(do func()) func() {
	life := a.life
	return func() {
		if a.life == life && a.core != nil {
			do()
		}
	}
}

// pump is one round of the loop.
func (a *agentNode) pump() {
	if !a.gate.over(a.inThisLife(a.pump)) {
		a.pumping = true
		return
	}
	inbox := a.inbox
	a.inbox, a.pumping = nil, false
	if len(inbox) == 0 {
		inbox = []agent.Input{agent.Tick{}}
	}
	for _, in := range inbox {
		a.w.history.agentHears(a, in)
		a.core.Step(a.clock.now(), in)
	}
	a.round()
}

// round carries out what the core wants.
func (a *agentNode) round() {
	e := a.core.Effects()
	if e.Fatal == nil {
		a.core.Check()
	}
	for _, m := range e.Messages {
		a.send(m)
	}
	a.disk.add(e)
	switch {
	case e.Fatal != nil:
		a.die(e.Fatal.Error())
	case e.Done:
		a.done()
	default:
		a.wake.set(a.w, a.clock.real(e.Wake), a.pump)
	}
}

// done ends the process, which has ended all it ran. An operator who finds it so
// starts it again, perhaps as a new agent.
func (a *agentNode) done() {
	life := a.life
	a.w.after(time.Second, func() {
		if a.life == life {
			if a.w.once(AgentLeave.String(), 0.5) {
				a.disk.clear()
			}
			a.die("it is done")
		}
	})
}

func (a *agentNode) send(m agent.Message) {
	switch m := m.(type) {
	case agent.ToProcess:
		if to := a.w.masterAt(m.To.Address()); to != nil && (m.Over == 0 || m.Over == a.link) {
			a.w.history.agentSends(a, m.Message)
			a.w.net.post(a.name, to.name, func(over *pipe) { to.receive(over, a, m.To.Process(), m.Message) })
		}
	case agent.Link:
		if to := a.w.masterAt(m.To.Address()); to != nil {
			a.link, a.linked = m.ID, to.name
			a.w.net.drop(a.name, to.name)
			a.w.net.watch(a.name, to.name)
		}
	case agent.Drop:
		a.link = 0
		if to := a.w.masterAt(m.To.Address()); to != nil {
			a.w.net.drop(a.name, to.name)
		}
	case agent.ToExecutor:
		if s := a.sinks[m.Conn]; s != nil {
			s.event(m.Event)
		}
	case agent.CloseExecutor:
		if s := a.sinks[m.Conn]; s != nil {
			delete(a.sinks, m.Conn)
			s.closed()
		}
	case agent.Reply:
		if done := a.calls[m.Request]; done != nil {
			delete(a.calls, m.Request)
			done(m.Err)
		}
	}
}

func (w *world) masterAt(address string) *masterNode {
	for _, m := range w.masters {
		if m.address == address {
			return m
		}
	}
	return nil
}

// receive takes a message from a master.
func (a *agentNode) receive(over *pipe, name string, from ids.UPID, msg proto.Message) {
	a.w.note("%s    <- %s %s", a.name, name, brief(msg))
	a.tell(over.way, agent.MasterMessage{From: from, Over: over.number, Message: msg})
}

// exited tells of the end of a link that was watched.
func (a *agentNode) exited(to string) {
	a.w.note("%s    link to %s is broken", a.name, to)
	for _, m := range a.w.masters {
		if m.name == to {
			if to == a.linked {
				a.link = 0 // nothing more goes over it, also before the agent knows
			}
			a.tell("link to "+to, agent.MasterExited{Master: m.pid()})
		}
	}
}

// detected tells who leads.
func (a *agentNode) detected(leader *masterNode) {
	pid := ids.UPID("")
	if leader != nil {
		pid = leader.pid()
	}
	if len(a.w.masters) == 1 && pid == a.leader {
		return // a master at a fixed address is never elected anew
	}
	a.leader = pid
	a.tell("election", agent.MasterDetected{Master: pid})
}

// connect opens an event stream to an executor.
func (a *agentNode) connect(s sink) agent.ConnID {
	a.conns++
	a.sinks[a.conns] = s
	return a.conns
}

// ask returns a request whose answer done waits for.
func (a *agentNode) ask(done func(error)) agent.RequestID {
	a.requests++
	a.calls[a.requests] = done
	return a.requests
}

// act does something with a container.
func (a *agentNode) act(action agent.ContainerAction) {
	switch act := action.(type) {
	case agent.Launch:
		a.launch(act.Spec)
	case agent.Adopt:
		a.adopt(act.Spec, act.PID)
	case agent.Destroy:
		if c := a.machine.containers[act.Container]; c != nil {
			a.w.note("%s    destroys %s", a.name, short(string(act.Container)))
			c.agent, c.life = a, a.life
			c.destroy()
		}
	}
}

// launch makes a container, in its time.
func (a *agentNode) launch(spec *agent.ContainerSpec) {
	c := &container{machine: a.machine, spec: spec, agent: a, life: a.life}
	a.w.history.launched(spec)
	a.machine.containers[c.id()] = c
	a.machine.order = append(a.machine.order, c.id())
	a.w.after(a.w.between("processes", time.Millisecond, 200*time.Millisecond), func() {
		if c.mine() && a.machine.containers[c.id()] == c {
			c.prepared()
		}
	})
}

// prepared goes on when the sandbox is made.
func (c *container) prepared() {
	if c.doomed || c.machine.w.suffers(LaunchFailure, 0.1) {
		delete(c.machine.containers, c.id())
		c.tell(agent.ContainerFailed{Container: c.id(), Message: "the sandbox cannot be made"})
		return
	}
	c.tell(agent.ContainerReady{Container: c.id()})
	if c.spec.Builtin == agent.CommandBuiltin {
		hostCommand(c)
		return
	}
	p := c.start()
	c.tell(agent.ContainerLaunched{Container: c.id(), PID: p.pid})
	startExecutor(c)
}

// adopt takes up a container of an earlier life.
func (a *agentNode) adopt(spec *agent.ContainerSpec, pid int) {
	c := a.machine.containers[spec.Run.Container]
	if c == nil {
		c = &container{machine: a.machine, spec: spec}
	}
	c.agent, c.life, c.spec = a, a.life, spec
	a.w.note("%s    adopts %s", a.name, short(string(c.id())))
	p := c.process
	switch {
	case spec.Builtin == agent.CommandBuiltin && pid != 0:
		recoverCommand(c)
	case p == nil:
		c.gone(0, false)
	case !p.alive:
		c.gone(p.status, true)
	default:
		c.tell(agent.ContainerLaunched{Container: c.id(), PID: p.pid})
	}
}

// leave is an operator's wish that the agent leaves the cluster.
func (a *agentNode) leave() {
	if a.core != nil {
		a.w.note("%s    is to leave", a.name)
		a.w.history.left[a.id()] = true
		a.tell("operator", agent.Unregister{Message: "an operator wants it"})
	}
}
