package agent

import (
	"log/slog"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/resources"
)

// order is what the master asks to be run: one task, or a group of them.
type order struct {
	framework *mesos.FrameworkInfo
	pid       string
	executor  *mesos.ExecutorInfo
	generated bool // the executor was made up for the one task, a command
	tasks     []*mesos.TaskInfo
	group     *mesos.TaskGroupInfo
	versions  []*messages.ResourceVersionUUID
	launch    *bool // whether the master believes that the executor has to be started; nil: it does not say
}

// runTask handles a RunTaskMessage.
func (a *Agent) runTask(m *messages.RunTaskMessage) {
	m = upgradedRun(m)
	info := m.GetTask().GetExecutor()
	generated := info == nil
	if generated && m.GetTask().GetCommand() == nil {
		a.log.Error("task ignored, it has neither an executor nor a command", slog.String("task_id", m.GetTask().GetTaskId().GetValue()))
		return
	}
	if generated {
		info = a.commandExecutor(m.GetFramework(), m.GetTask())
	}
	a.run(order{
		framework: m.GetFramework(), pid: m.GetPid(), executor: info, generated: generated,
		tasks: []*mesos.TaskInfo{m.GetTask()}, versions: m.GetResourceVersionUuids(), launch: m.LaunchExecutor,
	})
}

// runTaskGroup handles a RunTaskGroupMessage.
func (a *Agent) runTaskGroup(m *messages.RunTaskGroupMessage) {
	m = upgraded(m)
	a.run(order{
		framework: m.GetFramework(), executor: m.GetExecutor(), tasks: m.GetTaskGroup().GetTasks(), group: m.GetTaskGroup(),
		versions: m.GetResourceVersionUuids(), launch: m.LaunchExecutor,
	})
}

// run launches what can be launched, and answers for the rest.
func (a *Agent) run(o order) {
	if !a.acceptable(o) {
		return
	}
	f := a.framework(o.framework, o.pid)
	switch reason, why := a.objection(f, o); {
	case f.terminating: // it cannot acknowledge updates any more
		a.notStarted(f, o)
	case why != "":
		a.drop(o, reason, why)
		a.notStarted(f, o)
	default:
		a.launch(f, o)
	}
	a.dropIfIdle(f)
}

// acceptable reports whether an order is for this agent, now, and new. One that
// comes before the master has taken the agent back was sent to what it was
// before: the master may have given that up since, and said so. What it has on
// its books it asks for when it takes the agent back.
func (a *Agent) acceptable(o order) bool {
	if a.state != Running || o.framework.GetId().GetValue() == "" || len(o.tasks) == 0 {
		return false
	}
	f := a.frameworks[ids.FrameworkID(o.framework.GetId().GetValue())]
	for _, t := range o.tasks {
		id := ids.TaskID(t.GetTaskId().GetValue())
		known := f != nil && f.tasks[id] != nil
		if known || t.GetAgentId().GetValue() != string(a.id()) || ids.Validate(id) != nil {
			a.log.Warn("task ignored", slog.String("task_id", string(id)), slog.String("for_agent", t.GetAgentId().GetValue()), slog.Bool("known", known))
			return false
		}
	}
	return ids.Validate(ids.ExecutorID(o.executor.GetExecutorId().GetValue())) == nil &&
		ids.Validate(ids.FrameworkID(o.framework.GetId().GetValue())) == nil
}

// objection says why an order cannot be carried out; "" if it can. The first
// thing that is wrong decides.
func (a *Agent) objection(f *framework, o order) (mesos.TaskStatus_Reason, string) {
	for _, check := range [...]func(*framework, order) (mesos.TaskStatus_Reason, string){
		a.checkLimits, a.checkDraining, a.checkVersion, a.checkVolumes, a.checkExecutor,
	} {
		if reason, why := check(f, o); why != "" {
			return reason, why
		}
	}
	return 0, ""
}

func (a *Agent) checkLimits(_ *framework, o order) (mesos.TaskStatus_Reason, string) {
	if a.cfg.Limits {
		return 0, ""
	}
	for _, t := range o.tasks {
		if t.GetContainer().GetType() == mesos.ContainerInfo_DOCKER && t.GetContainer() != nil {
			continue
		}
		if t.GetLimits()["cpus"] != nil {
			return mesos.TaskStatus_REASON_GC_ERROR, "CPU limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/cpu' isolator"
		}
		if t.GetLimits()["mem"] != nil {
			return mesos.TaskStatus_REASON_GC_ERROR, "Memory limits can only be set on tasks launched in Mesos containers when the agent has loaded the 'cgroups/mem' isolator"
		}
	}
	return 0, ""
}

func (a *Agent) checkDraining(*framework, order) (mesos.TaskStatus_Reason, string) {
	if a.drain == nil {
		return 0, ""
	}
	return mesos.TaskStatus_REASON_AGENT_DRAINING, "Task was received while agent was already draining"
}

// checkVersion looks whether the master has decided on what the agent has now.
func (a *Agent) checkVersion(_ *framework, o order) (mesos.TaskStatus_Reason, string) {
	for _, v := range o.versions {
		if v.GetResourceProviderId() == nil && string(v.GetUuid().GetValue()) != string(a.version) {
			return mesos.TaskStatus_REASON_INVALID_OFFERS, "Task assumes outdated resource state"
		}
	}
	return 0, ""
}

// checkVolumes looks whether reservations and volumes that are used exist here.
func (a *Agent) checkVolumes(_ *framework, o order) (mesos.TaskStatus_Reason, string) {
	for _, t := range o.tasks {
		if !a.reserved.cover(t.GetResources()) {
			return mesos.TaskStatus_REASON_RESOURCES_UNKNOWN, "The checkpointed resources being used by the task or task group are unknown to the agent"
		}
	}
	if !a.reserved.cover(o.executor.GetResources()) {
		return mesos.TaskStatus_REASON_RESOURCES_UNKNOWN, "The checkpointed resources being used by the executor are unknown to the agent"
	}
	return 0, ""
}

// checkExecutor looks whether the master and the agent agree on whether the
// executor runs.
func (a *Agent) checkExecutor(f *framework, o order) (mesos.TaskStatus_Reason, string) {
	x := f.executors[ids.ExecutorID(o.executor.GetExecutorId().GetValue())]
	const gone = mesos.TaskStatus_REASON_EXECUTOR_TERMINATED
	switch {
	case x != nil && x.state == ExecutorTerminating && o.launch == nil:
		return gone, "Executor terminating"
	case x != nil && x.state == ExecutorTerminated && o.launch == nil:
		return gone, "Executor terminated"
	case o.launch == nil:
		return 0, ""
	case x != nil && o.generated:
		return mesos.TaskStatus_REASON_TASK_INVALID, "Cannot reuse an already existing executor for a command task"
	case o.generated:
		return 0, ""
	case x != nil && *o.launch:
		if x.state == ExecutorRegistering || x.state == ExecutorRunning {
			a.shutdown(x) // the master does not know it; nobody would ever end it
		}
		return gone, "Master wants to launch executor, but one already exists"
	case x == nil && !*o.launch:
		return gone, "No executor is expected to launch and there is none running"
	case x != nil && x.state == ExecutorTerminating:
		return gone, "Executor terminating"
	case x != nil && x.state == ExecutorTerminated:
		return gone, "Executor terminated"
	}
	return 0, ""
}

// drop answers for tasks that are not launched.
func (a *Agent) drop(o order, reason mesos.TaskStatus_Reason, why string) {
	for _, t := range o.tasks {
		a.update(a.newUpdate(ids.FrameworkID(o.framework.GetId().GetValue()), t.GetTaskId(), o.executor.GetExecutorId(),
			droppedOrLost(o.framework), reason, why), nil)
	}
}

// notStarted tells the master that an executor that it takes for started does
// not run. Those of command tasks it does not keep.
func (a *Agent) notStarted(f *framework, o order) {
	x := f.executors[ids.ExecutorID(o.executor.GetExecutorId().GetValue())]
	if o.launch != nil && *o.launch && !o.generated && (x == nil || x.state == ExecutorTerminated) {
		a.tellExited(o.framework.GetId(), o.executor.GetExecutorId(), -1)
	}
}

func (a *Agent) tellExited(f *mesos.FrameworkID, x *mesos.ExecutorID, status int32) {
	a.tellMaster(&messages.ExitedExecutorMessage{SlaveId: a.info.GetId(), FrameworkId: f, ExecutorId: x, Status: &status})
}

// launch starts the executor if there is none, and queues the tasks for it.
func (a *Agent) launch(f *framework, o order) {
	x := f.executors[ids.ExecutorID(o.executor.GetExecutorId().GetValue())]
	fresh := x == nil
	if fresh {
		x = a.addExecutor(f, o.executor, o.generated)
	}
	l := &launch{group: o.group}
	for _, info := range o.tasks {
		t := a.newTask(x, info)
		l.tasks = append(l.tasks, t)
		if x.checkpoint() {
			a.saveTask(t, l)
		}
	}
	x.queue = append(x.queue, l)
	if fresh {
		a.act(Launch{Spec: a.spec(x, o)})
		a.timers.set(timer{timerSubscribe, x.run.Container}, a.now.Add(a.cfg.ExecutorRegistrationTimeout))
	}
	a.handOver(x)
}

// saveTask remembers a task that is launched.
func (a *Agent) saveTask(t *task, l *launch) {
	r := meta.Task{
		Run: t.executor.run, Task: downgraded(t.row),
		MaxCompletion: time.Duration(t.info.GetMaxCompletionTime().GetNanoseconds()), Check: secret.WithoutInCheck(t.info.GetCheck()),
	}
	if l.group != nil {
		r.Group = l.tasks[0].id
	}
	a.persist(r)
}

// handOver gives an executor what is queued for it, if it listens. Mesos sends
// what is launched while the executor's connection is broken into the void.
func (a *Agent) handOver(x *executor) {
	if x.state != ExecutorRunning || x.conn == 0 {
		return
	}
	for _, l := range x.queue {
		ev := &executorpb.Event{Type: executorpb.Event_LAUNCH.Enum()}
		if l.group != nil {
			ev.Type, ev.LaunchGroup = executorpb.Event_LAUNCH_GROUP.Enum(), &executorpb.Event_LaunchGroup{TaskGroup: l.group}
		} else {
			ev.Launch = &executorpb.Event_Launch{Task: l.tasks[0].info}
		}
		for _, t := range l.tasks {
			t.phase = TaskLaunched
			t.info = nil // nobody needs it any more
			a.showTask(t)
		}
		x.sentTask = true
		a.send(x, ev)
	}
	x.queue = nil
}

// unqueue takes a task out of what waits for the executor.
func (x *executor) unqueue(t *task) {
	var left []*launch
	for _, l := range x.queue {
		for i, queued := range l.tasks {
			if queued == t {
				l.tasks = append(l.tasks[:i:i], l.tasks[i+1:]...)
				break
			}
		}
		if len(l.tasks) > 0 {
			left = append(left, l)
		}
	}
	x.queue = left
}

// upgradedRun is [upgraded] for what comes most often, from masters that send the
// newer form anyway.
func upgradedRun(m *messages.RunTaskMessage) *messages.RunTaskMessage {
	if isNewer(m.GetTask().GetResources()) && isNewer(m.GetTask().GetExecutor().GetResources()) {
		return m
	}
	return upgraded(m)
}

// isNewer reports whether resources are in the form with a reservations list.
func isNewer(rs []*mesos.Resource) bool {
	return !slices.ContainsFunc(rs, func(r *mesos.Resource) bool { return r.Role != nil || r.Reservation != nil })
}

// upgraded returns a copy of m with its resources in the form with a
// reservations list.
func upgraded[M proto.Message](m M) M {
	c := proto.CloneOf(m)
	resources.UpgradeMessage(c)
	return c
}
