package sim

import (
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
)

// A masterNode is a master's process, or the place of one that has died.
type masterNode struct {
	w       *world
	name    string
	address string
	core    *master.Master // nil: no process
	taking  bool           // it is elected, and about to lead
	leads   bool
	term    int // which of all leaders it is
	life    int

	clock clock
	gate  *gate

	inbox    []master.Input
	pumping  bool
	wake     waker
	version  uint64 // of the store
	queue    []*registry.Batch
	writing  bool
	streams  map[master.ConnID]*stream
	conns    master.ConnID
	requests master.RequestID
	calls    map[master.RequestID]func(master.Reply)
	frozen   *frozen
}

func newMaster(w *world, i int) *masterNode {
	m := &masterNode{w: w, name: fmt.Sprintf("m%d", i), address: fmt.Sprintf("10.0.0.%d:5050", i+1), clock: clock{w: w}, gate: newGate(w)}
	w.net.add(m.name, m)
	return m
}

func (m *masterNode) pid() ids.UPID { return ids.UPID("master@" + m.address) }

func (m *masterNode) up() bool { return m.core != nil }

// config is what the master of a run is set to. Time-outs that only delay are
// shorter than Mesos's, so that runs are.
func (w *world) config() master.Config {
	r := w.rand("master config")
	cfg := master.DefaultConfig()
	cfg.AgentPingTimeout = []time.Duration{5 * time.Second, 15 * time.Second}[r.IntN(2)]
	cfg.MaxAgentPingTimeouts = 2 + r.IntN(4)
	cfg.AgentReregisterTimeout = []time.Duration{20 * time.Second, time.Minute, 10 * time.Minute}[r.IntN(3)]
	if r.IntN(3) == 0 {
		cfg.OfferTimeout = 5 * time.Second
	}
	if r.IntN(4) == 0 {
		cfg.AgentRemovalRate = master.Rate{Events: 1, Per: 15 * time.Second}
	}
	if w.plan.Faults.Has(ModuleFailure) {
		cfg.Module, cfg.ModuleStops = true, r.IntN(2) == 0
	}
	cfg.AllocationBudget = []int{1, 2, 1000}[r.IntN(3)]
	if r.IntN(3) == 0 {
		cfg.Reclaim, cfg.ReclaimAfter, cfg.ReclaimGracePeriod = true, 3*time.Second, 2*time.Second
	}
	return cfg
}

// start starts the process.
func (m *masterNode) start() {
	if m.core != nil {
		return
	}
	m.life++
	m.clock.reset()
	m.gate = newGate(m.w)
	rng := m.w.coreRand(m.name, m.life)
	m.w.chance["master config"] = nil // the same for all masters, and in each life
	m.core = master.New(m.w.config(), master.Deps{
		Rand:      rng,
		Log:       m.w.log.With(slog.String("node", m.name)),
		Allocator: allocator.New(allocator.DefaultConfig(), rng),
	})
	m.leads, m.taking = false, false
	m.inbox, m.queue, m.writing, m.pumping = nil, nil, false, false
	m.streams = map[master.ConnID]*stream{}
	m.calls = map[master.RequestID]func(master.Reply){}
	m.frozen = nil
	m.w.note("%s    starts", m.name)
	m.w.candidate(m)
}

// lead makes the process the leader, when it has read the registry and made it
// its own: an empty write, based on what was read, changes the version, so that
// no leader before it can write. If one did since, or what was read was old, it
// is read again.
func (m *masterNode) lead() {
	if m.taking || m.leads {
		return
	}
	m.taking = true
	m.take()
}

func (m *masterNode) take() {
	m.w.after(m.w.between("store", 0, 5*time.Millisecond), m.inThisLife(func() {
		r, version := m.w.store.load()
		m.w.store.write(m, version, nil, func(ok bool) {
			switch {
			case m.w.leader != m:
				m.die("it is not elected any more")
			case ok:
				m.took(r, version+1)
			default:
				m.take()
			}
		})
	}))
}

func (m *masterNode) took(r *registry.Registry, version uint64) {
	m.w.terms++
	m.w.history.leadsWith(m, version)
	m.version, m.leads, m.taking, m.term = version, true, false, m.w.terms
	id := fmt.Sprintf("M%d", m.term)
	m.w.note("%s    leads as %s", m.name, id)
	m.core.Recover(m.clock.now(), master.Inherit(r), &mesos.MasterInfo{
		Id: &id, Ip: proto.Uint32(1), Port: proto.Uint32(5050), Hostname: new(m.name + ".test"),
		Pid:          (*string)(new(m.pid())),
		Capabilities: []*mesos.MasterInfo_Capability{{Type: mesos.MasterInfo_Capability_QUOTA_V2.Enum()}},
	})
	m.w.history.recovered(m, r)
	m.pump()
}

// die ends the process at once.
func (m *masterNode) die(why string) {
	if m.core == nil {
		return
	}
	m.w.note("%s    dies: %s", m.name, why)
	m.core, m.leads, m.taking = nil, false, false
	m.life++
	m.wake.stop()
	m.w.net.down(m.name)
	for _, s := range append([]*stream(nil), m.w.net.streams...) {
		if s.master == m {
			s.broken()
		}
	}
	m.w.withdraw(m)
	m.w.after(m.w.between("start", 100*time.Millisecond, 15*time.Second), m.start)
}

// tell gives the core an input that comes by some way, a moment later: the loop
// takes what has gathered.
func (m *masterNode) tell(way string, in master.Input) {
	if m.core != nil {
		m.gate.pass(way, m.inThisLife(func() { m.enter(in) }))
	}
}

func (m *masterNode) enter(in master.Input) {
	m.inbox = append(m.inbox, in)
	if m.pumping {
		return
	}
	m.pumping = true
	m.w.after(m.w.between("loops", 0, 500*time.Microsecond), m.inThisLife(m.pump))
}

// inThisLife returns do, for as long as this process lives.
func (m *masterNode) inThisLife(do func()) func() {
	life := m.life
	return func() {
		if m.life == life && m.core != nil {
			do()
		}
	}
}

// pump is one round of the loop.
func (m *masterNode) pump() {
	if !m.gate.over(m.inThisLife(m.pump)) {
		m.pumping = true
		return
	}
	inbox := m.inbox
	m.inbox, m.pumping = nil, false
	if len(inbox) == 0 {
		inbox = []master.Input{master.Tick{}}
	}
	for _, in := range inbox {
		m.core.Step(m.clock.now(), in)
	}
	e := m.core.Effects()
	m.core.Check()
	m.look()
	m.w.history.offersAllowed(m, e.Messages)
	m.act(e)
}

func (m *masterNode) act(e master.Effects) {
	if e.Fatal != "" {
		m.die(e.Fatal)
		return
	}
	if e.Persist != nil {
		m.queue = append(m.queue, e.Persist)
		m.write()
	}
	for _, msg := range e.Messages {
		m.w.history.masterSends(m, msg)
		m.send(msg)
	}
	at := m.clock.real(e.Wake)
	if !e.Wake.IsZero() && !at.After(m.w.now) { // it goes on with a part, and takes its time
		at = m.w.now.Add(m.w.between("parts", 0, 2*time.Millisecond))
	}
	m.wake.set(m.w, at, m.pump)
}

// write stores what has gathered, as one write.
func (m *masterNode) write() {
	if m.writing || len(m.queue) == 0 {
		return
	}
	m.writing = true
	batches := m.queue
	m.queue = nil
	m.w.store.write(m, m.version, registry.Puts(batches...), func(ok bool) {
		if !ok {
			m.die("another master has written")
			return
		}
		m.version++
		m.writing = false
		for _, b := range batches {
			m.tell("store", master.Committed{Seq: b.Seq})
		}
		m.write()
	})
}

func (m *masterNode) send(msg master.Message) {
	switch msg := msg.(type) {
	case master.ToFramework:
		if s := m.streams[msg.Peer.Conn]; s != nil {
			s.deliver(msg.Event)
		}
	case master.RankDemand:
		m.rank(msg)
	case master.CloseFramework:
		if s := m.streams[msg.Peer.Conn]; s != nil {
			s.hangUp()
		}
	case master.ToProcess:
		if a := m.w.agentAt(msg.To.Address()); a != nil {
			from := ids.UPID(msg.From + "@" + m.address)
			m.w.net.post(m.name, a.name, func(over *pipe) { a.receive(over, m.name, from, msg.Message) })
		}
	case master.Link:
		if a := m.w.agentAt(msg.To.Address()); a != nil {
			m.w.net.watch(m.name, a.name)
		}
	case master.Unlink:
		if a := m.w.agentAt(msg.To.Address()); a != nil {
			m.w.net.unwatch(m.name, a.name)
		}
	case master.Reply:
		if done := m.calls[msg.Request]; done != nil {
			delete(m.calls, msg.Request)
			done(msg)
		}
	}
}

// receive takes a message from an agent.
func (m *masterNode) receive(over *pipe, a *agentNode, to string, msg proto.Message) {
	m.w.note("%s    <- %s %s", m.name, a.name, brief(msg))
	m.tell(over.way, master.AgentMessage{From: a.pid(), To: to, Over: over.number, Message: msg})
}

// exited tells of the end of a link that was watched.
func (m *masterNode) exited(to string) {
	m.w.note("%s    link to %s is broken", m.name, to)
	for _, a := range m.w.agents {
		if a.name == to {
			m.tell("link to "+to, master.Exited{Address: a.address})
		}
	}
}

// candidate has a process that has just started stand for election.
func (w *world) candidate(m *masterNode) {
	life := m.life
	w.after(w.between("election", 0, 500*time.Millisecond), func() {
		if m.life != life || m.core == nil {
			return
		}
		if w.leader == nil || w.leader == m {
			w.elect(m)
		}
	})
}

// elect makes a process the leader, and tells all, each in its time.
func (w *world) elect(m *masterNode) {
	w.leader = m
	w.note("elect %s", m.name)
	m.lead()
	w.announce()
}

// withdraw has the election notice, at last, that a process has died.
func (w *world) withdraw(m *masterNode) {
	if w.leader != m || len(w.masters) == 1 {
		return
	}
	w.after(w.between("election", 10*time.Millisecond, 10*time.Second), func() {
		if w.leader == m && (m.core == nil || !m.leads) {
			w.depose()
		}
	})
}

// depose takes the lead from whoever has it, and gives it to another.
func (w *world) depose() {
	w.note("elect nobody")
	old := w.leader
	w.leader = nil
	w.announce()
	w.after(w.between("election", 0, 2*time.Second), func() {
		if w.leader != nil {
			return
		}
		for _, m := range w.masters {
			if m != old && m.core != nil && !m.leads {
				w.elect(m)
				return
			}
		}
		if old != nil && old.core != nil && !old.leads {
			w.elect(old)
		}
	})
}

// announce has everybody learn who leads, as it is when they look.
func (w *world) announce() {
	for _, a := range w.agents {
		w.after(w.between("election", 0, 300*time.Millisecond), func() { a.detected(w.leader) })
	}
	for _, s := range w.schedulers {
		w.after(w.between("election", 0, 300*time.Millisecond), func() { s.detected(w.leader) })
	}
}
