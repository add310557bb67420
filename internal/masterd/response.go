package masterd

import (
	"cmp"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
)

// This file makes the messages of the operator API out of snapshots.

func stateResponse(s *master.Snapshot) *masterpb.Response_GetState {
	return &masterpb.Response_GetState{
		GetTasks: tasksResponse(s), GetExecutors: executorsResponse(s),
		GetFrameworks: frameworksResponse(s), GetAgents: agentsResponse(s),
	}
}

func tasksResponse(s *master.Snapshot) *masterpb.Response_GetTasks {
	out := &masterpb.Response_GetTasks{}
	for row := range s.Tasks.All() {
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

func executorsResponse(s *master.Snapshot) *masterpb.Response_GetExecutors {
	out := &masterpb.Response_GetExecutors{}
	for row := range s.Executors.All() {
		out.Executors = append(out.Executors, &masterpb.Response_GetExecutors_Executor{
			ExecutorInfo: row.Info, AgentId: agentID(row.Agent),
		})
	}
	return out
}

func operationsResponse(s *master.Snapshot) *masterpb.Response_GetOperations {
	out := &masterpb.Response_GetOperations{}
	for row := range s.Operations.All() {
		out.Operations = append(out.Operations, row.Operation())
	}
	return out
}

func agentsResponse(s *master.Snapshot) *masterpb.Response_GetAgents {
	out := &masterpb.Response_GetAgents{RecoveredAgents: s.Recovered}
	for row := range s.Agents.All() {
		out.Agents = append(out.Agents, agentResponse(row))
	}
	return out
}

func agentResponse(row *master.AgentRow) *masterpb.Response_GetAgents_Agent {
	pid := string(row.PID)
	out := &masterpb.Response_GetAgents_Agent{
		AgentInfo: row.Info, Active: &row.Active, Deactivated: &row.Deactivated,
		Version: &row.Version, Pid: &pid,
		RegisteredTime: timeInfo(row.Registered), ReregisteredTime: timeInfo(row.Reregistered),
		TotalResources: row.Total.Endpoint(), AllocatedResources: row.Allocated.Endpoint(),
		OfferedResources: row.Offered.Endpoint(), DrainInfo: row.Drain,
	}
	for _, c := range row.Capabilities {
		out.Capabilities = append(out.Capabilities, &mesos.AgentInfo_Capability{Type: c.Enum()})
	}
	return out
}

func frameworksResponse(s *master.Snapshot) *masterpb.Response_GetFrameworks {
	offers := map[ids.FrameworkID][]*mesos.Offer{}
	for row := range s.Offers.All() {
		offers[row.Framework] = append(offers[row.Framework], offerMessage(s, row))
	}
	out := &masterpb.Response_GetFrameworks{}
	for row := range s.Frameworks.All() {
		f := frameworkResponse(row)
		f.Offers = offers[row.ID]
		out.Frameworks = append(out.Frameworks, f)
	}
	for _, row := range s.Completed {
		out.CompletedFrameworks = append(out.CompletedFrameworks, frameworkResponse(row))
	}
	return out
}

func frameworkResponse(row *master.FrameworkRow) *masterpb.Response_GetFrameworks_Framework {
	return &masterpb.Response_GetFrameworks_Framework{
		FrameworkInfo: row.Info, Active: &row.Active, Connected: &row.Connected, Recovered: &row.Recovered,
		RegisteredTime: timeInfo(row.Registered), ReregisteredTime: timeInfo(row.Reregistered),
		UnregisteredTime:   timeInfo(row.Unregistered),
		AllocatedResources: row.Allocated.Endpoint(), OfferedResources: row.Offered.Endpoint(),
		OfferConstraints: row.Constraints,
	}
}

// frameworkEvent is frameworkResponse as events have it: with the time of its
// removal, which is zero, and without what it has been allocated.
func frameworkEvent(row *master.FrameworkRow) *masterpb.Response_GetFrameworks_Framework {
	f := frameworkResponse(row)
	if f.UnregisteredTime == nil {
		f.UnregisteredTime = &mesos.TimeInfo{Nanoseconds: new(int64)}
	}
	return f
}

// offerMessage returns an offer as its framework was sent it, but for the
// format of its resources.
func offerMessage(s *master.Snapshot, row *master.OfferRow) *mesos.Offer {
	return &mesos.Offer{
		Id: offerID(row.ID), FrameworkId: frameworkID(row.Framework), AgentId: agentID(row.Agent),
		Hostname: hostname(s, row.Agent), Resources: row.Resources.Endpoint(),
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: &row.Role},
	}
}

func hostname(s *master.Snapshot, id ids.AgentID) *string {
	for row := range s.Agents.All() {
		if row.ID == id {
			return row.Info.Hostname
		}
	}
	none := ""
	return &none
}

// rolesResponse lists the roles that somebody has a use for: frameworks that
// are subscribed to them, resources reserved for them, weights, quotas.
func rolesResponse(s *master.Snapshot) *masterpb.Response_GetRoles {
	out := &masterpb.Response_GetRoles{}
	for _, r := range roles(s) {
		role := &mesos.Role{Name: &r.name, Weight: &r.weight, Resources: quantities(r.allocated)}
		for _, id := range r.frameworks {
			role.Frameworks = append(role.Frameworks, frameworkID(id))
		}
		out.Roles = append(out.Roles, role)
	}
	return out
}

// role is what the endpoints tell of one role.
type roleView struct {
	name               string
	weight             float64
	frameworks         []ids.FrameworkID
	allocated, offered resources.Resources
	reserved           resources.Resources
}

// roles returns the known roles by name.
func roles(s *master.Snapshot) []*roleView {
	all := map[string]*roleView{}
	view := func(name string) *roleView {
		if all[name] == nil {
			all[name] = &roleView{name: name, weight: 1}
		}
		return all[name]
	}
	for row := range s.Frameworks.All() {
		for _, name := range row.Roles() {
			v := view(name)
			v.frameworks = append(v.frameworks, row.ID)
		}
		for name, part := range row.Allocated.ByAllocation() {
			v := view(name)
			v.allocated = v.allocated.Add(part)
		}
		for name, part := range row.Offered.ByAllocation() {
			v := view(name)
			v.offered = v.offered.Add(part)
		}
	}
	for row := range s.Agents.All() {
		for r := range row.Total.Reserved().All() {
			v := view(r.Role())
			v.reserved = v.reserved.Add(resources.Trusted([]*mesos.Resource{r.Proto()}))
		}
	}
	for name, weight := range s.Weights {
		view(name).weight = weight
	}
	for name := range s.Quotas {
		view(name)
	}
	return sorted(all)
}

func sorted(all map[string]*roleView) []*roleView {
	out := make([]*roleView, 0, len(all))
	for _, v := range all {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b *roleView) int { return cmp.Compare(a.name, b.name) })
	return out
}

// quantities returns the sums of the scalars, by name.
func quantities(rs resources.Resources) []*mesos.Resource {
	var out []*mesos.Resource
	for name, amount := range rs.Quantities().All() {
		value := amount.Float64()
		out = append(out, &mesos.Resource{
			Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &value},
		})
	}
	return out
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
			Framework: frameworkEvent(e.Framework),
		}}
	case master.FrameworkUpdated:
		return &masterpb.Event{Type: masterpb.Event_FRAMEWORK_UPDATED.Enum(), FrameworkUpdated: &masterpb.Event_FrameworkUpdated{
			Framework: frameworkEvent(e.Framework),
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
