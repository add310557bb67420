package agent

import (
	"maps"
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
	Reserved   []*mesos.Resource  // reserved and created here, in the form with a reservations list
	Operations []*mesos.Operation // whose outcome is not acknowledged, the oldest first
	Frameworks cow.Snapshot[FrameworkRow]
	Executors  cow.Snapshot[ExecutorRow]
	Tasks      cow.Snapshot[TaskRow]
	Counters   Counters
	// MaxSandboxAge is how long sandboxes are kept as full as the disk is.
	MaxSandboxAge time.Duration
	Waste         int // folders that wait to be deleted
}

// FrameworkRow is a framework with executors here, or one that had some.
type FrameworkRow struct {
	Serial    uint64 // order of arrival
	Info      *mesos.FrameworkInfo
	PID       string // of a v0 driver; "" or "@0.0.0.0:0" on HTTP
	Completed bool
	Since     time.Time
}

// ExecutorRow is one run of an executor.
type ExecutorRow struct {
	Serial    uint64 // order of arrival
	Run       meta.Run
	Info      *mesos.ExecutorInfo
	State     ExecutorState
	Generated bool   // made up for a command task
	Sandbox   string // absolute
	PID       int    // 0: not launched
	Completed bool
	// What the run uses is Info.Resources and those of its tasks in phases
	// TaskQueued and TaskLaunched.
}

// TaskRow is one task of a run.
type TaskRow struct {
	Serial uint64 // order of arrival
	Run    meta.Run
	Info   *mesos.TaskInfo // as it was sent; nil for a task of an earlier life
	Task   *mesos.Task
	Phase  TaskPhase
}

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

func (c Counters) clone() Counters {
	c.TasksEnded = maps.Clone(c.TasksEnded)
	return c
}
