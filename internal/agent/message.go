package agent

import (
	"log/slog"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// message handles a message from a master. Pings come from processes of their
// own, and from any master; everything else counts only if it comes from the
// one that leads, and not over a connection that it gave up before it registered us:
// a task that it launched over that, it has asked about since, and we had none.
func (a *Agent) message(in MasterMessage) {
	if m, ok := in.Message.(*messages.PingSlaveMessage); ok {
		a.ping(in.From, m)
		return
	}
	if in.From != a.master || a.master == "" {
		a.log.Warn("message ignored, it is not from the leading master", slog.String("from", string(in.From)),
			slog.String("message", string(proto.MessageName(in.Message))))
		return
	}
	if in.Over != 0 && in.Over < a.registeredOver {
		a.log.Warn("message ignored, it came over a connection older than the registration's", slog.String("message", string(proto.MessageName(in.Message))))
		return
	}
	switch in.Message.(type) {
	case *messages.SlaveRegisteredMessage, *messages.SlaveReregisteredMessage:
		a.registeredOver = in.Over
	}
	a.leaderMessage(in.Message)
}

// leaderMessage handles a message from the leading master.
func (a *Agent) leaderMessage(m proto.Message) {
	switch m := m.(type) {
	case *messages.SlaveRegisteredMessage:
		a.admitted(m)
	case *messages.SlaveReregisteredMessage:
		a.readmitted(m)
	case *messages.RunTaskMessage:
		a.runTask(m)
	case *messages.RunTaskGroupMessage:
		a.runTaskGroup(m)
	case *messages.KillTaskMessage:
		a.killTask(m)
	case *messages.StatusUpdateAcknowledgementMessage:
		a.acknowledged(m)
	case *messages.ShutdownExecutorMessage:
		a.shutdownExecutor(m)
	case *messages.ShutdownFrameworkMessage:
		a.shutdownFramework(ids.FrameworkID(m.GetFrameworkId().GetValue()))
	case *messages.UpdateFrameworkMessage:
		a.updateFramework(m)
	case *messages.FrameworkToExecutorMessage:
		a.messageDown(m)
	case *messages.DrainSlaveMessage:
		a.startDraining(m.GetConfig())
	case *messages.ShutdownMessage:
		a.log.Warn("the master shuts this agent down", slog.String("message", m.GetMessage()))
		a.stop()
	case *messages.ApplyOperationMessage:
		a.applyOperation(m)
	case *messages.AcknowledgeOperationStatusMessage:
		a.operationAcknowledged(m)
	case *messages.ReconcileOperationsMessage:
		a.reconcileOperations(m)
	case *messages.CheckpointResourcesMessage:
		a.checkpointResources(m)
	default:
		a.log.Warn("message ignored, it is of no kind that agents take", slog.String("message", string(proto.MessageName(m))))
	}
}
