package master

import (
	"maps"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/resources"
)

// A task's life, as the master sees it; states between STAGING and the end
// come in any order, as the agent reports them:
//
//	STAGING ─▶ STARTING ─▶ RUNNING ─▶ KILLING
//	   └──────────┴──────────┴──────────┴──▶ FINISHED FAILED KILLED ERROR LOST
//	   │          │          │          │    DROPPED GONE GONE_BY_OPERATOR
//	   │          │          │          │       terminal: never left again
//	   └──────────┴──────────┴──────────┴──▶ UNREACHABLE (the agent is)
//	                                            comes back with the agent
//
// The resources are free as soon as the state is terminal or UNREACHABLE. The
// task stays on the books until its terminal update is acknowledged.
type task struct {
	cell[TaskRow]
	framework        *framework
	agent            *agent
	neighbours[task]                  // among its framework's tasks
	here             neighbours[task] // among its agent's

	released bool // its resources are free
	killed   bool // somebody has asked to kill it
	ending   bool // it is counted among those that are ending
	listed   bool // its agent, which registers again, says that it has it
	// acknowledged is whether the framework has acknowledged its end.
	acknowledged bool
	// front is the state of the update that the agent sent last, whether the
	// framework was there to hear it or not; nil if it sent none.
	front *mesos.TaskState
	// revoked is why it is ended for another role, nil if it is not.
	revoked *revocation
}

// A taskKey names a task within the cluster.
type taskKey struct {
	framework ids.FrameworkID
	task      ids.TaskID
}

func keyOfTask(t *mesos.Task) taskKey {
	return taskKey{ids.FrameworkID(t.GetFrameworkId().GetValue()), ids.TaskID(t.GetTaskId().GetValue())}
}

func (t *task) key() taskKey  { return taskKey{t.framework.id, t.row.ID} }
func (t *task) order() uint64 { return t.row.Serial }

func (t *task) byAge() *neighbours[task]   { return &t.neighbours }
func (t *task) onAgent() *neighbours[task] { return &t.here }

func (m *Master) editTask(t *task) *TaskRow { return m.taskRows.edit(t.row.Serial, &t.cell) }

// isTerminal reports whether a task in the state is over for good.
func isTerminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLED,
		mesos.TaskState_TASK_ERROR, mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_DROPPED,
		mesos.TaskState_TASK_GONE, mesos.TaskState_TASK_GONE_BY_OPERATOR:
		return true
	default:
		return false
	}
}

// frees reports whether a task in the state uses nothing.
func frees(s mesos.TaskState) bool {
	return isTerminal(s) || s == mesos.TaskState_TASK_UNREACHABLE
}

// reportedState returns the state that the framework knows of, or is about to
// be told: not what is to come after updates that it has not had.
func (t *task) reportedState() mesos.TaskState {
	if t.front != nil {
		return *t.front
	}
	if s := t.row.UpdateState; s != nil {
		return *s
	}
	return t.row.State
}

// hasReportedEnd reports whether the agent has told the task's end. It does so when
// all before is acknowledged: what it is read to say of the task then is late, over a
// connection that has been given up since. It must not take the place of the end,
// whose acknowledgement takes the task off the books.
func (t *task) hasReportedEnd() bool {
	if t == nil {
		return false
	}
	told := t.front
	if told == nil {
		told = t.row.UpdateState
	}
	return told != nil && isTerminal(*told)
}

// addTask puts a task on the books that desc describes. Its resources count as
// used unless it is over.
func (m *Master) addTask(f *framework, a *agent, desc *mesos.Task, rs resources.Resources) *task {
	t := &task{framework: f, agent: a}
	row := &TaskRow{
		Serial:      m.nextSerial(),
		ID:          ids.TaskID(desc.GetTaskId().GetValue()),
		Framework:   f.id,
		Agent:       a.id,
		Executor:    ids.ExecutorID(desc.GetExecutorId().GetValue()),
		State:       desc.GetState(),
		UpdateState: desc.StatusUpdateState,
		UpdateUUID:  desc.StatusUpdateUuid,
		Statuses:    desc.Statuses,
		Role:        roleOf(rs),
		Resources:   rs,
		Desc:        desc,
	}
	t.cell = m.taskRows.add(row.Serial, row)
	invariant.Check(f.tasks[row.ID] == nil, "task is on the books already", "task", row.ID)
	f.settleOn(a)
	f.enlist(t)
	a.enlist(t)
	if frees(row.State) {
		t.released = true
	} else {
		m.use(f, a, rs)
		m.editFramework(f).Counters.Active[row.State]++
		m.reckonEnding(t)
	}
	m.tell(TaskAdded{t.freeze()})
	return t
}

func roleOf(rs resources.Resources) string {
	for r := range rs.All() {
		return r.AllocationRole()
	}
	return ""
}

// recoverTask is addTask for one that an agent brought along.
func (m *Master) recoverTask(f *framework, a *agent, desc *mesos.Task) *task {
	rs := allocatedTo(desc.Resources, f.onlyRole())
	return m.addTask(f, a, &mesos.Task{
		Name:              desc.Name,
		TaskId:            desc.TaskId,
		FrameworkId:       desc.FrameworkId,
		ExecutorId:        desc.ExecutorId,
		AgentId:           desc.AgentId,
		State:             desc.State,
		Resources:         rs,
		Limits:            desc.Limits,
		Statuses:          withoutData(desc.Statuses),
		StatusUpdateState: desc.StatusUpdateState,
		StatusUpdateUuid:  desc.StatusUpdateUuid,
		Labels:            desc.Labels,
		Discovery:         desc.Discovery,
		Container:         desc.Container,
		HealthCheck:       desc.HealthCheck,
		KillPolicy:        desc.KillPolicy,
		User:              desc.User,
	}, resources.Trusted(rs))
}

func withoutData(statuses []*mesos.TaskStatus) []*mesos.TaskStatus {
	out := slices.Clone(statuses)
	for i, s := range out {
		out[i] = stripped(s)
	}
	return out
}

// stripped returns a status without its data, of which no copy is kept.
func stripped(s *mesos.TaskStatus) *mesos.TaskStatus {
	if s.Data == nil {
		return s
	}
	c := copyStatus(s)
	c.Data = nil
	return c
}

func copyStatus(s *mesos.TaskStatus) *mesos.TaskStatus {
	return &mesos.TaskStatus{
		TaskId:          s.TaskId,
		State:           s.State,
		Message:         s.Message,
		Source:          s.Source,
		Reason:          s.Reason,
		Data:            s.Data,
		AgentId:         s.AgentId,
		ExecutorId:      s.ExecutorId,
		Timestamp:       s.Timestamp,
		Uuid:            s.Uuid,
		Healthy:         s.Healthy,
		CheckStatus:     s.CheckStatus,
		Labels:          s.Labels,
		ContainerStatus: s.ContainerStatus,
		UnreachableTime: s.UnreachableTime,
		Limitation:      s.Limitation,
	}
}

// use counts resources as used by a framework on an agent.
func (m *Master) use(f *framework, a *agent, rs resources.Resources) {
	fr, ar := m.editFramework(f), m.editAgent(a)
	fr.Allocated, ar.Allocated = fr.Allocated.Add(rs), ar.Allocated.Add(rs)
}

// release undoes use, and lets the allocator have the resources.
func (m *Master) release(f *framework, a *agent, rs resources.Resources) {
	fr, ar := m.editFramework(f), m.editAgent(a)
	fr.Allocated, ar.Allocated = fr.Allocated.Sub(rs), ar.Allocated.Sub(rs)
	byRole := rs.ByAllocation() // one, unless an agent brought what we never launched
	for _, role := range slices.Sorted(maps.Keys(byRole)) {
		m.alloc.Recover(m.now, f.id, a.id, byRole[role], nil)
	}
}

// maxStatuses is how many statuses of a task are kept, the last ones; there are
// a handful unless an executor goes back and forth.
const maxStatuses = 100

// updateTask notes a status of a task. latest is the newest state that the
// agent knows, which may be ahead of it.
func (m *Master) updateTask(t *task, s *mesos.TaskStatus, latest mesos.TaskState) {
	row := m.editTask(t)
	freed := !frees(row.State) && frees(latest)
	if !isTerminal(row.State) {
		m.countState(t.framework, row.State, latest)
		row.State = latest
	}
	tell := s.GetReason() == mesos.TaskStatus_REASON_TASK_CHECK_STATUS_UPDATED ||
		s.GetReason() == mesos.TaskStatus_REASON_TASK_HEALTH_CHECK_STATUS_UPDATED
	if n := len(row.Statuses); n > 0 && row.Statuses[n-1].GetState() == s.GetState() {
		row.Statuses = append(row.Statuses[:n-1:n-1], stripped(s))
	} else {
		row.Statuses = append(row.Statuses[max(0, n-maxStatuses+1):], stripped(s))
		tell = true
	}
	if tell {
		m.tell(TaskUpdated{Framework: t.framework.id, Status: s, State: row.State})
	}
	t.released = t.released || freed
	m.reckonEnding(t)
	if freed {
		m.release(t.framework, t.agent, row.Resources)
		m.countEnd(latest, s)
	}
}

// isEnding reports whether somebody, or an earlier leader, has asked a task to
// end, and it has not.
func (t *task) isEnding() bool {
	return !t.released && (t.killed || t.row.State == mesos.TaskState_TASK_KILLING)
}

// reckonEnding counts a task as ending if it is.
func (m *Master) reckonEnding(t *task) {
	if t.ending == t.isEnding() {
		return
	}
	t.ending = !t.ending
	sign := resources.Amount(-1)
	if t.ending {
		sign = 1
	} else {
		m.expectNoMore(t)
	}
	m.ending.count(t.row.Resources, sign)
	t.framework.ending.count(t.row.Resources, countsForQuota, sign)
}

// countState moves a task from one state to another in its framework's counts.
func (m *Master) countState(f *framework, from, to mesos.TaskState) {
	if from == to {
		return
	}
	c := &m.editFramework(f).Counters
	c.Active[from]--
	if isTerminal(to) {
		c.Terminal[to]++
	} else {
		c.Active[to]++
	}
}

// countEnd counts a task that uses nothing any more.
func (m *Master) countEnd(state mesos.TaskState, s *mesos.TaskStatus) {
	if isTerminal(state) {
		m.counters.Tasks[state]++
	}
	if s.Reason != nil {
		m.counters.TaskStates[TaskStateKey{state, s.GetSource(), s.GetReason()}]++
	}
}

// removeTask takes a task off the books, to where.
func (m *Master) removeTask(t *task, to Place) {
	invariant.Check(t.released, "task is removed with its resources", "task", t.row.ID)
	t.framework.delist(t)
	t.agent.delist(t)
	m.lookAfter(t.agent)
	m.editTask(t).Place = to
	if to == Unreachable {
		m.keepUnreachable(t.framework, t)
	} else {
		m.keepCompleted(t.framework, t)
	}
}

// endTask ends a task whose agent is no more, as far as we can see, and tells
// the framework. A task that was over before keeps its state, since terminal is
// final; but the framework is told of that only if it has had the updates before
// it, since the agent, should it be back, tells it in its turn.
func (m *Master) endTask(t *task, state mesos.TaskState, why mesos.TaskStatus_Reason, text string, since *mesos.TimeInfo) {
	over := isTerminal(t.row.State)
	told := over && isTerminal(t.reportedState())
	if told {
		state = t.row.State
	}
	s := m.statusOf(t, state, why, text)
	if !told {
		s.UnreachableTime = since
	}
	if !over {
		m.updateTask(t, s, state)
	}
	to := Completed
	if since != nil {
		to = Unreachable
	}
	m.removeTask(t, to)
	m.notify(t.framework, updateEvent(s))
}
