package command

import (
	"log/slog"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
)

// launch starts the task; an executor has only one.
func (x *Executor) launch(task *mesos.TaskInfo) {
	if x.task != nil {
		x.send(x.status(task.GetTaskId(), mesos.TaskState_TASK_FAILED, nil,
			"Attempted to run multiple tasks using a \"command\" executor"))
		return
	}
	x.task, x.state = task, starting
	x.report(mesos.TaskState_TASK_STARTING, nil, "")
	x.limit(x.now)
	x.out.Process = append(x.out.Process, Start)
}

// limit sets the end of the task's time, if it has one.
func (x *Executor) limit(launched time.Time) {
	if d := x.task.GetMaxCompletionTime().GetNanoseconds(); d > 0 {
		x.completeBy = launched.Add(time.Duration(d))
	}
}

// started handles the process's existence, and a kill that could not wait for
// it.
func (x *Executor) started(pid int) {
	if x.state != starting {
		return
	}
	x.log.Info("command started", slog.String("task_id", x.task.GetTaskId().GetValue()), slog.Int("pid", pid))
	x.state = running
	x.report(mesos.TaskState_TASK_RUNNING, nil, "")
	if x.killGrace >= 0 {
		x.kill(x.killGrace)
	}
}

// startFailed ends a task whose process never existed.
func (x *Executor) startFailed(message string) {
	if x.state != starting {
		return
	}
	x.end(mesos.TaskState_TASK_FAILED, mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED.Enum(),
		"Failed to launch command: "+message)
}

// grace is how long the task has once it is killed, unless the kill says more.
func (x *Executor) grace() time.Duration {
	if p := x.task.GetKillPolicy().GetGracePeriod(); p != nil {
		return time.Duration(p.GetNanoseconds())
	}
	return DefaultGrace
}

// killTask handles the agent's wish that the task be killed.
func (x *Executor) killTask(k *executorpb.Event_Kill) {
	grace := x.grace()
	if p := k.GetKillPolicy().GetGracePeriod(); p != nil {
		grace = time.Duration(p.GetNanoseconds())
	}
	x.completeBy = time.Time{}
	x.kill(grace)
}

// shutdown ends the task, and then the executor.
func (x *Executor) shutdown() {
	if x.task == nil {
		x.out.Done = true
		return
	}
	x.kill(max(0, x.cfg.ShutdownGrace-shutdownMargin))
}

// kill begins to end the task, or shortens the time that is left to it.
func (x *Executor) kill(grace time.Duration) {
	switch x.state {
	case starting:
		if x.killGrace < 0 || grace < x.killGrace {
			x.killGrace = grace
		}
	case running:
		if !x.outOfTime && hasCapability(x.framework, mesos.FrameworkInfo_Capability_TASK_KILLING_STATE) {
			x.report(mesos.TaskState_TASK_KILLING, nil, "")
		}
		x.state, x.killedAt, x.escalateAt = killing, x.now, x.now.Add(grace)
		x.out.Process = append(x.out.Process, Terminate)
	case killing:
		if at := x.killedAt.Add(grace); at.Before(x.escalateAt) {
			x.escalateAt = at
		}
	case subscribing, idle, ended:
		// There is nothing to kill.
	}
}

// expire does what time has made due.
func (x *Executor) expire() {
	if due(x.completeBy, x.now) && x.state != ended {
		x.log.Info("task exceeds its maximum completion time", slog.String("task_id", x.task.GetTaskId().GetValue()))
		x.completeBy, x.outOfTime = time.Time{}, true
		x.kill(0)
	}
	if due(x.escalateAt, x.now) {
		x.escalateAt = time.Time{}
		x.out.Process = append(x.out.Process, Kill)
	}
	if due(x.giveUpAt, x.now) {
		x.giveUpAt, x.out.Done = time.Time{}, true
	}
}

// exited ends the task as its exit status says. A process that ends before it
// was told to exist has existed all the same.
func (x *Executor) exited(in Exited) {
	killed := x.state == killing || x.state == starting && x.killGrace >= 0
	if x.state == starting {
		x.state = running
		x.report(mesos.TaskState_TASK_RUNNING, nil, "")
	}
	if x.state != running && x.state != killing {
		return
	}
	switch {
	case !in.Known:
		x.end(mesos.TaskState_TASK_FAILED, nil, "Failed to get exit status for Command")
	case x.outOfTime:
		x.end(mesos.TaskState_TASK_FAILED, mesos.TaskStatus_REASON_MAX_COMPLETION_TIME_REACHED.Enum(), "Command "+describe(in.Status))
	case killed:
		x.end(mesos.TaskState_TASK_KILLED, nil, "Command "+describe(in.Status))
	case in.Status == 0:
		x.end(mesos.TaskState_TASK_FINISHED, nil, "Command "+describe(in.Status))
	default:
		x.end(mesos.TaskState_TASK_FAILED, nil, "Command "+describe(in.Status))
	}
}

// end reports the task's end; the executor is over when the agent has stored it.
func (x *Executor) end(s mesos.TaskState, reason *mesos.TaskStatus_Reason, message string) {
	x.state = ended
	x.escalateAt, x.completeBy, x.giveUpAt = time.Time{}, time.Time{}, x.now.Add(ackTimeout)
	x.report(s, reason, message)
}

// due reports whether t is set and has come.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

func hasCapability(f *mesos.FrameworkInfo, c mesos.FrameworkInfo_Capability_Type) bool {
	for _, have := range f.GetCapabilities() {
		if have.GetType() == c {
			return true
		}
	}
	return false
}
