package master

import (
	"log/slog"

	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// kill answers KILL. A kill that an agent may have missed is repeated when it
// is back.
func (m *Master) kill(f *framework, call *schedulerpb.Call_Kill) {
	m.counters.Messages.KillTask++
	t := f.tasks[ids.TaskID(call.GetTaskId().GetValue())]
	if t == nil {
		m.reconcile(f, []*schedulerpb.Call_Reconcile_Task{{TaskId: call.TaskId, AgentId: call.AgentId}})
		return
	}
	if call.AgentId != nil && ids.AgentID(call.AgentId.GetValue()) != t.agent.id {
		m.log.Warn("dropping KILL", slog.String("framework_id", string(f.id)), slog.String("task_id", string(t.row.ID)),
			slog.String("reason", "the task is on another agent"))
		return
	}
	t.killed = true
	m.reckonEnding(t)
	if t.agent.row.Connected && m.coming != t.agent {
		m.send(t.agent, &messages.KillTaskMessage{
			FrameworkId: frameworkID(f.id),
			TaskId:      call.TaskId,
			KillPolicy:  call.KillPolicy,
		})
	}
}

// shutdownExecutor answers SHUTDOWN.
func (m *Master) shutdownExecutor(f *framework, call *schedulerpb.Call_Shutdown) {
	a := m.agents[ids.AgentID(call.GetAgentId().GetValue())]
	if a == nil || !a.row.Connected {
		m.log.Warn("dropping SHUTDOWN", slog.String("framework_id", string(f.id)), slog.String("reason", "the agent is not connected"))
		return
	}
	m.send(a, &messages.ShutdownExecutorMessage{
		ExecutorId:  call.ExecutorId,
		FrameworkId: frameworkID(f.id),
	})
}

// frameworkMessage answers MESSAGE: it goes to the executor, or is lost.
func (m *Master) frameworkMessage(f *framework, call *schedulerpb.Call_Message) {
	m.counters.Messages.FrameworkToExecutor++
	a := m.agents[ids.AgentID(call.GetAgentId().GetValue())]
	if a == nil || !a.row.Connected {
		m.counters.InvalidFrameworkToExecutor++
		m.log.Warn("dropping MESSAGE", slog.String("framework_id", string(f.id)), slog.String("reason", "the agent is not connected"))
		return
	}
	m.counters.ValidFrameworkToExecutor++
	m.send(a, &messages.FrameworkToExecutorMessage{
		SlaveId:     call.AgentId,
		FrameworkId: frameworkID(f.id),
		ExecutorId:  call.ExecutorId,
		Data:        call.Data,
	})
}
