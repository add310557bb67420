package agent

import (
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/resources"
)

// Effects is what is to be done about the inputs since the last call.
//
// Messages are sent at once. Deferred and Containers are carried out, each in
// its order, only when Persist of these and of all earlier effects is durable.
// That is the one rule that keeps promises across a crash: an executor is told
// that its update is acknowledged when the update is on disk, a task is
// launched when it is remembered.
type Effects struct {
	Persist    []meta.Record
	Messages   []Message
	Deferred   []Message
	Containers []ContainerAction
	Wake       time.Time // Step a Tick no later than this; zero: nothing is due
	Done       bool      // the agent has ended all it ran, and its process may end
	Fatal      error     // the agent cannot go on; the process ends with this error
}

// Message is something to send.
type Message interface{ message() }

type (
	// ToProcess is a message to a libprocess actor: the master, or an observer
	// of it. It comes from the agent's own process.
	//
	// What is meant for a master as it was met over one link must not reach
	// another that leads later at the same address: with Over set, the message is
	// lost if that is not the present link any more.
	ToProcess struct {
		To      ids.UPID
		Over    LinkID
		Message proto.Message
	}

	// Link asks for a lasting connection to the master: messages go over it from
	// now on, and [MasterExited] tells of its end. What still waited for an
	// earlier connection to that address is lost.
	Link struct {
		ID LinkID
		To ids.UPID
	}

	// Drop ends the link to a master that leads no more, with all that waits
	// for it.
	Drop struct{ To ids.UPID }

	// Authenticate asks the shell to prove to the master who we are, over the
	// link, in place of any earlier attempt. [MasterAuthenticated] tells what
	// came of it.
	Authenticate struct{ To ids.UPID }

	// ToExecutor is an event for an executor.
	ToExecutor struct {
		Conn  ConnID
		Event *executorpb.Event
		// Scheduler is where the framework's v0 driver listens, or what stands
		// for none: drivers of executors are told with each task.
		Scheduler string
	}

	// CloseExecutor ends an event stream, after what was sent on it.
	CloseExecutor struct{ Conn ConnID }

	// Reply answers a request. Err is a *refusal.Error, or nil: accepted.
	Reply struct {
		Request RequestID
		Err     error
	}
)

func (ToProcess) message()     {}
func (Link) message()          {}
func (Drop) message()          {}
func (Authenticate) message()  {}
func (ToExecutor) message()    {}
func (CloseExecutor) message() {}
func (Reply) message()         {}

// ContainerAction is something to do with a container or a folder.
type ContainerAction interface{ containerAction() }

type (
	// Launch asks for a container: make the sandbox, fetch the URIs
	// ([ContainerReady]), start the executor ([ContainerLaunched]).
	Launch struct{ Spec *ContainerSpec }

	// Adopt takes up a container of an earlier life of this agent. A built-in
	// executor is started anew with the tasks that it had; a process is waited
	// for. One that has ended meanwhile, or is gone, is told of by
	// [ContainerExited], as ever.
	Adopt struct {
		Spec *ContainerSpec
		PID  int // of the process remembered; 0: it was never started
	}

	// Update sets what a container may use, now that its tasks are others.
	Update struct {
		Container ids.ContainerID
		Resources resources.Resources
		Limits    map[string]*mesos.Value_Scalar
	}

	// Destroy ends a container by force, with all that runs in it;
	// [ContainerExited] follows. One that is not known is left alone.
	Destroy struct{ Container ids.ContainerID }

	// Remove deletes folders that have served their time. They are out of the way
	// before the next action is carried out; what is in them may go later.
	Remove struct{ Paths []string }

	// MakeVolume makes the folder of a persistent volume, if it is not there.
	MakeVolume struct{ Path string }

	// RemoveVolume deletes the folder of a persistent volume that was destroyed. It is
	// carried out before that is durable, too: afterwards nobody knows of the folder.
	RemoveVolume struct{ Path string }

	// EmptyVolume deletes all that is on a disk that was a persistent volume as a
	// whole. Nothing of it is left when the next action is carried out, nor when it is
	// durable that the volume is gone: another role may have the disk then.
	EmptyVolume struct{ Path string }
)

func (Launch) containerAction()     {}
func (Adopt) containerAction()      {}
func (Update) containerAction()     {}
func (Destroy) containerAction()    {}
func (Remove) containerAction()     {}
func (MakeVolume) containerAction() {}

func (EmptyVolume) containerAction() {}

func (RemoveVolume) containerAction() {}
