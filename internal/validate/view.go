package validate

import (
	"iter"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A Framework is what must be known of the one that wants something done.
type Framework struct {
	ID    ids.FrameworkID
	Roles []string
	// SharedResources says that it has the capability SHARED_RESOURCES.
	SharedResources bool
	// Task reports in which way it has a task with the ID.
	Task func(ids.TaskID) TaskPresence
}

// TaskPresence is whether a framework has a task with some ID.
type TaskPresence uint8

// The ways in which a task can be there.
const (
	NoTask          TaskPresence = iota
	ActiveTask                   // the framework has it, if only until its end is acknowledged
	UnreachableTask              // it is on an agent that cannot be reached
)

// An Agent is what must be known of the one on which something is to be done,
// as the framework that wants it sees it.
type Agent struct {
	ID           ids.AgentID
	Capabilities Capabilities
	// Executor returns the framework's executor on the agent with the ID, nil
	// if there is none.
	Executor func(ids.ExecutorID) *mesos.ExecutorInfo
	// Containers yields the container, nil if it has none of its own, of each
	// task of the framework that the executor has on the agent, those that
	// cannot be reached included.
	Containers func(ids.ExecutorID) iter.Seq[*mesos.ContainerInfo]
	// Checkpointed is the agent's dynamic reservations and volumes.
	Checkpointed resources.Resources
	// Used yields what the tasks and executors of each framework use.
	Used iter.Seq[resources.Resources]
}

// Capabilities are those of an agent that decide what it can be asked to do.
type Capabilities struct {
	HierarchicalRole, ReservationRefinement, ResizeVolume, TaskResourceLimits bool
}

// CapabilitiesOf returns the capabilities that an agent announced.
func CapabilitiesOf(announced []*mesos.AgentInfo_Capability) Capabilities {
	var c Capabilities
	for _, one := range announced {
		switch one.GetType() {
		case mesos.AgentInfo_Capability_HIERARCHICAL_ROLE:
			c.HierarchicalRole = true
		case mesos.AgentInfo_Capability_RESERVATION_REFINEMENT:
			c.ReservationRefinement = true
		case mesos.AgentInfo_Capability_RESIZE_VOLUME:
			c.ResizeVolume = true
		case mesos.AgentInfo_Capability_TASK_RESOURCE_LIMITS:
			c.TaskResourceLimits = true
		default: // no operation or task needs it
		}
	}
	return c
}
