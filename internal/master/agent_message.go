package master

import (
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// agentMessage hands a message from an agent to whom it concerns. Those that
// only a registered agent may send are dropped if it is not, so that it sends
// them again after it has registered.
func (m *Master) agentMessage(in AgentMessage) {
	if m.hold(in) {
		return
	}
	if a := m.going; a != nil && senderOf(in) == a.id {
		m.unwanted(in.Message, in.From, "the agent is out of the registry")
		return
	}
	if a := m.agents[senderOf(in)]; a != nil && a.isLate(in) {
		m.unwanted(in.Message, in.From, "the agent has registered over a later connection")
		m.askToRegister(a)
		return
	}
	switch msg := in.Message.(type) {
	case *messages.RegisterSlaveMessage:
		m.registerAgent(in.From, in.Over, msg)
	case *messages.ReregisterSlaveMessage:
		m.reregisterAgent(in.From, in.Over, msg)
	case *messages.PongSlaveMessage:
		m.pong(in.To)
	case *messages.UnregisterSlaveMessage:
		m.unregisterAgent(in.From, msg)
	case *messages.UpdateSlaveMessage:
		m.updateAgent(in.From, msg)
	case *messages.StatusUpdateMessage:
		m.statusUpdate(in.From, msg)
	case *messages.ExitedExecutorMessage:
		m.exitedExecutor(in.From, msg)
	case *messages.ExecutorToFrameworkMessage:
		m.executorMessage(in.From, msg)
	case *messages.UpdateOperationStatusMessage:
		m.operationUpdate(in.From, msg)
	default:
		m.unwanted(in.Message, in.From, "masters do not take such messages")
	}
}

// isLate reports whether a message is older than the agent's registration, as it
// came over an earlier connection: the agent had given that up, or was another
// process. What it says may be no more, and what matters of it the registration said
// or will be sent again.
func (a *agent) isLate(in AgentMessage) bool {
	if _, registers := in.Message.(*messages.ReregisterSlaveMessage); registers {
		return false
	}
	return in.Over != 0 && in.Over < a.over
}

// maxHeld is how many messages of an agent are kept while the registry has it;
// what matters beyond that the agent sends again.
const maxHeld = 1000

// hold keeps a message of an agent that re-registers until it is back: it is
// about what the agent was like after it had asked.
func (m *Master) hold(in AgentMessage) bool {
	id := senderOf(in)
	held, ok := m.returning[id]
	if !ok {
		return false
	}
	_, again := in.Message.(*messages.ReregisterSlaveMessage)
	if n := len(held); again && n > 0 {
		if _, before := held[n-1].Message.(*messages.ReregisterSlaveMessage); before {
			held = held[:n-1]
		}
	}
	if len(held) < maxHeld {
		m.returning[id] = append(held, in)
	}
	return true
}

func (m *Master) isReturning(id ids.AgentID) bool {
	_, ok := m.returning[id]
	return ok
}

// senderOf returns which agent a message is from, or "" if it does not say.
func senderOf(in AgentMessage) ids.AgentID {
	var id *mesos.AgentID
	switch msg := in.Message.(type) {
	case *messages.ReregisterSlaveMessage:
		id = msg.GetSlave().GetId()
	case *messages.UnregisterSlaveMessage:
		id = msg.SlaveId
	case *messages.UpdateSlaveMessage:
		id = msg.SlaveId
	case *messages.StatusUpdateMessage:
		id = msg.GetUpdate().GetSlaveId()
	case *messages.ExitedExecutorMessage:
		id = msg.SlaveId
	case *messages.ExecutorToFrameworkMessage:
		id = msg.SlaveId
	case *messages.UpdateOperationStatusMessage:
		id = msg.SlaveId
	}
	return ids.AgentID(id.GetValue())
}

// pong notes that an agent answered a ping. A transition to unreachable that
// waits for the rate limit is off.
func (m *Master) pong(to string) {
	number, ok := strings.CutPrefix(to, "slave-observer(")
	n, err := strconv.ParseUint(strings.TrimSuffix(number, ")"), 10, 64)
	a := m.observers[n]
	if !ok || err != nil || a == nil { // of an agent that has been removed
		return
	}
	a.pinged, a.missed = false, 0
	if a.row.Connected {
		m.cancelRemoval(a)
	}
}

// observe starts to ping an agent, from a process of its own.
func (m *Master) observe(a *agent) {
	m.observerCount++
	a.observer = m.observerCount
	m.observers[a.observer] = a
	m.pingNow(a)
}

func (m *Master) pingNow(a *agent) {
	a.pinged = true
	a.ping = m.after(m.cfg.AgentPingTimeout, deadline{kind: pingAgent, agent: a.id})
	m.sendPing(a, a.row.Connected)
}

func (m *Master) sendPing(a *agent, connected bool) {
	m.emit(ToProcess{
		From:    "slave-observer(" + strconv.FormatUint(a.observer, 10) + ")",
		To:      a.row.PID,
		Message: &messages.PingSlaveMessage{Connected: &connected},
	})
}

// pingTimeout counts a ping that was not answered, and pings again.
func (m *Master) pingTimeout(a *agent) {
	if a.pinged {
		a.missed++
		if a.missed >= m.cfg.MaxAgentPingTimeouts {
			m.scheduleRemoval(a, "health check timed out")
		}
	}
	m.pingNow(a)
}

// agentAwayTooLong gives up a disconnected agent.
func (m *Master) agentAwayTooLong(a *agent) {
	m.scheduleRemoval(a, "agent did not reregister within "+
		durationText(m.cfg.AgentReregisterTimeout)+" after disconnecting")
}

// registered returns the agent with an ID that sent a message, or nil: then
// the message is dropped.
func (m *Master) registered(id ids.AgentID) *agent {
	if m.removed.has(id) {
		return nil
	}
	return m.agents[id]
}
