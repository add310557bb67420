package masterd

import (
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
)

// driverMessage returns an event as drivers are told it, or nil if they are not.
func driverMessage(m master.ToFramework) proto.Message {
	framework := frameworkID(m.Framework)
	switch e := m.Event; e.GetType() {
	case schedulerpb.Event_SUBSCRIBED:
		if m.Again {
			return &messages.FrameworkReregisteredMessage{FrameworkId: framework, MasterInfo: e.GetSubscribed().GetMasterInfo()}
		}
		return &messages.FrameworkRegisteredMessage{FrameworkId: framework, MasterInfo: e.GetSubscribed().GetMasterInfo()}
	case schedulerpb.Event_OFFERS:
		return &messages.ResourceOffersMessage{Offers: e.GetOffers().GetOffers(), Pids: texts(m.AgentPIDs)}
	case schedulerpb.Event_INVERSE_OFFERS:
		return &messages.InverseOffersMessage{InverseOffers: e.GetInverseOffers().GetInverseOffers(), Pids: texts(m.AgentPIDs)}
	case schedulerpb.Event_RESCIND:
		return &messages.RescindResourceOfferMessage{OfferId: e.GetRescind().GetOfferId()}
	case schedulerpb.Event_RESCIND_INVERSE_OFFER:
		return &messages.RescindInverseOfferMessage{InverseOfferId: e.GetRescindInverseOffer().GetInverseOfferId()}
	case schedulerpb.Event_UPDATE:
		return driverUpdate(framework, e.GetUpdate().GetStatus(), m)
	case schedulerpb.Event_MESSAGE:
		msg := e.GetMessage()
		return &messages.ExecutorToFrameworkMessage{
			SlaveId: msg.AgentId, FrameworkId: framework, ExecutorId: msg.ExecutorId, Data: msg.Data,
		}
	case schedulerpb.Event_FAILURE:
		return driverFailure(framework, e.GetFailure())
	case schedulerpb.Event_ERROR:
		return &messages.FrameworkErrorMessage{Message: e.GetError().Message}
	default: // drivers have heartbeats and operations in no form
		return nil
	}
}

// driverUpdate is a status update: with the address of the agent that waits for
// the acknowledgement, if one does.
func driverUpdate(framework *mesos.FrameworkID, status *mesos.TaskStatus, m master.ToFramework) proto.Message {
	timestamp := status.GetTimestamp()
	out := &messages.StatusUpdateMessage{Update: &messages.StatusUpdate{
		FrameworkId: framework, ExecutorId: status.ExecutorId, SlaveId: status.AgentId, Status: status,
		Timestamp: &timestamp, Uuid: status.Uuid, LatestState: m.Latest,
	}}
	if len(m.AgentPIDs) > 0 {
		out.Pid = (*string)(&m.AgentPIDs[0])
	}
	return out
}

func driverFailure(framework *mesos.FrameworkID, f *schedulerpb.Event_Failure) proto.Message {
	if f.ExecutorId == nil {
		return &messages.LostSlaveMessage{SlaveId: f.AgentId}
	}
	status := f.GetStatus()
	return &messages.ExitedExecutorMessage{SlaveId: f.AgentId, FrameworkId: framework, ExecutorId: f.ExecutorId, Status: &status}
}

func texts(pids []ids.UPID) []string {
	out := make([]string, len(pids))
	for i, pid := range pids {
		out[i] = string(pid)
	}
	return out
}
