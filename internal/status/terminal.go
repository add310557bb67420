package status

import mesos "github.com/meseta-project/meseta/api/mesos/v1"

// IsTerminal reports whether a task in this state is over and uses nothing any
// more. UNREACHABLE and UNKNOWN are not terminal: such a task may come back.
func IsTerminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLED,
		mesos.TaskState_TASK_ERROR, mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_DROPPED,
		mesos.TaskState_TASK_GONE, mesos.TaskState_TASK_GONE_BY_OPERATOR:
		return true
	default:
		return false
	}
}
