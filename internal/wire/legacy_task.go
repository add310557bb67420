package wire

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Task writes a task as /state and /tasks of masters and agents show it. The
// IDs are bare strings, slave_id is the agent's; role is the one that the
// resources are allocated to.
func (w *Writer) Task(t *mesos.Task) {
	w.BeginObject()
	w.Key("id").String(t.GetTaskId().GetValue())
	w.Key("name").String(t.GetName())
	w.Key("framework_id").String(t.GetFrameworkId().GetValue())
	w.Key("executor_id").String(t.GetExecutorId().GetValue())
	w.Key("slave_id").String(t.GetAgentId().GetValue())
	w.Key("state").String(t.GetState().String())
	w.Key("resources").Resources(t.GetResources())
	if len(t.GetLimits()) > 0 {
		w.Key("limits").scalars(t.GetLimits())
	}
	w.Key("role").String(allocationRole(t.GetResources()))
	w.Key("statuses").BeginArray()
	for _, s := range t.GetStatuses() {
		w.TaskStatus(s)
	}
	w.EndArray()
	w.taskExtras(t)
	w.EndObject()
}

// taskExtras writes the members of a task that it need not have.
func (w *Writer) taskExtras(t *mesos.Task) {
	if t.User != nil {
		w.Key("user").String(t.GetUser())
	}
	if t.Labels != nil {
		w.Key("labels").Labels(t.Labels)
	}
	if t.Discovery != nil {
		w.Key("discovery").Message(t.Discovery)
	}
	if t.Container != nil {
		w.Key("container").Message(t.Container)
	}
	if t.HealthCheck != nil {
		w.Key("health_check").Message(t.HealthCheck)
	}
}

// allocationRole returns the role that rs, all to the same, are allocated to.
func allocationRole(rs []*mesos.Resource) string {
	if len(rs) == 0 {
		return ""
	}
	return rs[0].GetAllocationInfo().GetRole()
}

// TaskStatus writes one of a task's statuses.
func (w *Writer) TaskStatus(s *mesos.TaskStatus) {
	w.BeginObject()
	w.Key("state").String(s.GetState().String())
	w.Key("timestamp").Double(s.GetTimestamp())
	if s.Labels != nil {
		w.Key("labels").Labels(s.Labels)
	}
	if s.ContainerStatus != nil {
		w.Key("container_status").ContainerStatus(s.ContainerStatus)
	}
	if s.Healthy != nil {
		w.Key("healthy").Bool(s.GetHealthy())
	}
	w.EndObject()
}

// ContainerStatus writes what a status says of its container.
func (w *Writer) ContainerStatus(s *mesos.ContainerStatus) {
	w.BeginObject()
	if s.ContainerId != nil {
		w.Key("container_id").Message(s.ContainerId)
	}
	if len(s.NetworkInfos) > 0 {
		w.Key("network_infos").BeginArray()
		for _, n := range s.NetworkInfos {
			w.NetworkInfo(n)
		}
		w.EndArray()
	}
	if s.CgroupInfo != nil {
		w.Key("cgroup_info").Message(s.CgroupInfo)
	}
	w.EndObject()
}

// NetworkInfo writes a container's network.
func (w *Writer) NetworkInfo(n *mesos.NetworkInfo) {
	w.BeginObject()
	if len(n.GetGroups()) > 0 {
		w.Key("groups").Strings(n.GetGroups())
	}
	if n.Labels != nil {
		w.Key("labels").Labels(n.Labels)
	}
	if len(n.GetIpAddresses()) > 0 {
		writeMessages(w.Key("ip_addresses"), n.GetIpAddresses())
	}
	if n.Name != nil {
		w.Key("name").String(n.GetName())
	}
	if len(n.GetPortMappings()) > 0 {
		writeMessages(w.Key("port_mappings"), n.GetPortMappings())
	}
	w.EndObject()
}

// TaskInfo writes a task that an agent has queued for its executor.
func (w *Writer) TaskInfo(t *mesos.TaskInfo) {
	w.BeginObject()
	w.Key("id").String(t.GetTaskId().GetValue())
	w.Key("name").String(t.GetName())
	w.Key("slave_id").String(t.GetAgentId().GetValue())
	w.Key("resources").Resources(t.GetResources())
	w.Key("role").String(allocationRole(t.GetResources()))
	if t.Command != nil {
		w.Key("command").CommandInfo(t.Command)
	}
	if t.Executor != nil {
		w.Key("executor_id").String(t.Executor.GetExecutorId().GetValue())
	}
	if t.Discovery != nil {
		w.Key("discovery").Message(t.Discovery)
	}
	w.EndObject()
}

// taskStates are the states that summaries count, in their order.
var taskStates = [...]mesos.TaskState{
	mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING,
	mesos.TaskState_TASK_KILLING, mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_KILLED,
	mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_ERROR,
	mesos.TaskState_TASK_UNREACHABLE,
}

// TaskStateFields writes the members of an object in /state-summary that count
// tasks by state.
func (w *Writer) TaskStateFields(count func(mesos.TaskState) int) {
	for _, state := range taskStates {
		w.Key(state.String()).Int(int64(count(state)))
	}
}
