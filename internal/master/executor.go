package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/resources"
)

// An executor is one that a framework brought. It is on the books from the
// launch of its first task until the agent says that it has exited. The agents'
// own executors of command tasks are not.
type executor struct {
	cell[ExecutorRow]
	framework *framework
	agent     *agent
}

// An executorKey names an executor within the cluster.
type executorKey struct {
	framework ids.FrameworkID
	agent     ids.AgentID
	executor  ids.ExecutorID
}

func keyOfExecutor(a ids.AgentID, info *mesos.ExecutorInfo) executorKey {
	return executorKey{
		framework: ids.FrameworkID(info.GetFrameworkId().GetValue()),
		agent:     a,
		executor:  ids.ExecutorID(info.GetExecutorId().GetValue()),
	}
}

func (e *executor) key() executorKey {
	return executorKey{e.framework.id, e.agent.id, ids.ExecutorID(e.row.Info.GetExecutorId().GetValue())}
}

func (e *executor) order() uint64 { return e.row.Serial }

// executorOf returns a framework's executor on an agent, or nil.
func (a *agent) executorOf(f *framework, id *mesos.ExecutorID) *executor {
	return a.executors[executorKey{f.id, a.id, ids.ExecutorID(id.GetValue())}]
}

// addExecutor puts an executor on the books, whose resources are allocated.
func (m *Master) addExecutor(f *framework, a *agent, info *mesos.ExecutorInfo) resources.Resources {
	e := &executor{framework: f, agent: a}
	row := &ExecutorRow{
		Serial:    m.nextSerial(),
		Framework: f.id,
		Agent:     a.id,
		Info:      secret.WithoutInExecutor(info),
		Resources: resources.Trusted(info.Resources),
	}
	e.cell = m.executorRows.add(row.Serial, row)
	f.settleOn(a)
	f.executors[e.key()] = e
	a.executors[e.key()] = e
	m.use(f, a, row.Resources)
	return row.Resources
}

func (m *Master) removeExecutor(e *executor) {
	delete(e.framework.executors, e.key())
	delete(e.agent.executors, e.key())
	m.executorRows.remove(e.row.Serial)
	m.release(e.framework, e.agent, e.row.Resources)
}

// exitedExecutor answers ExitedExecutorMessage: the framework gets a FAILURE.
func (m *Master) exitedExecutor(from ids.UPID, msg *messages.ExitedExecutorMessage) {
	m.counters.Messages.ExitedExecutor++
	a := m.registered(ids.AgentID(msg.GetSlaveId().GetValue()))
	if a == nil {
		m.unwanted(msg, from, "the agent is not registered")
		return
	}
	f := m.frameworks[ids.FrameworkID(msg.GetFrameworkId().GetValue())]
	if f == nil {
		m.unwanted(msg, from, "the framework is not known")
		return
	}
	e := a.executorOf(f, msg.ExecutorId)
	if e == nil {
		m.unwanted(msg, from, "the executor is not known")
		return
	}
	m.removeExecutor(e)
	m.notify(f, &schedulerpb.Event{
		Type: schedulerpb.Event_FAILURE.Enum(),
		Failure: &schedulerpb.Event_Failure{
			AgentId:    agentID(a.id),
			ExecutorId: msg.ExecutorId,
			Status:     new(msg.GetStatus()),
		},
	})
}

// executorMessage hands an executor's message to its framework; as all such
// messages, it may be lost.
func (m *Master) executorMessage(from ids.UPID, msg *messages.ExecutorToFrameworkMessage) {
	m.counters.Messages.ExecutorToFramework++
	a := m.registered(ids.AgentID(msg.GetSlaveId().GetValue()))
	f := m.frameworks[ids.FrameworkID(msg.GetFrameworkId().GetValue())]
	if a == nil || f == nil || !f.row.Connected {
		m.counters.InvalidExecutorToFramework++
		m.unwanted(msg, from, "the agent or the framework is not connected")
		return
	}
	m.counters.ValidExecutorToFramework++
	m.notify(f, &schedulerpb.Event{
		Type: schedulerpb.Event_MESSAGE.Enum(),
		Message: &schedulerpb.Event_Message{
			AgentId:    agentID(a.id),
			ExecutorId: msg.ExecutorId,
			Data:       msg.Data,
		},
	})
}
