package masterd

import (
	"net/netip"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/master"
)

// fromAgent are the messages that a master takes from agents, by the last part
// of their name. Others are dropped, as libprocess drops them.
var fromAgent = map[string]bool{
	"RegisterSlaveMessage": true, "ReregisterSlaveMessage": true, "UnregisterSlaveMessage": true,
	"PongSlaveMessage": true, "UpdateSlaveMessage": true, "StatusUpdateMessage": true,
	"ExitedExecutorMessage": true, "ExecutorToFrameworkMessage": true, "UpdateOperationStatusMessage": true,
}

// receive takes a message of the libprocess side to the core. A standby drops
// it, as Mesos does: who sent it will find the leader.
func (s *Server) receive(to string, from ids.UPID, over libprocess.ConnID, name string, body []byte) {
	if !s.isReady() {
		return
	}
	if name == authenticate {
		s.auth.begin(from, body)
		return
	}
	if input, ok := s.fromDriver(from, name, body); ok {
		if input != nil {
			s.tell(input)
		}
		return
	}
	message, err := libprocess.Decode(name, body, fromAgent)
	if err != nil {
		s.log.Warn("dropping a message", attr("message", name), attr("from", from), attrErr(err))
		return
	}
	switch message.(type) {
	case *messages.RegisterSlaveMessage, *messages.ReregisterSlaveMessage:
		if err := s.auth.agent(from); err != nil {
			s.log.Warn("an agent may not register", attr("from", from), attrErr(err))
			return
		}
	}
	s.tell(master.AgentMessage{From: from, To: to, Over: uint64(over), Message: message})
}

// processAt returns the PID of one of the master's processes.
func processAt(process, address string) ids.UPID {
	at, _ := netip.ParseAddrPort(address) // ours: it has been parsed before
	return ids.UPIDFor(process, at)
}
