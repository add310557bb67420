package agent

import (
	"log/slog"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/status"
)

// ending is what the tasks of a run are told when it ends.
type ending struct {
	state   mesos.TaskState
	reason  mesos.TaskStatus_Reason
	message string
	limit   []*mesos.Resource // that was passed
}

// container handles what the containerizer tells.
func (a *Agent) container(in Input) {
	switch in := in.(type) {
	case ContainerReady:
		a.destroyUnwanted(a.byRun[in.Container], in.Container)
	case ContainerNetworks:
		if x := a.byRun[in.Container]; x != nil {
			x.networks, x.tellsNetworks = in.Networks, in.ByExecutor
		}
	case ContainerClass:
		if x := a.byRun[in.Container.Root()]; x != nil {
			x.classes[in.Container.Value()] = in.Class
		}
	case ContainerLaunched:
		a.containerLaunched(in)
	case ContainerFailed:
		a.containerFailed(in)
	case ContainerExited:
		a.containerExited(in)
	}
}

// destroyUnwanted ends a container that came up when it was not wanted any more.
func (a *Agent) destroyUnwanted(x *executor, c ids.ContainerID) {
	if x == nil || x.state == ExecutorTerminating && x.conn == 0 || x.framework.terminating && x.conn == 0 {
		a.act(Destroy{Container: c})
	}
}

// containerLaunched takes note of a container's process.
func (a *Agent) containerLaunched(in ContainerLaunched) {
	x := a.byRun[in.Container]
	a.destroyUnwanted(x, in.Container)
	if x == nil || x.state == ExecutorTerminated {
		return
	}
	x.pid = in.PID
	if x.checkpoint() {
		a.persist(meta.ForkedPID{Run: x.run, PID: in.PID})
	}
	a.showExecutor(x, false)
}

// containerFailed ends a run whose container could not be made.
func (a *Agent) containerFailed(in ContainerFailed) {
	x := a.byRun[in.Container]
	if x == nil || x.state == ExecutorTerminated {
		return
	}
	a.count.ContainerLaunchErrors++
	reason := mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED
	if in.Reason != 0 {
		reason = in.Reason
	}
	a.over(x, -1, ending{mesos.TaskState_TASK_FAILED, reason, "Failed to launch container: " + in.Message, nil})
}

// containerExited ends a run whose container is over.
func (a *Agent) containerExited(in ContainerExited) {
	x := a.byRun[in.Container]
	if x == nil || x.state == ExecutorTerminated {
		return
	}
	e := ending{state: mesos.TaskState_TASK_FAILED, reason: mesos.TaskStatus_REASON_EXECUTOR_TERMINATED}
	var why []string
	if x.end != nil {
		e.state, e.reason = x.end.state, x.end.reason
		why = append(why, x.end.message)
	}
	exit := in.Status
	switch {
	case in.Limited != nil:
		e.state, e.reason, e.limit = mesos.TaskState_TASK_FAILED, in.Limited.Reason, in.Limited.Resources
		if e.reason == mesos.TaskStatus_REASON_CONTAINER_UPDATE_FAILED {
			e.state = goneOrLost(x.framework.info)
		}
		why = append(why, in.Limited.Message)
	case !in.Known:
		exit = -1
		why = append(why, "Abnormal executor termination: unknown container")
	}
	e.message = or(strings.Join(why, "; "), "Executor terminated")
	a.over(x, exit, e)
}

// destroy ends a run by force, and keeps what its tasks are to be told.
func (a *Agent) destroy(x *executor, e *ending) {
	x.end = e
	x.to(ExecutorTerminating)
	a.showExecutor(x, false)
	a.act(Destroy{Container: x.run.Container})
}

// over ends a run: its tasks that are not over yet are, and the master is told.
func (a *Agent) over(x *executor, exit int32, e ending) {
	f := x.framework
	a.log.Info("executor has ended", slog.String("executor_id", string(x.run.Executor)),
		slog.String("framework_id", string(f.id)), slog.Int("status", int(exit)))
	a.count.ExecutorsTerminated++
	x.to(ExecutorTerminated)
	a.disconnectExecutor(x)
	for _, k := range [...]timerKind{timerDriver, timerSubscribe, timerShutdown, timerHeartbeat} {
		a.timers.cancel(timer{k, x.run.Container})
	}
	a.showExecutor(x, false)
	if !f.terminating {
		a.endTasks(x, e)
	}
	if !x.generated {
		a.tellExited(f.info.GetId(), x.info.GetExecutorId(), exit)
	}
	if a.state == Terminating || f.terminating || x.over() {
		a.removeExecutor(x)
	}
	a.dropIfIdle(f)
	a.reconnected()
}

// disconnectExecutor closes the stream of a run that has ended.
func (a *Agent) disconnectExecutor(x *executor) {
	if x.conn != 0 {
		delete(a.byConn, x.conn)
		a.later(CloseExecutor{Conn: x.conn})
		x.conn = 0
	}
}

// endTasks ends the tasks that a run leaves behind.
func (a *Agent) endTasks(x *executor, e ending) {
	for _, t := range inOrder(x.tasks) {
		if status.IsTerminal(t.row.GetState()) {
			continue
		}
		u := a.newUpdate(x.run.Framework, t.row.GetTaskId(), x.info.GetExecutorId(), e.state, e.reason, e.message)
		if len(e.limit) > 0 {
			u.Status.Limitation = &mesos.TaskResourceLimitation{Resources: e.limit}
		}
		a.update(u, nil)
	}
}
