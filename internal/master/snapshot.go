package master

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	allocatorpb "github.com/meseta-project/meseta/api/mesos/v1/allocator"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A Snapshot is everything that can be read of a master, frozen between two
// steps. It is safe for concurrent use and costs the master little, however
// large the cluster. Rows and what they point to must not be changed.
type Snapshot struct {
	At      time.Time         // when the last input was stepped
	Info    *mesos.MasterInfo // nil before Recover
	Elected time.Time

	Agents      cow.Snapshot[AgentRow]
	Recovered   cow.Snapshot[mesos.AgentInfo] // admitted by an earlier leader, not back yet, by ID
	Unreachable int                           // agents marked unreachable

	Frameworks cow.Snapshot[FrameworkRow]
	Completed  []*FrameworkRow // oldest first

	Tasks     cow.Snapshot[TaskRow] // also completed and unreachable ones
	Executors cow.Snapshot[ExecutorRow]
	Offers    cow.Snapshot[OfferRow]
	// Operations are those whose outcome has not been acknowledged.
	Operations cow.Snapshot[OperationRow]

	Weights map[string]float64 // roles not in it weigh 1
	Quotas  map[string]*quotapb.QuotaConfig

	Schedules []*maintenancepb.Schedule               // of maintenance; one or none
	Machines  cow.Snapshot[messages.Registry_Machine] // that are draining or down

	Inverse cow.Snapshot[InverseOfferRow]

	Filters  map[string]int // offers refused for a while, by role
	Counters Counters
}

// An AgentRow is an agent that is registered, connected or not.
type AgentRow struct {
	Serial uint64 // order of arrival
	ID     ids.AgentID
	// Info is as the agent gave it, with the stack of reservations.
	Info         *mesos.AgentInfo
	PID          ids.UPID
	Version      string
	Capabilities []mesos.AgentInfo_Capability_Type
	Registered   time.Time
	Reregistered time.Time // zero if it never did
	Connected    bool
	Active       bool // its resources are offered
	Deactivated  bool // by an operator
	Drain        *mesos.DrainInfo
	DrainStart   time.Time // when this master began to drain it

	Total     resources.Resources // not allocated
	Allocated resources.Resources // used by tasks and executors, by role
	Offered   resources.Resources

	// Answers are those to inverse offers, if it is to be taken down, by framework;
	// some of these may be no more.
	Answers []*allocatorpb.InverseOfferStatus
}

// A FrameworkRow is a framework: subscribed, away, recovered or completed.
type FrameworkRow struct {
	Serial       uint64 // order of arrival
	ID           ids.FrameworkID
	Info         *mesos.FrameworkInfo // its ID is set
	Peer         Peer                 // zero if it is not connected
	Connected    bool
	Active       bool // it gets offers
	Recovered    bool // known from agents only: it has not subscribed with this master
	Registered   time.Time
	Reregistered time.Time
	Unregistered time.Time // zero unless completed

	Suppressed  []string // roles it wants no offers for, sorted
	Constraints *schedulerpb.OfferConstraints

	Allocated resources.Resources // used by tasks and executors, by role
	Offered   resources.Resources

	Counters FrameworkCounters
}

// Roles returns the roles the framework is subscribed to.
func (r *FrameworkRow) Roles() []string { return rolesOf(r.Info) }

// A Place says in which of a framework's lists a task is.
type Place uint8

// The places. A task whose terminal update is not acknowledged yet is Running.
const (
	Running     Place = iota // "tasks"
	Unreachable              // "unreachable_tasks": its agent is unreachable
	Completed                // "completed_tasks"
)

// A TaskRow is a task in the master's books.
type TaskRow struct {
	Serial    uint64 // order of launch, or of arrival with an agent
	ID        ids.TaskID
	Framework ids.FrameworkID
	Agent     ids.AgentID
	Executor  ids.ExecutorID // "" for a command task
	Place     Place

	// State is the latest known; UpdateState and UpdateUUID are those of the
	// update that was last forwarded to the framework.
	State       mesos.TaskState
	UpdateState *mesos.TaskState // nil if none was
	UpdateUUID  []byte

	// Statuses has one entry for each state in a row, without data.
	Statuses []*mesos.TaskStatus
	Role     string
	// Resources are what the task was given, allocated to Role.
	Resources resources.Resources
	// Desc describes the task: all fields of mesos.v1.Task but those above.
	Desc *mesos.Task
}

// Task returns the whole task as a message, for endpoints and reconciliation.
func (r *TaskRow) Task() *mesos.Task {
	d := r.Desc
	return &mesos.Task{
		Name:              d.Name,
		TaskId:            d.TaskId,
		FrameworkId:       d.FrameworkId,
		ExecutorId:        d.ExecutorId,
		AgentId:           d.AgentId,
		State:             r.State.Enum(),
		Resources:         d.Resources,
		Limits:            d.Limits,
		Statuses:          r.Statuses,
		StatusUpdateState: r.UpdateState,
		StatusUpdateUuid:  r.UpdateUUID,
		Labels:            d.Labels,
		Discovery:         d.Discovery,
		Container:         d.Container,
		HealthCheck:       d.HealthCheck,
		KillPolicy:        d.KillPolicy,
		User:              d.User,
	}
}

// An ExecutorRow is an executor on an agent. Those that agents generate for
// command tasks are not known to the master.
type ExecutorRow struct {
	Serial    uint64
	Framework ids.FrameworkID
	Agent     ids.AgentID
	Info      *mesos.ExecutorInfo
	Resources resources.Resources
}

// An OfferRow is an offer that a framework has not answered.
type OfferRow struct {
	Serial    uint64
	ID        ids.OfferID
	Framework ids.FrameworkID
	Agent     ids.AgentID
	Role      string
	Resources resources.Resources // allocated to Role
	At        time.Time
}

// An InverseOfferRow is an inverse offer that a framework has not answered.
type InverseOfferRow struct {
	Serial    uint64
	Framework ids.FrameworkID
	Offer     *mesos.InverseOffer
}

// An OperationRow is an operation, other than a launch, on an agent.
type OperationRow struct {
	Serial    uint64
	UUID      []byte
	Framework ids.FrameworkID // "" if it is an operator's
	Agent     ids.AgentID
	Info      *mesos.Offer_Operation
	Latest    *mesos.OperationStatus
	Statuses  []*mesos.OperationStatus
}

// Operation returns the whole operation as a message, for endpoints.
func (r *OperationRow) Operation() *mesos.Operation {
	op := &mesos.Operation{
		AgentId:      agentID(r.Agent),
		Info:         r.Info,
		LatestStatus: r.Latest,
		Statuses:     r.Statuses,
		Uuid:         &mesos.UUID{Value: r.UUID},
	}
	if r.Framework != "" {
		op.FrameworkId = frameworkID(r.Framework)
	}
	return op
}
