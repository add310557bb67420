package scheduler

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
)

// Call makes any call but SUBSCRIBE, and fills in the framework's id. A nil
// error means that the master has taken it: what becomes of it is told by
// events. Without a subscription the call is not sent and the error is
// ErrDisconnected; an answer other than success is a *StatusError. A call takes
// at most 30 s.
func (c *Client) Call(ctx context.Context, call *schedulerpb.Call) error {
	header := c.session(call)
	if header == nil {
		return ErrDisconnected
	}
	return c.api.Do(ctx, call, header, nil)
}

// session fills in the framework's id and returns the header that names the
// subscription, nil if there is none.
func (c *Client) session(call *schedulerpb.Call) http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stream == "" {
		return nil
	}
	call.FrameworkId = c.subscribe.GetFrameworkInfo().GetId()
	return http.Header{streamID: {c.stream}}
}

// RefuseFor returns the filters that ask for d without another offer of the
// same resources: at least a second, the master's allocation interval, and at
// most 365 days. With 0 the same is offered again when that interval is over.
// Mesos's default is five seconds.
func RefuseFor(d time.Duration) *mesos.Filters {
	return &mesos.Filters{RefuseSeconds: new(d.Seconds())}
}

// Launch accepts one offer, or several of the same agent and role, for tasks.
// What is left of the offers is declined for five seconds.
func (c *Client) Launch(ctx context.Context, offers []*mesos.OfferID, tasks ...*mesos.TaskInfo) error {
	return c.Accept(ctx, offers, nil, &mesos.Offer_Operation{
		Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	})
}

// Accept applies operations, in order, to what offers of one agent and role
// hold. Filters, nil for the default, are for what is left.
func (c *Client) Accept(ctx context.Context, offers []*mesos.OfferID, filters *mesos.Filters, operations ...*mesos.Offer_Operation) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type:   schedulerpb.Call_ACCEPT.Enum(),
		Accept: &schedulerpb.Call_Accept{OfferIds: offers, Operations: operations, Filters: filters},
	})
}

// Decline gives offers back. Filters, nil for the default of five seconds, say
// how long not to be offered the same again.
func (c *Client) Decline(ctx context.Context, filters *mesos.Filters, offers ...*mesos.OfferID) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_DECLINE.Enum(), Decline: &schedulerpb.Call_Decline{OfferIds: offers, Filters: filters},
	})
}

// AcceptInverseOffers agrees to give agents up for maintenance.
func (c *Client) AcceptInverseOffers(ctx context.Context, filters *mesos.Filters, offers ...*mesos.OfferID) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_ACCEPT_INVERSE_OFFERS.Enum(),
		AcceptInverseOffers: &schedulerpb.Call_AcceptInverseOffers{
			InverseOfferIds: offers, Filters: filters,
		},
	})
}

// DeclineInverseOffers says that agents cannot be given up for maintenance.
func (c *Client) DeclineInverseOffers(ctx context.Context, filters *mesos.Filters, offers ...*mesos.OfferID) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_DECLINE_INVERSE_OFFERS.Enum(),
		DeclineInverseOffers: &schedulerpb.Call_DeclineInverseOffers{
			InverseOfferIds: offers, Filters: filters,
		},
	})
}

// Revive asks for offers again: it ends suppression and filters, of the roles
// named or of all.
func (c *Client) Revive(ctx context.Context, roles ...string) error {
	c.revive(c.orAll(roles))
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{Roles: roles},
	})
}

// Suppress stops offers, to the roles named or to all, until Revive. It holds
// over new subscriptions.
func (c *Client) Suppress(ctx context.Context, roles ...string) error {
	c.suppress(c.orAll(roles))
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_SUPPRESS.Enum(), Suppress: &schedulerpb.Call_Suppress{Roles: roles},
	})
}

// orAll returns the roles named, or all of the framework's.
func (c *Client) orAll(named []string) []string {
	if len(named) > 0 {
		return named
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return roles(c.subscribe.GetFrameworkInfo())
}

// Kill ends a task. The agent, nil if not known, helps when the master has
// forgotten the task; a policy, nil for the task's own, says how long the task
// may take to end. To kill again with a shorter time is fine.
func (c *Client) Kill(ctx context.Context, task *mesos.TaskID, agent *mesos.AgentID, policy *mesos.KillPolicy) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_KILL.Enum(),
		Kill: &schedulerpb.Call_Kill{TaskId: task, AgentId: agent, KillPolicy: policy},
	})
}

// Shutdown ends a custom executor with all of its tasks.
func (c *Client) Shutdown(ctx context.Context, executor *mesos.ExecutorID, agent *mesos.AgentID) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type:     schedulerpb.Call_SHUTDOWN.Enum(),
		Shutdown: &schedulerpb.Call_Shutdown{ExecutorId: executor, AgentId: agent},
	})
}

// Acknowledge tells the agent that a status update has been dealt with, so that
// the task's next one comes. Updates without a uuid want none, and none is
// sent. Only for frameworks with ManualAcknowledge.
func (c *Client) Acknowledge(ctx context.Context, status *mesos.TaskStatus) error {
	if len(status.GetUuid()) == 0 {
		return nil
	}
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_ACKNOWLEDGE.Enum(),
		Acknowledge: &schedulerpb.Call_Acknowledge{
			AgentId: status.GetAgentId(), TaskId: status.GetTaskId(), Uuid: status.GetUuid(),
		},
	})
}

// AcknowledgeOperation is Acknowledge for the status of an operation.
func (c *Client) AcknowledgeOperation(ctx context.Context, status *mesos.OperationStatus) error {
	if len(status.GetUuid().GetValue()) == 0 {
		return nil
	}
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS.Enum(),
		AcknowledgeOperationStatus: &schedulerpb.Call_AcknowledgeOperationStatus{
			AgentId: status.GetAgentId(), ResourceProviderId: status.GetResourceProviderId(),
			Uuid: status.GetUuid().GetValue(), OperationId: status.GetOperationId(),
		},
	})
}

// Reconcile asks for the state of tasks, or of all that the master knows of if
// none are named. The answers are UPDATE events with REASON_RECONCILIATION.
func (c *Client) Reconcile(ctx context.Context, tasks ...*schedulerpb.Call_Reconcile_Task) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: &schedulerpb.Call_Reconcile{Tasks: tasks},
	})
}

// ReconcileOperations is Reconcile for operations.
func (c *Client) ReconcileOperations(ctx context.Context, operations ...*schedulerpb.Call_ReconcileOperations_Operation) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type:                schedulerpb.Call_RECONCILE_OPERATIONS.Enum(),
		ReconcileOperations: &schedulerpb.Call_ReconcileOperations{Operations: operations},
	})
}

// Message sends data to an executor. It may be lost.
func (c *Client) Message(ctx context.Context, agent *mesos.AgentID, executor *mesos.ExecutorID, data []byte) error {
	return c.Call(ctx, &schedulerpb.Call{
		Type:    schedulerpb.Call_MESSAGE.Enum(),
		Message: &schedulerpb.Call_Message{AgentId: agent, ExecutorId: executor, Data: data},
	})
}

// UpdateFramework changes the framework's description, its suppressed roles and
// its offer constraints, all at once: what is nil is none. The user, the
// checkpointing and the principal cannot change. Later subscriptions have the
// new ones.
func (c *Client) UpdateFramework(ctx context.Context, info *mesos.FrameworkInfo, suppressed []string, constraints *schedulerpb.OfferConstraints) error {
	info = c.adopt(info)
	err := c.Call(ctx, &schedulerpb.Call{
		Type: schedulerpb.Call_UPDATE_FRAMEWORK.Enum(),
		UpdateFramework: &schedulerpb.Call_UpdateFramework{
			FrameworkInfo: info, SuppressedRoles: suppressed, OfferConstraints: constraints,
		},
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribe = &schedulerpb.Call_Subscribe{FrameworkInfo: info, OfferConstraints: constraints}
	c.suppressed = map[string]bool{}
	for _, role := range suppressed {
		c.suppressed[role] = true
	}
	return nil
}

// adopt returns info as that of this framework: what cannot change is filled in
// where info does not say it.
func (c *Client) adopt(info *mesos.FrameworkInfo) *mesos.FrameworkInfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.subscribe.GetFrameworkInfo()
	info = proto.CloneOf(info)
	info.Id = now.GetId()
	info.User = cmp.Or(info.User, now.User)
	info.Principal = cmp.Or(info.Principal, now.Principal)
	info.Checkpoint = cmp.Or(info.Checkpoint, now.Checkpoint)
	return info
}

// Teardown ends the framework: its tasks are killed and it can never subscribe
// again. Its events end.
func (c *Client) Teardown(ctx context.Context) error {
	c.tear(true)
	err := c.Call(ctx, &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()})
	if err != nil {
		c.tear(false)
	}
	return err
}

// tear notes whether the framework has been torn down.
func (c *Client) tear(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.torn = down
}

func (c *Client) isTorn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.torn
}
