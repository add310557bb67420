package master

import (
	"log/slog"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
)

// A framework's life:
//
//	  SUBSCRIBE         an agent brings its tasks
//	      │                      │
//	      │                  recovered
//	      ▼                      │ SUBSCRIBE
//	   active ◀──────────────────┤
//	   │   ▲ SUBSCRIBE           │
//	   │   ├────────── inactive  │   a driver that wants no offers
//	   │   │             ▲       │
//	   ├───┼──stopped────┘       │
//	   │   │                     │
//	   ▼   │ SUBSCRIBE           │
//	disconnected                 │
//	   │ failover_timeout over   │
//	   ▼                         ▼
//	completed ◀──────────────TEARDOWN (from any)
//
// A framework that is recovered stays so until it subscribes or is torn down:
// no timeout runs, since nobody knows when it went away.
type frameworkState uint8

const (
	recovered frameworkState = iota
	active
	inactive
	away
	completed
)

var frameworkStates = [...]string{"recovered", "active", "inactive", "disconnected", "completed"}

func (s frameworkState) String() string { return frameworkStates[s] }

// frameworkMoves lists which states may follow a state.
var frameworkMoves = [...][]frameworkState{
	recovered: {active, completed},
	active:    {inactive, away, completed},
	inactive:  {active, away, completed},
	away:      {active, completed},
	completed: nil,
}

// A framework is one that is registered or completed. Its row has what is
// shown of it.
type framework struct {
	cell[FrameworkRow]
	id    ids.FrameworkID
	state frameworkState
	caps  frameworkCaps
	roles []string

	tasks        map[ids.TaskID]*task
	byAge        chain[task]   // of tasks
	answers      answers       // to RECONCILE and RECONCILE_OPERATIONS
	announcement *announcement // nil: no agents are being told of it
	claims       []*claim      // its places in the plan of a round that goes on
	ending       tally         // what of quotas its tasks use that are ending
	executors    map[executorKey]*executor
	offers       map[ids.OfferID]*offer
	withdrawn    map[string]withdrawal // by role; nil: there are none
	backlog      *backlog              // nil: none of its ACCEPTs is done a part at a time
	responding   int                   // how many offers its responses name that are not taken yet
	inverse      map[ids.OfferID]*inverseOffer
	agents       map[ids.AgentID]*agent // on which it ran something
	unreachable  []*task                // oldest first
	completed    []*task                // oldest first
	failover     *deadline
	constraints  *allocator.Constraints
	driver       ids.UPID // the last that connected, "" if it speaks HTTP
}

// frameworkCaps are the capabilities that the master asks a framework for.
type frameworkCaps struct {
	multiRole, partitionAware, reservationRefinement, sharedResources bool
}

func frameworkCapsOf(info *mesos.FrameworkInfo) (caps frameworkCaps) {
	for _, c := range info.Capabilities {
		switch c.GetType() {
		case mesos.FrameworkInfo_Capability_MULTI_ROLE:
			caps.multiRole = true
		case mesos.FrameworkInfo_Capability_PARTITION_AWARE:
			caps.partitionAware = true
		case mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT:
			caps.reservationRefinement = true
		case mesos.FrameworkInfo_Capability_SHARED_RESOURCES:
			caps.sharedResources = true
		default: // of no concern to the master
		}
	}
	return caps
}

func (f *framework) order() uint64 { return f.row.Serial }

// onlyRole returns the role of what is allocated to none, as agents say that
// know nothing of several roles.
func (f *framework) onlyRole() string {
	if len(f.roles) == 0 {
		return "*"
	}
	return slices.Min(f.roles)
}

func (m *Master) editFramework(f *framework) *FrameworkRow {
	return m.frameworkRows.edit(f.id, &f.cell)
}

// setState changes a framework's state, and what is shown of it.
func (m *Master) setState(f *framework, to frameworkState) {
	invariant.Check(slices.Contains(frameworkMoves[f.state], to), "framework cannot change its state so",
		"framework", f.id, "from", f.state, "to", to)
	f.state = to
	row := m.editFramework(f)
	row.Connected = to == active || to == inactive
	row.Active = to == active
	row.Recovered = to == recovered
	if !row.Connected {
		row.Peer = Peer{}
	}
}

// addFramework puts a framework on the books; its ID is in info.
func (m *Master) addFramework(info *mesos.FrameworkInfo, w wishes, state frameworkState, peer Peer) *framework {
	id := ids.FrameworkID(info.GetId().GetValue())
	invariant.Check(m.frameworks[id] == nil, "framework is registered already", "framework", id)
	f := &framework{
		id:        id,
		state:     state,
		tasks:     map[ids.TaskID]*task{},
		executors: map[executorKey]*executor{},
		offers:    map[ids.OfferID]*offer{},
		inverse:   map[ids.OfferID]*inverseOffer{},
		agents:    map[ids.AgentID]*agent{},
	}
	f.cell = m.frameworkRows.add(id, &FrameworkRow{
		Serial:       m.nextSerial(),
		ID:           id,
		Peer:         peer,
		Connected:    state == active,
		Active:       state == active,
		Recovered:    state == recovered,
		Registered:   m.now,
		Reregistered: m.now,
	})
	m.describe(f, info, w)
	m.frameworks[id] = f
	return f
}

// describe notes what a framework says of itself.
func (m *Master) describe(f *framework, info *mesos.FrameworkInfo, w wishes) {
	f.caps, f.roles, f.constraints = frameworkCapsOf(info), rolesOf(info), w.compiled
	row := m.editFramework(f)
	row.Info, row.Constraints, row.Suppressed = info, w.constraints, w.suppressed
}

func rolesOf(info *mesos.FrameworkInfo) []string {
	if frameworkCapsOf(info).multiRole {
		return info.GetRoles()
	}
	return []string{info.GetRole()}
}

func (m *Master) allocatorFramework(f *framework) allocator.Framework {
	return allocator.Framework{
		ID:          f.id,
		Info:        f.row.Info,
		Suppressed:  f.row.Suppressed,
		Constraints: f.constraints,
		Active:      f.row.Active,
	}
}

// recoverFramework puts a framework on the books that others told us of.
func (m *Master) recoverFramework(info *mesos.FrameworkInfo) *framework {
	f := m.addFramework(info, wishes{}, recovered, Peer{})
	m.alloc.AddFramework(m.allocatorFramework(f))
	m.ranking.stale = true
	m.tell(FrameworkAdded{f.freeze()})
	return f
}

// connect notes where a framework's events go.
func (m *Master) connect(f *framework, peer Peer) {
	m.cancel(f.failover)
	f.failover = nil
	m.editFramework(f).Peer = peer
	f.driver = peer.Driver
	if peer.Driver != "" {
		m.frameworkAt[peer.Driver] = f
		m.link(peer.Driver)
		return
	}
	m.conns[peer.Conn] = f
}

// detach forgets where a framework's events went.
func (m *Master) detach(f *framework) {
	f.answers.drop() // for who is there no more
	peer := f.row.Peer
	if peer.Driver != "" && m.frameworkAt[peer.Driver] == f {
		delete(m.frameworkAt, peer.Driver)
		m.unlink(peer.Driver)
	}
	delete(m.conns, peer.Conn)
}

// peerClosed disconnects the framework whose stream ended.
func (m *Master) peerClosed(conn ConnID) {
	if f := m.conns[conn]; f != nil {
		m.disconnectFramework(f)
	}
}

// disconnectFramework takes back a framework's offers and gives it its
// failover timeout to subscribe again.
func (m *Master) disconnectFramework(f *framework) {
	m.detach(f)
	m.setState(f, away)
	m.alloc.DeactivateFramework(f.id)
	m.takeBackOffers(f)
	f.failover = m.after(failoverTimeout(f.row.Info), deadline{kind: frameworkAway, framework: f.id})
	m.log.Info("framework disconnected", slog.String("framework_id", string(f.id)))
}

// takeBackOffers rescinds what a framework that is not active any more holds.
func (m *Master) takeBackOffers(f *framework) {
	m.withdraw(f, f.roles, true)
	m.withdrawInverse(f)
}

func failoverTimeout(info *mesos.FrameworkInfo) time.Duration {
	const most = float64(1<<63 - 1)
	return time.Duration(min(max(0, info.GetFailoverTimeout())*float64(time.Second), most/2))
}

func (m *Master) frameworkAwayTooLong(f *framework) {
	m.log.Info("framework failover timeout", slog.String("framework_id", string(f.id)))
	m.removeFramework(f)
}

// driverStopped ends offers to a driver's framework until it subscribes again.
func (m *Master) driverStopped(in DriverStopped) {
	m.counters.Messages.DeactivateFramework++
	f := m.frameworks[in.Framework]
	if f == nil || f.row.Peer.Driver != in.Driver || f.state != active {
		return
	}
	m.setState(f, inactive)
	m.alloc.DeactivateFramework(f.id)
	m.takeBackOffers(f)
}

// updateFrameworkMessage tells an agent who a framework is and where.
func updateFrameworkMessage(f *framework) *messages.UpdateFrameworkMessage {
	return &messages.UpdateFrameworkMessage{
		FrameworkId:   frameworkID(f.id),
		Pid:           new(f.pid()),
		FrameworkInfo: f.row.Info,
	}
}

// noDriver is where a framework is that speaks HTTP, in messages to agents.
const noDriver = "@0.0.0.0:0"

// pid returns the address of a framework's driver, as agents are told it.
func (f *framework) pid() string {
	if f.driver != "" {
		return string(f.driver)
	}
	return noDriver
}

// announceFramework tells operators of a framework's new description or
// address, and the agents on which it ran something: they may have an executor
// of it, though no task. Many agents are told a part at a time.
func (m *Master) announceFramework(f *framework) {
	m.tell(FrameworkUpdated{f.freeze()})
	switch {
	case f.announcement != nil: // all are told anew
		f.announcement.slot = 0
	case len(f.agents) > m.cfg.AllocationBudget:
		f.announcement = &announcement{framework: f}
		m.announcing = append(m.announcing, f.announcement)
	default:
		for _, a := range inOrder(f.agents) {
			m.send(a, updateFrameworkMessage(f))
		}
	}
}

// An announcement is how far it is that many agents are told of a framework.
type announcement struct {
	framework *framework
	slot      int // the row of agents to go on with
}

// announceSome goes on with announcements, the first come first. It may look at
// budget agents, and returns how many of them are left.
func (m *Master) announceSome(budget int) (left int) {
	for len(m.announcing) > 0 {
		n := m.announcing[0]
		f := n.framework
		for slot, row := range m.agentRows.table.From(n.slot) {
			if budget <= 0 {
				n.slot = slot
				return 0
			}
			budget--
			if a := f.agents[row.ID]; a != nil && f.state != completed {
				m.send(a, updateFrameworkMessage(f))
			}
		}
		f.announcement = nil
		m.announcing = m.announcing[1:]
	}
	return max(0, budget)
}

// settleOn notes that a framework has something on an agent.
func (f *framework) settleOn(a *agent) {
	f.agents[a.id] = a
	a.frameworks[f.id] = f
}

// isCompleted reports whether a framework is over, or about to be, as far as is
// remembered.
func (m *Master) isCompleted(id ids.FrameworkID) bool {
	return slices.ContainsFunc(m.completed, func(f *framework) bool { return f.id == id }) ||
		slices.ContainsFunc(m.departing, func(d *departure) bool { return d.framework.id == id })
}
