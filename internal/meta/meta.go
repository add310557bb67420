// Package meta is what an agent remembers of itself on disk, as plain data: the
// records by which it is written and the [State] that they add up to. The
// agent's core writes the one and recovers from the other; internal/checkpoint
// knows their files, below the work directory's folder "meta".
//
// Records are values: the messages in them are not to be changed once handed
// over.
package meta

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
)

// A Run is one life of an executor: the executor's place and the container that
// it ran in.
type Run struct {
	Framework ids.FrameworkID
	Executor  ids.ExecutorID
	Container ids.ContainerID
}

// A Record is one thing to remember. Records are written in order: those about
// a run come after the [Executor] that began it, that after its [Framework], and
// that after the [Agent].
type Record interface{ record() }

type (
	// Boot is the kernel's boot_id, by which a reboot of the machine is noticed.
	Boot struct{ ID string }

	// Agent is what the agent is registered as, its ID included. A new ID begins
	// a new tree; the old one stays until it is collected.
	Agent struct{ Info *mesos.AgentInfo }

	// Forget makes the agent start as a new one: it drops the ID, and leaves the
	// tree of the old one to be collected.
	Forget struct{}

	// Framework is a framework that has asked for checkpointing. PID is where a
	// v0 driver listens; for frameworks on HTTP Mesos writes "@0.0.0.0:0".
	Framework struct {
		Info *mesos.FrameworkInfo
		PID  string
	}

	// Executor begins a run. Generated says that the agent made the executor up
	// for a command task.
	Executor struct {
		Run       Run
		Info      *mesos.ExecutorInfo
		Generated bool
	}

	// ForkedPID is the process that stands for the container: the one that waits
	// for the executor, or for the task of a built-in executor.
	ForkedPID struct {
		Run Run
		PID int
	}

	// Connected says how a run's executor speaks: over libprocess from Driver,
	// or over HTTP if that is empty.
	Connected struct {
		Run    Run
		Driver ids.UPID
	}

	// Task is a task handed to a run, in state TASK_STAGING, with what a Task does
	// not say: its max_completion_time, 0 if it has none, its check, nil if it has
	// none, and the first task of its group, "" if it came alone.
	Task struct {
		Run           Run
		Task          *mesos.Task
		MaxCompletion time.Duration
		Check         *mesos.CheckInfo
		Group         ids.TaskID
	}

	// Update adds to a task's history: an update of the executor's or the
	// agent's, or the framework's acknowledgement of one.
	Update struct {
		Run    Run
		Task   ids.TaskID
		Record *messages.StatusUpdateRecord
	}

	// Ended says that a run is over, and nothing of it needs recovery.
	Ended struct{ Run Run }

	// Resources is what has been reserved and which volumes exist, with the
	// operations that are still under way.
	Resources struct{ State *messages.ResourceState }

	// Drain is how the agent is being drained; nil says that it is not.
	Drain struct{ Config *mesos.DrainConfig }
)

func (Boot) record()      {}
func (Agent) record()     {}
func (Forget) record()    {}
func (Framework) record() {}
func (Executor) record()  {}
func (ForkedPID) record() {}
func (Connected) record() {}
func (Task) record()      {}
func (Update) record()    {}
func (Ended) record()     {}
func (Resources) record() {}
func (Drain) record()     {}
