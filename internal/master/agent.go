package master

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// An agent's life:
//
//	Register            Reregister (from nowhere, recovered, unreachable)
//	   │                    │
//	admitting           returning          in the registry's hands
//	   └────────┬───────────┘
//	            ▼
//	        connected ◀───Reregister───┐
//	            │                      │
//	            ├───connection ends──▶ disconnected
//	            │                      │
//	 unanswered │                      │ not back in time
//	      pings └─────────┬────────────┘
//	                      ▼
//	                   leaving             in the registry's hands
//	                      ▼
//	      unreachable, or removed, or gone
//
// Only connected and disconnected ones (also while they are leaving) are in
// [Master.agents]; of the others there is an ID in admitting, returning and
// the registry, and no more.
//
//	from          to            by
//	connected     disconnected  disconnectAgent
//	disconnected  connected     reconnectAgent
type agentState uint8

const (
	connected agentState = iota
	disconnected
)

// An agent is one that is registered. Its row has what is shown of it.
type agent struct {
	cell[AgentRow]
	id    ids.AgentID
	state agentState
	caps  agentCaps

	tasks      map[taskKey]*task
	tasksByAge chain[task]
	executors  map[executorKey]*executor
	offers     map[ids.OfferID]*offer
	frameworks map[ids.FrameworkID]*framework // that ran something here
	operations map[string]*operation          // by UUID
	concluded  []string                       // operations acknowledged since it last registered
	entering   []*mesos.Operation             // that it has listed, and that are not on the books yet
	enters     bool                           // it is in Master.entering

	operationsByAge chain[operation]

	inverse        map[ids.OfferID]*inverseOffer
	unavailability *mesos.Unavailability // its machine is to be taken down

	version []byte // resource_version_uuid, nil if the agent has none
	over    uint64 // the connection that it registered over

	observer uint64 // number of the process that pings it
	pinged   bool   // and has not answered
	missed   int    // pings in a row without an answer
	ping     *deadline
	away     *deadline // while it is disconnected
}

// agentCaps are the capabilities that the master asks an agent for.
type agentCaps struct {
	validate.Capabilities
	reservationRefinement, resourceProvider, operationFeedback, draining bool
}

func agentCapsOf(caps []*mesos.AgentInfo_Capability) agentCaps {
	types := capabilityTypes(caps)
	c := validate.CapabilitiesOf(caps)
	return agentCaps{
		Capabilities:          c,
		reservationRefinement: c.ReservationRefinement,
		resourceProvider:      slices.Contains(types, mesos.AgentInfo_Capability_RESOURCE_PROVIDER),
		draining:              slices.Contains(types, mesos.AgentInfo_Capability_AGENT_DRAINING),
		operationFeedback:     slices.Contains(types, mesos.AgentInfo_Capability_AGENT_OPERATION_FEEDBACK),
	}
}

func capabilityTypes(caps []*mesos.AgentInfo_Capability) []mesos.AgentInfo_Capability_Type {
	types := make([]mesos.AgentInfo_Capability_Type, 0, len(caps))
	for _, c := range caps {
		types = append(types, c.GetType())
	}
	return types
}

func (m *Master) editAgent(a *agent) *AgentRow { return m.agentRows.edit(a.id, &a.cell) }

// setState changes an agent's state.
func (a *agent) setState(to agentState) {
	invariant.Check(a.state != to, "agent is in the state already", "agent", a.id, "state", to)
	a.state = to
}

// addAgent puts an agent that is in the registry on the books, connected and
// without tasks. total is what it has, operations applied.
func (m *Master) addAgent(info *mesos.AgentInfo, from ids.UPID, version string,
	caps []*mesos.AgentInfo_Capability, total resources.Resources, resourceVersion *mesos.UUID,
) *agent {
	id := ids.AgentID(info.GetId().GetValue())
	invariant.Check(m.agents[id] == nil, "agent is registered already", "agent", id)
	a := &agent{
		id:         id,
		caps:       agentCapsOf(caps),
		tasks:      map[taskKey]*task{},
		executors:  map[executorKey]*executor{},
		offers:     map[ids.OfferID]*offer{},
		inverse:    map[ids.OfferID]*inverseOffer{},
		frameworks: map[ids.FrameworkID]*framework{},
		operations: map[string]*operation{},
		version:    resourceVersion.GetValue(),
	}
	a.cell = m.agentRows.add(id, &AgentRow{
		Serial:       m.nextSerial(),
		ID:           id,
		Info:         upgradedInfo(info),
		PID:          from,
		Version:      version,
		Capabilities: capabilityTypes(caps),
		Registered:   m.now,
		Connected:    true,
		Active:       true,
		Total:        total,
	})
	m.capacity.count(total, countsForCapacity, 1)
	m.agents[id] = a
	m.displace(from)
	m.agentAt[from] = a
	m.removed.forget(id)
	m.link(from)
	m.observe(a)
	m.alloc.AddAgent(m.allocatorAgent(a), nil)
	return a
}

// offerAgent has an agent just added be offered as it should be.
func (m *Master) offerAgent(a *agent) {
	m.heedSchedule(a)
	m.heedOperators(a)
	m.tell(AgentAdded{a.freeze()})
}

func (m *Master) allocatorAgent(a *agent) allocator.Agent {
	return allocator.Agent{ID: a.id, Info: a.row.Info, Capabilities: a.row.Capabilities, Total: a.row.Total}
}

// disconnectAgent notes that nothing reaches an agent any more. Its tasks run
// on, whether their frameworks checkpoint or not: the agent says which are
// lost when it comes back.
func (m *Master) disconnectAgent(a *agent) {
	a.setState(disconnected)
	row := m.editAgent(a)
	row.Connected, row.Active = false, false
	m.alloc.DeactivateAgent(a.id)
	m.breakOff(a)
	m.rescindAll(a)
	a.away = m.after(m.cfg.AgentReregisterTimeout, deadline{kind: agentAway, agent: a.id})
	m.log.Info("agent disconnected", slog.String("agent_id", string(a.id)))
}

// displace disconnects the agent at an address that another one has now. It is
// pinged no more: the other one would answer, and wonder.
func (m *Master) displace(at ids.UPID) {
	old := m.agentAt[at]
	if old == nil {
		return
	}
	m.cancel(old.ping)
	old.ping = nil
	if old.row.Connected {
		m.disconnectAgent(old)
	}
}

// reconnectAgent undoes disconnectAgent.
func (m *Master) reconnectAgent(a *agent) {
	a.setState(connected)
	m.cancel(a.away)
	m.cancelRemoval(a)
	row := m.editAgent(a)
	row.Connected = true
	m.lookAfter(a)
	if a.ping == nil {
		m.pingNow(a)
	}
	if !row.Deactivated {
		row.Active = true
		m.alloc.ActivateAgent(a.id)
	}
}

func (m *Master) rescindAll(a *agent) {
	for _, o := range inOrder(a.offers) {
		m.rescind(o)
	}
	for _, o := range inOrder(a.inverse) {
		m.rescindInverse(o)
	}
}

// takeOff takes an agent off the books. Its tasks, executors and offers must
// be gone.
func (m *Master) takeOff(a *agent) {
	invariant.Check(len(a.tasks)+len(a.executors)+len(a.offers)+len(a.inverse)+len(a.operations) == 0, "agent is not empty", "agent", a.id)
	m.alloc.RemoveAgent(a.id)
	for _, f := range a.frameworks {
		delete(f.agents, a.id)
	}
	m.cancel(a.ping)
	m.cancel(a.away)
	m.cancelRemoval(a)
	m.going = nil
	delete(m.observers, a.observer)
	delete(m.draining, a.id)
	delete(m.agents, a.id)
	m.capacity.count(a.row.Total, countsForCapacity, -1)
	if m.agentAt[a.row.PID] == a {
		delete(m.agentAt, a.row.PID)
		m.unlink(a.row.PID)
	}
	m.agentRows.remove(a.id)
	m.removed.remember(a.id)
	m.tell(AgentRemoved{a.id})
}

// welcome is what a registered agent is told about its connection.
func (m *Master) welcome() *messages.MasterSlaveConnection {
	total := m.cfg.AgentPingTimeout.Seconds() * float64(m.cfg.MaxAgentPingTimeouts)
	return &messages.MasterSlaveConnection{TotalPingTimeoutSeconds: &total}
}

// upgradedInfo returns info with resources in the form with the stack of
// reservations.
func upgradedInfo(info *mesos.AgentInfo) *mesos.AgentInfo {
	up := info.CloneVT()
	resources.UpgradeMessage(up)
	return up
}

// serialled is a noun on the books.
type serialled interface{ order() uint64 }

func (a *agent) order() uint64 { return a.row.Serial }

// inOrder returns the values of a map in the order of their arrival: what is
// sent must not depend on the order of a map.
func inOrder[K comparable, V serialled](m map[K]V) []V {
	return slices.SortedFunc(maps.Values(m), func(a, b V) int {
		return cmp.Compare(a.order(), b.order())
	})
}
