package cli

import (
	"strconv"
	"strings"
	"syscall"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// terminal says that a state is a task's last.
func terminal(state mesos.TaskState) bool {
	switch state {
	case mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLED,
		mesos.TaskState_TASK_ERROR, mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_DROPPED,
		mesos.TaskState_TASK_GONE, mesos.TaskState_TASK_GONE_BY_OPERATOR, mesos.TaskState_TASK_UNKNOWN:
		return true
	default:
		return false
	}
}

// exitStatus returns the exit status that a task's last status stands for, as a
// shell would: the command's own, 128 and the signal's number, or 1 if the
// command is not the cause.
func exitStatus(status *mesos.TaskStatus) int {
	message := status.GetMessage()
	if text, ok := strings.CutPrefix(message, "Command exited with status "); ok {
		if n, err := strconv.Atoi(text); err == nil && (n != 0 || status.GetState() == mesos.TaskState_TASK_FINISHED) {
			return n
		}
	}
	if text, ok := strings.CutPrefix(message, "Command terminated with signal "); ok {
		return 128 + signalNumber(strings.TrimSuffix(text, " (core dumped)"))
	}
	if status.GetState() == mesos.TaskState_TASK_FINISHED {
		return 0
	}
	return 1
}

// signalNumber returns the number of the signal that the C library describes so,
// such as 15 for "Terminated"; 0 if there is none.
func signalNumber(description string) int {
	for n := 1; n < 32; n++ {
		if strings.EqualFold(syscall.Signal(n).String(), description) {
			return n
		}
	}
	return 0
}
