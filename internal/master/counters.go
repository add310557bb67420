package master

import mesos "github.com/meseta-project/meseta/api/mesos/v1"

// Counters count what has happened since the master's start; the names of the
// fields are those of /metrics/snapshot (master/…).
type Counters struct {
	AgentRegistrations, AgentReregistrations uint64 // slave_…
	AgentRemovals                            uint64
	AgentRemovalsRegistered                  uint64 // slave_removals/reason_…
	AgentRemovalsUnhealthy                   uint64
	AgentRemovalsUnregistered                uint64
	AgentUnreachableScheduled                uint64
	AgentUnreachableCompleted                uint64
	AgentUnreachableCanceled                 uint64
	AgentShutdownsScheduled                  uint64
	AgentShutdownsCompleted                  uint64
	AgentShutdownsCanceled                   uint64
	RecoveryAgentRemovals                    uint64

	Tasks TaskCounters // tasks_finished, tasks_failed, …: terminal states only
	// TaskStates counts task_STATE/source_S/reason_R.
	TaskStates map[TaskStateKey]uint64

	Messages MessageCounters
	Policy   PolicyCounters
	Reclaim  ReclaimCounters

	ValidFrameworkToExecutor, InvalidFrameworkToExecutor uint64 // …_messages
	ValidExecutorToFramework, InvalidExecutorToFramework uint64
	ValidStatusUpdates, InvalidStatusUpdates             uint64
	ValidAcks, InvalidAcks                               uint64 // …_status_update_acknowledgements
	ValidOperationUpdates, InvalidOperationUpdates       uint64
	ValidOperationAcks, InvalidOperationAcks             uint64
	DroppedMessages                                      uint64
}

// MessageCounters count what was received: messages_….
type MessageCounters struct {
	RegisterFramework, ReregisterFramework, UnregisterFramework, DeactivateFramework,
	KillTask, ResourceRequest, LaunchTasks, DeclineOffers, ReviveOffers, SuppressOffers,
	ReconcileTasks, ReconcileOperations, FrameworkToExecutor, ExecutorToFramework,
	StatusUpdate, StatusUpdateAck, OperationStatusUpdate, OperationStatusUpdateAck,
	ExitedExecutor, RegisterAgent, ReregisterAgent, UnregisterAgent, UpdateAgent uint64
}

// PolicyCounters count answers of the allocation policy: allocator/meseta/policy/….
type PolicyCounters struct {
	Answers, Failures, Late uint64
}

// ReclaimCounters count what was taken back for roles that were below their
// guarantees: allocator/meseta/reclaim/….
type ReclaimCounters struct {
	Rounds, Offers, Tasks uint64
}

// A TaskStateKey says why a task is in a state. Reason is -1 if none was given.
type TaskStateKey struct {
	State  mesos.TaskState
	Source mesos.TaskStatus_Source
	Reason mesos.TaskStatus_Reason
}

// numStates is one more than the largest mesos.TaskState.
const numStates = int(mesos.TaskState_TASK_UNKNOWN) + 1

// TaskCounters has a count for each mesos.TaskState.
type TaskCounters [numStates]uint64

// FrameworkCounters count one framework's traffic, for
// master/frameworks/NAME/ID/….
type FrameworkCounters struct {
	Calls  [20]uint64 // by schedulerpb.Call_Type
	Events [12]uint64 // by schedulerpb.Event_Type

	OffersSent, OffersAccepted, OffersDeclined, OffersRescinded uint64

	Operations [20]uint64   // accepted, by mesos.Offer_Operation_Type
	Active     TaskCounters // tasks now in a state that is not terminal
	Terminal   TaskCounters // tasks that ended in a state
}
