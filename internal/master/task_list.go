package master

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// enlist puts a task, younger than all others, among a framework's.
func (f *framework) enlist(t *task) {
	f.tasks[t.row.ID] = t
	f.byAge.add(t, (*task).byAge)
}

// delist undoes enlist. A plan of revocations, and an answer, go on with the next.
func (f *framework) delist(t *task) {
	for _, c := range f.claims {
		if c.next == t {
			c.next = t.older
		}
	}
	f.answers.tasks.all.pass(t, (*task).byAge)
	delete(f.tasks, t.row.ID)
	f.byAge.remove(t, (*task).byAge)
}

// enlist puts a task, younger than all others, among an agent's.
func (a *agent) enlist(t *task) {
	a.tasks[t.key()] = t
	a.tasksByAge.add(t, (*task).onAgent)
}

// delist undoes enlist.
func (a *agent) delist(t *task) {
	delete(a.tasks, t.key())
	a.tasksByAge.remove(t, (*task).onAgent)
}

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
	m.countUnreachable(t, 1)
	for len(f.unreachable) > m.cfg.MaxUnreachableTasksPerFramework {
		m.taskRows.remove(f.unreachable[0].row.Serial)
		m.countUnreachable(f.unreachable[0], -1)
		f.unreachable = f.unreachable[1:]
	}
}

// countUnreachable counts a task among those out of reach that were on its agent,
// or, with -1, does so no more.
func (m *Master) countUnreachable(t *task, by int) {
	id := t.row.Agent
	counts := m.outOfReach[id]
	if counts == nil {
		counts = map[*framework]int{}
		m.outOfReach[id] = counts
	}
	if counts[t.framework] += by; counts[t.framework] == 0 {
		delete(counts, t.framework)
	}
	if len(counts) == 0 {
		delete(m.outOfReach, id)
	}
}

// bereaved returns the frameworks that have tasks out of reach that were on one of
// the agents, in the order of their arrival.
func (m *Master) bereaved(agents ...ids.AgentID) []*framework {
	all := map[*framework]bool{}
	for _, id := range agents {
		for f := range m.outOfReach[id] {
			if m.frameworks[f.id] == f { // else it is departing
				all[f] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b *framework) int { return cmp.Compare(a.order(), b.order()) })
}

// takeUnreachable takes tasks, for which take is true, from among those of a
// framework that are out of reach.
func (m *Master) takeUnreachable(f *framework, take func(*task) bool) {
	f.unreachable = slices.DeleteFunc(f.unreachable, func(t *task) bool {
		if !take(t) {
			return false
		}
		m.countUnreachable(t, -1)
		return true
	})
}

// hasTask reports whether a task with an ID is on the books, or of a group that is being
// launched.
func (f *framework) hasTask(id ids.TaskID) bool {
	return f.tasks[id] != nil || f.backlog != nil && f.backlog.accepting.launches(id)
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

// settleUnreachable decides about the tasks that were on an agent which is back:
// those that it lists are on the books again soon, the others are gone.
func (m *Master) settleUnreachable(f *framework, id ids.AgentID, listed map[taskKey]bool) {
	m.takeUnreachable(f, func(t *task) bool {
		if t.row.Agent != id {
			return false
		}
		if listed[t.key()] {
			m.taskRows.remove(t.row.Serial)
			return true
		}
		row := m.editTask(t)
		row.Place = Completed
		if !isTerminal(row.State) {
			m.countState(f, row.State, mesos.TaskState_TASK_GONE)
			row.State = mesos.TaskState_TASK_GONE
		}
		m.keepCompleted(f, t)
		return true
	})
}

// adopt puts a task on the books again that was taken for gone, and of which its
// agent says that it is not: its launch was on the way for very long. It returns
// nil if the task is not remembered, or over.
func (m *Master) adopt(f *framework, a *agent, id ids.TaskID, state mesos.TaskState) *task {
	i := slices.IndexFunc(f.completed, func(t *task) bool { return t.row.ID == id && t.row.Agent == a.id })
	if i < 0 || f.hasTask(id) || frees(state) || !deniable(f.completed[i].row.State) {
		return nil
	}
	old := f.completed[i]
	f.completed = slices.Delete(f.completed, i, i+1)
	m.taskRows.remove(old.row.Serial)
	desc := old.row.Task()
	desc.State = state.Enum()
	t := m.recoverTask(f, a, desc)
	m.alloc.Allocate(f.id, a.id, t.row.Resources)
	left := a.row.Total.NonShared().Sub(a.row.Allocated.Unallocated().NonShared())
	if m.accepts(a.id) || !left.Contains(a.row.Offered.Unallocated().NonShared()) { // what an ACCEPT has is in neither
		m.rescindAll(a)
	}
	// The update may be older than the loss: if the task is not there the agent
	// says so when it is asked.
	m.send(a, &messages.SlaveReregisteredMessage{
		SlaveId:    agentID(a.id),
		Connection: m.welcome(),
		Reconciliations: []*messages.ReconcileTasksMessage{{
			FrameworkId: frameworkID(f.id), Framework: f.row.Info, Statuses: []*mesos.TaskStatus{m.question(t)},
		}},
	})
	m.log.Warn("task is there after all", slog.String("framework_id", string(f.id)), slog.String("task_id", string(id)))
	return t
}

// knowsTheEnd reports whether a task that is said to go on is over, as its agent
// itself has said and the framework acknowledged. Such a message was sent before
// that: it was long on its way, over a connection that has been given up since.
func (f *framework) knowsTheEnd(a *agent, id ids.TaskID, state mesos.TaskState) bool {
	return !frees(state) && slices.ContainsFunc(f.completed, func(t *task) bool {
		return t.row.ID == id && t.row.Agent == a.id && frees(t.row.State) && !deniable(t.row.State)
	})
}

// acknowledgedEnd reports whether a framework has acknowledged, with this leader,
// the very end that an agent that is back still waits to hear acknowledged: the
// acknowledgement is on its way there, or was lost, and then the agent tells the
// end again. Were the task put on the books, nobody might ever take it off.
func (f *framework) acknowledgedEnd(agent ids.AgentID, desc *mesos.Task) bool {
	return isTerminal(desc.GetStatusUpdateState()) && slices.ContainsFunc(f.completed, func(t *task) bool {
		return t.acknowledged && t.row.ID == ids.TaskID(desc.GetTaskId().GetValue()) && t.row.Agent == agent &&
			string(t.row.UpdateUUID) == string(desc.StatusUpdateUuid)
	})
}

// deniable reports whether a state is the master's own guess, that an agent can
// deny.
func deniable(s mesos.TaskState) bool {
	return s == mesos.TaskState_TASK_GONE || s == mesos.TaskState_TASK_LOST
}

// forgetCompleted forgets a task that is not over after all: it came back with
// its agent.
func (m *Master) forgetCompleted(f *framework, id ids.TaskID) {
	f.completed = slices.DeleteFunc(f.completed, func(t *task) bool {
		if t.row.ID != id {
			return false
		}
		m.taskRows.remove(t.row.Serial)
		return true
	})
}

// forgetUnreachable forgets the tasks of agents that the registry forgot.
func (m *Master) forgetUnreachable(agents []ids.AgentID) {
	forgotten := make(map[ids.AgentID]bool, len(agents))
	for _, id := range agents {
		forgotten[id] = true
	}
	for _, f := range m.bereaved(agents...) {
		m.takeUnreachable(f, func(t *task) bool {
			if forgotten[t.row.Agent] {
				m.taskRows.remove(t.row.Serial)
			}
			return forgotten[t.row.Agent]
		})
	}
}
