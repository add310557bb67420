package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/status"
	"github.com/meseta-project/meseta/resources"
)

// Recover takes up what an earlier life left: state is what it remembered (nil:
// nothing), running the containers that exist or whose exit status is still to
// be had. Executors that are processes get some time to come back before the
// agent registers, so that it can say what runs; if there are none, or all are
// back, it does not wait.
func (a *Agent) Recover(now time.Time, state *meta.State, running []ids.ContainerID) {
	a.now = now
	if state == nil {
		state = &meta.State{}
	}
	a.count.RecoveryErrors = state.Errors
	rebooted := state.Boot != "" && a.cfg.BootID != "" && state.Boot != a.cfg.BootID
	if err := a.identify(state, rebooted); err != nil {
		a.out.Fatal = fmt.Errorf("recover the agent: %w", err)
		return
	}
	if a.cfg.BootID != state.Boot {
		a.persist(meta.Boot{ID: a.cfg.BootID})
	}
	a.replaying = true
	for _, act := range plan(state, running, rebooted, a.cfg.Cleanup) {
		a.log.Info("recover", slog.String("container_id", string(act.run.Container)), slog.String("because", act.reason))
		a.carryOut(act, state)
	}
	a.replaying = false
	a.recoverEmpty(state)
	a.recovered()
}

// recoverEmpty gives up the folders of frameworks of which nothing is left.
// Those without records Mesos's agent never deletes.
func (a *Agent) recoverEmpty(s *meta.State) {
	for _, id := range s.Strays {
		a.gc.give(a.now, waste{run: meta.Run{Framework: id}, paths: []string{a.layout.FrameworkDir(id)}})
	}
	for _, id := range sorted(s.Frameworks) {
		if s.Frameworks[id].Info != nil && a.frameworks[id] == nil && len(s.Frameworks[id].Executors) == 0 {
			a.recoverFramework(s.Frameworks[id])
		}
	}
	for _, f := range inOrder(a.frameworks) {
		a.dropIfIdle(f)
	}
}

// identify takes up the ID and what is reserved, if the agent is still the one
// that it was.
func (a *Agent) identify(s *meta.State, rebooted bool) error {
	for _, id := range s.Old {
		a.collectAgent(id)
	}
	total, err := resources.Trusted(a.cfg.Info.GetResources()).WithCheckpointed(resources.Trusted(upgraded(resourcesOf(s)).GetResources()))
	if err != nil {
		return err
	}
	a.setReserved(total.NeedingCheckpoint()) // makes the folders that a crash left unmade
	if s.Agent == nil {
		return nil
	}
	err = a.compatible(upgraded(s.Agent))
	switch {
	case err != nil && !rebooted:
		return err
	case err != nil:
		a.log.Warn("start as a new agent", slog.String("why", err.Error()))
		a.collectAgent(ids.AgentID(s.Agent.GetId().GetValue()))
		a.persist(meta.Forget{})
		s.Frameworks = nil
		return nil
	}
	a.drain = s.Drain
	a.info = withID(a.info, s.Agent.GetId())
	a.layout.Agent = a.id()
	if !proto.Equal(upgraded(s.Agent), a.info) {
		a.persist(meta.Agent{Info: downgraded(a.info)})
	}
	for _, o := range s.Resources.GetOperations() {
		a.addOperation(o)
	}
	return nil
}

// carryOut does one step of the plan.
func (a *Agent) carryOut(act action, s *meta.State) {
	switch act.kind {
	case actDestroy:
		a.act(Destroy{Container: act.run.Container})
	case actCollect:
		a.gc.give(a.now, waste{run: act.run, paths: a.both(true, func(l meta.Layout) string { return l.Sandbox(act.run) })})
	default:
		a.carryOutRun(act, s)
	}
}

// carryOutRun does one step of the plan about a run that is taken up.
func (a *Agent) carryOutRun(act action, s *meta.State) {
	f := s.Frameworks[act.run.Framework]
	x := a.recoverRun(a.recoverFramework(f), act.run, f.Executors[act.run.Executor])
	switch act.kind {
	case actAdopt:
		a.act(Adopt{Spec: a.recoveredSpec(x, s.Run(x.run)), PID: x.pid})
		a.askBack(x)
	case actEnd:
		a.act(Adopt{Spec: a.recoveredSpec(x, s.Run(x.run)), PID: x.pid})
		a.shutdown(x)
		if x.driver != "" {
			a.later(ToProcess{To: x.driver, Message: &messages.ShutdownExecutorMessage{}})
		}
	case actDrop:
		a.dropAll(x)
		a.bury(x)
	case actBury:
		a.bury(x)
	case actRecall:
		x.to(ExecutorTerminated)
		a.removeExecutor(x)
	default:
		invariant.Fail("a run is taken up for a reason", "kind", act.kind)
	}
}

// askBack tells a driver of an earlier life that we are back: it does not look by
// itself. If it does not come it is asked again, where that is wanted.
func (a *Agent) askBack(x *executor) {
	if x == nil || x.driver == "" || a.state != Recovering || x.state != ExecutorRegistering {
		return
	}
	a.later(ToProcess{To: x.driver, Message: &messages.ReconnectExecutorMessage{SlaveId: a.info.GetId()}})
	if a.cfg.ExecutorReregistrationRetry > 0 {
		a.timers.set(timer{timerDriver, x.run.Container}, a.now.Add(a.cfg.ExecutorReregistrationRetry))
	}
}

// recoveredSpec returns the spec of a container that runs, with what a built-in
// executor has to know of its tasks to go on.
func (a *Agent) recoveredSpec(x *executor, s *meta.RunState) *ContainerSpec {
	spec := a.baseSpec(x)
	spec.Resources, spec.Limits = x.used.Proto(), x.limits()
	if x.builtin == Custom {
		return spec
	}
	for _, id := range sorted(s.Tasks) {
		t := recoveredTask(x.run, s.Tasks[id])
		arrived := t.Container != x.run.Container && x.tasks[id] != nil && x.tasks[id].phase == TaskLaunched
		if x.generated || arrived {
			spec.Recovered = append(spec.Recovered, t)
		}
	}
	if x.generated && len(spec.Recovered) > 0 {
		spec.Task, spec.Last = spec.Recovered[0].Task, spec.Recovered[0].Last
		spec.addRole(spec.Task)
	}
	return spec
}

// recoveredTask returns what is remembered of a task. Which container of a pod
// it is in, its updates say; one without any never got there.
func recoveredTask(run meta.Run, t *meta.TaskState) RecoveredTask {
	row := t.Info
	out := RecoveredTask{Container: run.Container, Group: t.Group, Task: &mesos.TaskInfo{
		Name: row.Name, TaskId: row.GetTaskId(), AgentId: row.GetAgentId(), Resources: row.GetResources(),
		Container: row.GetContainer(), HealthCheck: row.GetHealthCheck(), KillPolicy: row.GetKillPolicy(),
		Labels: row.GetLabels(), Discovery: row.GetDiscovery(), Check: t.Check,
	}}
	if row.User != nil {
		out.Task.Command = &mesos.CommandInfo{User: row.User}
	}
	if t.MaxCompletion > 0 {
		out.Task.MaxCompletionTime = &mesos.DurationInfo{Nanoseconds: new(int64(t.MaxCompletion))}
	}
	for _, u := range t.Updates {
		out.Last = u.GetStatus()
		if id := u.GetStatus().GetContainerStatus().GetContainerId(); id.GetParent() != nil {
			out.Container = run.Container.Child(id.GetValue())
		}
	}
	return out
}

// bury ends a run whose container is gone. The executor's end is not told to the
// master, which does not know this agent yet.
func (a *Agent) bury(x *executor) {
	a.containerExited(ContainerExited{Container: x.run.Container})
}

// dropAll ends the tasks of a command executor that was never started.
func (a *Agent) dropAll(x *executor) {
	for _, t := range inOrder(x.tasks) {
		if t.phase == TaskLaunched {
			a.dropLaunched(t)
		}
	}
}

// recoverFramework takes up a framework; it is remembered already.
func (a *Agent) recoverFramework(s *meta.FrameworkState) *framework {
	id := ids.FrameworkID(s.Info.GetId().GetValue())
	if f := a.frameworks[id]; f != nil {
		return f
	}
	f := &framework{
		id: id, seq: a.next(), row: a.next(), info: s.Info, pid: s.PID, since: a.now,
		executors: map[ids.ExecutorID]*executor{}, tasks: map[ids.TaskID]*task{},
		ended: ring[*executor]{max: a.cfg.MaxCompletedExecutors},
	}
	a.frameworks[id] = f
	a.showFramework(f, false)
	return f
}

// recoverRun takes up a run with its tasks and what of their updates is to be
// acknowledged yet.
func (a *Agent) recoverRun(f *framework, run meta.Run, s *meta.ExecutorState) *executor {
	x := a.newExecutor(f, run, upgraded(s.Info), s.Generated)
	r := s.Runs[run.Container]
	x.pid = r.ForkedPID
	if (r.Foreign || r.Driver != "") && !r.Ended {
		// A process that speaks for itself, be it the command executor of a Mesos
		// agent whose place this one has taken.
		x.builtin, x.driver = Custom, r.Driver
	}
	for _, id := range sorted(r.Tasks) {
		a.recoverTask(x, r.Tasks[id], r.Ended)
	}
	x.sentTask = x.everSentTask()
	a.showExecutor(x, r.Ended)
	return x
}

func (a *Agent) recoverTask(x *executor, s *meta.TaskState, ended bool) {
	s.Info = upgraded(s.Info)
	row, phase := replay(s)
	t := &task{id: ids.TaskID(row.GetTaskId().GetValue()), seq: a.next(), executor: x, limits: row.GetLimits(), row: row, phase: phase}
	if phase == TaskCompleted || ended { // its ID may be that of another task by now
		t.phase = TaskCompleted
		a.keepCompleted(t)
		return
	}
	a.addTask(t)
	if phase == TaskTerminated {
		x.used = x.used.Sub(resources.Trusted(row.GetResources()))
	}
	a.updates.Recover(status.Key{Framework: x.run.Framework, Task: t.id}, s.Updates, s.Acks)
}

// awaited reports whether an executor is expected back.
func (a *Agent) awaited() bool {
	for _, x := range a.byRun {
		if x.state == ExecutorRegistering {
			return true
		}
	}
	return false
}

// recovered ends the recovery, or begins to wait for executors.
func (a *Agent) recovered() {
	switch {
	case a.cfg.Cleanup:
		a.state = Terminating
		a.doneIfIdle()
	case a.awaited():
		a.timers.set(timer{kind: timerReconnect}, a.now.Add(a.cfg.ExecutorReregistration))
	default:
		a.ready()
	}
}

// reconnected ends the wait for executors when none is missing any more.
func (a *Agent) reconnected() {
	if a.state == Recovering && a.timers.has(timer{kind: timerReconnect}) && !a.awaited() {
		a.ready()
	}
}

// reconnectTimeout gives up the executors that have not come back. Those of the
// agent's own come back for certain, or their containers are over: if they are late
// the machine stood still, and what they run goes on.
func (a *Agent) reconnectTimeout() {
	for _, f := range inOrder(a.frameworks) {
		for _, x := range inOrder(f.executors) {
			if x.state != ExecutorRegistering || x.builtin != Custom {
				continue
			}
			a.destroy(x, &ending{
				state:   goneOrLost(f.info),
				reason:  mesos.TaskStatus_REASON_EXECUTOR_REREGISTRATION_TIMEOUT,
				message: "Executor did not reregister within " + durationText(a.cfg.ExecutorReregistration),
			})
		}
	}
	a.ready()
}

// ready makes the agent look for its master.
func (a *Agent) ready() {
	a.timers.cancel(timer{kind: timerReconnect})
	a.state = Disconnected
	if a.drain != nil {
		if len(a.frameworks) == 0 {
			a.drained()
		} else {
			a.startDraining(a.drain)
		}
	}
	a.reregister()
}

// errDiffers says that an agent has been configured otherwise.
var errDiffers = errors.New("the agent's attributes, resources, host name, port or domain have changed, which --reconfiguration_policy=equal does not allow")
