package agentd

import (
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/wire"
)

// This file makes the answers of the operator API out of views: as messages,
// and as JSON, in which lists are there even when they are empty.

func (v *view) inPhase(phase agent.TaskPhase) []*mesos.Task {
	var out []*mesos.Task
	for _, row := range v.tasks {
		if row.Phase == phase {
			out = append(out, v.shown(row))
		}
	}
	return out
}

// tasksResponse returns the tasks. None are pending: a task is queued as soon as
// it is there.
func (v *view) tasksResponse() *agentpb.Response_GetTasks {
	return &agentpb.Response_GetTasks{
		QueuedTasks: v.inPhase(agent.TaskQueued), LaunchedTasks: v.inPhase(agent.TaskLaunched),
		TerminatedTasks: v.inPhase(agent.TaskTerminated), CompletedTasks: v.inPhase(agent.TaskCompleted),
	}
}

func (v *view) executorsResponse() *agentpb.Response_GetExecutors {
	out := &agentpb.Response_GetExecutors{}
	for _, row := range v.executors {
		one := &agentpb.Response_GetExecutors_Executor{ExecutorInfo: row.Info}
		if row.Completed {
			out.CompletedExecutors = append(out.CompletedExecutors, one)
		} else {
			out.Executors = append(out.Executors, one)
		}
	}
	return out
}

func (v *view) frameworksResponse() *agentpb.Response_GetFrameworks {
	out := &agentpb.Response_GetFrameworks{}
	for _, row := range v.frameworks {
		one := &agentpb.Response_GetFrameworks_Framework{FrameworkInfo: row.Info}
		if row.Completed {
			out.CompletedFrameworks = append(out.CompletedFrameworks, one)
		} else {
			out.Frameworks = append(out.Frameworks, one)
		}
	}
	return out
}

// containersResponse returns the containers of executors, and if asked for those
// within others and those that stand alone.
func (v *view) containersResponse(call *agentpb.Call_GetContainers) *agentpb.Response_GetContainers {
	out := &agentpb.Response_GetContainers{}
	for _, x := range v.running() {
		framework, executor, id, name := string(x.Run.Framework), string(x.Run.Executor), x.Run.Container, x.Info.GetName()
		out.Containers = append(out.Containers, &agentpb.Response_GetContainers_Container{
			FrameworkId: &mesos.FrameworkID{Value: &framework}, ExecutorId: &mesos.ExecutorID{Value: &executor},
			ExecutorName: &name, ContainerId: containerID(id),
			ContainerStatus: v.server.containerStatus(id, executorPID(x)), ResourceStatistics: v.statistics(id, v.allowed(x)),
		})
	}
	for _, id := range v.server.others(call.GetShowNested(), call.GetShowStandalone()) {
		value := id.Value()
		one := &agentpb.Response_GetContainers_Container{
			ContainerId: &mesos.ContainerID{Value: &value}, ResourceStatistics: v.statistics(id, v.nestedLimits(id)),
		}
		if process, ok := v.server.processes.Load(id); ok {
			one.ContainerStatus = v.server.containerStatus(id, process.(launcher.Process).PID())
		}
		out.Containers = append(out.Containers, one)
	}
	return out
}

// A list is a call whose answer is written in JSON by hand.
type list struct {
	member string
	write  func(*view, *wire.Writer)
}

var lists = map[agentpb.Call_Type]list{
	agentpb.Call_GET_STATE:      {"get_state", (*view).writeGetState},
	agentpb.Call_GET_TASKS:      {"get_tasks", (*view).writeGetTasks},
	agentpb.Call_GET_EXECUTORS:  {"get_executors", (*view).writeGetExecutors},
	agentpb.Call_GET_FRAMEWORKS: {"get_frameworks", (*view).writeGetFrameworks},
}

func (v *view) writeGetState(w *wire.Writer) {
	w.BeginObject()
	v.writeGetTasks(w.Key("get_tasks"))
	v.writeGetExecutors(w.Key("get_executors"))
	v.writeGetFrameworks(w.Key("get_frameworks"))
	w.EndObject()
}

func (v *view) writeGetTasks(w *wire.Writer) {
	tasks := v.tasksResponse()
	w.BeginObject()
	writeList(w, "pending_tasks", tasks.PendingTasks)
	writeList(w, "queued_tasks", tasks.QueuedTasks)
	writeList(w, "launched_tasks", tasks.LaunchedTasks)
	writeList(w, "terminated_tasks", tasks.TerminatedTasks)
	writeList(w, "completed_tasks", tasks.CompletedTasks)
	w.EndObject()
}

func (v *view) writeGetExecutors(w *wire.Writer) {
	executors := v.executorsResponse()
	w.BeginObject()
	writeList(w, "executors", executors.Executors)
	writeList(w, "completed_executors", executors.CompletedExecutors)
	w.EndObject()
}

func (v *view) writeGetFrameworks(w *wire.Writer) {
	frameworks := v.frameworksResponse()
	w.BeginObject()
	writeList(w, "frameworks", frameworks.Frameworks)
	writeList(w, "completed_frameworks", frameworks.CompletedFrameworks)
	w.EndObject()
}

func writeList[M proto.Message](w *wire.Writer, key string, all []M) {
	w.Key(key).BeginArray()
	for _, m := range all {
		w.Message(m)
	}
	w.EndArray()
}
