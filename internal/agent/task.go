package agent

import (
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/internal/status"
	"github.com/meseta-project/meseta/resources"
)

// TaskPhase is how far a task has come on this agent:
//
//	         handed over             terminal update        acknowledged
//	QUEUED ──────────────▶ LAUNCHED ─────────────────▶ TERMINATED ───▶ COMPLETED
//	   └──────────── killed, executor gone ────────────────▲
type TaskPhase uint8

// The phases of a task, in the order of its life.
const (
	TaskQueued     TaskPhase = iota + 1 // waits for its executor
	TaskLaunched                        // handed to its executor
	TaskTerminated                      // over, and not yet acknowledged
	TaskCompleted                       // over, and acknowledged
)

// task is one task of a run.
type task struct {
	id       ids.TaskID
	seq      uint64
	executor *executor
	info     *mesos.TaskInfo // nil for one that was recovered
	limits   map[string]*mesos.Value_Scalar
	row      *mesos.Task // as the master and readers see it
	phase    TaskPhase
	kill     *executorpb.Event // that its executor is to be sent when it has come back; nil: none
}

func (t *task) order() uint64 { return t.seq }

// launch is what is handed to an executor at once: a task, or a group of them.
type launch struct {
	tasks []*task
	group *mesos.TaskGroupInfo // nil for a single task
}

// newTask puts a task in its places, queued.
func (a *Agent) newTask(x *executor, info *mesos.TaskInfo) *task {
	t := &task{
		id: ids.TaskID(info.GetTaskId().GetValue()), seq: a.next(), executor: x, info: info, limits: info.GetLimits(),
		row: taskOf(info, x), phase: TaskQueued,
	}
	a.addTask(t)
	return t
}

func (a *Agent) addTask(t *task) {
	x := t.executor
	x.tasks[t.id], x.framework.tasks[t.id] = t, t
	if len(t.limits) > 0 {
		x.limited++
	}
	a.use(x, x.used.Add(resources.Trusted(t.row.GetResources())))
	a.showTask(t)
}

func (a *Agent) showTask(t *task) {
	a.rows.tasks.Put(t.seq, &TaskRow{Serial: t.seq, Run: t.executor.run, Info: secret.WithoutInTask(t.info), Task: t.row, Phase: t.phase})
}

// change sets how the task looks from now on.
func (a *Agent) change(t *task, row *mesos.Task) {
	t.row = row
	a.showTask(t)
}

// terminate marks a task as over: it uses nothing any more.
func (a *Agent) terminate(t *task) {
	x := t.executor
	t.phase = TaskTerminated
	a.use(x, x.used.Sub(resources.Trusted(t.row.GetResources())))
	a.count.TasksEnded[t.row.GetState()]++
}

// complete marks a task as acknowledged to its end.
func (a *Agent) complete(t *task) {
	x := t.executor
	t.phase = TaskCompleted
	delete(x.tasks, t.id)
	delete(x.framework.tasks, t.id)
	if len(t.limits) > 0 {
		x.limited--
	}
	a.keepCompleted(t)
}

// keepCompleted shows a completed task for as long as there is room.
func (a *Agent) keepCompleted(t *task) {
	a.showTask(t)
	if old, full := t.executor.completed.add(t); full {
		a.rows.tasks.Delete(old.seq)
	}
}

// taskOf returns the Task of a TaskInfo that has just arrived. Like Mesos's it
// names the executor only if the framework did.
func taskOf(info *mesos.TaskInfo, x *executor) *mesos.Task {
	t := &mesos.Task{
		Name:        info.Name,
		TaskId:      info.GetTaskId(),
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&x.run.Framework)},
		AgentId:     info.GetAgentId(),
		State:       mesos.TaskState_TASK_STAGING.Enum(),
		Resources:   info.GetResources(),
		Labels:      info.GetLabels(),
		Discovery:   info.GetDiscovery(),
		Container:   secret.WithoutInContainer(info.GetContainer()),
		HealthCheck: secret.WithoutInHealthCheck(info.GetHealthCheck()),
		KillPolicy:  info.GetKillPolicy(),
		Limits:      info.GetLimits(),
	}
	for _, c := range [...]*mesos.CommandInfo{info.GetExecutor().GetCommand(), info.GetCommand()} {
		if c != nil && c.User != nil {
			t.User = c.User
		}
	}
	if info.GetExecutor() != nil {
		t.ExecutorId = info.GetExecutor().GetExecutorId()
	}
	return t
}

// copyTask returns a copy of t that shares all but the top level, since what t
// is made of never changes.
func copyTask(t *mesos.Task) *mesos.Task {
	return &mesos.Task{
		Name: t.Name, TaskId: t.TaskId, FrameworkId: t.FrameworkId, ExecutorId: t.ExecutorId, AgentId: t.AgentId,
		State: t.State, Resources: t.Resources, Statuses: t.Statuses,
		StatusUpdateState: t.StatusUpdateState, StatusUpdateUuid: t.StatusUpdateUuid,
		Labels: t.Labels, Discovery: t.Discovery, Container: t.Container,
		HealthCheck: t.HealthCheck, KillPolicy: t.KillPolicy, User: t.User, Limits: t.Limits,
	}
}

// withStatus returns t with one more status. Of consecutive statuses of the same
// state only the last is kept, and none keeps its data, which may be large.
func withStatus(t *mesos.Task, st *mesos.TaskStatus) *mesos.Task {
	if st.Data != nil {
		st = st.CloneVT()
		st.Data = nil
	}
	had := t.GetStatuses()
	if n := len(had); n > 0 && had[n-1].GetState() == st.GetState() {
		had = had[:n-1]
	}
	c := copyTask(t)
	c.State = st.State
	c.Statuses = slices.Concat(had, []*mesos.TaskStatus{st})
	return c
}

// check panics unless the task's phase agrees with its state; see
// [Agent.Check].
func (t *task) check() {
	if over := status.IsTerminal(t.row.GetState()); over != (t.phase == TaskTerminated) {
		invariant.Fail("a task is over as its state says", "task_id", t.id, "state", t.row.GetState(), "phase", t.phase)
	}
}
