package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
)

// An answer to RECONCILE is the latest state of the tasks named, or of all that
// are on the books if none is. A long one is given a part at a time: each task's
// state is that of when its turn comes.
type answer struct {
	next  *task  // of all, the next
	until uint64 // serial of the last of all
	named []*schedulerpb.Call_Reconcile_Task
	waits bool // it is in Master.answers
}

// reconcile answers RECONCILE. There is one answer at most to each framework that
// is not given in whole: another call for all tasks begins it anew, and one that
// names many waits until those named before have been answered. Frameworks that get
// no answer ask again, so what is too much is dropped.
func (m *Master) reconcile(f *framework, tasks []*schedulerpb.Call_Reconcile_Task) {
	m.counters.Messages.ReconcileTasks++
	an := &f.answer
	switch {
	case len(tasks) == 0 && f.youngest != nil:
		an.next, an.until = f.oldest, f.youngest.row.Serial
	case len(tasks) <= m.cfg.AllocationBudget:
		m.answerNamed(f, tasks)
		return
	case len(an.named) > len(f.tasks)+maxNamed:
		m.log.Warn("dropping RECONCILE", slog.String("framework_id", string(f.id)), slog.Int("named_before", len(an.named)))
		return
	default:
		an.named = append(an.named, tasks...)
	}
	m.answerSome(f, m.cfg.AllocationBudget)
	if !an.isWhole() && !an.waits {
		an.waits = true
		m.answers = append(m.answers, f)
	}
}

// isWhole reports whether nothing is left to answer.
func (an *answer) isWhole() bool { return an.next == nil && len(an.named) == 0 }

// answerSome goes on with an answer. It may be about budget tasks, and returns how
// many of them are left.
func (m *Master) answerSome(f *framework, budget int) (left int) {
	an := &f.answer
	for ; budget > 0 && an.next != nil; budget-- {
		t := an.next
		if an.next = t.younger; t.row.Serial >= an.until {
			an.next = nil
		}
		m.notify(f, updateEvent(m.known(t)))
	}
	n := min(budget, len(an.named))
	m.answerNamed(f, an.named[:n])
	an.named = an.named[n:]
	return budget - n
}

func (m *Master) answerNamed(f *framework, tasks []*schedulerpb.Call_Reconcile_Task) {
	for _, t := range tasks {
		if s := m.stateOf(f, t); s != nil {
			m.notify(f, updateEvent(s))
		}
	}
}

// answerAll goes on with the answers that are not given in whole, as answerSome.
func (m *Master) answerAll(budget int) (left int) {
	for budget > 0 && len(m.answers) > 0 {
		f := m.answers[0]
		if budget = m.answerSome(f, budget); f.answer.isWhole() {
			f.answer.waits = false
			m.answers = m.answers[1:]
		}
	}
	return budget
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
		return m.recovered.Len() > 0
	}
	agent := ids.AgentID(id.GetValue())
	return m.recovered.Has(agent) || m.isReturning(agent) && m.agents[agent] == nil
}
