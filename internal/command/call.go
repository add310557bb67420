package command

import (
	"bytes"
	"log/slog"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
)

// call returns an empty call of this executor.
func (x *Executor) call(t executorpb.Call_Type) *executorpb.Call {
	return &executorpb.Call{
		Type:        t.Enum(),
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&x.cfg.Framework)},
		ExecutorId:  &mesos.ExecutorID{Value: (*string)(&x.cfg.Executor)},
	}
}

// subscribe asks the agent for events, and tells it what it may not know yet.
func (x *Executor) subscribe() {
	c := x.call(executorpb.Call_SUBSCRIBE)
	c.Subscribe = &executorpb.Call_Subscribe{}
	for _, s := range x.unacked {
		c.Subscribe.UnacknowledgedUpdates = append(c.Subscribe.UnacknowledgedUpdates, &executorpb.Call_Update{Status: s})
	}
	if x.task != nil {
		// Listed even when acknowledged: to the agent it says that the task has
		// arrived here, however far its updates have come.
		c.Subscribe.UnacknowledgedTasks = []*mesos.TaskInfo{x.task}
	}
	x.out.Calls = append(x.out.Calls, c)
}

// status returns a status of a task of this executor, made now.
func (x *Executor) status(task *mesos.TaskID, s mesos.TaskState, reason *mesos.TaskStatus_Reason, message string) *mesos.TaskStatus {
	id := ids.NewUUID(x.rand)
	st := &mesos.TaskStatus{
		TaskId:     task,
		State:      s.Enum(),
		Source:     mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
		Reason:     reason,
		ExecutorId: &mesos.ExecutorID{Value: (*string)(&x.cfg.Executor)},
		Timestamp:  new(float64(x.now.UnixMicro()) / 1e6),
		Uuid:       id[:],
	}
	if message != "" {
		st.Message = &message
	}
	return st
}

// report sends a status of the task.
func (x *Executor) report(s mesos.TaskState, reason *mesos.TaskStatus_Reason, message string) {
	x.send(x.status(x.task.GetTaskId(), s, reason, message))
}

// send sends an update, and keeps it until the agent has it.
func (x *Executor) send(st *mesos.TaskStatus) {
	x.unacked = append(x.unacked, st)
	c := x.call(executorpb.Call_UPDATE)
	c.Update = &executorpb.Call_Update{Status: st}
	x.out.Calls = append(x.out.Calls, c)
}

// acknowledged drops an update that the agent has stored; with the task's last,
// the executor is over.
func (x *Executor) acknowledged(uuid []byte) {
	i := slices.IndexFunc(x.unacked, func(s *mesos.TaskStatus) bool { return bytes.Equal(s.GetUuid(), uuid) })
	if i < 0 {
		x.log.Warn("acknowledgement of an unknown update")
		return
	}
	st := x.unacked[i]
	x.unacked = slices.Delete(x.unacked, i, i+1)
	if x.state == ended && len(x.unacked) == 0 && st.GetTaskId().GetValue() == x.task.GetTaskId().GetValue() {
		x.out.Done = true
		x.log.Debug("command executor is done", slog.String("executor_id", string(x.cfg.Executor)))
	}
}
