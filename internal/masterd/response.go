package masterd

import (
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
)

// This file makes the messages of the operator API out of snapshots.

func (v *view) tasksResponse() *masterpb.Response_GetTasks {
	out := &masterpb.Response_GetTasks{}
	for row := range v.Tasks.All() {
		switch row.Place {
		case master.Running:
			out.Tasks = append(out.Tasks, row.Task())
		case master.Unreachable:
			out.UnreachableTasks = append(out.UnreachableTasks, row.Task())
		case master.Completed:
			out.CompletedTasks = append(out.CompletedTasks, row.Task())
		}
	}
	return out
}

func (v *view) executorsResponse() *masterpb.Response_GetExecutors {
	out := &masterpb.Response_GetExecutors{}
	for row := range v.Executors.All() {
		out.Executors = append(out.Executors, executorResponse(row))
	}
	return out
}

func executorResponse(row *master.ExecutorRow) *masterpb.Response_GetExecutors_Executor {
	return &masterpb.Response_GetExecutors_Executor{ExecutorInfo: row.Info, AgentId: agentID(row.Agent)}
}

func (v *view) operationsResponse() *masterpb.Response_GetOperations {
	out := &masterpb.Response_GetOperations{}
	for row := range v.Operations.All() {
		out.Operations = append(out.Operations, row.Operation())
	}
	return out
}

func (v *view) agentsResponse() *masterpb.Response_GetAgents {
	out := &masterpb.Response_GetAgents{RecoveredAgents: slices.Collect(v.Recovered.All())}
	for _, row := range v.agents {
		out.Agents = append(out.Agents, agentResponse(row))
	}
	return out
}

func agentResponse(row *master.AgentRow) *masterpb.Response_GetAgents_Agent {
	pid := string(row.PID)
	return &masterpb.Response_GetAgents_Agent{
		AgentInfo: row.Info, Active: &row.Active, Deactivated: &row.Deactivated,
		Version: &row.Version, Pid: &pid,
		RegisteredTime: timeInfo(row.Registered), ReregisteredTime: timeInfo(row.Reregistered),
		TotalResources: row.Total.Endpoint(), AllocatedResources: row.Allocated.Endpoint(),
		OfferedResources: row.Offered.Endpoint(), DrainInfo: row.Drain, Capabilities: agentCapabilities(row),
		EstimatedDrainStartTime: drainStart(row),
	}
}

// drainStart returns since when an agent is drained, nil if it is not.
func drainStart(row *master.AgentRow) *mesos.TimeInfo {
	if row.Drain == nil {
		return nil
	}
	return timeInfo(row.DrainStart)
}

func (v *view) frameworksResponse() *masterpb.Response_GetFrameworks {
	out := &masterpb.Response_GetFrameworks{}
	for _, row := range v.frameworks {
		out.Frameworks = append(out.Frameworks, v.frameworkResponse(row))
	}
	for _, row := range v.Completed {
		out.CompletedFrameworks = append(out.CompletedFrameworks, v.frameworkResponse(row))
	}
	return out
}

// frameworkResponse returns what lists tell of a framework.
func (v *view) frameworkResponse(row *master.FrameworkRow) *masterpb.Response_GetFrameworks_Framework {
	f := frameworkMessage(row)
	f.OfferConstraints = constraints(row)
	for _, o := range v.belongings(row.ID).offers {
		f.Offers = append(f.Offers, offerMessage(o))
	}
	for _, o := range v.belongings(row.ID).inverse {
		f.InverseOffers = append(f.InverseOffers, o.Offer)
	}
	return f
}

// frameworkMessage returns what lists and events tell of a framework. One that
// never came back has its first time as the time of its return, as in Mesos.
func frameworkMessage(row *master.FrameworkRow) *masterpb.Response_GetFrameworks_Framework {
	back := row.Reregistered
	if back.IsZero() {
		back = row.Registered
	}
	return &masterpb.Response_GetFrameworks_Framework{
		FrameworkInfo: row.Info, Active: &row.Active, Connected: &row.Connected, Recovered: &row.Recovered,
		RegisteredTime: timeInfo(row.Registered), ReregisteredTime: timeInfo(back),
		UnregisteredTime:   timeInfo(row.Unregistered),
		AllocatedResources: row.Allocated.Endpoint(), OfferedResources: row.Offered.Endpoint(),
	}
}

// offerMessage returns what lists tell of an offer.
func offerMessage(row *master.OfferRow) *mesos.Offer {
	return &mesos.Offer{
		Id: offerID(row.ID), FrameworkId: frameworkID(row.Framework), AgentId: agentID(row.Agent),
		Hostname: new(string), Resources: row.Resources.Endpoint(),
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: &row.Role},
	}
}

// eventFramework returns what events tell of a framework: the time of its end
// too, which is 0 before.
func eventFramework(row *master.FrameworkRow) *masterpb.Response_GetFrameworks_Framework {
	f := frameworkMessage(row)
	if f.UnregisteredTime == nil {
		f.UnregisteredTime = &mesos.TimeInfo{Nanoseconds: new(int64)}
	}
	if row.Constraints != nil {
		f.OfferConstraints = row.Constraints
	}
	return f
}

// operatorEvent returns what operators' streams are told of an event.
func operatorEvent(event master.Event) *masterpb.Event {
	switch e := event.(type) {
	case master.TaskAdded:
		return &masterpb.Event{Type: masterpb.Event_TASK_ADDED.Enum(), TaskAdded: &masterpb.Event_TaskAdded{Task: e.Task.Task()}}
	case master.TaskUpdated:
		return &masterpb.Event{Type: masterpb.Event_TASK_UPDATED.Enum(), TaskUpdated: &masterpb.Event_TaskUpdated{
			FrameworkId: frameworkID(e.Framework), Status: e.Status, State: e.State.Enum(),
		}}
	case master.AgentAdded:
		return &masterpb.Event{Type: masterpb.Event_AGENT_ADDED.Enum(), AgentAdded: &masterpb.Event_AgentAdded{Agent: agentResponse(e.Agent)}}
	case master.AgentRemoved:
		return &masterpb.Event{Type: masterpb.Event_AGENT_REMOVED.Enum(), AgentRemoved: &masterpb.Event_AgentRemoved{AgentId: agentID(e.Agent)}}
	case master.FrameworkAdded:
		return &masterpb.Event{Type: masterpb.Event_FRAMEWORK_ADDED.Enum(), FrameworkAdded: &masterpb.Event_FrameworkAdded{
			Framework: eventFramework(e.Framework),
		}}
	case master.FrameworkUpdated:
		return &masterpb.Event{Type: masterpb.Event_FRAMEWORK_UPDATED.Enum(), FrameworkUpdated: &masterpb.Event_FrameworkUpdated{
			Framework: eventFramework(e.Framework),
		}}
	case master.FrameworkRemoved:
		return &masterpb.Event{Type: masterpb.Event_FRAMEWORK_REMOVED.Enum(), FrameworkRemoved: &masterpb.Event_FrameworkRemoved{
			FrameworkInfo: e.Info,
		}}
	}
	return &masterpb.Event{}
}

// timeInfo returns a time as a message, or nil for the zero time.
func timeInfo(at time.Time) *mesos.TimeInfo {
	if at.IsZero() {
		return nil
	}
	ns := at.UnixNano()
	return &mesos.TimeInfo{Nanoseconds: &ns}
}

func frameworkID(id ids.FrameworkID) *mesos.FrameworkID {
	value := string(id)
	return &mesos.FrameworkID{Value: &value}
}

func agentID(id ids.AgentID) *mesos.AgentID {
	value := string(id)
	return &mesos.AgentID{Value: &value}
}

func offerID(id ids.OfferID) *mesos.OfferID {
	value := string(id)
	return &mesos.OfferID{Value: &value}
}
