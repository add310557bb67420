package agent

import (
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/secret"
	"github.com/meseta-project/meseta/resources"
)

// ExecutorState is how far an executor's run is:
//
//	              SUBSCRIBE
//	REGISTERING ────────────▶ RUNNING
//	    │   shut down, timed out  │
//	    └───────▶ TERMINATING ◀───┘
//	    │              │          │
//	    └──── the container is over
//	                   ▼          │
//	              TERMINATED ◀────┘   removed when no task waits
//	                                  for an acknowledgement
type ExecutorState uint8

// The states of an executor's run.
const (
	ExecutorRegistering ExecutorState = iota + 1
	ExecutorRunning
	ExecutorTerminating
	ExecutorTerminated
)

var executorStateNames = [...]string{"", "REGISTERING", "RUNNING", "TERMINATING", "TERMINATED"}

// String returns the state as Mesos names it.
func (s ExecutorState) String() string { return executorStateNames[s] }

// next says which states may follow; TERMINATED is the end.
var nextExecutorStates = [...][]ExecutorState{
	ExecutorRegistering: {ExecutorRunning, ExecutorTerminating, ExecutorTerminated},
	ExecutorRunning:     {ExecutorTerminating, ExecutorTerminated},
	ExecutorTerminating: {ExecutorTerminated},
	ExecutorTerminated:  nil,
}

// executor is one run of an executor.
type executor struct {
	run       meta.Run
	seq       uint64
	framework *framework
	info      *mesos.ExecutorInfo
	generated bool // made up for a command task
	builtin   Builtin
	state     ExecutorState
	conn      ConnID   // where its events go; 0: nowhere
	driver    ids.UPID // of an earlier life's, which waits to be told that we are back; "": none
	pid       int
	networks  []*mesos.NetworkInfo // nil: the machine's own
	// tellsNetworks is for networks that are not of each status, see ContainerNetworks.
	tellsNetworks bool
	classes       map[string]uint32 // of net_cls, by the last part of the container's id
	sandbox       string
	queue         []*launch // not handed over yet
	tasks         map[ids.TaskID]*task
	limited       int // how many of tasks have limits
	completed     ring[*task]
	used          resources.Resources // by the executor and its tasks that are not over
	resized       bool                // is among those whose container is to be told
	sentTask      bool                // has been handed a task
	end           *ending             // why it is being ended
}

func (x *executor) order() uint64 { return x.seq }

// checkpoint reports whether the run is remembered.
func (x *executor) checkpoint() bool { return x.framework.info.GetCheckpoint() }

// to moves the run to another state.
func (x *executor) to(s ExecutorState) {
	invariant.Check(slices.Contains(nextExecutorStates[x.state], s), "an executor's state changes as it may",
		"executor_id", x.run.Executor, "from", x.state, "to", s)
	x.state = s
}

// over reports whether no task of the run needs anything more.
func (x *executor) over() bool { return len(x.queue) == 0 && len(x.tasks) == 0 }

// addExecutor begins a run of an executor.
func (a *Agent) addExecutor(f *framework, info *mesos.ExecutorInfo, generated bool) *executor {
	run := meta.Run{
		Framework: f.id,
		Executor:  ids.ExecutorID(info.GetExecutorId().GetValue()),
		Container: ids.ContainerID(ids.NewUUID(a.rand).String()),
	}
	x := a.newExecutor(f, run, info, generated)
	if x.checkpoint() {
		a.persist(meta.Executor{Run: run, Info: downgraded(secret.WithoutInExecutor(info)), Generated: generated})
		if x.builtin != Custom { // how it will speak is known, and one write is sooner durable than two
			a.persist(meta.Connected{Run: run})
		}
	}
	a.gc.keep(meta.Run{Framework: f.id, Executor: run.Executor})
	return x
}

// newExecutor puts a run in its places.
func (a *Agent) newExecutor(f *framework, run meta.Run, info *mesos.ExecutorInfo, generated bool) *executor {
	x := &executor{
		run: run, seq: a.next(), framework: f, info: info, generated: generated, builtin: builtinOf(info, generated),
		state:     ExecutorRegistering,
		sandbox:   a.layout.Sandbox(run),
		tasks:     map[ids.TaskID]*task{},
		classes:   map[string]uint32{},
		completed: ring[*task]{max: a.cfg.MaxCompletedTasks},
		used:      resources.Trusted(info.GetResources()),
	}
	f.executors[run.Executor] = x
	a.byRun[run.Container] = x
	a.showExecutor(x, false)
	return x
}

func builtinOf(info *mesos.ExecutorInfo, generated bool) Builtin {
	switch {
	case generated:
		return CommandBuiltin
	case info.GetType() == mesos.ExecutorInfo_DEFAULT:
		return PodBuiltin
	}
	return Custom
}

func (a *Agent) showExecutor(x *executor, completed bool) {
	a.rows.executors.Put(x.seq, &ExecutorRow{
		Serial: x.seq, Run: x.run, Info: secret.WithoutInExecutor(x.info), State: x.state, Generated: x.generated, Sandbox: x.sandbox, PID: x.pid, Completed: completed,
	})
}

// removeExecutor ends a run that is over, and leaves its sandbox to be
// collected.
func (a *Agent) removeExecutor(x *executor) {
	f := x.framework
	invariant.CheckOne(x.state == ExecutorTerminated, "only an executor that is over is removed", "executor_id", x.run.Executor)
	if x.checkpoint() {
		a.persist(meta.Ended{Run: x.run})
	}
	a.collectExecutor(x)
	for _, t := range inOrder(x.tasks) { // of a framework or agent that ends: nobody acknowledges them
		t.phase = TaskTerminated
		a.showTask(t)
		delete(f.tasks, t.id)
	}
	delete(f.executors, x.run.Executor)
	delete(a.byRun, x.run.Container)
	a.showExecutor(x, true)
	if old, full := f.ended.add(x); full {
		a.forgetExecutor(old)
	}
}

// forgetExecutor takes a run out of sight for good.
func (a *Agent) forgetExecutor(x *executor) {
	a.rows.executors.Delete(x.seq)
	for _, t := range x.tasks {
		a.rows.tasks.Delete(t.seq)
	}
	for _, t := range x.completed.kept {
		a.rows.tasks.Delete(t.seq)
	}
}

// grace is how long the executor has to end by itself.
func (a *Agent) grace(info *mesos.ExecutorInfo) time.Duration {
	if d := info.GetShutdownGracePeriod(); d != nil {
		return time.Duration(d.GetNanoseconds())
	}
	return a.cfg.ExecutorShutdownGrace
}

// shutdown asks an executor to end, and plans to end it by force.
func (a *Agent) shutdown(x *executor) {
	x.to(ExecutorTerminating)
	a.timers.cancel(timer{timerSubscribe, x.run.Container})
	a.send(x, &executorpb.Event{Type: executorpb.Event_SHUTDOWN.Enum()})
	a.timers.set(timer{timerShutdown, x.run.Container}, a.now.Add(a.grace(x.info)))
	a.showExecutor(x, false)
}

// shutdownTimeout ends an executor that had time to end by itself.
func (a *Agent) shutdownTimeout(x *executor) {
	if x != nil && x.state == ExecutorTerminating {
		a.act(Destroy{Container: x.run.Container})
	}
}

// send sends an executor an event, if it listens.
func (a *Agent) send(x *executor, ev *executorpb.Event) {
	if x.conn != 0 {
		a.later(ToExecutor{Conn: x.conn, Event: ev, Scheduler: x.framework.pid})
	}
}

// resize tells the containers whose tasks have changed what they may use.
func (a *Agent) resize() {
	for _, x := range a.resized {
		x.resized = false
		if a.byRun[x.run.Container] == x && x.state == ExecutorRunning {
			a.act(Update{Container: x.run.Container, Resources: x.used, Limits: x.limits()})
		}
	}
	a.resized = a.resized[:0]
}

// use changes what the run uses.
func (a *Agent) use(x *executor, now resources.Resources) {
	x.used = now
	if !x.resized {
		x.resized = true
		a.resized = append(a.resized, x)
	}
}

// check panics unless the run is what its place says; see [Agent.Check].
func (x *executor) check(a *Agent) {
	invariant.CheckOne(a.byRun[x.run.Container] == x, "a run is found by its container", "container_id", x.run.Container)
	invariant.CheckOne(x.conn == 0 || a.byConn[x.conn] == x, "a run is found by its stream", "container_id", x.run.Container)
	invariant.CheckOne(x.state != ExecutorTerminated || !x.over(), "a run that is over is removed", "container_id", x.run.Container)
	invariant.CheckOne(len(x.completed.kept) <= a.cfg.MaxCompletedTasks, "completed tasks are bounded", "container_id", x.run.Container)
	for id, t := range x.tasks {
		invariant.CheckOne(t.executor == x && x.framework.tasks[id] == t, "a task is where it belongs", "task_id", id)
		t.check()
	}
	for _, l := range x.queue {
		for _, t := range l.tasks {
			invariant.CheckOne(t.phase == TaskQueued && x.tasks[t.id] == t, "what is queued waits", "task_id", t.id)
		}
	}
}
