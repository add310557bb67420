package agent

import (
	"log/slog"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// killTask handles a KillTaskMessage.
func (a *Agent) killTask(m *messages.KillTaskMessage) {
	f := a.frameworks[ids.FrameworkID(m.GetFrameworkId().GetValue())]
	if a.state == Recovering || a.state == Terminating || f == nil || f.terminating {
		a.log.Warn("kill ignored", slog.String("task_id", m.GetTaskId().GetValue()), slog.Any("state", a.state))
		return
	}
	t := f.tasks[ids.TaskID(m.GetTaskId().GetValue())]
	if t == nil && a.state != Running {
		// It may be of a leader before, whom nobody asks any more; the next one, or the
		// same again, is about to be told what there is.
		a.log.Warn("kill of an unknown task ignored", slog.String("task_id", m.GetTaskId().GetValue()), slog.Any("state", a.state))
		return
	}
	if t == nil {
		a.update(a.newUpdate(f.id, m.GetTaskId(), nil, droppedOrLost(f.info),
			mesos.TaskStatus_REASON_EXECUTOR_TERMINATED, "Cannot find executor"), nil)
		return
	}
	a.kill(t, m.GetKillPolicy())
}

// kill ends a task: at once if its executor does not have it yet, else by asking
// the executor.
func (a *Agent) kill(t *task, policy *mesos.KillPolicy) {
	x := t.executor
	switch {
	case x.state != ExecutorRegistering && x.state != ExecutorRunning:
		a.log.Warn("kill ignored, the executor ends", slog.String("task_id", string(t.id)))
	case t.phase == TaskQueued:
		a.killQueued(t)
	default:
		t.kill = &executorpb.Event{
			Type: executorpb.Event_KILL.Enum(),
			Kill: &executorpb.Event_Kill{TaskId: t.row.GetTaskId(), KillPolicy: policy},
		}
		if x.state == ExecutorRunning {
			a.sendKill(t)
		} // else it is late after the agent's restart
	}
}

// sendKill asks the executor of a task to end it.
func (a *Agent) sendKill(t *task) {
	a.send(t.executor, t.kill)
	t.kill = nil
}

// sendKills asks an executor that has come back to end what was to be ended since.
func (a *Agent) sendKills(x *executor) {
	for _, t := range inOrder(x.tasks) {
		if t.kill != nil {
			a.sendKill(t)
		}
	}
}

// killQueued ends a task that waits for its executor, with all of its group. An
// executor that was waited for only by those has nothing to do any more; one
// that has not come yet is told so when it comes.
func (a *Agent) killQueued(t *task) {
	x, victims, message := t.executor, []*task{t}, "Killed before delivery to the executor"
	for _, l := range x.queue {
		if l.group != nil && l.has(t) {
			victims = append([]*task(nil), l.tasks...)
			message = "A task within the task group was killed before delivery to the executor"
		}
	}
	for _, v := range victims {
		a.update(a.newUpdate(x.run.Framework, v.row.GetTaskId(), x.info.GetExecutorId(), mesos.TaskState_TASK_KILLED,
			mesos.TaskStatus_REASON_TASK_KILLED_DURING_LAUNCH, message), nil)
	}
	if x.state == ExecutorRunning && !x.sentTask && len(x.queue) == 0 {
		a.shutdown(x)
	}
}

func (l *launch) has(t *task) bool {
	return slices.Contains(l.tasks, t)
}

// shutdownExecutor handles a ShutdownExecutorMessage of the master.
func (a *Agent) shutdownExecutor(m *messages.ShutdownExecutorMessage) {
	f := a.frameworks[ids.FrameworkID(m.GetFrameworkId().GetValue())]
	if a.state == Recovering || a.state == Disconnected || f == nil || f.terminating {
		return
	}
	x := f.executors[ids.ExecutorID(m.GetExecutorId().GetValue())]
	if x != nil && (x.state == ExecutorRegistering || x.state == ExecutorRunning) {
		a.shutdown(x)
	}
}

// unregister leaves the cluster on the operator's wish.
func (a *Agent) unregister(message string) {
	a.log.Info("shutting down", slog.String("message", message))
	if a.id() != "" {
		a.tellMaster(&messages.UnregisterSlaveMessage{SlaveId: a.info.GetId()})
	}
	a.stop()
}

// stop ends all that runs here, and then the agent. What executors report
// meanwhile is taken in, but nobody is told.
func (a *Agent) stop() {
	if a.state == Terminating {
		return
	}
	a.state, a.registered = Terminating, time.Time{}
	a.updates.Pause()
	for _, k := range [...]timerKind{timerRegister, timerPing, timerReconnect} {
		a.timers.cancel(timer{kind: k})
	}
	for _, f := range inOrder(a.frameworks) {
		a.shutdownFramework(f.id)
	}
	a.doneIfIdle()
}

// startDraining handles a DrainSlaveMessage: all tasks end, and none begins.
func (a *Agent) startDraining(c *mesos.DrainConfig) {
	if len(a.frameworks) == 0 {
		a.log.Info("nothing to drain")
		return
	}
	a.drain = c
	a.persist(meta.Drain{Config: c})
	for _, f := range inOrder(a.frameworks) {
		if f.terminating {
			continue
		}
		for _, t := range inOrder(f.tasks) {
			if t.phase == TaskQueued || t.phase == TaskLaunched {
				a.kill(t, shorter(c.GetMaxGracePeriod(), t.row.GetKillPolicy()))
			}
		}
	}
}

// shorter returns a kill policy with the grace period of the drain, if the task
// would take longer.
func shorter(limit *mesos.DurationInfo, own *mesos.KillPolicy) *mesos.KillPolicy {
	if limit == nil || own.GetGracePeriod() != nil && own.GetGracePeriod().GetNanoseconds() <= limit.GetNanoseconds() {
		return nil
	}
	return &mesos.KillPolicy{GracePeriod: limit}
}

// markDraining says of a task that is killed by a drain why it is, and, if the
// agent is to be gone for good, that it does not come back. Mesos says that of a
// task that is being killed already; it is not over then, may still end in
// another way, and uses what it has.
func (a *Agent) markDraining(f *framework, st *mesos.TaskStatus) {
	if a.drain == nil || st.GetState() != mesos.TaskState_TASK_KILLING && st.GetState() != mesos.TaskState_TASK_KILLED {
		return
	}
	st.Reason = mesos.TaskStatus_REASON_AGENT_DRAINING.Enum()
	if st.GetState() == mesos.TaskState_TASK_KILLED && a.drain.GetMarkGone() && can(f.info, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		st.State = mesos.TaskState_TASK_GONE_BY_OPERATOR.Enum()
	}
}

// drained ends a drain when nothing runs here any more.
func (a *Agent) drained() {
	if a.drain != nil && len(a.frameworks) == 0 {
		a.drain = nil
		a.persist(meta.Drain{})
	}
}
