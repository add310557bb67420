package validate

import (
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/refusal"
)

// SchedulerCall refuses a scheduler's call that lacks its type, the framework
// or what belongs to its type, or whose parts contradict one another or the
// authenticated principal, "" if nobody is authenticated.
func SchedulerCall(c *schedulerpb.Call, principal string) error {
	if c.Type == nil {
		return expecting("type")
	}
	if c.GetType() == schedulerpb.Call_SUBSCRIBE {
		return subscribe(c, principal)
	}
	if c.FrameworkId == nil {
		return expecting("framework_id")
	}
	switch c.GetType() {
	case schedulerpb.Call_ACCEPT:
		return present(c.Accept != nil, "accept")
	case schedulerpb.Call_DECLINE:
		return present(c.Decline != nil, "decline")
	case schedulerpb.Call_ACCEPT_INVERSE_OFFERS:
		return present(c.AcceptInverseOffers != nil, "accept_inverse_offers")
	case schedulerpb.Call_DECLINE_INVERSE_OFFERS:
		return present(c.DeclineInverseOffers != nil, "decline_inverse_offers")
	case schedulerpb.Call_KILL:
		return present(c.Kill != nil, "kill")
	case schedulerpb.Call_SHUTDOWN:
		return present(c.Shutdown != nil, "shutdown")
	case schedulerpb.Call_ACKNOWLEDGE:
		return acknowledge(c)
	case schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS:
		return acknowledgeOperation(c)
	case schedulerpb.Call_RECONCILE:
		return present(c.Reconcile != nil, "reconcile")
	case schedulerpb.Call_RECONCILE_OPERATIONS:
		return present(c.ReconcileOperations != nil, "reconcile_operations")
	case schedulerpb.Call_MESSAGE:
		return present(c.Message != nil, "message")
	case schedulerpb.Call_REQUEST:
		return present(c.Request != nil, "request")
	case schedulerpb.Call_UPDATE_FRAMEWORK:
		return updateFramework(c)
	default:
		return nil
	}
}

func subscribe(c *schedulerpb.Call, principal string) error {
	if c.Subscribe == nil {
		return expecting("subscribe")
	}
	info := c.Subscribe.GetFrameworkInfo()
	if info == nil {
		return expecting("subscribe.framework_info")
	}
	if info.GetId().GetValue() != c.GetFrameworkId().GetValue() {
		return refusal.Invalidf("'framework_id' differs from 'subscribe.framework_info.id'")
	}
	if principal != "" && info.Principal != nil && info.GetPrincipal() != principal {
		return refusal.Invalidf("Authenticated principal '%s' does not match principal '%s' set in `FrameworkInfo`",
			principal, info.GetPrincipal())
	}
	return nil
}

func acknowledge(c *schedulerpb.Call) error {
	if c.Acknowledge == nil {
		return expecting("acknowledge")
	}
	return UUID(c.Acknowledge.GetUuid())
}

func acknowledgeOperation(c *schedulerpb.Call) error {
	a := c.AcknowledgeOperationStatus
	if a == nil {
		return expecting("acknowledge_operation_status")
	}
	if err := UUID(a.GetUuid()); err != nil {
		return err
	}
	return present(a.AgentId != nil, "agent_id")
}

func updateFramework(c *schedulerpb.Call) error {
	if c.UpdateFramework == nil {
		return expecting("update_framework")
	}
	if c.GetFrameworkId().GetValue() != c.UpdateFramework.GetFrameworkInfo().GetId().GetValue() {
		return refusal.Invalidf("'framework_id' differs from 'update_framework.framework_info.id'")
	}
	return nil
}
