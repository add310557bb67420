package agentd

import (
	"sync"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/validate"
)

// fromExecutors are the messages of v0 executor drivers, by the last part of
// their name.
var fromExecutors = map[string]bool{
	"RegisterExecutorMessage": true, "ReregisterExecutorMessage": true,
	"StatusUpdateMessage": true, "ExecutorToFrameworkMessage": true,
}

// fromExecutor takes a message of a v0 executor driver to the core, as the call
// of the v1 API that says the same, and reports whether it was one.
func (s *Server) fromExecutor(from ids.UPID, name string, body []byte) bool {
	if !libprocess.Taken(name, fromExecutors) {
		return false
	}
	message, err := libprocess.Decode(name, body, fromExecutors)
	var call *executorpb.Call
	if err == nil {
		call = executorCall(message)
		err = validate.ExecutorCall(call)
	}
	if err != nil {
		s.log.Warn("dropping a driver's message", attr("message", name), attr("from", from), attrErr(err))
		return true
	}
	if call.GetType() != executorpb.Call_SUBSCRIBE {
		s.tell(agent.ExecutorCall{Call: call})
		return true
	}
	_, again := message.(*messages.ReregisterExecutorMessage)
	sink := &driverSink{s: s, to: from, call: call, again: again}
	conn := s.streams.add(sink)
	sink.conn = conn
	s.links.Link(from)
	s.tell(agent.ExecutorSubscribe{Conn: conn, Driver: from, Again: again, Call: call})
	return true
}

// executorCall returns a driver's message as a call.
func executorCall(message proto.Message) *executorpb.Call {
	switch m := message.(type) {
	case *messages.RegisterExecutorMessage:
		return &executorpb.Call{
			FrameworkId: m.FrameworkId, ExecutorId: m.ExecutorId,
			Type: executorpb.Call_SUBSCRIBE.Enum(), Subscribe: &executorpb.Call_Subscribe{},
		}
	case *messages.ReregisterExecutorMessage:
		subscribe := &executorpb.Call_Subscribe{UnacknowledgedTasks: m.Tasks}
		for _, u := range m.Updates {
			subscribe.UnacknowledgedUpdates = append(subscribe.UnacknowledgedUpdates, &executorpb.Call_Update{Status: driverStatus(u)})
		}
		return &executorpb.Call{
			FrameworkId: m.FrameworkId, ExecutorId: m.ExecutorId, Type: executorpb.Call_SUBSCRIBE.Enum(), Subscribe: subscribe,
		}
	case *messages.StatusUpdateMessage:
		return &executorpb.Call{
			FrameworkId: m.Update.FrameworkId, ExecutorId: m.Update.ExecutorId,
			Type: executorpb.Call_UPDATE.Enum(), Update: &executorpb.Call_Update{Status: driverStatus(m.Update)},
		}
	case *messages.ExecutorToFrameworkMessage:
		return &executorpb.Call{
			FrameworkId: m.FrameworkId, ExecutorId: m.ExecutorId,
			Type: executorpb.Call_MESSAGE.Enum(), Message: &executorpb.Call_Message{Data: m.Data},
		}
	}
	return &executorpb.Call{}
}

// driverStatus returns the status of a driver's update with what drivers put
// beside it.
func driverStatus(u *messages.StatusUpdate) *mesos.TaskStatus {
	status := u.Status.CloneVT()
	status.Source = mesos.TaskStatus_SOURCE_EXECUTOR.Enum()
	status.ExecutorId = u.ExecutorId
	if u.Uuid != nil {
		status.Uuid = u.Uuid
	}
	if status.Timestamp == nil {
		status.Timestamp = u.Timestamp
	}
	return status
}

// driverSink tells a v0 executor driver what executors on HTTP are told by
// events.
type driverSink struct {
	s     *Server
	to    ids.UPID
	conn  agent.ConnID
	call  *executorpb.Call // by which it subscribed
	again bool             // it had registered before

	mu        sync.Mutex
	framework *mesos.FrameworkInfo // as of SUBSCRIBED
	agent     *mesos.AgentID
}

// deliver implements sink.
func (d *driverSink) deliver(m agent.ToExecutor) {
	d.mu.Lock()
	message := d.message(m)
	d.mu.Unlock()
	if message != nil {
		d.s.send(agent.ToProcess{To: d.to, Message: message})
	}
}

// hangUp implements sink: nothing is closed, for the driver's own messages come
// over other connections, and it may have registered anew.
func (d *driverSink) hangUp() { d.s.streams.remove(d.conn) }

// message returns an event as the driver is told it, or nil if it is not.
func (d *driverSink) message(m agent.ToExecutor) proto.Message {
	switch e := m.Event; e.GetType() {
	case executorpb.Event_SUBSCRIBED:
		return d.subscribed(e.GetSubscribed())
	case executorpb.Event_LAUNCH:
		scheduler := m.Scheduler
		return &messages.RunTaskMessage{Framework: d.framework, Task: e.GetLaunch().GetTask(), Pid: &scheduler}
	case executorpb.Event_KILL:
		return &messages.KillTaskMessage{
			FrameworkId: d.call.FrameworkId, TaskId: e.GetKill().GetTaskId(), KillPolicy: e.GetKill().GetKillPolicy(),
		}
	case executorpb.Event_ACKNOWLEDGED:
		return &messages.StatusUpdateAcknowledgementMessage{
			SlaveId: d.agent, FrameworkId: d.call.FrameworkId,
			TaskId: e.GetAcknowledged().GetTaskId(), Uuid: e.GetAcknowledged().GetUuid(),
		}
	case executorpb.Event_MESSAGE:
		return &messages.FrameworkToExecutorMessage{
			SlaveId: d.agent, FrameworkId: d.call.FrameworkId, ExecutorId: d.call.ExecutorId, Data: e.GetMessage().GetData(),
		}
	case executorpb.Event_SHUTDOWN:
		return &messages.ShutdownExecutorMessage{}
	default: // heartbeats and pods are for executors on HTTP
		return nil
	}
}

func (d *driverSink) subscribed(e *executorpb.Event_Subscribed) proto.Message {
	d.framework, d.agent = e.GetFrameworkInfo(), e.GetAgentInfo().GetId()
	if d.again {
		return &messages.ExecutorReregisteredMessage{SlaveId: d.agent, SlaveInfo: e.GetAgentInfo()}
	}
	return &messages.ExecutorRegisteredMessage{
		ExecutorInfo: e.GetExecutorInfo(), FrameworkId: d.call.FrameworkId, FrameworkInfo: e.GetFrameworkInfo(),
		SlaveId: d.agent, SlaveInfo: e.GetAgentInfo(),
	}
}
