package agent

import (
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
)

type (
	// ConnID is an event stream to an executor that the shell holds open. It is
	// never reused within a process, and never 0.
	ConnID uint64
	// LinkID is a connection to a master that the core has asked for; 0: none. It
	// is never reused within a process.
	LinkID uint64
	// RequestID is a request whose answer somebody waits for; 0: nobody does.
	RequestID uint64
)

// Input is something that happened. Inputs are plain data; the messages in them
// are not to be changed once handed over.
type Input interface{ input() }

type (
	// MasterDetected says which master leads; "" that none is known.
	MasterDetected struct{ Master ids.UPID }

	// MasterMessage is a message of mesos.internal.* to this agent, from a master
	// or from one of its processes (a ping comes from a slave-observer).
	// Over numbers the connection that it came over, a later one higher; 0: not known.
	MasterMessage struct {
		From    ids.UPID
		Over    uint64
		Message proto.Message
	}

	// MasterExited says that the connection asked for by [Link] broke, or could
	// not be made.
	MasterExited struct{ Master ids.UPID }

	// MasterAuthenticated is the outcome of an [Authenticate]: the master knows
	// who we are, or refuses us. No outcome, no input.
	MasterAuthenticated struct {
		Master  ids.UPID
		Refused bool
	}

	// ExecutorSubscribe is an executor's SUBSCRIBE, or its v0 driver's
	// (re-)registration. Events go to Conn from now on. Driver is where a v0
	// driver listens, "" for HTTP and for built-in executors; Again that it had
	// registered before, with an earlier life of the agent.
	//
	// It is answered by one [Reply], before anything is sent on Conn.
	ExecutorSubscribe struct {
		Request RequestID
		Conn    ConnID
		Driver  ids.UPID
		Again   bool
		By      *Caller
		Call    *executorpb.Call
	}

	// ExecutorCall is any other call of an executor, answered by one [Reply].
	ExecutorCall struct {
		Request RequestID
		By      *Caller
		Call    *executorpb.Call
	}

	// Caller is who makes a call of an executor's, as its token says; nil where
	// that was not asked.
	Caller struct {
		Name   string            // for messages
		Claims map[string]string // of the token: fid, eid and cid are an executor's
	}

	// ExecutorClosed says that an event stream ended without our doing.
	ExecutorClosed struct{ Conn ConnID }

	// ContainerReady says that a container's sandbox is made and its URIs are
	// fetched. The shell starts the executor next: as a process, or within itself.
	ContainerReady struct{ Container ids.ContainerID }

	// ContainerNetworks says which networks a container is in that are not the
	// machine's, and its addresses there. It comes before anything that the
	// container's executor reports.
	ContainerNetworks struct {
		Container ids.ContainerID
		Networks  []*mesos.NetworkInfo
		// ByExecutor are those that Mesos's executor tells, not its agent: when the task
		// begins to run, and with its health.
		ByExecutor bool
	}

	// ContainerClass says in which class of net_cls the packets of a container are,
	// which may be one in a pod. It comes before its process is said to exist.
	ContainerClass struct {
		Container ids.ContainerID
		Class     uint32
	}

	// ContainerLaunched says that a container's process exists. It is told for
	// the process of a built-in executor's task as well.
	ContainerLaunched struct {
		Container ids.ContainerID
		PID       int
	}

	// ContainerFailed says that a container could not be started; nothing of it
	// is left but the sandbox. Reason is REASON_CONTAINER_LAUNCH_FAILED unless
	// something better is known.
	ContainerFailed struct {
		Container ids.ContainerID
		Reason    mesos.TaskStatus_Reason
		Message   string
	}

	// ContainerExited says that a container is over: its processes are gone. For
	// a built-in executor it comes when the executor has nothing left to do.
	ContainerExited struct {
		Container ids.ContainerID
		Status    int32       // as of wait(2); meaningless unless Known
		Known     bool        // false when the status was lost, as over a reboot
		Limited   *Limitation // why the containerizer ended it, if it did
	}

	// OperatorCall is a call of the operator API that changes something,
	// answered by one [Reply]. None does yet: reads are served from snapshots.
	OperatorCall struct {
		Request RequestID
		Call    *agentpb.Call
	}

	// DiskUsage tells which part of the work directory's file system is in use,
	// from 0 to 1. The shell measures it each disk_watch_interval.
	DiskUsage struct{ Used float64 }

	// Unregister is the operator's wish, by SIGUSR1, that the agent leaves the
	// cluster: it says so, ends what runs, and stops.
	Unregister struct{ Message string }

	// Tick says that time has passed.
	Tick struct{}
)

// Limitation is a limit that a container ran into.
type Limitation struct {
	Reason    mesos.TaskStatus_Reason
	Message   string
	Resources []*mesos.Resource // the limit that was passed
}

func (MasterDetected) input()      {}
func (MasterMessage) input()       {}
func (MasterExited) input()        {}
func (MasterAuthenticated) input() {}
func (ExecutorSubscribe) input()   {}
func (ExecutorCall) input()        {}
func (ExecutorClosed) input()      {}
func (ContainerReady) input()      {}
func (ContainerNetworks) input()   {}
func (ContainerClass) input()      {}
func (ContainerLaunched) input()   {}
func (ContainerFailed) input()     {}
func (ContainerExited) input()     {}
func (OperatorCall) input()        {}
func (DiskUsage) input()           {}
func (Unregister) input()          {}
func (Tick) input()                {}
