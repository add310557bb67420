package builtin

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
)

// Reporter makes an executor's calls to its agent, and keeps the updates that
// the agent has not stored yet.
type Reporter struct {
	framework ids.FrameworkID
	executor  ids.ExecutorID
	rand      *rand.Rand
	unacked   []*mesos.TaskStatus
}

// NewReporter returns the reporter of an executor.
func NewReporter(f ids.FrameworkID, x ids.ExecutorID, r *rand.Rand) *Reporter {
	return &Reporter{framework: f, executor: x, rand: r}
}

// Pending returns how many updates the agent has not stored.
func (r *Reporter) Pending() int { return len(r.unacked) }

func (r *Reporter) call(t executorpb.Call_Type) *executorpb.Call {
	return &executorpb.Call{
		Type:        t.Enum(),
		FrameworkId: &mesos.FrameworkID{Value: (*string)(&r.framework)},
		ExecutorId:  &mesos.ExecutorID{Value: (*string)(&r.executor)},
	}
}

// Subscribe asks for events. Tasks are those that the executor has: listed even
// when they are acknowledged, they tell the agent that they have arrived.
func (r *Reporter) Subscribe(tasks ...*mesos.TaskInfo) *executorpb.Call {
	c := r.call(executorpb.Call_SUBSCRIBE)
	c.Subscribe = &executorpb.Call_Subscribe{UnacknowledgedTasks: tasks}
	for _, s := range r.unacked {
		c.Subscribe.UnacknowledgedUpdates = append(c.Subscribe.UnacknowledgedUpdates, &executorpb.Call_Update{Status: s})
	}
	return c
}

// Update tells how a task is, now; it is kept until it is acknowledged. container
// may be nil: the agent says then which it is.
func (r *Reporter) Update(now time.Time, task *mesos.TaskID, u Update, container *mesos.ContainerStatus) *executorpb.Call {
	id := ids.NewUUID(r.rand)
	st := &mesos.TaskStatus{
		TaskId:          task,
		State:           u.State.Enum(),
		Source:          mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
		Reason:          u.Reason,
		ExecutorId:      &mesos.ExecutorID{Value: (*string)(&r.executor)},
		Timestamp:       new(float64(now.UnixMicro()) / 1e6),
		Uuid:            id[:],
		Healthy:         u.Healthy,
		CheckStatus:     u.Check,
		Data:            u.Data,
		ContainerStatus: container,
	}
	if u.Message != "" {
		st.Message = &u.Message
	}
	if len(u.Limited) > 0 {
		st.Limitation = &mesos.TaskResourceLimitation{Resources: u.Limited}
	}
	r.unacked = append(r.unacked, st)
	c := r.call(executorpb.Call_UPDATE)
	c.Update = &executorpb.Call_Update{Status: st}
	return c
}

// Acknowledged drops an update that the agent has stored, and reports whether
// there was one.
func (r *Reporter) Acknowledged(uuid []byte) bool {
	i := slices.IndexFunc(r.unacked, func(s *mesos.TaskStatus) bool { return bytes.Equal(s.GetUuid(), uuid) })
	if i < 0 {
		return false
	}
	r.unacked = slices.Delete(r.unacked, i, i+1)
	return true
}
