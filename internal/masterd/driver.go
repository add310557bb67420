package masterd

import (
	"errors"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	v0 "github.com/meseta-project/meseta/api/messages/v0"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// driverCall is the message that drivers since Mesos 0.23 send for everything.
const driverCall = "mesos.scheduler.Call"

// fromDrivers are the messages of older drivers, by the last part of their name.
var fromDrivers = map[string]bool{
	"RegisterFrameworkMessage": true, "ReregisterFrameworkMessage": true, "UnregisterFrameworkMessage": true,
	"DeactivateFrameworkMessage": true, "ResourceRequestMessage": true, "LaunchTasksMessage": true,
	"ReviveOffersMessage": true, "KillTaskMessage": true, "StatusUpdateAcknowledgementMessage": true,
	"FrameworkToExecutorMessage": true, "ReconcileTasksMessage": true,
}

// fromDriver returns the input that a message of a v0 scheduler driver is, if it
// is one: the calls of both generations become v1 calls here, and the core
// knows of one kind only. A message that cannot be used is dropped, as there is
// nobody to tell; then the input is nil.
func (s *Server) fromDriver(from ids.UPID, name string, body []byte) (input master.Input, ok bool) {
	call, force, err := decodeDriver(name, body)
	if call == nil && err == nil {
		return nil, false
	}
	if err == nil && call.Type != nil {
		err = validate.SchedulerCall(call, "")
	}
	if err != nil {
		s.log.Warn("dropping a driver's message", attr("message", name), attr("from", from), attrErr(err))
		return nil, true
	}
	peer := master.Peer{Driver: from}
	switch {
	case call.Type == nil:
		return master.DriverStopped{Driver: from, Framework: ids.FrameworkID(call.GetFrameworkId().GetValue())}, true
	case call.GetType() == schedulerpb.Call_SUBSCRIBE:
		return s.driverSubscribe(from, call.GetSubscribe(), force), true
	}
	compiled := s.cfg.Master.Compile(call.GetUpdateFramework().GetOfferConstraints())
	return master.SchedulerCall{Peer: peer, Call: call, Constraints: compiled}, true
}

// driverSubscribe returns the input, or nil if the driver may not subscribe as
// it is: then it is told so, and ends its framework. While the driver
// authenticates anew, what it has sent before is dropped: it tries again.
func (s *Server) driverSubscribe(from ids.UPID, call *schedulerpb.Call_Subscribe, force bool) master.Input {
	as, err := s.auth.framework(from, call.GetFrameworkInfo().Principal)
	switch {
	case errors.Is(err, errReauthenticating):
		s.log.Info("dropping a driver's subscription", attr("from", from), attrErr(err))
		return nil
	case err != nil:
		s.log.Warn("refusing a driver's subscription", attr("from", from), attrErr(err))
		why := err.Error()
		s.post(master.ToProcess{From: "master", To: from, Message: &messages.FrameworkErrorMessage{Message: &why}})
		return nil
	}
	compiled := s.cfg.Master.Compile(call.OfferConstraints)
	return master.Subscribe{Peer: master.Peer{Driver: from}, Principal: as, Call: call, Constraints: compiled, Force: force}
}

// decodeDriver returns a driver's message as a call, or nil if it is none. A
// call without a type stands for the one that v1 does not have: no offers any
// more.
func decodeDriver(name string, body []byte) (call *schedulerpb.Call, force bool, err error) {
	if name == driverCall {
		c := &v0.Call{}
		if err := wire.Unmarshal(body, c); err != nil {
			return nil, false, err
		}
		call, force = wire.DriverCall(c)
		if call.Type == nil {
			call.Type = schedulerpb.Call_UNKNOWN.Enum()
		}
		return call, force, nil
	}
	message, err := libprocess.Decode(name, body, fromDrivers)
	if err != nil {
		if libprocess.Taken(name, fromDrivers) {
			return nil, false, err
		}
		return nil, false, nil
	}
	call, force = legacyCall(message)
	return call, force, nil
}

// legacyCall turns a message of an older driver into the call that says the
// same.
func legacyCall(message proto.Message) (call *schedulerpb.Call, force bool) {
	switch m := message.(type) {
	case *messages.RegisterFrameworkMessage:
		return subscribeCall(m.Framework), false
	case *messages.ReregisterFrameworkMessage:
		return subscribeCall(m.Framework), m.GetFailover()
	case *messages.UnregisterFrameworkMessage:
		return &schedulerpb.Call{FrameworkId: m.FrameworkId, Type: schedulerpb.Call_TEARDOWN.Enum()}, false
	case *messages.DeactivateFrameworkMessage:
		return &schedulerpb.Call{FrameworkId: m.FrameworkId}, false
	case *messages.ResourceRequestMessage:
		return &schedulerpb.Call{
			FrameworkId: m.FrameworkId, Type: schedulerpb.Call_REQUEST.Enum(), Request: &schedulerpb.Call_Request{Requests: m.Requests},
		}, false
	case *messages.LaunchTasksMessage:
		return launchCall(m), false
	case *messages.ReviveOffersMessage:
		return &schedulerpb.Call{
			FrameworkId: m.FrameworkId, Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{Roles: m.Roles},
		}, false
	case *messages.KillTaskMessage:
		return &schedulerpb.Call{
			FrameworkId: m.FrameworkId, Type: schedulerpb.Call_KILL.Enum(),
			Kill: &schedulerpb.Call_Kill{TaskId: m.TaskId, KillPolicy: m.KillPolicy},
		}, false
	case *messages.StatusUpdateAcknowledgementMessage:
		return &schedulerpb.Call{
			FrameworkId: m.FrameworkId, Type: schedulerpb.Call_ACKNOWLEDGE.Enum(),
			Acknowledge: &schedulerpb.Call_Acknowledge{AgentId: m.SlaveId, TaskId: m.TaskId, Uuid: m.Uuid},
		}, false
	case *messages.FrameworkToExecutorMessage:
		return &schedulerpb.Call{
			FrameworkId: m.FrameworkId, Type: schedulerpb.Call_MESSAGE.Enum(),
			Message: &schedulerpb.Call_Message{AgentId: m.SlaveId, ExecutorId: m.ExecutorId, Data: m.Data},
		}, false
	case *messages.ReconcileTasksMessage:
		return reconcileCall(m), false
	}
	return nil, false
}

func subscribeCall(info *mesos.FrameworkInfo) *schedulerpb.Call {
	return &schedulerpb.Call{
		Type: schedulerpb.Call_SUBSCRIBE.Enum(), FrameworkId: info.GetId(),
		Subscribe: &schedulerpb.Call_Subscribe{FrameworkInfo: info},
	}
}

// launchCall: without tasks it is how older drivers decline.
func launchCall(m *messages.LaunchTasksMessage) *schedulerpb.Call {
	return &schedulerpb.Call{
		FrameworkId: m.FrameworkId, Type: schedulerpb.Call_ACCEPT.Enum(),
		Accept: &schedulerpb.Call_Accept{
			OfferIds: m.OfferIds, Filters: m.Filters,
			Operations: []*mesos.Offer_Operation{{
				Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: m.Tasks},
			}},
		},
	}
}

func reconcileCall(m *messages.ReconcileTasksMessage) *schedulerpb.Call {
	reconcile := &schedulerpb.Call_Reconcile{}
	for _, s := range m.GetStatuses() {
		reconcile.Tasks = append(reconcile.Tasks, &schedulerpb.Call_Reconcile_Task{TaskId: s.TaskId, AgentId: s.AgentId})
	}
	return &schedulerpb.Call{FrameworkId: m.FrameworkId, Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: reconcile}
}
