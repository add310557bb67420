package sim

import (
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
)

// A customExecutor is a framework's own executor: a process that speaks the
// executor API with its agent, and outlives the agent's if its framework
// checkpoints. What the agent has not acknowledged it sends again.
type customExecutor struct {
	c          *container
	w          *world
	conn       agent.ConnID
	life       int  // of the agent's process that conn is with
	subscribed bool // with that
	trying     bool
	since      time.Time // disconnected
	tasks      map[ids.TaskID]*mesos.TaskInfo
	ended      map[ids.TaskID]bool
	order      []ids.TaskID
	unacked    []*mesos.TaskStatus
	acked      map[ids.TaskID]bool // whether anything of the task was
	idle       int
	last       time.Time // when what was sent last arrives
}

// startExecutor starts the mind of a container's process.
func startExecutor(c *container) {
	w := c.machine.w
	x := &customExecutor{
		c: c, w: w, since: w.now,
		tasks: map[ids.TaskID]*mesos.TaskInfo{}, ended: map[ids.TaskID]bool{}, acked: map[ids.TaskID]bool{},
	}
	c.executor = x
	if w.suffers(HungExecutor, 0.2) {
		return
	}
	x.retry(w.between("executors", 10*time.Millisecond, 800*time.Millisecond))
}

func (x *customExecutor) alive() bool { return x.c.process.alive }

// retry subscribes later.
func (x *customExecutor) retry(after time.Duration) {
	if x.trying {
		return
	}
	x.trying = true
	x.w.after(after, func() {
		x.trying = false
		x.subscribe()
	})
}

func (x *customExecutor) call(t executorpb.Call_Type) *executorpb.Call {
	run := x.c.spec.Run
	return &executorpb.Call{
		Type:        t.Enum(),
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&run.Framework)},
		ExecutorId:  &mesos.ExecutorID{Value: (*string)(&run.Executor)},
	}
}

func (x *customExecutor) subscribe() {
	a := x.c.agent
	if !x.alive() || x.subscribed {
		return
	}
	if a.core == nil {
		if x.w.now.Sub(x.since) > 15*time.Minute {
			x.c.end(0, 1<<8)
			return
		}
		x.retry(x.w.between("executors", 100*time.Millisecond, 2*time.Second))
		return
	}
	call := x.call(executorpb.Call_SUBSCRIBE)
	call.Subscribe = &executorpb.Call_Subscribe{}
	for _, s := range x.unacked {
		call.Subscribe.UnacknowledgedUpdates = append(call.Subscribe.UnacknowledgedUpdates, &executorpb.Call_Update{Status: s})
	}
	for _, id := range x.order {
		if !x.acked[id] {
			call.Subscribe.UnacknowledgedTasks = append(call.Subscribe.UnacknowledgedTasks, x.tasks[id])
		}
	}
	x.life = a.life
	x.conn = a.connect(x)
	x.subscribed = true
	x.w.note("%s    executor %s: %s", x.c.machine.name, x.c.spec.Run.Executor, briefCall(call))
	a.tell(here, agent.ExecutorSubscribe{Conn: x.conn, Call: call, Request: a.ask(func(err error) {
		if err != nil {
			x.subscribed = false
			x.retry(time.Second)
		}
	})})
}

// disconnected is the end of the agent's process. An executor that is not meant
// to outlive it is killed by the machine.
func (x *customExecutor) disconnected() {
	x.subscribed = false
	x.since = x.w.now
	x.retry(x.w.between("executors", 0, 500*time.Millisecond))
}

// closed implements [sink].
func (x *customExecutor) closed() {
	if x.subscribed {
		x.subscribed = false
		x.retry(x.w.between("executors", 0, time.Second))
	}
}

// arrival draws how long something is under way between the executor and its
// agent: nothing overtakes.
func (x *customExecutor) arrival() time.Duration {
	at := x.w.now.Add(x.w.between("executors", 0, time.Millisecond))
	if at.Before(x.last) {
		at = x.last
	}
	x.last = at
	return at.Sub(x.w.now)
}

// event implements [sink].
func (x *customExecutor) event(ev *executorpb.Event) {
	life := x.life
	x.w.after(x.arrival(), func() {
		if x.alive() && x.life == life {
			x.handle(ev)
		}
	})
}

func (x *customExecutor) handle(ev *executorpb.Event) {
	switch ev.GetType() { //nolint:exhaustive // this executor has no use for the others
	case executorpb.Event_LAUNCH:
		x.launch(ev.Launch.Task)
	case executorpb.Event_LAUNCH_GROUP:
		for _, t := range ev.LaunchGroup.TaskGroup.Tasks {
			x.launch(t)
		}
	case executorpb.Event_KILL:
		id := ids.TaskID(ev.Kill.TaskId.GetValue())
		if x.tasks[id] != nil {
			x.w.after(x.w.between("executors", 0, time.Second), func() { x.end(id, mesos.TaskState_TASK_KILLED) })
		}
	case executorpb.Event_ACKNOWLEDGED:
		x.acknowledged(ev.Acknowledged)
	case executorpb.Event_SHUTDOWN:
		x.shutdown()
	}
}

func (x *customExecutor) key(id ids.TaskID) taskKey { return taskKey{x.c.spec.Run.Framework, id} }

func (x *customExecutor) launch(t *mesos.TaskInfo) {
	id := ids.TaskID(t.TaskId.GetValue())
	x.w.history.processStarted(x.key(id), x.c.machine.name)
	x.tasks[id] = t
	x.order = append(x.order, id)
	x.report(id, mesos.TaskState_TASK_RUNNING)
	runtime, status := x.w.fate()
	state := mesos.TaskState_TASK_FINISHED
	if status != 0 {
		state = mesos.TaskState_TASK_FAILED
	}
	x.w.after(runtime, func() { x.end(id, state) })
}

// end ends a task, unless it is over.
func (x *customExecutor) end(id ids.TaskID, state mesos.TaskState) {
	if !x.alive() || x.ended[id] {
		return
	}
	x.ended[id] = true
	x.w.history.processEnded(x.key(id))
	x.report(id, state)
}

func (x *customExecutor) report(id ids.TaskID, state mesos.TaskState) {
	uuid := ids.NewUUID(x.w.rand("executors"))
	run := x.c.spec.Run
	at := float64(x.c.agent.clock.now().UnixMicro()) / 1e6
	s := &mesos.TaskStatus{
		TaskId: x.tasks[id].TaskId, State: state.Enum(), Source: mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
		ExecutorId: &mesos.ExecutorID{Value: (*string)(&run.Executor)}, Uuid: uuid[:], Timestamp: &at,
	}
	x.unacked = append(x.unacked, s)
	if !x.subscribed {
		return
	}
	call := x.call(executorpb.Call_UPDATE)
	call.Update = &executorpb.Call_Update{Status: s}
	a := x.c.agent
	life := x.life
	x.w.note("%s    executor %s: %s", x.c.machine.name, run.Executor, briefCall(call))
	x.w.after(x.arrival(), func() {
		if a.life == life && a.core != nil {
			a.tell(here, agent.ExecutorCall{Call: call, Request: a.ask(func(err error) {
				if err != nil {
					x.hangUp(life)
				}
			})})
		}
	})
}

// hangUp ends the connection to an agent that refuses an update, since it has not
// finished recovery. The next subscription has all updates, in order.
func (x *customExecutor) hangUp(life int) {
	if !x.alive() || !x.subscribed || x.life != life {
		return
	}
	x.subscribed = false
	delete(x.c.agent.sinks, x.conn)
	x.c.agent.tell(here, agent.ExecutorClosed{Conn: x.conn})
	x.retry(x.w.between("executors", 100*time.Millisecond, 2*time.Second))
}

func (x *customExecutor) acknowledged(ack *executorpb.Event_Acknowledged) {
	i := slices.IndexFunc(x.unacked, func(s *mesos.TaskStatus) bool { return string(s.Uuid) == string(ack.Uuid) })
	if i < 0 {
		return // it was sent twice
	}
	id := ids.TaskID(ack.TaskId.GetValue())
	x.acked[id] = true
	x.w.history.accepted(x.key(id), x.unacked[i], x.c.spec.Checkpoint)
	x.unacked = slices.Delete(x.unacked, i, i+1)
	x.leaveIfIdle()
}

// leaveIfIdle ends an executor that has nothing left to do, after a while.
func (x *customExecutor) leaveIfIdle() {
	if len(x.unacked) > 0 || len(x.ended) < len(x.tasks) {
		return
	}
	x.idle = len(x.tasks)
	x.w.after(x.w.between("executors", 2*time.Second, 40*time.Second), func() {
		if x.alive() && x.idle == len(x.tasks) && len(x.unacked) == 0 && len(x.ended) == len(x.tasks) {
			x.c.end(0, 0)
		}
	})
}

// shutdown ends all tasks, and then the process, which waits a little for the
// last acknowledgements.
func (x *customExecutor) shutdown() {
	for _, id := range x.order {
		x.end(id, mesos.TaskState_TASK_KILLED)
	}
	if !x.c.process.stubborn {
		x.c.end(x.w.between("executors", 0, 2*time.Second), 0)
	}
}

// dead ends what the process had.
func (x *customExecutor) dead() {
	for _, id := range x.order {
		if !x.ended[id] {
			x.ended[id] = true
			x.w.history.processEnded(x.key(id))
		}
	}
	if x.subscribed && x.c.agent.core != nil && x.c.agent.life == x.life {
		x.c.agent.tell(here, agent.ExecutorClosed{Conn: x.conn})
	}
	x.subscribed = false
}
