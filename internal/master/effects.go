package master

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/allocation"
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
)

// Effects is what the master wants done. The order within Messages is the
// order in which they must leave for the same receiver.
type Effects struct {
	// Persist, if not nil, is stored as one write; once it is durable,
	// Committed{Persist.Seq} is stepped. A failure to store ends the process.
	Persist  *registry.Batch
	Messages []Message
	Events   []Event // for operators' streams
	// Wake is when Tick must be stepped at the latest; zero is never.
	Wake time.Time
	// Fatal, if not empty, says why the process must end now.
	Fatal string
}

// A Message is something to send. The set is closed.
type Message interface{ message() }

// ToFramework is an event for a framework. The event is in the form of the
// framework's capabilities (wire.md, traps 1 and 2). A driver gets it as the
// message of old that says the same.
type ToFramework struct {
	Peer Peer
	// Framework is whose event it is; "" when it was refused before it had an ID.
	Framework ids.FrameworkID
	Event     *schedulerpb.Event
	// AgentPIDs are, for OFFERS, the addresses of the offers' agents in
	// order, and for UPDATE the address of the agent that waits for its
	// acknowledgement, if one does. Drivers need them.
	AgentPIDs []ids.UPID
	// Latest is, for UPDATE, the state that the task was in when its agent sent the
	// status, nil if it comes from none. Drivers are told.
	Latest *mesos.TaskState
	// Again marks the SUBSCRIBED of a framework that had an ID already: a
	// driver gets it as FrameworkReregistered.
	Again bool
}

// CloseFramework ends a framework's event stream after what was sent before.
type CloseFramework struct{ Peer Peer }

// ToProcess is a libprocess message. From is the process that sends it:
// "master", or "slave-observer(N)".
type ToProcess struct {
	From    string
	To      ids.UPID
	Message proto.Message
}

// Link asks to be told, by [Exited], when the connection to the process's
// address breaks. It is opened if there is none, and not given up before
// [Unlink].
type Link struct{ To ids.UPID }

// Unlink ends what Link asked for: nobody of the master's is at the address
// any more.
type Unlink struct{ To ids.UPID }

// Reply answers a request. Err is nil on success. Response is for the few
// calls that have one.
type Reply struct {
	Request  RequestID
	Err      *refusal.Error
	Response proto.Message
	// Explanations answer an [Explain], and Omitted is how many more there are.
	Explanations []allocator.Explanation
	Omitted      int
}

// RankDemand asks the allocation module for an order. [Ranked] may answer with
// the same number, or nothing: the master waits for a bounded time. Demand must
// not be changed.
type RankDemand struct {
	Seq    uint64
	Demand allocation.Demand
}

func (RankDemand) message()     {}
func (ToFramework) message()    {}
func (CloseFramework) message() {}
func (ToProcess) message()      {}
func (Link) message()           {}
func (Unlink) message()         {}
func (Reply) message()          {}

// An Event is what operators' streams are told (mesos.v1.master.Event). The
// set is closed. Rows are frozen.
type Event interface{ event() }

// The events, named as in masterpb.Event.
type (
	// TaskAdded says that a task was launched or came back with its agent.
	TaskAdded struct{ Task *TaskRow }
	// TaskUpdated says that a task changed its state, or a check's result.
	TaskUpdated struct {
		Framework ids.FrameworkID
		Status    *mesos.TaskStatus
		State     mesos.TaskState // latest known, perhaps ahead of Status
	}
	// AgentAdded says that an agent registered, or came back.
	AgentAdded struct{ Agent *AgentRow }
	// AgentRemoved says that an agent left, or became unreachable.
	AgentRemoved struct{ Agent ids.AgentID }
	// FrameworkAdded says that a framework subscribed for the first time.
	FrameworkAdded struct{ Framework *FrameworkRow }
	// FrameworkUpdated says that a framework subscribed again or changed
	// its description.
	FrameworkUpdated struct{ Framework *FrameworkRow }
	// FrameworkRemoved says that a framework is over.
	FrameworkRemoved struct{ Info *mesos.FrameworkInfo }
)

func (TaskAdded) event()        {}
func (TaskUpdated) event()      {}
func (AgentAdded) event()       {}
func (AgentRemoved) event()     {}
func (FrameworkAdded) event()   {}
func (FrameworkUpdated) event() {}
func (FrameworkRemoved) event() {}
