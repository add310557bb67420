package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
)

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
	m.setState(f, completed)
	for _, o := range inOrder(f.offers) {
		m.discard(o, nil)
	}
	for _, o := range inOrder(f.inverse) {
		m.removeInverse(o)
	}
	for _, a := range inOrder(f.agents) {
		delete(a.frameworks, f.id)
		m.send(a, &messages.ShutdownFrameworkMessage{FrameworkId: frameworkID(f.id)})
	}
	f.agents = nil
	m.completeTasks(f)
	for _, e := range inOrder(f.executors) {
		m.removeExecutor(e)
	}
	m.editFramework(f).Unregistered = m.now
	m.alloc.RemoveFramework(f.id)
	delete(m.frameworks, f.id)
	m.frameworkRows.remove(f.id)
	m.keepCompletedFramework(f)
	m.tell(FrameworkRemoved{f.row.Info})
	m.log.Info("framework removed", slog.String("framework_id", string(f.id)))
}

// completeTasks ends all tasks of a framework; there is nobody to tell.
func (m *Master) completeTasks(f *framework) {
	text := "Framework " + string(f.id) + " removed"
	for _, t := range inOrder(f.tasks) {
		s := m.statusOf(t, mesos.TaskState_TASK_KILLED, mesos.TaskStatus_REASON_FRAMEWORK_REMOVED, text)
		m.updateTask(t, s, mesos.TaskState_TASK_KILLED)
		m.removeTask(t, Completed)
	}
	for _, t := range f.unreachable {
		row := m.editTask(t)
		if !isTerminal(row.State) {
			m.countState(f, row.State, mesos.TaskState_TASK_KILLED)
			row.State = mesos.TaskState_TASK_KILLED
		}
		s := m.statusOf(t, mesos.TaskState_TASK_KILLED, mesos.TaskStatus_REASON_FRAMEWORK_REMOVED, text)
		row.Statuses = append(row.Statuses, s)
		row.Place = Completed
		m.keepCompleted(f, t)
	}
	f.unreachable = nil
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
