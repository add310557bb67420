package master

import (
	"log/slog"
	"maps"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// A Master is the state of a leading master.
type Master struct {
	cfg    Config
	listed map[string]bool // the roles of cfg
	rand   *rand.Rand
	log    *slog.Logger
	alloc  Allocator

	now      time.Time
	info     *mesos.MasterInfo // nil until it leads
	shown    *mesos.MasterInfo // as frameworks on HTTP are sent it
	id       ids.MasterID
	elected  time.Time
	registry *registry.Registry

	agents     map[ids.AgentID]*agent
	frameworks map[ids.FrameworkID]*framework // registered ones
	offers     map[ids.OfferID]*offer
	inverse    map[ids.OfferID]*inverseOffer
	operations map[ids.FrameworkID]*operations // "": of operators
	draining   map[ids.AgentID]*agent
	emptied    []*agent     // of draining: nothing has run on them for a moment
	completed  []*framework // oldest first, bounded
	departing  []*departure // frameworks that are over, and not yet completed

	agentAt     map[ids.UPID]*agent
	observers   map[uint64]*agent // by the number of the process that pings
	frameworkAt map[ids.UPID]*framework
	conns       map[ConnID]*framework
	processes   map[string][]ids.UPID // agents and drivers by address

	recovered  *cow.Table[ids.AgentID, mesos.AgentInfo] // of an earlier leader, not back
	toRecover  int                                      // how many those were at first
	notBack    []*mesos.AgentInfo                       // of recovered, being given up
	collecting bool                                     // agents that expired are being forgotten
	removed    removedAgents
	outOfReach map[ids.AgentID]map[*framework]int // how many tasks are, by where they were and whose
	admitting  map[ids.UPID]bool                  // agents on their way into the registry
	returning  map[ids.AgentID][]AgentMessage     // agents that re-register, with what they sent since
	coming     *agent                             // one that returns, and is on the books with a part of what it brings
	leaving    map[ids.AgentID]bool               // agents on their way out of the registry
	going      *agent                             // one that is out of it, and a part of what ran there has ended
	removals   removals
	upkeeps    []*upkeep // changes of maintenance that agents are being told of

	quotas     map[string]*quotapb.QuotaConfig // in force; replaced, not changed
	weights    map[string]float64              // the same
	guarantees map[string]resources.Quantities // of quotas, none empty
	quotaNames []string                        // of those in quotas, by name; replaced, not changed
	guaranteed tally                           // by the quotas that the registry has, all together
	recalling  recall
	errands    []*errand          // of operators
	undertaken map[RequestID]bool // calls that errands are for and that have no answer yet
	responses  []*response        // of frameworks, to many offers
	backlogs   []*backlog         // of frameworks, to ACCEPTs of many tasks
	answers    []*framework       // with answers that are not given in whole
	entering   []*agent           // with operations that they have listed and that are not on the books yet
	announcing []*announcement    // of frameworks, to many agents
	losses     []*loss            // of agents, to many frameworks

	capacity tally   // what all agents have, connected or not, that cannot be revoked
	offered  tallies // in offers
	ending   tallies // used by tasks that are ending

	starving   map[string]*starved // roles below their guarantees
	reclaiming reclaiming

	changes []registry.Change // not handed out yet
	batch   uint64            // number of the batch that changes will be
	waiting []waiting         // for batches to be durable, in their order
	durable uint64            // number of the last batch that is

	ranking   ranking
	inquiries []inquiry // that are worked on, in their order

	deadlines   deadlines
	deadlineSeq uint64

	frameworkCount, agentCount, offerCount, observerCount, serial uint64

	agentRows     shelf[ids.AgentID, AgentRow]
	frameworkRows shelf[ids.FrameworkID, FrameworkRow]
	taskRows      shelf[uint64, TaskRow]
	executorRows  shelf[uint64, ExecutorRow]
	offerRows     shelf[ids.OfferID, OfferRow]
	operationRows shelf[uint64, OperationRow]
	inverseRows   shelf[ids.OfferID, InverseOfferRow]
	counters      Counters

	out Effects
}

// New returns a master that does not lead yet: it refuses and drops what it is
// told until [Master.Recover].
func New(cfg Config, deps Deps) *Master {
	listed := make(map[string]bool, len(cfg.Roles))
	for _, name := range cfg.Roles {
		listed[name] = true
	}
	return &Master{
		cfg:           cfg,
		listed:        listed,
		rand:          deps.Rand,
		log:           deps.Log,
		alloc:         deps.Allocator,
		registry:      registry.New(),
		agents:        map[ids.AgentID]*agent{},
		undertaken:    map[RequestID]bool{},
		frameworks:    map[ids.FrameworkID]*framework{},
		offers:        map[ids.OfferID]*offer{},
		offered:       tallies{},
		ending:        tallies{},
		reclaiming:    reclaiming{coming: tallies{}},
		inverse:       map[ids.OfferID]*inverseOffer{},
		operations:    map[ids.FrameworkID]*operations{},
		draining:      map[ids.AgentID]*agent{},
		agentAt:       map[ids.UPID]*agent{},
		observers:     map[uint64]*agent{},
		frameworkAt:   map[ids.UPID]*framework{},
		conns:         map[ConnID]*framework{},
		processes:     map[string][]ids.UPID{},
		outOfReach:    map[ids.AgentID]map[*framework]int{},
		recovered:     &cow.Table[ids.AgentID, mesos.AgentInfo]{},
		removed:       newRemovedAgents(cfg.MaxRemovedAgents),
		admitting:     map[ids.UPID]bool{},
		returning:     map[ids.AgentID][]AgentMessage{},
		leaving:       map[ids.AgentID]bool{},
		removals:      removals{waits: map[ids.AgentID]*removal{}},
		batch:         1,
		agentRows:     newShelf[ids.AgentID, AgentRow](),
		frameworkRows: newShelf[ids.FrameworkID, FrameworkRow](),
		taskRows:      newShelf[uint64, TaskRow](),
		executorRows:  newShelf[uint64, ExecutorRow](),
		offerRows:     newShelf[ids.OfferID, OfferRow](),
		operationRows: newShelf[uint64, OperationRow](),
		inverseRows:   newShelf[ids.OfferID, InverseOfferRow](),
		counters:      Counters{TaskStates: map[TaskStateKey]uint64{}},
	}
}

// Step tells the master one thing that happened at now, which must not go
// back. What was due before now happens first.
func (m *Master) Step(now time.Time, in Input) {
	if now.After(m.now) {
		m.now = now
	}
	if m.info == nil {
		m.refuseAll(in)
		return
	}
	m.fire()
	if b := m.backlogOf(in); b != nil {
		m.wait(b, in)
		return
	}
	m.handle(in)
}

// handle does what an input asks for.
func (m *Master) handle(in Input) {
	switch in := in.(type) {
	case Subscribe:
		m.subscribe(in)
	case SchedulerCall:
		m.schedulerCall(in)
	case PeerClosed:
		m.peerClosed(in.Conn)
	case DriverStopped:
		m.driverStopped(in)
	case Exited:
		m.exited(in.Address)
	case AgentMessage:
		m.agentMessage(in)
	case OperatorCall:
		m.operatorCall(in)
	case Explain:
		m.explain(in)
	case Ranked:
		m.ranked(in)
	case Committed:
		m.committed(in.Seq)
	case Whitelist:
		m.alloc.SetWhitelist(in.Hosts)
	case Tick:
	default:
		invariant.Fail("unknown input", "input", in)
	}
}

// refuseAll answers those who wait for an answer of a master that does not
// lead.
func (m *Master) refuseAll(in Input) {
	err := refusal.Unavailablef("Master has not finished recovery")
	switch in := in.(type) {
	case Subscribe:
		m.refuseSubscription(in.Peer, err.Message)
	case SchedulerCall:
		m.reply(in.Request, err)
	case OperatorCall:
		m.reply(in.Request, err)
	case Explain:
		m.reply(in.Request, err)
	}
}

// Effects returns what the steps since the last call ask for, after the
// allocator has had its turn.
func (m *Master) Effects() Effects {
	if m.info != nil {
		m.allocate()
		m.lookAfterDraining()
		if m.explore() {
			m.out.Wake = m.now
		}
	}
	out := m.out
	m.out = Effects{}
	out.Wake = soonest(out.Wake, m.nextDeadline())
	if len(m.changes) > 0 {
		out.Persist = &registry.Batch{Seq: m.batch, Changes: m.changes}
		m.batch++
		m.changes = nil
	}
	return out
}

// soonest returns the earlier of two times, of which zero is never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Registry returns what the master would find again after a restart. It is the
// master's own and must only be read, and only between steps.
func (m *Master) Registry() *registry.Registry { return m.registry }

// Snapshot freezes the master's state for readers.
func (m *Master) Snapshot() *Snapshot {
	s := &Snapshot{
		At:          m.now,
		Info:        m.info,
		Elected:     m.elected,
		Agents:      m.agentRows.snapshot(),
		Recovered:   m.recovered.Snapshot(),
		Unreachable: m.registry.UnreachableLen(),
		Frameworks:  m.frameworkRows.snapshot(),
		Tasks:       m.taskRows.snapshot(),
		Executors:   m.executorRows.snapshot(),
		Offers:      m.offerRows.snapshot(),
		Operations:  m.operationRows.snapshot(),
		Weights:     m.weights,
		Quotas:      m.quotas,
		Schedules:   m.registry.Schedules(),
		Machines:    m.registry.MachineRows(),
		Inverse:     m.inverseRows.snapshot(),
		Filters:     m.alloc.Filters(),
		Counters:    m.counters,
	}
	s.Counters.TaskStates = maps.Clone(m.counters.TaskStates)
	for _, f := range m.completed {
		s.Completed = append(s.Completed, f.row)
	}
	return s
}

// nextSerial numbers rows in the order of their arrival.
func (m *Master) nextSerial() uint64 {
	m.serial++
	return m.serial
}
