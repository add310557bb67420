package master

import (
	"log/slog"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// orphanPatience is how long after its agent is back an operation waits for its
// framework to come back too, before the master acknowledges in its place.
const orphanPatience = 10 * time.Minute

// operationUpdate takes an UpdateOperationStatusMessage. The agent sends it
// again until it is acknowledged.
func (m *Master) operationUpdate(from ids.UPID, msg *messages.UpdateOperationStatusMessage) {
	m.counters.Messages.OperationStatusUpdate++
	a := m.agents[ids.AgentID(msg.GetSlaveId().GetValue())]
	f := m.frameworks[ids.FrameworkID(msg.GetFrameworkId().GetValue())]
	if a == nil {
		m.counters.InvalidOperationUpdates++
		m.unwanted(msg, from, "the agent is not registered")
		return
	}
	o := a.operations[string(msg.GetOperationUuid().GetValue())]
	if o == nil && len(a.entering) > 0 {
		return // it may be among those, and the agent sends it again
	}
	if o == nil {
		if msg.OperationUuid != nil {
			m.counters.InvalidOperationUpdates++
		}
		if f != nil && msg.Status != nil {
			m.notifyOperation(f, msg.Status)
		}
		return
	}
	m.counters.ValidOperationUpdates++
	if o.isForgotten(msg.GetStatus()) {
		m.concludeOperation(o)
		return
	}
	m.noteOperation(o, msg)
	m.passOn(o, msg)
}

// isForgotten reports whether a status is the answer of an agent that does not
// know an operation any more whose outcome is known here: that was acknowledged,
// and the operation came back to the books by what the agent had said before.
func (o *operation) isForgotten(s *mesos.OperationStatus) bool {
	return isTerminalOperation(o.row.Latest.GetState()) && s.GetUuid() == nil && s.GetState() == mesos.OperationState_OPERATION_DROPPED
}

// noteOperation notes an operation's status. Its outcome, once told, stays.
func (m *Master) noteOperation(o *operation, msg *messages.UpdateOperationStatusMessage) {
	s := msg.Status
	if msg.LatestStatus != nil {
		s = msg.LatestStatus
	}
	row := m.editOperation(o)
	if !isTerminalOperation(row.Latest.GetState()) {
		row.Latest = s
	}
	if n := len(row.Statuses); n == 0 || !row.Statuses[n-1].EqualVT(s) {
		row.Statuses = append(row.Statuses[:n:n], s)
	}
}

// passOn sends an operation's status to the framework that acknowledges it, or
// acknowledges it itself.
func (m *Master) passOn(o *operation, msg *messages.UpdateOperationStatusMessage) {
	latest := o.row.Latest
	over := isTerminalOperation(latest.GetState())
	f := m.frameworks[o.row.Framework]
	if o.row.Info.Id != nil && f != nil {
		m.notifyOperation(f, withOperationID(msg.Status, o.row.Info.Id))
		if over && latest.Uuid == nil {
			m.removeOperation(o)
		}
		return
	}
	if o.row.Info.Id != nil && !m.isCompleted(o.row.Framework) &&
		m.now.Sub(o.agent.row.Reregistered) < orphanPatience {
		return // its framework may yet come back
	}
	if msg.Status.Uuid != nil {
		m.acknowledgeTo(o, msg.Status.Uuid)
	}
	if over {
		m.concludeOperation(o)
	}
}

// mostConcluded bounds how many operations are remembered that are over.
const mostConcluded = 256

// concludeOperation takes an operation off the books whose outcome is
// acknowledged. The agent may have listed it before it heard of that; until it
// registers again, in which case it may not have, it is not put there again.
func (m *Master) concludeOperation(o *operation) {
	a := o.agent
	m.removeOperation(o)
	if len(a.concluded) == mostConcluded {
		a.concluded = slices.Delete(a.concluded, 0, 1)
	}
	a.concluded = append(a.concluded, o.key())
}

func withOperationID(s *mesos.OperationStatus, id *mesos.OperationID) *mesos.OperationStatus {
	if s.OperationId != nil {
		return s
	}
	s = s.CloneVT()
	s.OperationId = id
	return s
}

func (m *Master) acknowledgeTo(o *operation, status *mesos.UUID) {
	m.send(o.agent, &messages.AcknowledgeOperationStatusMessage{
		StatusUuid:    status,
		OperationUuid: &mesos.UUID{Value: o.row.UUID},
	})
}

// acknowledgeOperation answers ACKNOWLEDGE_OPERATION_STATUS.
func (m *Master) acknowledgeOperation(f *framework, call *schedulerpb.Call_AcknowledgeOperationStatus) {
	m.counters.Messages.OperationStatusUpdateAck++
	a := m.agents[ids.AgentID(call.GetAgentId().GetValue())]
	o := m.operationOf(f, call.OperationId)
	s := o.statusWith(call.Uuid)
	if a == nil || !a.row.Connected || o == nil || o.agent != a || s == nil {
		m.counters.InvalidOperationAcks++
		m.log.Warn("dropping ACKNOWLEDGE_OPERATION_STATUS", slog.String("framework_id", string(f.id)),
			slog.String("operation_id", call.GetOperationId().GetValue()),
			slog.String("reason", "the agent is not connected, or there is no such status"))
		return
	}
	m.counters.ValidOperationAcks++
	if isTerminalOperation(s.GetState()) {
		m.concludeOperation(o)
	}
	m.acknowledgeTo(o, s.Uuid)
}

// statusWith returns the status with a UUID, or nil.
func (o *operation) statusWith(uuid []byte) *mesos.OperationStatus {
	if o == nil {
		return nil
	}
	for _, s := range o.row.Statuses {
		if s.Uuid != nil && string(s.Uuid.Value) == string(uuid) {
			return s
		}
	}
	return nil
}

// reconcileOperations answers RECONCILE_OPERATIONS: the last status of those
// named, or of all that are on the books if none is.
func (m *Master) reconcileOperations(f *framework, named []*schedulerpb.Call_ReconcileOperations_Operation) {
	m.counters.Messages.ReconcileOperations++
	if n := len(named); n > 0 && n <= m.cfg.AllocationBudget {
		for _, op := range named {
			m.answerOperation(f, op)
		}
		return
	}
	an, ops := &f.answers.operations, m.operationsOf(f)
	if !an.ask(ops.byAge, named, len(ops.named)) {
		m.log.Warn("dropping RECONCILE_OPERATIONS", slog.String("framework_id", string(f.id)), slog.Int("named_before", len(an.named)))
		return
	}
	m.beginAnswer(f)
}

// answerOperation tells a framework of an operation that it names.
func (m *Master) answerOperation(f *framework, named *schedulerpb.Call_ReconcileOperations_Operation) {
	if o := m.operationOf(f, named.OperationId); o != nil {
		m.notifyOperation(f, o.row.last())
		return
	}
	state, text := m.operationState(named.AgentId)
	m.notifyOperation(f, &mesos.OperationStatus{
		OperationId:        named.OperationId,
		State:              state.Enum(),
		Message:            &text,
		AgentId:            named.AgentId,
		ResourceProviderId: named.ResourceProviderId,
	})
}

// last returns an operation's last status, not to be acknowledged.
func (r *OperationRow) last() *mesos.OperationStatus {
	s := r.Latest
	if n := len(r.Statuses); n > 0 {
		s = r.Statuses[n-1]
	}
	s = s.CloneVT()
	s.Uuid = nil
	if s.OperationId == nil {
		s.OperationId = r.Info.Id
	}
	return s
}

func (m *Master) operationState(agent *mesos.AgentID) (mesos.OperationState, string) {
	id := ids.AgentID(agent.GetValue())
	_, unreachable := m.registry.Unreachable(id)
	a := m.agents[id]
	here := a != nil && a != m.going
	switch {
	case agent == nil:
		return mesos.OperationState_OPERATION_UNKNOWN,
			"Reconciliation: Operation is unknown and no 'agent_id' was provided"
	case m.mayBeBack(agent):
		return mesos.OperationState_OPERATION_RECOVERING, "Reconciliation: Agent is recovered but has not re-registered"
	case here && len(a.entering) > 0:
		return mesos.OperationState_OPERATION_RECOVERING, "Reconciliation: Agent is re-registered but not all that it has done is known yet"
	case here:
		return mesos.OperationState_OPERATION_UNKNOWN, "Reconciliation: Operation is unknown"
	case unreachable:
		return mesos.OperationState_OPERATION_UNREACHABLE, "Reconciliation: Agent is unreachable"
	case m.registry.IsGone(id):
		return mesos.OperationState_OPERATION_GONE_BY_OPERATOR, "Reconciliation: Agent marked gone by operator"
	}
	return mesos.OperationState_OPERATION_UNKNOWN, "Reconciliation: Both operation and agent are unknown"
}

// reconcileAgentOperations compares the operations that an agent knows of with
// those on the books: it is asked about those that it does not know, and those
// that it knows better are taken over, very many a part at a time.
func (m *Master) reconcileAgentOperations(a *agent, known []*mesos.Operation) {
	listed, over := make(map[string]bool, len(known)), map[string]bool{}
	for _, key := range a.concluded {
		over[key] = true
	}
	a.entering = nil
	for _, p := range known {
		key := string(p.GetUuid().GetValue())
		if a.operations[key] == nil && !listed[key] && !over[key] {
			a.entering = append(a.entering, p)
		}
		listed[key] = true
	}
	ask := &messages.ReconcileOperationsMessage{}
	for o := a.operationsByAge.oldest; o != nil; o = o.here.younger {
		if !listed[o.key()] {
			ask.Operations = append(ask.Operations, &messages.ReconcileOperationsMessage_Operation{
				OperationUuid: &mesos.UUID{Value: o.row.UUID},
			})
		}
	}
	if len(ask.Operations) > 0 {
		m.send(a, ask)
	}
	if m.enter(a, m.cfg.AllocationBudget); len(a.entering) > 0 && !a.enters {
		a.enters = true
		m.entering = append(m.entering, a)
	}
	m.lookAfter(a) // those that were to come on the books may be no more
}

// enter puts operations on the books that an agent has listed. It may cost budget, and
// returns how much of that is left.
func (m *Master) enter(a *agent, budget int) (left int) {
	for ; budget > 0 && len(a.entering) > 0; budget -= 2 {
		m.addOperation(a, a.entering[0])
		a.entering = a.entering[1:]
	}
	return max(0, budget)
}

// enterSome goes on with what agents have listed, the first come first.
func (m *Master) enterSome(budget int) (left int) {
	for budget > 0 && len(m.entering) > 0 {
		a := m.entering[0]
		if m.agents[a.id] == a {
			budget = m.enter(a, budget)
		}
		if budget > 0 {
			a.enters = false
			m.entering = m.entering[1:]
		}
	}
	return budget
}
