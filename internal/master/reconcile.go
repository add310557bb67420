package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
)

// reconcile answers RECONCILE: the latest state of the tasks named, or of all
// that are on the books if none is.
func (m *Master) reconcile(f *framework, tasks []*schedulerpb.Call_Reconcile_Task) {
	m.counters.Messages.ReconcileTasks++
	if len(tasks) == 0 {
		for _, t := range inOrder(f.tasks) {
			m.notify(f, updateEvent(m.known(t)))
		}
	}
	for _, t := range tasks {
		if s := m.stateOf(f, t); s != nil {
			m.notify(f, updateEvent(s))
		}
	}
}

func (m *Master) known(t *task) *mesos.TaskStatus {
	return m.latestOf(t, t.reportedState(), mesos.TaskStatus_REASON_RECONCILIATION,
		"Reconciliation: Latest task state")
}

// stateOf returns what is known of a task, or nil if that may soon be more.
func (m *Master) stateOf(f *framework, t *schedulerpb.Call_Reconcile_Task) *mesos.TaskStatus {
	if t := f.tasks[ids.TaskID(t.GetTaskId().GetValue())]; t != nil {
		return m.known(t)
	}
	if m.mayBeBack(t.AgentId) {
		return nil
	}
	state, text := mesos.TaskState_TASK_UNKNOWN, "Reconciliation: Task is unknown"
	id := ids.AgentID(t.GetAgentId().GetValue())
	since, unreachable := m.registry.Unreachable(id)
	switch {
	case t.AgentId == nil:
	case m.agents[id] != nil:
		state, text = mesos.TaskState_TASK_GONE, "Reconciliation: Task is unknown to the agent"
	case unreachable:
		state, text = mesos.TaskState_TASK_UNREACHABLE, "Reconciliation: Task is unreachable"
	case m.registry.IsGone(id):
		state, text = mesos.TaskState_TASK_GONE_BY_OPERATOR, "Reconciliation: Task is gone"
	}
	if !f.caps.partitionAware {
		state = mesos.TaskState_TASK_LOST
	}
	s := m.masterStatus(t.TaskId, t.AgentId, state, mesos.TaskStatus_REASON_RECONCILIATION, text)
	s.UnreachableTime = since
	return s
}

// mayBeBack reports whether an agent may yet come back with a task: one of an
// earlier leader's, or on its way in. Without an agent it may be any of them.
func (m *Master) mayBeBack(id *mesos.AgentID) bool {
	if id == nil {
		return len(m.recovered) > 0
	}
	agent := ids.AgentID(id.GetValue())
	return m.recovered[agent] != nil || m.isReturning(agent) && m.agents[agent] == nil
}
