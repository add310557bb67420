package agentd

import (
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

// fromMaster are the messages that an agent takes from masters, by the last
// part of their name. Others are dropped, as libprocess drops them.
var fromMaster = map[string]bool{
	"SlaveRegisteredMessage": true, "SlaveReregisteredMessage": true, "PingSlaveMessage": true,
	"RunTaskMessage": true, "RunTaskGroupMessage": true, "KillTaskMessage": true,
	"ShutdownExecutorMessage": true, "ShutdownFrameworkMessage": true, "FrameworkToExecutorMessage": true,
	"UpdateFrameworkMessage": true, "CheckpointResourcesMessage": true, "StatusUpdateAcknowledgementMessage": true,
	"ApplyOperationMessage": true, "ReconcileOperationsMessage": true, "AcknowledgeOperationStatusMessage": true,
	"DrainSlaveMessage": true, "ShutdownMessage": true,
}

// receive takes a message of the libprocess side to the core.
func (s *Server) receive(_ string, from ids.UPID, over libprocess.ConnID, name string, body []byte) {
	if s.fromExecutor(from, name, body) {
		return
	}
	message, err := libprocess.Decode(name, body, fromMaster)
	if err != nil {
		s.log.Warn("dropping a message", attr("message", name), attr("from", from), attrErr(err))
		return
	}
	s.tell(agent.MasterMessage{From: from, Over: uint64(over), Message: message})
}

// send sends one message of the core's. It never blocks.
func (s *Server) send(m agent.Message) {
	switch m := m.(type) {
	case agent.ToProcess:
		if m.Over == 0 || s.link.is(m.Over) {
			s.postAs(s.pid.Process(), m.To, m.Message)
		}
	case agent.Link:
		s.link.set(m.ID, m.To.Address())
		s.links.Drop(m.To.Address())
		s.links.Link(m.To)
	case agent.Drop:
		s.link.set(0, "")
		s.links.Drop(m.To.Address())
	case agent.Authenticate:
		s.authenticatee.begin(m.To)
	case agent.ToExecutor:
		if to := s.streams.get(m.Conn); to != nil {
			to.deliver(m)
		}
	case agent.CloseExecutor:
		if to := s.streams.get(m.Conn); to != nil {
			to.hangUp()
		}
	case agent.Reply:
		s.requests.Answer(m.Request, m.Err)
	}
}
