package wire

import (
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	v0 "github.com/meseta-project/meseta/api/messages/v0"
)

// DriverCall returns the call of a driver as a v1 call, with which it shares
// its parts. force tells of a SUBSCRIBE that it takes over from another
// scheduler of the framework.
func DriverCall(c *v0.Call) (call *schedulerpb.Call, force bool) {
	call = &schedulerpb.Call{
		FrameworkId: c.FrameworkId, Type: c.Type,
		Accept: c.Accept, Decline: c.Decline,
		AcceptInverseOffers: c.AcceptInverseOffers, DeclineInverseOffers: c.DeclineInverseOffers,
		Revive: c.Revive, Suppress: c.Suppress, Request: c.Request,
		Kill: c.Kill, Shutdown: c.Shutdown, Message: c.Message,
		Acknowledge: c.Acknowledge, AcknowledgeOperationStatus: c.AcknowledgeOperationStatus,
		Reconcile: c.Reconcile, ReconcileOperations: c.ReconcileOperations,
		UpdateFramework: c.UpdateFramework,
	}
	if s := c.Subscribe; s != nil {
		call.Subscribe = &schedulerpb.Call_Subscribe{
			FrameworkInfo: s.FrameworkInfo, SuppressedRoles: s.SuppressedRoles, OfferConstraints: s.OfferConstraints,
		}
	}
	return call, c.Subscribe.GetForce()
}
