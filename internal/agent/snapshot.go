package agent

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// Snapshot is the agent frozen at one moment. It never changes and is safe for
// concurrent use.
type Snapshot struct {
	State      State
	Info       *mesos.AgentInfo // the ID is absent before the first registration
	Master     ids.UPID         // "" if none is known
	Registered time.Time        // when the present master last accepted us; zero: it has not
	Drain      *mesos.DrainConfig
	Resources  *Reserved
	Frameworks cow.Snapshot[FrameworkRow]
	Executors  cow.Snapshot[ExecutorRow]
	Tasks      cow.Snapshot[TaskRow]
	Counters   Counters
}

// Reserved is what was reserved and created on the agent, in the form with a
// reservations list.
type Reserved struct{ Resources []*mesos.Resource }

// FrameworkRow is a framework with executors here, or one that had some.
type FrameworkRow struct {
	Info      *mesos.FrameworkInfo
	PID       string // of a v0 driver; "" or "@0.0.0.0:0" on HTTP
	Completed bool
	Since     time.Time
}

// ExecutorRow is one run of an executor.
type ExecutorRow struct {
	Run       meta.Run
	Info      *mesos.ExecutorInfo
	State     ExecutorState
	Generated bool   // made up for a command task
	Sandbox   string // absolute
	PID       int    // 0: not launched
	Completed bool
	// Resources is what the executor and its tasks that are not over use.
	Resources []*mesos.Resource
}

// TaskRow is one task of a run.
type TaskRow struct {
	Run   meta.Run
	Task  *mesos.Task
	Phase TaskPhase
}

// TaskPhase is how far a task has come on this agent.
type TaskPhase uint8

// The phases of a task, in the order of its life.
const (
	TaskQueued     TaskPhase = iota + 1 // waits for its executor
	TaskLaunched                        // handed to its executor
	TaskTerminated                      // over, and not yet acknowledged
	TaskCompleted                       // over, and acknowledged
)

// Counters is what the agent has counted since its start, and some gauges. The
// names on /metrics/snapshot stand beside them.
type Counters struct {
	RecoveryErrors         int                     // slave/recovery_errors
	ValidStatusUpdates     int                     // slave/valid_status_updates
	InvalidStatusUpdates   int                     // slave/invalid_status_updates
	ValidFrameworkMessages int                     // slave/valid_framework_messages
	InvalidFrameworkMsgs   int                     // slave/invalid_framework_messages
	ContainerLaunchErrors  int                     // slave/container_launch_errors
	ExecutorsTerminated    int                     // slave/executors_terminated
	ExecutorsPreempted     int                     // slave/executors_preempted
	RegistrationTimeouts   int                     // slave/executors_registration_timeouts, ours
	TasksEnded             map[mesos.TaskState]int // slave/tasks_finished and its like
	UpdatesForwarded       int                     // status updates sent to the master, retries included, ours
}
