package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
)

// An answer to RECONCILE is the latest state of the tasks named, or of all that are
// on the books if none is; one to RECONCILE_OPERATIONS is the same of operations. A
// long one is given a part at a time: each state is that of when its turn comes.
type answer[T, N any] struct {
	all   walk[T]
	named []N
}

// answers are those that a framework is being given.
type answers struct {
	tasks      answer[task, *schedulerpb.Call_Reconcile_Task]
	operations answer[operation, *schedulerpb.Call_ReconcileOperations_Operation]
	waits      bool // the framework is in Master.answers
}

// areWhole reports whether nothing is left to answer.
func (as *answers) areWhole() bool { return as.tasks.isWhole() && as.operations.isWhole() }

func (an *answer[T, N]) isWhole() bool { return an.all.next == nil && len(an.named) == 0 }

// drop ends answers as they are.
func (as *answers) drop() { *as = answers{waits: as.waits} }

// ask begins the answer about all anew, or adds to those named. It reports false if
// that is too much: more are to be answered already than there are names, and maxNamed.
func (an *answer[T, N]) ask(all chain[T], named []N, names int) bool {
	switch {
	case len(named) == 0:
		an.all = all.walk()
	case len(an.named) > names+maxNamed:
		return false
	default:
		an.named = append(an.named, named...)
	}
	return true
}

// give goes on with an answer. It may be about budget of all and of those named, and
// returns how many of them are left.
func (an *answer[T, N]) give(budget int, of func(*T) *neighbours[T], one func(*T), named func(N)) (left int) {
	for ; budget > 0 && an.all.next != nil; budget-- {
		one(an.all.step(of))
	}
	n := min(budget, len(an.named))
	for _, name := range an.named[:n] {
		named(name)
	}
	an.named = an.named[n:]
	return budget - n
}

// reconcile answers RECONCILE. There is one answer at most to each framework that
// is not given in whole: another call for all tasks begins it anew, and one that
// names many waits until those named before have been answered. Frameworks that get
// no answer ask again, so what is too much is dropped.
func (m *Master) reconcile(f *framework, named []*schedulerpb.Call_Reconcile_Task) {
	m.counters.Messages.ReconcileTasks++
	if n := len(named); n > 0 && n <= m.cfg.AllocationBudget {
		for _, t := range named {
			m.answerTask(f, t)
		}
		return
	}
	an := &f.answers.tasks
	if !an.ask(f.byAge, named, len(f.tasks)) {
		m.log.Warn("dropping RECONCILE", slog.String("framework_id", string(f.id)), slog.Int("named_before", len(an.named)))
		return
	}
	m.beginAnswer(f)
}

// beginAnswer gives the first part of an answer, and sees to it that the rest follows.
func (m *Master) beginAnswer(f *framework) {
	m.answerSome(f, m.cfg.AllocationBudget)
	if as := &f.answers; !as.areWhole() && !as.waits {
		as.waits = true
		m.answers = append(m.answers, f)
	}
}

// answerSome goes on with a framework's answers. They may be about budget tasks and
// operations, and it returns how many of them are left.
func (m *Master) answerSome(f *framework, budget int) (left int) {
	budget = f.answers.tasks.give(budget, (*task).byAge, func(t *task) { m.notify(f, updateEvent(m.known(t))) },
		func(t *schedulerpb.Call_Reconcile_Task) { m.answerTask(f, t) })
	return f.answers.operations.give(budget, (*operation).byAge, func(o *operation) { m.notifyOperation(f, o.row.last()) },
		func(op *schedulerpb.Call_ReconcileOperations_Operation) { m.answerOperation(f, op) })
}

// answerTask tells a framework of a task that it names.
func (m *Master) answerTask(f *framework, named *schedulerpb.Call_Reconcile_Task) {
	if s := m.stateOf(f, named); s != nil {
		m.notify(f, updateEvent(s))
	}
}

// answerAll goes on with the answers that are not given in whole, as answerSome.
func (m *Master) answerAll(budget int) (left int) {
	for budget > 0 && len(m.answers) > 0 {
		f := m.answers[0]
		if budget = m.answerSome(f, budget); f.answers.areWhole() {
			f.answers.waits = false
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
	case m.agents[id] != nil && m.agents[id] != m.going:
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
		return m.recovered.Len() > 0 || m.coming != nil
	}
	agent := ids.AgentID(id.GetValue())
	a := m.agents[agent]
	return m.recovered.Has(agent) || m.isReturning(agent) && (a == nil || a == m.coming)
}
