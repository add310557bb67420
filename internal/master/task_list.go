package master

import (
	"slices"

	"github.com/meseta-project/meseta/internal/ids"
)

// A framework's tasks that are over or out of reach are kept for show, the
// last so many of each. Only their rows are.

func (m *Master) keepCompleted(f *framework, t *task) {
	f.completed = append(f.completed, t)
	for len(f.completed) > m.cfg.MaxCompletedTasksPerFramework {
		m.taskRows.remove(f.completed[0].row.Serial)
		f.completed = f.completed[1:]
	}
}

func (m *Master) keepUnreachable(f *framework, t *task) {
	f.unreachable = append(f.unreachable, t)
	for len(f.unreachable) > m.cfg.MaxUnreachableTasksPerFramework {
		m.taskRows.remove(f.unreachable[0].row.Serial)
		f.unreachable = f.unreachable[1:]
	}
}

// unreachableTask returns the task with an ID that is out of reach, or nil.
func (f *framework) unreachableTask(id ids.TaskID) *task {
	for _, t := range f.unreachable {
		if t.row.ID == id {
			return t
		}
	}
	return nil
}

// dropUnreachable forgets the tasks that were on an agent which is back, and
// says itself which are still there.
func (m *Master) dropUnreachable(f *framework, id ids.AgentID) {
	f.unreachable = m.dropRows(f.unreachable, func(t *task) bool { return t.row.Agent == id })
}

// forgetCompleted forgets a task that is not over after all: it came back with
// its agent.
func (m *Master) forgetCompleted(f *framework, id ids.TaskID) {
	f.completed = m.dropRows(f.completed, func(t *task) bool { return t.row.ID == id })
}

func (m *Master) dropRows(list []*task, drop func(*task) bool) []*task {
	return slices.DeleteFunc(list, func(t *task) bool {
		if !drop(t) {
			return false
		}
		m.taskRows.remove(t.row.Serial)
		return true
	})
}

// forgetUnreachable forgets the tasks of agents that the registry forgot.
func (m *Master) forgetUnreachable(agents []ids.AgentID) {
	for _, f := range inOrder(m.frameworks) {
		f.unreachable = m.dropRows(f.unreachable, func(t *task) bool {
			return slices.Contains(agents, t.row.Agent)
		})
	}
}
