package master

import (
	"log/slog"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/resources"
)

// An operation changes what an agent has: it reserves, makes volumes of disks
// or changes their size. The master takes it for done when it sends it, so that
// later operations and offers can build on it; if the agent could not do it,
// the agent's next registration sets the books right.
//
//	ACCEPT, operator's call
//	        │
//	     PENDING ──▶ FINISHED FAILED ERROR DROPPED …   told by the agent
//	        │             │
//	        │             └──▶ (forgotten)   acknowledged: by the framework if it
//	        │                                gave an ID, else by the master
//	        └── the agent is gone ──▶ UNREACHABLE, GONE_BY_OPERATOR
//
// Operations of frameworks that are over are acknowledged by the master.
type operation struct {
	cell[OperationRow]
	agent *agent
	age   neighbours[operation] // among all of its framework
	name  neighbours[operation] // among those that it gave the same ID
	here  neighbours[operation] // among those on its agent
}

func (o *operation) order() uint64 { return o.row.Serial }

// key is what operations go by.
func (o *operation) key() string { return string(o.row.UUID) }

func (m *Master) editOperation(o *operation) *OperationRow {
	return m.operationRows.edit(o.row.Serial, &o.cell)
}

func isTerminalOperation(s mesos.OperationState) bool {
	switch s {
	case mesos.OperationState_OPERATION_FINISHED, mesos.OperationState_OPERATION_FAILED,
		mesos.OperationState_OPERATION_ERROR, mesos.OperationState_OPERATION_DROPPED,
		mesos.OperationState_OPERATION_GONE_BY_OPERATOR:
		return true
	default:
		return false
	}
}

// addOperation puts an operation on the books.
func (m *Master) addOperation(a *agent, p *mesos.Operation) {
	o := &operation{agent: a}
	row := &OperationRow{
		Serial:    m.nextSerial(),
		UUID:      p.GetUuid().GetValue(),
		Framework: ids.FrameworkID(p.GetFrameworkId().GetValue()),
		Agent:     a.id,
		Info:      p.Info,
		Latest:    p.LatestStatus,
		Statuses:  p.Statuses,
	}
	o.cell = m.operationRows.add(row.Serial, row)
	invariant.Check(a.operations[o.key()] == nil, "operation is on the books already", "agent", a.id)
	a.operations[o.key()] = o
	a.operationsByAge.add(o, (*operation).onAgent)
	m.enlistOperation(o)
}

func (m *Master) removeOperation(o *operation) {
	delete(o.agent.operations, o.key())
	o.agent.operationsByAge.remove(o, (*operation).onAgent)
	m.delistOperation(o)
	m.lookAfter(o.agent)
	m.operationRows.remove(o.row.Serial)
}

// newUUID returns a random (version 4) UUID.
func (m *Master) newUUID() []byte {
	uuid := make([]byte, 16)
	for i := range uuid {
		uuid[i] = byte(m.rand.Uint32())
	}
	uuid[6] = uuid[6]&0x0f | 0x40
	uuid[8] = uuid[8]&0x3f | 0x80
	return uuid
}

// apply does an operation, which has been validated, on an agent: in the books
// at once, and then there. f is nil for an operator's.
func (m *Master) apply(f *framework, a *agent, op *mesos.Offer_Operation, conversions []resources.Conversion) {
	total, err := a.row.Total.Apply(unallocated(conversions)...)
	invariant.Check(err == nil, "operation applies to the agent's resources", "agent", a.id, "error", err)
	m.setTotal(a, total)
	if !a.caps.resourceProvider || a.version == nil {
		m.send(a, &messages.CheckpointResourcesMessage{Resources: a.understood(total.NeedingCheckpoint())})
		return
	}
	p := &mesos.Operation{
		AgentId:      agentID(a.id),
		Info:         op,
		LatestStatus: &mesos.OperationStatus{OperationId: op.Id, State: mesos.OperationState_OPERATION_PENDING.Enum(), AgentId: agentID(a.id)},
		Uuid:         &mesos.UUID{Value: m.newUUID()},
	}
	if f != nil {
		p.FrameworkId = frameworkID(f.id)
	}
	m.addOperation(a, p)
	msg := &messages.ApplyOperationMessage{
		FrameworkId:         p.FrameworkId,
		OperationInfo:       op,
		OperationUuid:       p.Uuid,
		ResourceVersionUuid: &messages.ResourceVersionUUID{Uuid: &mesos.UUID{Value: a.version}},
	}
	if !a.caps.reservationRefinement {
		msg = msg.CloneVT()
		mustDowngrade(resources.DowngradeMessage(msg))
	}
	m.send(a, msg)
}

// unallocated returns conversions of what is allocated to nobody.
func unallocated(conversions []resources.Conversion) []resources.Conversion {
	out := slices.Clone(conversions)
	for i, c := range out {
		out[i].Consumed, out[i].Converted = c.Consumed.Unallocated(), c.Converted.Unallocated()
	}
	return out
}

// understood returns resources in the form that the agent understands.
func (a *agent) understood(rs resources.Resources) []*mesos.Resource {
	if a.caps.reservationRefinement {
		return rs.Proto()
	}
	old, err := rs.PreRefinement()
	mustDowngrade(err)
	return old
}

// dropOperation notes that an operation is not done; a framework that gave it
// an ID is told why.
func (m *Master) dropOperation(f *framework, op *mesos.Offer_Operation, why string) {
	m.log.Warn("dropping operation", slog.String("framework_id", string(f.id)),
		slog.String("type", op.GetType().String()), slog.String("reason", why))
	if op.Id == nil || f.row.Peer.Driver != "" {
		return
	}
	m.notifyOperation(f, &mesos.OperationStatus{
		OperationId: op.Id,
		State:       mesos.OperationState_OPERATION_ERROR.Enum(),
		Message:     &why,
	})
}

func (m *Master) notifyOperation(f *framework, s *mesos.OperationStatus) {
	m.notify(f, &schedulerpb.Event{
		Type:                  schedulerpb.Event_UPDATE_OPERATION_STATUS.Enum(),
		UpdateOperationStatus: &schedulerpb.Event_UpdateOperationStatus{Status: s},
	})
}

// endOperations goes on with taking operations off the books that are on an agent which
// is about to go, because of an action. Frameworks that gave them IDs are told, if there
// is something to tell. It reports whether none are left.
func (m *Master) endOperations(a *agent, why action, budget *int) (none bool) {
	var state mesos.OperationState
	var text string // none if it is removed
	switch why.(type) {
	case lost:
		state, text = mesos.OperationState_OPERATION_UNREACHABLE, "Agent was marked unreachable"
	case wentGone:
		state, text = mesos.OperationState_OPERATION_GONE_BY_OPERATOR, markedGone
	}
	for o := a.operationsByAge.oldest; o != nil; o = a.operationsByAge.oldest {
		if !turn(budget, 2) {
			return false
		}
		m.removeOperation(o)
		f := m.frameworks[o.row.Framework]
		if text == "" || f == nil || o.row.Info.GetId() == nil || f.row.Peer.Driver != "" {
			continue
		}
		m.notifyOperation(f, &mesos.OperationStatus{
			OperationId: o.row.Info.Id,
			State:       state.Enum(),
			Message:     &text,
			AgentId:     agentID(a.id),
		})
	}
	return true
}
