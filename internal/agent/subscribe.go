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
	"github.com/meseta-project/meseta/internal/refusal"
)

// heartbeatInterval is after what silence an executor's stream gets a HEARTBEAT.
const heartbeatInterval = 30 * time.Minute

// executorOf returns the run that a call comes from.
func (a *Agent) executorOf(c *executorpb.Call) (*executor, error) {
	f := a.frameworks[ids.FrameworkID(c.GetFrameworkId().GetValue())]
	if f == nil {
		return nil, refusal.Invalidf("Framework cannot be found")
	}
	x := f.executors[ids.ExecutorID(c.GetExecutorId().GetValue())]
	if x == nil {
		return nil, refusal.Invalidf("Executor cannot be found")
	}
	return x, nil
}

// verify refuses a call of one who is not the run's executor.
func (c *Caller) verify(x *executor) error {
	switch {
	case c == nil:
		return nil
	case c.Claims["fid"] != string(x.run.Framework):
		return refusal.Forbiddenf("Authenticated principal '%s' does not contain an 'fid' claim with the framework ID %s, which is set in the call", c.Name, x.run.Framework)
	case c.Claims["eid"] != string(x.run.Executor):
		return refusal.Forbiddenf("Authenticated principal '%s' does not contain an 'eid' claim with the executor ID %s, which is set in the call", c.Name, x.run.Executor)
	case c.Claims["cid"] != string(x.run.Container):
		return refusal.Forbiddenf("Authenticated principal '%s' does not contain a 'cid' claim with the correct active ContainerID", c.Name)
	}
	return nil
}

// subscribe handles an executor's wish for events. One that is to end is told
// so, and its stream is closed.
func (a *Agent) subscribe(in ExecutorSubscribe) {
	x, err := a.executorOf(in.Call)
	if err == nil {
		err = in.By.verify(x)
	}
	if err != nil {
		a.log.Warn("executor cannot subscribe", slog.String("executor_id", in.Call.GetExecutorId().GetValue()), slog.String("why", err.Error()))
		a.reply(in.Request, err)
		a.dismiss(in, in.Driver != "") // who has no answer to read
		return
	}
	a.reply(in.Request, nil)
	if a.state == Terminating || x.framework.terminating || x.state == ExecutorTerminating || x.state == ExecutorTerminated {
		a.dismiss(in, true)
		return
	}
	if in.Driver != "" && !a.admits(x, in) {
		return
	}
	a.connect(x, in)
	if in.Again { // a driver takes nothing else before
		a.welcome(x)
	}
	for _, u := range in.Call.GetSubscribe().GetUnacknowledgedUpdates() {
		a.update(a.fromExecutor(x, u.GetStatus()), x)
	}
	a.dropUnknown(x, in.Call.GetSubscribe().GetUnacknowledgedTasks())
	if !x.sentTask && len(x.queue) == 0 {
		a.shutdown(x) // all of its tasks were killed before it came
		return
	}
	if !in.Again {
		a.welcome(x)
	}
	a.handOver(x)
	a.sendKills(x)
	a.reconnected()
}

// dismiss ends a stream of one who is not taken as the executor, and has it end
// too.
func (a *Agent) dismiss(in ExecutorSubscribe, shutdown bool) {
	if shutdown {
		a.later(ToExecutor{Conn: in.Conn, Event: &executorpb.Event{Type: executorpb.Event_SHUTDOWN.Enum()}})
	}
	a.later(CloseExecutor{Conn: in.Conn})
}

// admits reports whether a driver may register as the executor. Unlike one over
// HTTP it may do so once in a life of the agent; while that recovers, it may only
// come back. What it said twice because it was asked twice is overheard.
func (a *Agent) admits(x *executor, in ExecutorSubscribe) bool {
	ok := x.state == ExecutorRegistering && (in.Again || a.state != Recovering)
	if !ok {
		a.dismiss(in, !in.Again || a.cfg.ExecutorReregistrationRetry == 0)
	}
	return ok
}

// connect makes in's stream that of the run; an older one is closed.
func (a *Agent) connect(x *executor, in ExecutorSubscribe) {
	if x.conn != 0 {
		delete(a.byConn, x.conn)
		a.later(CloseExecutor{Conn: x.conn})
	}
	x.conn = in.Conn
	a.byConn[in.Conn] = x
	if x.checkpoint() && x.builtin == Custom {
		a.persist(meta.Connected{Run: x.run, Driver: in.Driver})
	}
	if x.state == ExecutorRegistering {
		x.to(ExecutorRunning)
		a.timers.cancel(timer{timerSubscribe, x.run.Container})
		a.timers.cancel(timer{timerDriver, x.run.Container})
		a.showExecutor(x, false)
	}
	if x.builtin == Custom {
		a.timers.set(timer{timerHeartbeat, x.run.Container}, a.now.Add(heartbeatInterval))
	}
}

// dropUnknown ends the tasks that were on their way to the executor when the
// agent was restarted, and did not arrive.
func (a *Agent) dropUnknown(x *executor, arrived []*mesos.TaskInfo) {
	has := map[ids.TaskID]bool{}
	for _, t := range arrived {
		has[ids.TaskID(t.GetTaskId().GetValue())] = true
	}
	for _, t := range inOrder(x.tasks) {
		if t.phase == TaskLaunched && t.row.GetState() == mesos.TaskState_TASK_STAGING && !has[t.id] {
			a.dropLaunched(t)
		}
	}
	x.sentTask = x.everSentTask()
}

// dropLaunched ends a task that did not survive the agent's restart.
func (a *Agent) dropLaunched(t *task) {
	x := t.executor
	a.update(a.newUpdate(x.run.Framework, t.row.GetTaskId(), x.info.GetExecutorId(), droppedOrLost(x.framework.info),
		mesos.TaskStatus_REASON_AGENT_RESTARTED, "Task launched during agent restart"), nil)
}

// everSentTask reports whether any task has reached the executor.
func (x *executor) everSentTask() bool {
	reported := func(t *task) bool {
		for _, st := range t.row.GetStatuses() {
			if st.GetSource() == mesos.TaskStatus_SOURCE_EXECUTOR {
				return true
			}
		}
		return false
	}
	for _, t := range x.tasks {
		if t.phase == TaskLaunched || t.phase == TaskTerminated && reported(t) {
			return true
		}
	}
	return slices.ContainsFunc(x.completed.kept, reported)
}

// welcome tells an executor that it is subscribed.
func (a *Agent) welcome(x *executor) {
	a.resize()
	a.send(x, &executorpb.Event{
		Type: executorpb.Event_SUBSCRIBED.Enum(),
		Subscribed: &executorpb.Event_Subscribed{
			ExecutorInfo:  x.info,
			FrameworkInfo: x.framework.info,
			AgentInfo:     a.info,
			ContainerId:   &mesos.ContainerID{Value: (*string)(&x.run.Container)},
		},
	})
}

// executorClosed forgets a stream that has ended.
func (a *Agent) executorClosed(c ConnID) {
	if x := a.byConn[c]; x != nil {
		delete(a.byConn, c)
		x.conn = 0
		a.timers.cancel(timer{timerHeartbeat, x.run.Container})
	}
}

// heartbeat shows an executor that the agent is there.
func (a *Agent) heartbeat(x *executor) {
	if x == nil || x.conn == 0 {
		return
	}
	a.send(x, &executorpb.Event{Type: executorpb.Event_HEARTBEAT.Enum()})
	a.timers.set(timer{timerHeartbeat, x.run.Container}, a.now.Add(heartbeatInterval))
}

// subscribeTimeout ends an executor that has not come in time.
func (a *Agent) subscribeTimeout(x *executor) {
	if x == nil || x.state != ExecutorRegistering || x.framework.terminating {
		return
	}
	a.count.RegistrationTimeouts++
	a.destroy(x, &ending{
		state:   mesos.TaskState_TASK_FAILED,
		reason:  mesos.TaskStatus_REASON_EXECUTOR_REGISTRATION_TIMEOUT,
		message: "Executor did not register within " + durationText(a.cfg.ExecutorRegistrationTimeout),
	})
}

// executorCall handles any other call of an executor.
func (a *Agent) executorCall(in ExecutorCall) error {
	c := in.Call
	if c.GetType() == executorpb.Call_HEARTBEAT {
		return nil
	}
	x, err := a.executorOf(c)
	switch {
	case a.state == Recovering && (x == nil || x.builtin == Custom):
		return refusal.Unavailablef("Agent has not finished recovery")
	case err != nil:
		return err
	}
	if err := in.By.verify(x); err != nil {
		return err
	}
	if x.state == ExecutorRegistering {
		return refusal.Forbiddenf("Executor is not subscribed")
	}
	switch c.GetType() {
	case executorpb.Call_UPDATE:
		a.update(a.fromExecutor(x, c.GetUpdate().GetStatus()), x)
	case executorpb.Call_MESSAGE:
		a.messageUp(x, c.GetMessage().GetData())
	default:
		return refusal.NotImplementedf("Received 'UNKNOWN' call")
	}
	return nil
}

// messageUp sends what an executor has to say to its framework: to the driver,
// or through the master. Nobody sees to its arrival.
func (a *Agent) messageUp(x *executor, data []byte) {
	f := x.framework
	if a.state != Running || f.terminating {
		a.count.InvalidFrameworkMsgs++
		return
	}
	a.count.ValidFrameworkMessages++
	m := &messages.ExecutorToFrameworkMessage{
		SlaveId: a.info.GetId(), FrameworkId: f.info.GetId(), ExecutorId: x.info.GetExecutorId(), Data: data,
	}
	if to, err := ids.ParseUPID(f.pid); err == nil && f.pid != noDriver {
		a.later(ToProcess{To: to, Message: m})
		return
	}
	a.tellMaster(m)
}

// messageDown hands an executor what its framework has to say.
func (a *Agent) messageDown(m *messages.FrameworkToExecutorMessage) {
	var x *executor
	if f := a.frameworks[ids.FrameworkID(m.GetFrameworkId().GetValue())]; f != nil && !f.terminating {
		x = f.executors[ids.ExecutorID(m.GetExecutorId().GetValue())]
	}
	if a.state != Running || x == nil || x.state != ExecutorRunning {
		a.count.InvalidFrameworkMsgs++
		return
	}
	a.count.ValidFrameworkMessages++
	a.send(x, &executorpb.Event{Type: executorpb.Event_MESSAGE.Enum(), Message: &executorpb.Event_Message{Data: m.GetData()}})
}
