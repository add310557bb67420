package master

import (
	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/allocation"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
)

// ConnID names an event stream that the shell holds open. It is never used
// again within a process; 0 is none.
type ConnID uint64

// RequestID names a request whose answer somebody waits for: it is answered by
// exactly one [Reply]. 0 means that nobody waits.
type RequestID uint64

// A Peer is where a framework's events go: an HTTP stream, or a driver that
// speaks libprocess if Driver is set.
type Peer struct {
	Conn     ConnID
	StreamID string   // value of Mesos-Stream-Id
	Driver   ids.UPID // "" for HTTP
}

// An Input is something the master is told. The set is closed; each is plain
// data. Messages in it must not be changed afterwards.
type Input interface{ input() }

// Subscribe asks for a framework's event stream (Call SUBSCRIBE). The shell
// has checked its form and answered 200 with the stream's ID; a refusal is an
// ERROR event and [CloseFramework].
type Subscribe struct {
	Peer        Peer
	Principal   string // authenticated, "" if not
	Call        *schedulerpb.Call_Subscribe
	Constraints Compiled // the call's
	Force       bool     // v0 drivers: take over from another driver
}

// Compiled are offer constraints as they are applied. There may be thousands of
// expressions in them: who has read a call compiles them, not the master's loop.
type Compiled struct {
	from        *schedulerpb.OfferConstraints
	constraints *allocator.Constraints
	err         error
}

// Compile makes offer constraints, which may be nil, ready.
func (cfg Config) Compile(oc *schedulerpb.OfferConstraints) Compiled {
	c := Compiled{from: oc}
	c.constraints, c.err = allocator.CompileConstraints(oc, cfg.RegexLimits)
	return c
}

// SchedulerCall is any other scheduler call, its form checked. It is answered
// by one [Reply]: 202 or, for UPDATE_FRAMEWORK, 200, unless it has an error.
// The peer tells by which stream ID, or from which driver, it came.
type SchedulerCall struct {
	Request     RequestID
	Peer        Peer
	Principal   string
	Call        *schedulerpb.Call
	Constraints Compiled // of UPDATE_FRAMEWORK
}

// PeerClosed says that a framework's event stream has ended.
type PeerClosed struct{ Conn ConnID }

// DriverStopped says that a v0 driver wants no more offers
// (DeactivateFrameworkMessage): its framework stays connected.
type DriverStopped struct {
	Driver    ids.UPID
	Framework ids.FrameworkID
}

// Exited says that the link to a libprocess address, "ip:port", broke: every
// agent and driver there is disconnected.
type Exited struct{ Address string }

// AgentMessage is a message of package messages from an agent. To is the
// process it was sent to: "master", or "slave-observer(N)" for a Pong. Over numbers
// the connections as they were opened; 0 is one that is not known.
type AgentMessage struct {
	From      ids.UPID
	To        string
	Over      uint64
	Principal string
	Message   proto.Message
}

// OperatorCall is a call that changes something. The shell serves reads from
// snapshots. It is answered by one [Reply].
type OperatorCall struct {
	Request   RequestID
	Principal string
	Call      *masterpb.Call
}

// Explain asks what stands between frameworks and offers. Framework or Role is
// set; Agent makes the question one about that agent. It is answered by one
// [Reply] with Explanations, unless it has an error.
type Explain struct {
	Request   RequestID
	Framework ids.FrameworkID
	Role      string
	Agent     ids.AgentID
}

// Ranked is a module's answer to [RankDemand] Seq, if Err is nil.
type Ranked struct {
	Seq     uint64
	Ranking allocation.Ranking
	Err     error
}

// Whitelist says on which hosts alone agents may be offered; nil is all
// (--whitelist).
type Whitelist struct{ Hosts map[string]bool }

// Committed says that the registry batch with this number is durable.
type Committed struct{ Seq uint64 }

// Tick says that time has passed.
type Tick struct{}

func (Subscribe) input()     {}
func (SchedulerCall) input() {}
func (PeerClosed) input()    {}
func (DriverStopped) input() {}
func (Exited) input()        {}
func (AgentMessage) input()  {}
func (OperatorCall) input()  {}
func (Explain) input()       {}
func (Ranked) input()        {}
func (Whitelist) input()     {}
func (Committed) input()     {}
func (Tick) input()          {}
