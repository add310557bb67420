package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
)

// A departure is how far a framework is that is over, and on the books still: one
// with much is taken off them a part at a time. Nobody finds it any more by its ID,
// and who asks is told that it is over.
//
//	offers taken back ─▶ agents told ─▶ tasks ended ─▶ executors removed ─▶ completed
type departure struct {
	framework *framework
	agents    int // the row of agents to go on with
	executors int // the same of executors
}

// removeFramework ends a framework: its tasks are killed, its executors shut
// down, and it moves to the completed ones.
func (m *Master) removeFramework(f *framework) {
	if f.row.Connected {
		m.emit(CloseFramework{f.row.Peer})
		m.detach(f)
	}
	m.cancel(f.failover)
	if f.state == active {
		m.alloc.DeactivateFramework(f.id)
	}
	m.abandon(f)
	m.setState(f, completed)
	delete(m.frameworks, f.id)
	m.withdraw(f, f.roles, false)
	m.withdrawInverse(f)
	m.departing = append(m.departing, &departure{framework: f})
	if len(m.departing) == 1 {
		m.departSome(m.cfg.AllocationBudget)
	}
}

// departSome goes on with departures, the first come first. It may tell budget
// agents, and returns how many of them are left. To end a task or an executor is as
// much work as to tell four.
func (m *Master) departSome(budget int) (left int) {
	for budget > 0 && len(m.departing) > 0 {
		d := m.departing[0]
		if budget = m.depart(d, budget); budget > 0 {
			if d.framework.withdrawn != nil {
				return budget // they are being taken back
			}
			m.departing = m.departing[1:]
			m.departed(d.framework)
		}
	}
	return budget
}

// depart goes on with one departure, and is done if something of the budget is
// left.
func (m *Master) depart(d *departure, budget int) (left int) {
	f := d.framework
	budget = m.leaveAgents(d, budget)
	for ; budget > 0 && f.byAge.oldest != nil; budget -= 4 {
		t := f.byAge.oldest
		s := m.statusOf(t, mesos.TaskState_TASK_KILLED, mesos.TaskStatus_REASON_FRAMEWORK_REMOVED, removedText(f))
		m.updateTask(t, s, mesos.TaskState_TASK_KILLED)
		m.removeTask(t, Completed)
	}
	if budget > 0 {
		m.completeUnreachable(f)
		budget = m.leaveExecutors(d, budget)
	}
	return max(0, budget)
}

// leaveAgents tells the agents on which a framework ran something, in the order of
// their arrival unless they are many.
func (m *Master) leaveAgents(d *departure, budget int) (left int) {
	f := d.framework
	tell := func(a *agent) {
		delete(a.frameworks, f.id)
		delete(f.agents, a.id)
		m.send(a, &messages.ShutdownFrameworkMessage{FrameworkId: frameworkID(f.id)})
		budget--
	}
	if d.agents == 0 && len(f.agents) <= budget {
		for _, a := range inOrder(f.agents) {
			tell(a)
		}
		return budget
	}
	for slot, row := range m.agentRows.table.From(d.agents) {
		if d.agents = slot; len(f.agents) == 0 || budget <= 0 {
			break
		}
		if a := f.agents[row.ID]; a != nil {
			tell(a)
		}
	}
	return budget
}

// leaveExecutors takes a framework's executors off the books, in the order of
// their arrival unless they are many.
func (m *Master) leaveExecutors(d *departure, budget int) (left int) {
	f := d.framework
	if d.executors == 0 && 4*len(f.executors) <= budget {
		for _, e := range inOrder(f.executors) {
			m.removeExecutor(e)
		}
		return budget
	}
	for slot, row := range m.executorRows.table.From(d.executors) {
		if d.executors = slot; len(f.executors) == 0 || budget <= 0 {
			break
		}
		if row.Framework == f.id {
			m.removeExecutor(f.executors[keyOfExecutor(row.Agent, row.Info)])
			budget -= 4
		}
	}
	return budget
}

func removedText(f *framework) string { return "Framework " + string(f.id) + " removed" }

// completeUnreachable ends a framework's tasks that are out of reach; there is
// nobody to tell.
func (m *Master) completeUnreachable(f *framework) {
	for _, t := range f.unreachable {
		row := m.editTask(t)
		if !isTerminal(row.State) {
			m.countState(f, row.State, mesos.TaskState_TASK_KILLED)
			row.State = mesos.TaskState_TASK_KILLED
		}
		s := m.statusOf(t, mesos.TaskState_TASK_KILLED, mesos.TaskStatus_REASON_FRAMEWORK_REMOVED, removedText(f))
		row.Statuses = append(row.Statuses, s)
		row.Place = Completed
		m.countUnreachable(t, -1)
		m.keepCompleted(f, t)
	}
	f.unreachable = nil
}

// departed takes a framework off the books that has nothing any more.
func (m *Master) departed(f *framework) {
	f.agents = nil
	m.editFramework(f).Unregistered = m.now
	m.alloc.RemoveFramework(f.id)
	m.frameworkRows.remove(f.id)
	m.keepCompletedFramework(f)
	m.tell(FrameworkRemoved{f.row.Info})
	m.log.Info("framework removed", slog.String("framework_id", string(f.id)))
}

// keepCompletedFramework remembers a framework that is over, and forgets the
// oldest beyond the bound with all that was kept of it.
func (m *Master) keepCompletedFramework(f *framework) {
	f.freeze()
	m.completed = append(m.completed, f)
	for len(m.completed) > m.cfg.MaxCompletedFrameworks {
		for _, t := range m.completed[0].completed {
			m.taskRows.remove(t.row.Serial)
		}
		m.completed = m.completed[1:]
	}
}
