package master

import (
	"log/slog"
	"math"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/validate"
)

// reregisterAgent answers ReregisterSlaveMessage of an agent that has an ID:
// it restarted, or we did, or we lost sight of each other. What is new about
// it goes to the registry first.
func (m *Master) reregisterAgent(from ids.UPID, over uint64, msg *messages.ReregisterSlaveMessage) {
	m.counters.Messages.ReregisterAgent++
	id := ids.AgentID(msg.GetSlave().GetId().GetValue())
	if m.leaving[id] { // it tries again
		m.unwanted(msg, from, "its registration is changing")
		return
	}
	if m.registry.IsGone(id) {
		m.shutdown(from, "Agent has been marked gone")
		return
	}
	if err := validate.ReregisterAgent(msg); err != nil {
		m.unwanted(msg, from, err.Error())
		return
	}
	if why := m.mayJoin(msg.Slave, from, msg.GetVersion()); why != "" {
		m.unwanted(msg, from, why)
		return
	}
	a := m.agents[id]
	if a != nil && (a.row.PID.AddrPort().Addr() != from.AddrPort().Addr() ||
		a.row.Info.GetHostname() != msg.Slave.GetHostname()) {
		m.shutdown(from, "Agent attempted to reregister with different IP / hostname")
		return
	}
	if _, err := totalOf(msg.Slave, msg.CheckpointedResources, msg.AgentCapabilities); err != nil {
		m.shutdown(from, err.Error())
		return
	}
	back := readmitted{from, over, msg, m.whereabouts(id), &comeback{}}
	changes, err := m.recordReturn(id, msg.Slave)
	if err != nil {
		m.unwanted(msg, from, err.Error())
		return
	}
	switch {
	case len(changes) > 0:
		m.returning[id] = nil
		m.persist(changes, back)
	case m.isNew(back) && len(msg.Tasks)+len(msg.ExecutorInfos) > m.few(): // a part at a time
		m.returning[id] = nil
		m.waiting = append(m.waiting, waiting{m.durable, back})
	default:
		m.agentReadmitted(back)
	}
}

// isNew reports whether an agent that is back was not on the books.
func (m *Master) isNew(back readmitted) bool {
	id := ids.AgentID(back.msg.GetSlave().GetId().GetValue())
	return back.came.agent != nil || m.agents[id] == nil && !m.registry.IsGone(id)
}

// whereabouts says where an agent was taken to be when it came back.
type whereabouts uint8

const (
	admittedBefore whereabouts = iota // by this leader or an earlier one
	wasUnreachable
	wasUnknown
)

func (m *Master) whereabouts(id ids.AgentID) whereabouts {
	if m.registry.Agent(id) != nil {
		return admittedBefore
	}
	if _, ok := m.registry.Unreachable(id); ok {
		return wasUnreachable
	}
	return wasUnknown
}

// welcomeBack is what frameworks are told about the tasks of an agent that was
// not to be expected.
func (w whereabouts) welcomeBack() string {
	if w == wasUnreachable {
		return "Unreachable agent re-reregistered"
	}
	return "Unknown agent reregistered"
}

// recordReturn puts into the registry what is new about an agent that is back.
func (m *Master) recordReturn(id ids.AgentID, info *mesos.AgentInfo) ([]registry.Change, error) {
	recorded := m.registry.Agent(id)
	switch {
	case recorded == nil:
		return m.registry.MarkReachable(info)
	case proto.Equal(recorded.Info, info):
		return nil, nil
	}
	return m.registry.Update(info)
}

// agentReadmitted takes back an agent that the registry has.
func (m *Master) agentReadmitted(back readmitted) {
	from, msg := back.from, back.msg
	id := ids.AgentID(msg.GetSlave().GetId().GetValue())
	held := m.returning[id]
	delete(m.returning, id)
	switch {
	case m.isNew(back):
		m.agentBack(back)
	case m.registry.IsGone(id):
		m.shutdown(from, "Agent has been marked gone")
	default:
		m.knownAgentBack(m.agents[id], from, msg)
	}
	if a := m.agents[id]; a != nil {
		a.over = back.over
	}
	m.counters.AgentReregistrations++
	for _, in := range held {
		m.agentMessage(in)
	}
}

// knownAgentBack reconciles an agent on the books with what it says of itself.
func (m *Master) knownAgentBack(a *agent, from ids.UPID, msg *messages.ReregisterSlaveMessage) {
	total := mustTotal(totalOf(msg.Slave, msg.CheckpointedResources, msg.AgentCapabilities))
	m.breakOff(a)
	if !total.Equal(a.row.Total) {
		m.rescindAll(a) // they may be of what is no more
	}
	m.move(a, from)
	a.caps, a.concluded = agentCapsOf(msg.AgentCapabilities), nil
	a.version = msg.GetResourceVersionUuid().GetValue()
	row := m.editAgent(a)
	row.Info, row.Version = upgradedInfo(msg.Slave), msg.GetVersion()
	m.setTotal(a, total)
	row.Capabilities = capabilityTypes(msg.AgentCapabilities)
	row.Reregistered = m.now
	m.alloc.UpdateAgent(m.allocatorAgent(a))
	m.reconcileAgent(a, msg)
	if a.state == disconnected {
		m.reconnectAgent(a)
	}
	m.askToDrain(a)
	m.updateFrameworksAt(a, msg.Frameworks)
	m.log.Info("agent re-registered", slog.String("agent_id", string(a.id)), slog.String("pid", string(from)))
}

// move notes that an agent has another address, and watches that.
func (m *Master) move(a *agent, to ids.UPID) {
	if old := a.row.PID; old != to {
		if m.agentAt[old] == a {
			delete(m.agentAt, old)
			m.unlink(old)
		}
		m.displace(to)
		m.editAgent(a).PID = to
		m.agentAt[to] = a
	} else if m.agentAt[to] != a { // another one was there meanwhile
		m.displace(to)
		m.agentAt[to] = a
	}
	m.link(to)
}

// reconcileAgent sends SlaveReregistered with the tasks that the agent does
// not know of, which it will report as lost; forgets the executors that it
// does not run; and repeats the kills that it may have missed.
func (m *Master) reconcileAgent(a *agent, msg *messages.ReregisterSlaveMessage) {
	for _, t := range msg.Tasks {
		if known := a.tasks[keyOfTask(t)]; known != nil {
			known.listed = true
		}
	}
	m.send(a, &messages.SlaveReregisteredMessage{
		SlaveId:         agentID(a.id),
		Connection:      m.welcome(),
		Reconciliations: m.reconciliations(a),
	})
	has := map[executorKey]bool{}
	for _, e := range msg.ExecutorInfos {
		has[keyOfExecutor(a.id, e)] = true
	}
	for _, e := range inOrder(a.executors) {
		if !has[e.key()] {
			m.removeExecutor(e)
		}
	}
	for _, t := range msg.Tasks {
		if known := a.tasks[keyOfTask(t)]; !isTerminal(t.GetState()) && known != nil && known.killed {
			m.send(a, &messages.KillTaskMessage{FrameworkId: t.FrameworkId, TaskId: t.TaskId})
		}
	}
	m.shutdownCompleted(a, msg.Frameworks)
}

// reconciliations lists by framework the tasks of an agent that it has not listed.
// One that is over is not asked about: the agent would make up another end.
func (m *Master) reconciliations(a *agent) []*messages.ReconcileTasksMessage {
	var all []*messages.ReconcileTasksMessage
	byFramework := map[ids.FrameworkID]*messages.ReconcileTasksMessage{}
	var next *task
	for t := a.tasksByAge.oldest; t != nil; t = next {
		next = t.here.younger
		if t.listed {
			t.listed = false
			continue
		}
		if isTerminal(t.row.State) {
			m.concludeTask(t)
			continue
		}
		f := t.framework
		if f.state == completed { // the agent is told to end it
			continue
		}
		r := byFramework[f.id]
		if r == nil {
			r = &messages.ReconcileTasksMessage{FrameworkId: frameworkID(f.id), Framework: f.row.Info}
			byFramework[f.id] = r
			all = append(all, r)
		}
		r.Statuses = append(r.Statuses, m.question(t))
	}
	return all
}

// question asks an agent about a task.
func (m *Master) question(t *task) *mesos.TaskStatus {
	d := t.row.Desc
	return m.masterStatus(d.TaskId, d.AgentId, t.reportedState(), mesos.TaskStatus_REASON_RECONCILIATION, "Reconciliation request")
}

// concludeTask takes a task off the books that is over, though its framework has
// not acknowledged that, and never will: the agent has forgotten it.
func (m *Master) concludeTask(t *task) {
	if !isTerminal(t.reportedState()) {
		m.notify(t.framework, updateEvent(m.latestOf(t, t.row.State, mesos.TaskStatus_REASON_RECONCILIATION,
			"Reconciliation: Latest task state")))
	}
	m.removeTask(t, Completed)
}

// agentBack puts an agent on the books that was not, as far as it is not there yet: an
// earlier leader had it, or it was unreachable, or removed, or even forgotten.
func (m *Master) agentBack(back readmitted) {
	budget := math.MaxInt
	m.bringSome(back, &budget)
	a, frameworks := back.came.agent, back.msg.Frameworks
	if m.coming == a {
		m.coming = nil
	}
	m.offerAgent(a)
	m.send(a, &messages.SlaveReregisteredMessage{SlaveId: agentID(a.id), Connection: m.welcome()})
	m.askToDrain(a)
	for t := a.tasksByAge.oldest; t != nil; t = t.here.younger {
		if t.killed { // since it was put on the books
			m.send(a, &messages.KillTaskMessage{FrameworkId: frameworkID(t.framework.id), TaskId: t.row.Desc.TaskId})
		}
	}
	m.shutdownCompleted(a, frameworks)
	m.updateFrameworksAt(a, frameworks)
	m.log.Info("agent back", slog.String("agent_id", string(a.id)), slog.String("pid", string(back.from)), slog.Int("tasks", len(a.tasks)))
}

// shutdownCompleted has an agent end what it runs of frameworks that are over.
func (m *Master) shutdownCompleted(a *agent, infos []*mesos.FrameworkInfo) {
	for _, info := range infos {
		if m.isCompleted(ids.FrameworkID(info.GetId().GetValue())) {
			m.send(a, &messages.ShutdownFrameworkMessage{FrameworkId: info.Id})
		}
	}
}

// updateFrameworksAt tells an agent where the frameworks that it runs tasks of
// are now.
func (m *Master) updateFrameworksAt(a *agent, infos []*mesos.FrameworkInfo) {
	for _, info := range infos {
		f := m.frameworks[ids.FrameworkID(info.GetId().GetValue())]
		if f == nil {
			continue
		}
		f.settleOn(a)
		if !f.row.Recovered {
			m.send(a, updateFrameworkMessage(f))
		}
	}
}
