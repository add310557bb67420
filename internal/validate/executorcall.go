package validate

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/refusal"
)

// ExecutorCall refuses an executor's call that lacks its type, whose it is or
// what belongs to its type, and status updates that no executor may send.
func ExecutorCall(c *executorpb.Call) error {
	switch {
	case c.Type == nil:
		return expecting("type")
	case c.ExecutorId == nil:
		return expecting("executor_id")
	case c.FrameworkId == nil:
		return expecting("framework_id")
	}
	switch c.GetType() {
	case executorpb.Call_SUBSCRIBE:
		return present(c.Subscribe != nil, "subscribe")
	case executorpb.Call_UPDATE:
		return update(c)
	case executorpb.Call_MESSAGE:
		return present(c.Message != nil, "message")
	default:
		return nil
	}
}

func update(c *executorpb.Call) error {
	if c.Update == nil {
		return expecting("update")
	}
	status := c.Update.GetStatus()
	if status.GetUuid() == nil {
		return expecting("uuid")
	}
	if err := UUID(status.GetUuid()); err != nil {
		return err
	}
	executor, framework := c.GetExecutorId().GetValue(), c.GetFrameworkId().GetValue()
	if id := status.GetExecutorId(); id != nil && id.GetValue() != executor {
		return refusal.Invalidf("ExecutorID in Call: %s does not match ExecutorID in TaskStatus: %s",
			executor, id.GetValue())
	}
	if status.GetSource() != mesos.TaskStatus_SOURCE_EXECUTOR {
		return refusal.Invalidf("Received Call from executor %s of framework %s with invalid source,"+
			" expecting 'SOURCE_EXECUTOR'", executor, framework)
	}
	if status.GetState() == mesos.TaskState_TASK_STAGING {
		return refusal.Invalidf("Received TASK_STAGING from executor %s of framework %s which is not allowed",
			executor, framework)
	}
	if status.GetCheckStatus() != nil {
		return CheckStatusInfo(status.GetCheckStatus())
	}
	return nil
}
