package agent

// ExecutorState is how far an executor's run is.
type ExecutorState uint8

// The states of an executor's run.
const (
	ExecutorRegistering ExecutorState = iota + 1
	ExecutorRunning
	ExecutorTerminating
	ExecutorTerminated
)

var executorStateNames = [...]string{"", "REGISTERING", "RUNNING", "TERMINATING", "TERMINATED"}

// String returns the state as Mesos names it.
func (s ExecutorState) String() string { return executorStateNames[s] }
