package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// No offer operation beside launches is on the books: what is said of others is
// about operations that the master does not know.

// dropOperation notes that an operation is not done; a framework that gave it
// an ID is told why.
func (m *Master) dropOperation(f *framework, op *mesos.Offer_Operation, why string) {
	m.log.Warn("dropping operation", slog.String("framework_id", string(f.id)), slog.String("type", op.GetType().String()), slog.String("reason", why))
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

// operationUpdate takes an UpdateOperationStatusMessage.
func (m *Master) operationUpdate(from ids.UPID, msg *messages.UpdateOperationStatusMessage) {
	m.counters.Messages.OperationStatusUpdate++
	m.counters.InvalidOperationUpdates++
	m.unwanted(msg, from, "the operation is not known")
}

// acknowledgeOperation answers ACKNOWLEDGE_OPERATION_STATUS.
func (m *Master) acknowledgeOperation(f *framework, call *schedulerpb.Call_AcknowledgeOperationStatus) {
	m.counters.Messages.OperationStatusUpdateAck++
	m.counters.InvalidOperationAcks++
	m.log.Warn("dropping ACKNOWLEDGE_OPERATION_STATUS", slog.String("framework_id", string(f.id)),
		slog.String("operation_id", call.GetOperationId().GetValue()), slog.String("reason", "the operation is not known"))
}

// reconcileOperations answers RECONCILE_OPERATIONS: of operations named the
// framework is told what became of their agents.
func (m *Master) reconcileOperations(f *framework, ops []*schedulerpb.Call_ReconcileOperations_Operation) {
	m.counters.Messages.ReconcileOperations++
	for _, op := range ops {
		state, text := m.operationState(op.AgentId)
		m.notifyOperation(f, &mesos.OperationStatus{
			OperationId:        op.OperationId,
			State:              state.Enum(),
			Message:            &text,
			AgentId:            op.AgentId,
			ResourceProviderId: op.ResourceProviderId,
		})
	}
}

func (m *Master) operationState(agent *mesos.AgentID) (mesos.OperationState, string) {
	id := ids.AgentID(agent.GetValue())
	_, unreachable := m.registry.Unreachable(id)
	switch {
	case m.mayBeBack(agent):
		return mesos.OperationState_OPERATION_RECOVERING, "Reconciliation: Agent is recovered but has not re-registered"
	case agent == nil:
		return mesos.OperationState_OPERATION_UNKNOWN,
			"Reconciliation: Operation is unknown and no 'agent_id' was provided"
	case m.agents[id] != nil:
		return mesos.OperationState_OPERATION_UNKNOWN, "Reconciliation: Operation is unknown"
	case unreachable:
		return mesos.OperationState_OPERATION_UNREACHABLE, "Reconciliation: Agent is unreachable"
	case m.registry.IsGone(id):
		return mesos.OperationState_OPERATION_GONE_BY_OPERATOR, "Reconciliation: Agent marked gone by operator"
	}
	return mesos.OperationState_OPERATION_UNKNOWN, "Reconciliation: Both operation and agent are unknown"
}
