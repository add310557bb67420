package agent

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/status"
)

// newUpdate returns an update that the agent makes itself. executor may be nil.
func (a *Agent) newUpdate(f ids.FrameworkID, task *mesos.TaskID, executor *mesos.ExecutorID,
	s mesos.TaskState, reason mesos.TaskStatus_Reason, message string,
) *messages.StatusUpdate {
	uuid, at := a.uuid(), float64(a.now.UnixMicro())/1e6
	return &messages.StatusUpdate{
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&f)},
		ExecutorId:  executor,
		SlaveId:     a.info.GetId(),
		Timestamp:   &at,
		Uuid:        uuid,
		Status: &mesos.TaskStatus{
			TaskId: task, State: s.Enum(), Source: mesos.TaskStatus_SOURCE_AGENT.Enum(), Reason: reason.Enum(),
			Message: &message, AgentId: a.info.GetId(), ExecutorId: executor, Timestamp: &at, Uuid: uuid,
		},
	}
}

// fromExecutor returns the update of a status that an executor has sent.
func (a *Agent) fromExecutor(x *executor, st *mesos.TaskStatus) *messages.StatusUpdate {
	st = st.CloneVT()
	if st.AgentId == nil {
		st.AgentId = a.info.GetId()
	}
	if st.ExecutorId == nil { // schedulers answer to it, and executors' libraries leave it out
		st.ExecutorId = &mesos.ExecutorID{Value: (*string)(&x.run.Executor)}
	}
	st.Source = mesos.TaskStatus_SOURCE_EXECUTOR.Enum()
	at := st.GetTimestamp()
	if st.Timestamp == nil {
		at = float64(a.now.UnixMicro()) / 1e6
	}
	return &messages.StatusUpdate{
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&x.run.Framework)},
		ExecutorId:  st.ExecutorId,
		SlaveId:     a.info.GetId(),
		Timestamp:   &at,
		Uuid:        st.GetUuid(),
		Status:      st,
	}
}

// update handles an update. sender is the executor that sent it, nil if the
// agent made it; a sender is told as soon as the update is safe here, or if it
// is of no use, so that it does not send it again.
func (a *Agent) update(u *messages.StatusUpdate, sender *executor) {
	f := a.frameworks[ids.FrameworkID(u.GetFrameworkId().GetValue())]
	id := u.GetStatus().GetTaskId()
	if f != nil && f.terminating {
		// The framework will never acknowledge it. Mesos leaves the executor
		// waiting, and kills it when its time is over; we let it go.
		a.count.InvalidStatusUpdates++
		a.acknowledge(sender, u)
		return
	}
	if len(u.GetUuid()) != 16 || u.GetStatus().GetAgentId().GetValue() != string(a.id()) || f == nil {
		a.count.InvalidStatusUpdates++
		a.log.Warn("status update ignored", slog.String("task_id", id.GetValue()), slog.Any("state", u.GetStatus().GetState()))
		return
	}
	a.count.ValidStatusUpdates++
	t := f.tasks[ids.TaskID(id.GetValue())]
	if !a.updates.Knows(u) {
		a.markDraining(f, u.GetStatus())
		if (t == nil || a.move(t, u.GetStatus())) && !a.deliver(u, t) {
			return
		}
	}
	a.acknowledge(sender, u)
}

// move brings a task to the state of a status, and reports whether it may be
// brought there.
func (a *Agent) move(t *task, st *mesos.TaskStatus) bool {
	terminal := status.IsTerminal(st.GetState())
	switch {
	case t.phase == TaskTerminated:
		a.log.Error("task is already over", slog.String("task_id", string(t.id)), slog.Any("state", t.row.GetState()), slog.Any("update", st.GetState()))
		return false
	case t.phase == TaskQueued && !terminal:
		a.log.Error("a task that is queued can only end", slog.String("task_id", string(t.id)), slog.Any("state", st.GetState()))
		return false
	}
	x := t.executor
	if t.phase == TaskQueued {
		x.unqueue(t)
	} else if st.GetSource() != mesos.TaskStatus_SOURCE_AGENT || !neverArrived(st.GetState()) {
		a.addContainerStatus(x, st)
	}
	t.row = withStatus(t.row, st)
	if terminal {
		a.terminate(t)
	}
	a.showTask(t)
	return true
}

// neverArrived reports whether a state of the agent's making says that the task
// did not reach its executor.
func neverArrived(s mesos.TaskState) bool {
	return s == mesos.TaskState_TASK_DROPPED || s == mesos.TaskState_TASK_LOST
}

// addContainerStatus says which container a status is about, where the executor
// has not: pods name the nested one.
func (a *Agent) addContainerStatus(x *executor, st *mesos.TaskStatus) {
	cs := st.ContainerStatus
	if cs == nil {
		cs = &mesos.ContainerStatus{}
		st.ContainerStatus = cs
	}
	if cs.ContainerId == nil {
		cs.ContainerId = &mesos.ContainerID{Value: (*string)(&x.run.Container)}
		if x.pid != 0 {
			cs.ExecutorPid = new(uint32(x.pid))
		}
	}
	container := cs.GetContainerId()
	if class := x.classes[container.GetValue()]; class != 0 {
		cs.CgroupInfo = &mesos.CgroupInfo{NetCls: &mesos.CgroupInfo_NetCls{Classid: &class}}
	}
	if container.GetParent() != nil && status.IsTerminal(st.GetState()) {
		delete(x.classes, container.GetValue())
	}
	if len(cs.NetworkInfos) == 0 && (!x.tellsNetworks || tellsNetworks(st)) {
		cs.NetworkInfos = x.networks
	}
	if len(cs.NetworkInfos) == 0 {
		ip := a.cfg.PID.AddrPort().Addr().String()
		cs.NetworkInfos = []*mesos.NetworkInfo{{IpAddresses: []*mesos.NetworkInfo_IPAddress{{IpAddress: &ip}}}}
	}
}

// tellsNetworks reports whether Mesos's executor of a task of the Docker Engine's says in
// a status where the task is. Of others its agent says that it is where the agent is.
func tellsNetworks(st *mesos.TaskStatus) bool {
	return st.GetState() == mesos.TaskState_TASK_RUNNING && (st.Reason == nil || st.GetReason() == mesos.TaskStatus_REASON_TASK_HEALTH_CHECK_STATUS_UPDATED)
}

// deliver hands an update to its stream, and remembers it if its framework wants
// that. t is its task, nil if that is not known here. It reports whether the
// update is safe here.
func (a *Agent) deliver(u *messages.StatusUpdate, t *task) bool {
	send, verdict := a.updates.Update(a.now, u)
	if verdict == status.Full {
		a.log.Error("too many status updates wait to be acknowledged", slog.String("task_id", u.GetStatus().GetTaskId().GetValue()))
		return false
	}
	if verdict == status.Accepted && t != nil && t.executor.checkpoint() {
		a.persist(meta.Update{Run: t.executor.run, Task: t.id, Record: &messages.StatusUpdateRecord{
			Type: messages.StatusUpdateRecord_UPDATE.Enum(), Update: u,
		}})
	}
	if send != nil {
		a.forward(send)
	}
	return true
}

// acknowledge tells an executor that its update is safe.
func (a *Agent) acknowledge(sender *executor, u *messages.StatusUpdate) {
	if sender == nil {
		return
	}
	a.send(sender, &executorpb.Event{
		Type:         executorpb.Event_ACKNOWLEDGED.Enum(),
		Acknowledged: &executorpb.Event_Acknowledged{TaskId: u.GetStatus().GetTaskId(), Uuid: u.GetUuid()},
	})
}

// forward sends an update to the master, with the state in which the task is
// now: what it used is free again however slow its framework is.
func (a *Agent) forward(u *messages.StatusUpdate) {
	if a.state != Running {
		return
	}
	m := &messages.StatusUpdateMessage{Update: u, Pid: (*string)(&a.cfg.PID)}
	if t := a.taskOf(u); t != nil && t.phase != TaskQueued {
		m.Update = &messages.StatusUpdate{
			FrameworkId: u.FrameworkId, ExecutorId: u.ExecutorId, SlaveId: u.SlaveId, Status: u.Status,
			Timestamp: u.Timestamp, Uuid: u.Uuid, LatestState: t.row.State,
		}
		row := copyTask(t.row)
		row.StatusUpdateState, row.StatusUpdateUuid = u.GetStatus().State, u.GetUuid()
		a.change(t, row)
	}
	a.count.UpdatesForwarded++
	a.tellMaster(m)
}

func (a *Agent) taskOf(u *messages.StatusUpdate) *task {
	f := a.frameworks[ids.FrameworkID(u.GetFrameworkId().GetValue())]
	if f == nil {
		return nil
	}
	return f.tasks[ids.TaskID(u.GetStatus().GetTaskId().GetValue())]
}

// resumeUpdates sends what waits, now that there is a master.
func (a *Agent) resumeUpdates() {
	for _, u := range a.updates.Resume(a.now) {
		a.forward(u)
	}
}

// acknowledged handles a framework's acknowledgement.
func (a *Agent) acknowledged(m *messages.StatusUpdateAcknowledgementMessage) {
	if a.state != Running {
		return
	}
	k := status.Key{Framework: ids.FrameworkID(m.GetFrameworkId().GetValue()), Task: ids.TaskID(m.GetTaskId().GetValue())}
	send, ended, err := a.updates.Acknowledge(a.now, k, m.GetUuid())
	if err != nil {
		a.log.Warn("acknowledgement ignored", slog.String("task_id", string(k.Task)), slog.String("why", err.Error()))
		return
	}
	if f := a.frameworks[k.Framework]; f != nil && f.tasks[k.Task] != nil {
		a.acknowledgedTask(f.tasks[k.Task], m.GetUuid(), ended)
	} else {
		a.updates.Forget(k)
	}
	if send != nil {
		a.forward(send)
	}
}

// acknowledgedTask remembers an acknowledgement; with the last one the task is
// complete, and perhaps its executor and its framework are.
func (a *Agent) acknowledgedTask(t *task, uuid []byte, ended bool) {
	x := t.executor
	if x.checkpoint() {
		a.persist(meta.Update{Run: x.run, Task: t.id, Record: &messages.StatusUpdateRecord{
			Type: messages.StatusUpdateRecord_ACK.Enum(), Uuid: uuid,
		}})
	}
	if ended && t.phase == TaskTerminated {
		a.complete(t)
	}
	a.removeIfOver(x)
}

// removeIfOver removes a run that has ended, if nobody waits for anything of it.
func (a *Agent) removeIfOver(x *executor) {
	if x.state == ExecutorTerminated && x.over() {
		a.removeExecutor(x)
		a.dropIfIdle(x.framework)
	}
}
