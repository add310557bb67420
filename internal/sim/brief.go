package sim

import (
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
)

// brief writes a message for the trace: its name and what it is about.
func brief(m proto.Message) string {
	name := strings.TrimSuffix(string(m.ProtoReflect().Descriptor().Name()), "Message")
	switch m := m.(type) {
	case *messages.SlaveRegisteredMessage:
		return name + " " + m.SlaveId.GetValue()
	case *messages.SlaveReregisteredMessage:
		return fmt.Sprintf("%s %s, %d frameworks to reconcile", name, m.SlaveId.GetValue(), len(m.Reconciliations))
	case *messages.ReregisterSlaveMessage:
		return fmt.Sprintf("%s %s%s", name, m.Slave.Id.GetValue(), tasksOf(m.Tasks))
	case *messages.RunTaskMessage:
		return name + " " + m.Task.TaskId.GetValue()
	case *messages.RunTaskGroupMessage:
		return name + infos(m.TaskGroup.Tasks)
	case *messages.KillTaskMessage:
		return name + " " + m.TaskId.GetValue()
	case *messages.StatusUpdateMessage:
		u := m.Update
		return fmt.Sprintf("%s, latest %s", name+" "+briefStatus(u.Status), state(u.GetLatestState()))
	case *messages.StatusUpdateAcknowledgementMessage:
		return fmt.Sprintf("%s %s %s", name, m.TaskId.GetValue(), uuid(m.Uuid))
	case *messages.ExitedExecutorMessage:
		return fmt.Sprintf("%s %s", name, m.ExecutorId.GetValue())
	case *messages.ShutdownExecutorMessage:
		return fmt.Sprintf("%s %s", name, m.ExecutorId.GetValue())
	case *messages.ShutdownFrameworkMessage:
		return name + " " + m.FrameworkId.GetValue()
	case *messages.UpdateFrameworkMessage:
		return name + " " + m.FrameworkId.GetValue()
	case *messages.ShutdownMessage:
		return name + ": " + m.GetMessage()
	case *messages.PingSlaveMessage:
		return fmt.Sprintf("%s, connected %t", name, m.GetConnected())
	}
	return name
}

func tasksOf(tasks []*mesos.Task) string {
	var b strings.Builder
	for _, t := range tasks {
		fmt.Fprintf(&b, " %s:%s", t.TaskId.GetValue(), state(t.GetState()))
	}
	return b.String()
}

func infos(tasks []*mesos.TaskInfo) string {
	var b strings.Builder
	for _, t := range tasks {
		b.WriteString(" " + t.TaskId.GetValue())
	}
	return b.String()
}

func state(s mesos.TaskState) string { return strings.TrimPrefix(s.String(), "TASK_") }

func uuid(b []byte) string { return hex.EncodeToString(b[:min(4, len(b))]) }

// short shortens a UUID's text.
func short(s string) string { return s[:min(8, len(s))] }

func briefStatus(s *mesos.TaskStatus) string {
	text := fmt.Sprintf("%s %s", s.TaskId.GetValue(), state(s.GetState()))
	if s.Reason != nil {
		text += " " + strings.TrimPrefix(s.GetReason().String(), "REASON_")
	}
	if len(s.Uuid) > 0 {
		text += " " + uuid(s.Uuid)
	}
	return text
}

func briefEvent(e *schedulerpb.Event) string {
	switch e.GetType() { //nolint:exhaustive // of the others the name is enough
	case schedulerpb.Event_SUBSCRIBED:
		return "SUBSCRIBED " + e.Subscribed.FrameworkId.GetValue()
	case schedulerpb.Event_OFFERS:
		var b strings.Builder
		for _, o := range e.Offers.Offers {
			fmt.Fprintf(&b, " %s of %s", o.Id.GetValue(), o.AgentId.GetValue())
		}
		return "OFFERS" + b.String()
	case schedulerpb.Event_RESCIND:
		return "RESCIND " + e.Rescind.OfferId.GetValue()
	case schedulerpb.Event_UPDATE:
		return "UPDATE " + briefStatus(e.Update.Status)
	case schedulerpb.Event_FAILURE:
		return fmt.Sprintf("FAILURE %s %s", e.Failure.AgentId.GetValue(), e.Failure.ExecutorId.GetValue())
	case schedulerpb.Event_ERROR:
		return "ERROR " + e.Error.GetMessage()
	}
	return e.GetType().String()
}

func briefSchedulerCall(c *schedulerpb.Call) string {
	var b strings.Builder
	b.WriteString(c.GetType().String())
	for _, id := range append(c.GetAccept().GetOfferIds(), c.GetDecline().GetOfferIds()...) {
		b.WriteString(" " + id.GetValue())
	}
	for _, op := range c.GetAccept().GetOperations() {
		b.WriteString(" " + op.GetType().String())
		b.WriteString(infos(append(op.GetLaunch().GetTaskInfos(), op.GetLaunchGroup().GetTaskGroup().GetTasks()...)))
	}
	for _, t := range c.GetReconcile().GetTasks() {
		b.WriteString(" " + t.TaskId.GetValue())
	}
	if k := c.Kill; k != nil {
		b.WriteString(" " + k.TaskId.GetValue())
	}
	if a := c.Acknowledge; a != nil {
		fmt.Fprintf(&b, " %s %s", a.TaskId.GetValue(), uuid(a.Uuid))
	}
	return b.String()
}

func briefCall(c *executorpb.Call) string {
	switch c.GetType() { //nolint:exhaustive // of the others the name is enough
	case executorpb.Call_UPDATE:
		return "UPDATE " + briefStatus(c.Update.Status)
	case executorpb.Call_SUBSCRIBE:
		var b strings.Builder
		for _, u := range c.Subscribe.UnacknowledgedUpdates {
			b.WriteString(", " + briefStatus(u.Status))
		}
		return "SUBSCRIBE, has" + infos(c.Subscribe.UnacknowledgedTasks) + b.String()
	}
	return c.GetType().String()
}
