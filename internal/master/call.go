package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	allocatorpb "github.com/meseta-project/meseta/api/mesos/v1/allocator"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// schedulerCall does what a framework asks for. Most calls are answered the
// same whether they have an effect or not; what comes of them are events.
func (m *Master) schedulerCall(in SchedulerCall) {
	f, err := m.caller(in)
	if err != nil {
		m.countInvalid(in.Call.GetType())
		m.reply(in.Request, err)
		return
	}
	m.countCall(f, in.Call.GetType())
	m.reply(in.Request, m.do(f, in))
}

// caller returns the framework that makes a call, if it may.
func (m *Master) caller(in SchedulerCall) (*framework, *refusal.Error) {
	id := ids.FrameworkID(in.Call.GetFrameworkId().GetValue())
	f := m.frameworks[id]
	if f == nil {
		return nil, refusal.Invalidf("Framework cannot be found")
	}
	if in.Peer.Driver != "" {
		if f.row.Peer.Driver != in.Peer.Driver {
			return nil, refusal.Forbiddenf("Framework is not connected from %s", in.Peer.Driver)
		}
		return f, nil
	}
	switch want := f.row.Info.GetPrincipal(); {
	case in.Principal != "" && in.Principal != want:
		return nil, refusal.Invalidf("Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`",
			in.Principal, want)
	case !f.row.Connected:
		return nil, refusal.Forbiddenf("Framework is not subscribed")
	case f.row.Peer.Driver != "":
		return nil, refusal.Forbiddenf("Framework is not connected via HTTP")
	case in.Peer.StreamID == "":
		return nil, refusal.Invalidf("All non-subscribe calls should include the 'Mesos-Stream-Id' header")
	case in.Peer.StreamID != f.row.Peer.StreamID:
		return nil, refusal.Invalidf("The stream ID '%s' included in this request didn't match the stream ID"+
			" currently associated with framework ID %s", in.Peer.StreamID, id)
	}
	return f, nil
}

func (m *Master) do(f *framework, in SchedulerCall) *refusal.Error {
	call := in.Call
	switch call.GetType() {
	case schedulerpb.Call_TEARDOWN:
		m.counters.Messages.UnregisterFramework++
		m.removeFramework(f)
	case schedulerpb.Call_ACCEPT:
		return m.accept(f, call.Accept)
	case schedulerpb.Call_DECLINE:
		return m.decline(f, call.Decline)
	case schedulerpb.Call_REVIVE:
		m.revive(f, call.Revive)
	case schedulerpb.Call_SUPPRESS:
		m.suppress(f, call.Suppress)
	case schedulerpb.Call_KILL:
		m.kill(f, call.Kill)
	case schedulerpb.Call_SHUTDOWN:
		m.shutdownExecutor(f, call.Shutdown)
	case schedulerpb.Call_ACKNOWLEDGE:
		m.acknowledge(f, call.Acknowledge)
	case schedulerpb.Call_RECONCILE:
		m.reconcile(f, call.Reconcile.GetTasks())
	case schedulerpb.Call_MESSAGE:
		m.frameworkMessage(f, call.Message)
	case schedulerpb.Call_REQUEST:
		m.counters.Messages.ResourceRequest++ // the allocator takes no requests
	case schedulerpb.Call_UPDATE_FRAMEWORK:
		return m.updateFramework(f, in.Principal, call.UpdateFramework, in.Constraints)
	case schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS:
		m.acknowledgeOperation(f, call.AcknowledgeOperationStatus)
	case schedulerpb.Call_RECONCILE_OPERATIONS:
		m.reconcileOperations(f, call.ReconcileOperations.GetOperations())
	case schedulerpb.Call_ACCEPT_INVERSE_OFFERS:
		return m.answerInverse(f, call.AcceptInverseOffers.GetInverseOfferIds(), allocatorpb.InverseOfferStatus_ACCEPT, call.AcceptInverseOffers.GetFilters())
	case schedulerpb.Call_DECLINE_INVERSE_OFFERS:
		return m.answerInverse(f, call.DeclineInverseOffers.GetInverseOfferIds(), allocatorpb.InverseOfferStatus_DECLINE, call.DeclineInverseOffers.GetFilters())
	default:
		return refusal.NotImplementedf("Call %s is not implemented", call.GetType())
	}
	return nil
}

func (m *Master) countCall(f *framework, t schedulerpb.Call_Type) {
	if c := &m.editFramework(f).Counters; int(t) < len(c.Calls) {
		c.Calls[t]++
	}
}

// countInvalid counts calls that were refused, of the few kinds that have a
// counter for that.
func (m *Master) countInvalid(t schedulerpb.Call_Type) {
	switch t {
	case schedulerpb.Call_ACKNOWLEDGE:
		m.counters.InvalidAcks++
	case schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS:
		m.counters.InvalidOperationAcks++
	case schedulerpb.Call_MESSAGE:
		m.counters.InvalidFrameworkToExecutor++
	default:
	}
}

// operatorCall does what an operator asks for. The calls that the master does
// not know yet are refused as such.
func (m *Master) operatorCall(in OperatorCall) {
	on, op, isOperation := operationOfCall(in.Call)
	switch {
	case isOperation:
		m.reply(in.Request, m.operatorOperation(on, op, in.Principal))
	case in.Call.GetType() == masterpb.Call_TEARDOWN:
		m.reply(in.Request, m.teardown(in.Call.Teardown.GetFrameworkId()))
	case in.Call.GetType() == masterpb.Call_UPDATE_QUOTA:
		m.updateQuota(in.Request, in.Call.GetUpdateQuota())
	case in.Call.GetType() == masterpb.Call_SET_QUOTA:
		m.setQuota(in.Request, in.Call.GetSetQuota().GetQuotaRequest())
	case in.Call.GetType() == masterpb.Call_REMOVE_QUOTA:
		m.removeQuota(in.Request, in.Call.GetRemoveQuota().GetRole())
	case in.Call.GetType() == masterpb.Call_UPDATE_WEIGHTS:
		m.updateWeights(in.Request, in.Call.GetUpdateWeights().GetWeightInfos())
	case in.Call.GetType() == masterpb.Call_DRAIN_AGENT:
		m.answerLater(in.Request, m.drainAgent(in.Request, in.Call.GetDrainAgent()))
	case in.Call.GetType() == masterpb.Call_DEACTIVATE_AGENT:
		m.answerLater(in.Request, m.deactivateAgent(in.Request, ids.AgentID(in.Call.GetDeactivateAgent().GetAgentId().GetValue())))
	case in.Call.GetType() == masterpb.Call_REACTIVATE_AGENT:
		m.answerLater(in.Request, m.reactivateAgent(in.Request, ids.AgentID(in.Call.GetReactivateAgent().GetAgentId().GetValue())))
	case in.Call.GetType() == masterpb.Call_MARK_AGENT_GONE:
		m.answerLater(in.Request, m.markGone(in.Request, ids.AgentID(in.Call.GetMarkAgentGone().GetAgentId().GetValue())))
	case in.Call.GetType() == masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE:
		m.updateSchedule(in.Request, in.Call.GetUpdateMaintenanceSchedule().GetSchedule())
	case in.Call.GetType() == masterpb.Call_START_MAINTENANCE:
		m.startMaintenance(in.Request, in.Call.GetStartMaintenance().GetMachines())
	case in.Call.GetType() == masterpb.Call_STOP_MAINTENANCE:
		m.stopMaintenance(in.Request, in.Call.GetStopMaintenance().GetMachines())
	default:
		m.reply(in.Request, refusal.NotImplementedf("Call %s is not implemented", in.Call.GetType()))
	}
}

// teardown ends a framework on an operator's word.
func (m *Master) teardown(id *mesos.FrameworkID) *refusal.Error {
	f := m.frameworks[ids.FrameworkID(id.GetValue())]
	if f == nil {
		return refusal.Invalidf("No framework found with specified ID")
	}
	m.removeFramework(f)
	return nil
}
