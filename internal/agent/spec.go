package agent

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// Builtin is an executor that the agent's own process plays.
type Builtin uint8

// The built-in executors.
const (
	Custom         Builtin = iota // none: a process that speaks the executor API
	CommandBuiltin                // internal/command: one task, one command
	PodBuiltin                    // internal/pod: task groups
)

// ContainerSpec says how to make a container. It is not changed once handed
// over, and safe for concurrent use.
type ContainerSpec struct {
	Run     meta.Run
	Builtin Builtin

	Framework *mesos.FrameworkInfo
	Executor  *mesos.ExecutorInfo
	Task      *mesos.TaskInfo // the one task of a command executor; else nil
	// Last is, of the task of an adopted container, the last status that is
	// remembered; nil: none is.
	Last *mesos.TaskStatus

	// Recovered is, of the adopted container of a built-in executor, the tasks
	// that have arrived there and are not known to be over.
	Recovered []RecoveredTask

	// Sandbox is the working directory, absolute; the shell makes it, with the
	// link "latest" beside it.
	Sandbox string
	// MetaDir is the folder of the run's records, absolute.
	MetaDir string
	// User runs the process and owns the sandbox; "" is the agent's own user.
	User string
	// Command is what to run: the executor, or the task of a command executor.
	// nil for pods, whose tasks bring their own.
	Command *mesos.CommandInfo
	// URIs are fetched into the sandbox before anything runs.
	URIs []*mesos.CommandInfo_URI
	// Environment is all of the process's environment but PATH, sorted by name.
	Environment []Variable
	// Container is the isolation asked for, or nil.
	Container *mesos.ContainerInfo
	Resources []*mesos.Resource
	Limits    map[string]*mesos.Value_Scalar

	// ShutdownGrace is how long the executor has to end by itself once told to.
	ShutdownGrace time.Duration
	// Checkpoint says that the container is to outlive the agent's process.
	Checkpoint bool
}

// RecoveredTask is a task that an earlier life of the agent has started, as far
// as it is remembered: of its command only the user.
type RecoveredTask struct {
	Task      *mesos.TaskInfo
	Container ids.ContainerID   // its own in a pod; else that of the executor
	Group     ids.TaskID        // the first task of its group; "": it came alone
	Last      *mesos.TaskStatus // the last that is remembered; nil: none is
}

// Variable is one variable of an environment.
type Variable struct{ Name, Value string }
