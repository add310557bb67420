package master

import (
	"fmt"
	"slices"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// Effects in short, one a line, as scenarios compare them.

func (w *world) printf(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }

func (w *world) print(e Effects) {
	if e.Persist != nil && !w.quiet {
		for _, p := range registry.Puts(e.Persist) {
			verb := "store"
			if p.Value == nil {
				verb = "erase"
			}
			w.printf("%s %s", verb, p.Key)
		}
	}
	for _, msg := range e.Messages {
		w.printMessage(msg)
	}
	for _, ev := range e.Events {
		if !w.quiet {
			w.printf("operators: %s", eventText(ev))
		}
	}
	if e.Fatal != "" {
		w.printf("fatal: %s", e.Fatal)
	}
}

func (w *world) printMessage(msg Message) {
	switch msg := msg.(type) {
	case ToFramework:
		w.printf("%s: %s", w.peerName(msg.Peer), w.schedulerEventText(msg))
	case CloseFramework:
		w.printf("%s: closed", w.peerName(msg.Peer))
	case ToProcess:
		if _, ping := msg.Message.(*messages.PingSlaveMessage); !ping || !w.quiet {
			w.printf("%s: %s", w.processName(msg), messageText(msg))
		}
	case Link:
		if !w.quiet {
			w.printf("link %s", msg.To)
		}
	case Unlink:
		if !w.quiet {
			w.printf("unlink %s", msg.To)
		}
	case Reply:
		if msg.Err != nil {
			w.printf("reply: %s: %s", msg.Err.Reason, msg.Err.Message)
		} else if w.waits[msg.Request] {
			w.printf("reply: done")
		}
		for _, e := range msg.Explanations {
			w.printf("%s", e)
		}
	}
}

func (w *world) peerName(p Peer) string {
	if p.Driver != "" {
		return string(p.Driver)
	}
	for _, f := range w.frameworks {
		if f.peer == p {
			return f.name
		}
	}
	return fmt.Sprintf("stream %d", p.Conn)
}

func (w *world) processName(p ToProcess) string {
	name := w.agentNames[p.To]
	if name == "" {
		name = string(p.To)
	}
	if p.From != "master" {
		name += " from " + p.From
	}
	return name
}

func (w *world) schedulerEventText(to ToFramework) string {
	e := to.Event
	switch e.GetType() {
	case schedulerpb.Event_SUBSCRIBED:
		return fmt.Sprintf("SUBSCRIBED %s again=%v", e.Subscribed.FrameworkId.GetValue(), to.Again)
	case schedulerpb.Event_OFFERS:
		var texts []string
		for _, o := range e.Offers.Offers {
			texts = append(texts, offerText(o))
		}
		slices.Sort(texts)
		return "OFFERS " + strings.Join(texts, " + ")
	case schedulerpb.Event_RESCIND:
		return "RESCIND " + e.Rescind.OfferId.GetValue()
	case schedulerpb.Event_INVERSE_OFFERS:
		var texts []string
		for _, o := range e.InverseOffers.InverseOffers {
			texts = append(texts, o.Id.GetValue()+" "+o.AgentId.GetValue()+untilText(o.Unavailability))
		}
		return "INVERSE_OFFERS " + strings.Join(texts, " + ")
	case schedulerpb.Event_RESCIND_INVERSE_OFFER:
		return "RESCIND_INVERSE_OFFER " + e.RescindInverseOffer.InverseOfferId.GetValue()
	case schedulerpb.Event_UPDATE:
		return "UPDATE " + statusText(e.Update.Status)
	case schedulerpb.Event_FAILURE:
		return strings.TrimSpace(fmt.Sprintf("FAILURE %s %s", e.Failure.AgentId.GetValue(), executorText(e.Failure)))
	case schedulerpb.Event_ERROR:
		return "ERROR " + e.Error.GetMessage()
	case schedulerpb.Event_MESSAGE:
		return fmt.Sprintf("MESSAGE %s %q", e.Message.ExecutorId.GetValue(), e.Message.Data)
	case schedulerpb.Event_UPDATE_OPERATION_STATUS:
		s := e.UpdateOperationStatus.Status
		return fmt.Sprintf("UPDATE_OPERATION_STATUS %s %s %q uuid %s", s.OperationId.GetValue(), s.GetState(), s.GetMessage(),
			strings.TrimSpace(string(s.Uuid.GetValue())))
	default:
		return e.String()
	}
}

func executorText(f *schedulerpb.Event_Failure) string {
	if f.ExecutorId == nil {
		return ""
	}
	return fmt.Sprintf("executor %s status %d", f.ExecutorId.GetValue(), f.GetStatus())
}

func offerText(o *mesos.Offer) string {
	text := fmt.Sprintf("%s %s", o.Id.GetValue(), o.AgentId.GetValue())
	if o.AllocationInfo != nil {
		text += " as " + o.AllocationInfo.GetRole()
	}
	for _, e := range o.ExecutorIds {
		text += " has " + e.GetValue()
	}
	return text + " " + resources.TextAll(o.Resources) + untilText(o.Unavailability)
}

func untilText(u *mesos.Unavailability) string {
	if u == nil {
		return ""
	}
	return fmt.Sprintf(" unavailable at %s", time.Unix(0, u.GetStart().GetNanoseconds()).UTC().Format(time.DateTime))
}

func statusText(s *mesos.TaskStatus) string {
	text := fmt.Sprintf("%s %s", s.TaskId.GetValue(), s.GetState())
	if s.AgentId != nil {
		text += " on " + s.AgentId.GetValue()
	}
	if s.Reason != nil {
		text += " " + s.GetReason().String()
	}
	if s.Message != nil {
		first, _, _ := strings.Cut(s.GetMessage(), "\n") // others are protobuf text, which varies
		text += fmt.Sprintf(" %q", first)
	}
	if s.UnreachableTime != nil {
		text += " since"
	}
	if s.Uuid != nil {
		text += " uuid " + strings.TrimSpace(string(s.Uuid))
	}
	return text
}

func messageText(p ToProcess) string {
	switch msg := p.Message.(type) {
	case *messages.SlaveRegisteredMessage:
		return fmt.Sprintf("SlaveRegistered %s %gs", msg.SlaveId.GetValue(), msg.Connection.GetTotalPingTimeoutSeconds())
	case *messages.SlaveReregisteredMessage:
		text := "SlaveReregistered " + msg.SlaveId.GetValue()
		for _, r := range msg.Reconciliations {
			for _, s := range r.Statuses {
				text += fmt.Sprintf(" reconcile %s/%s %s", r.FrameworkId.GetValue(), s.TaskId.GetValue(), s.GetState())
			}
		}
		return text
	case *messages.PingSlaveMessage:
		return fmt.Sprintf("Ping connected=%v", msg.GetConnected())
	case *messages.RunTaskMessage:
		return fmt.Sprintf("RunTask %s of %s pid=%s launch_executor=%v %s", msg.Task.TaskId.GetValue(),
			msg.Framework.Id.GetValue(), msg.GetPid(), msg.GetLaunchExecutor(), resources.TextAll(msg.Task.Resources))
	case *messages.RunTaskGroupMessage:
		var tasks []string
		for _, t := range msg.TaskGroup.Tasks {
			tasks = append(tasks, t.TaskId.GetValue())
		}
		return fmt.Sprintf("RunTaskGroup %s of %s on %s launch_executor=%v", strings.Join(tasks, ","),
			msg.Framework.Id.GetValue(), msg.Executor.ExecutorId.GetValue(), msg.GetLaunchExecutor())
	case *messages.KillTaskMessage:
		return fmt.Sprintf("KillTask %s/%s", msg.FrameworkId.GetValue(), msg.TaskId.GetValue())
	case *messages.StatusUpdateAcknowledgementMessage:
		return fmt.Sprintf("Ack %s uuid %s", msg.TaskId.GetValue(), strings.TrimSpace(string(msg.Uuid)))
	case *messages.ShutdownFrameworkMessage:
		return "ShutdownFramework " + msg.FrameworkId.GetValue()
	case *messages.ShutdownExecutorMessage:
		return "ShutdownExecutor " + msg.ExecutorId.GetValue()
	case *messages.UpdateFrameworkMessage:
		return fmt.Sprintf("UpdateFramework %s pid=%s", msg.FrameworkId.GetValue(), msg.GetPid())
	case *messages.FrameworkToExecutorMessage:
		return fmt.Sprintf("FrameworkToExecutor %s %q", msg.ExecutorId.GetValue(), msg.Data)
	case *messages.ApplyOperationMessage:
		return fmt.Sprintf("ApplyOperation %s %s %s", msg.OperationInfo.GetType(), msg.OperationInfo.Id.GetValue(), msg.FrameworkId.GetValue())
	case *messages.AcknowledgeOperationStatusMessage:
		return "AcknowledgeOperationStatus uuid " + strings.TrimSpace(string(msg.StatusUuid.Value))
	case *messages.ReconcileOperationsMessage:
		return fmt.Sprintf("ReconcileOperations %d", len(msg.Operations))
	case *messages.CheckpointResourcesMessage:
		return "CheckpointResources " + resources.TextAll(msg.Resources)
	case *messages.DrainSlaveMessage:
		return fmt.Sprintf("Drain within %s gone=%v", time.Duration(msg.GetConfig().GetMaxGracePeriod().GetNanoseconds()), msg.GetConfig().GetMarkGone())
	case *messages.ShutdownMessage:
		return fmt.Sprintf("Shutdown %q", msg.GetMessage())
	}
	return fmt.Sprintf("%T", p.Message)
}

func eventText(e Event) string {
	switch e := e.(type) {
	case TaskAdded:
		return fmt.Sprintf("TASK_ADDED %s %s", e.Task.ID, e.Task.State)
	case TaskUpdated:
		return fmt.Sprintf("TASK_UPDATED %s %s", e.Status.TaskId.GetValue(), e.State)
	case AgentAdded:
		return fmt.Sprintf("AGENT_ADDED %s", e.Agent.ID)
	case AgentRemoved:
		return fmt.Sprintf("AGENT_REMOVED %s", e.Agent)
	case FrameworkAdded:
		return fmt.Sprintf("FRAMEWORK_ADDED %s recovered=%v", e.Framework.ID, e.Framework.Recovered)
	case FrameworkUpdated:
		return fmt.Sprintf("FRAMEWORK_UPDATED %s", e.Framework.ID)
	case FrameworkRemoved:
		return fmt.Sprintf("FRAMEWORK_REMOVED %s", e.Info.Id.GetValue())
	}
	return fmt.Sprintf("%T", e)
}

// printState prints what readers see.
func (w *world) printState() {
	s := w.m.Snapshot()
	for a := range s.Agents.All() {
		w.printf("agent %s connected=%v active=%v total %s; allocated %s; offered %s", a.ID, a.Connected, a.Active,
			orNothing(a.Total), orNothing(a.Allocated), orNothing(a.Offered))
	}
	for info := range s.Recovered.All() {
		w.printf("recovered agent %s", info.Id.GetValue())
	}
	for f := range s.Frameworks.All() {
		w.printf("framework %s active=%v connected=%v recovered=%v roles %v suppressed %v; allocated %s; offered %s", f.ID,
			f.Active, f.Connected, f.Recovered, f.Roles(), f.Suppressed, orNothing(f.Allocated), orNothing(f.Offered))
	}
	for _, f := range s.Completed {
		w.printf("completed framework %s", f.ID)
	}
	for e := range s.Executors.All() {
		w.printf("executor %s of %s on %s", e.Info.ExecutorId.GetValue(), e.Framework, e.Agent)
	}
	for t := range s.Tasks.All() {
		var states []string
		for _, st := range t.Statuses {
			states = append(states, strings.TrimPrefix(st.GetState().String(), "TASK_"))
		}
		w.printf("task %s of %s on %s %s %s statuses %v", t.ID, t.Framework, t.Agent,
			[]string{"running", "unreachable", "completed"}[t.Place], t.State, states)
	}
	for o := range s.Operations.All() {
		w.printf("operation %s of %q on %s %s", o.Info.GetType(), o.Framework, o.Agent, o.Latest.GetState())
	}
	for o := range s.Offers.All() {
		w.printf("offer %s to %s of %s", o.ID, o.Framework, o.Resources)
	}
}

func orNothing(r resources.Resources) string {
	if r.IsEmpty() {
		return "nothing"
	}
	return r.String()
}
