// Package agent decides what an agent does: whom it registers with, which
// executors it starts and what it tells them, when a status update is sent
// again, what is remembered and what is forgotten. It is a state machine
// without side effects: it is told the time and what happened, and answers with
// [Effects].
//
// The life of an agent:
//
//	           executors are back        master accepts
//	RECOVERING ──────────────▶ DISCONNECTED ─────────────▶ RUNNING
//	    │                          │  ▲ ◀── master lost ────┘ │
//	    │ cleanup                  │  └── pings missed ───────┤
//	    └───────────▶ TERMINATING ◀┴──── shut down ───────────┘
//	                      │ nothing runs any more
//	                      ▼
//	                    (Done)
//
// The agent starts with [Agent.Recover], also when there is nothing to recover.
//
// An Agent is not safe for concurrent use: one goroutine owns it.
package agent

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/status"
)

// State is how far an agent is.
type State uint8

// The states of an agent.
const (
	Recovering State = iota
	Disconnected
	Running
	Terminating
)

var stateNames = [...]string{"RECOVERING", "DISCONNECTED", "RUNNING", "TERMINATING"}

// String returns the state as Mesos names it.
func (s State) String() string { return stateNames[s] }

// Agent is an agent's mind. See the package comment.
type Agent struct {
	cfg  Config
	rand *rand.Rand
	log  *slog.Logger

	state          State
	now            time.Time
	info           *mesos.AgentInfo
	layout         meta.Layout
	master         ids.UPID // the one that leads; "": none is known
	registeredOver uint64   // the connection over which that said last that we are registered
	link           LinkID   // the connection to it that was asked for; 0: none
	links          LinkID   // how many were
	retry          time.Duration
	authenticated  bool          // the master knows who we are
	authPatience   time.Duration // the next attempt waits so much longer for the master, at most
	registered     time.Time     // when the master last accepted us
	pingWithin     time.Duration // longest silence of the master's observer
	version        []byte        // uuid of the resources as they are
	drain          *mesos.DrainConfig
	reserved       *reserved

	frameworks map[ids.FrameworkID]*framework
	byRun      map[ids.ContainerID]*executor
	byConn     map[ConnID]*executor
	completed  ring[*framework]
	seq        uint64 // of frameworks, executors and tasks, in order of arrival
	replaying  bool   // what was remembered is being taken up

	updates *status.Streams
	timers  timers
	gc      collector
	resized []*executor // whose containers may use something else now
	out     Effects
	count   Counters
	rows    rows
}

// rows are the tables that snapshots are taken of.
type rows struct {
	frameworks cow.Table[uint64, FrameworkRow]
	executors  cow.Table[uint64, ExecutorRow]
	tasks      cow.Table[uint64, TaskRow]
}

// New returns an agent that has to [Agent.Recover] before anything else.
func New(cfg Config, deps Deps) *Agent {
	cfg = cfg.withDefaults()
	a := &Agent{
		cfg: cfg, rand: deps.Rand, log: deps.Log,
		info:       cfg.Info,
		layout:     meta.Layout{WorkDir: cfg.WorkDir},
		pingWithin: defaultPingTimeout,
		reserved:   &reserved{},
		frameworks: map[ids.FrameworkID]*framework{},
		byRun:      map[ids.ContainerID]*executor{},
		byConn:     map[ConnID]*executor{},
		completed:  ring[*framework]{max: cfg.MaxCompletedFrameworks},
		updates:    status.New(),
		gc:         collector{delay: cfg.GCDelay, headroom: cfg.DiskHeadroom},
	}
	a.version = a.uuid()
	a.count.TasksEnded = map[mesos.TaskState]int{}
	return a
}

// Step tells the agent what happened, and when. Time must not go back.
func (a *Agent) Step(now time.Time, in Input) {
	a.now = now
	switch in := in.(type) {
	case MasterDetected:
		a.detected(in.Master)
	case MasterMessage:
		a.message(in)
	case MasterExited:
		a.masterExited(in.Master)
	case MasterAuthenticated:
		a.masterAuthenticated(in.Master, in.Refused)
	case ExecutorSubscribe:
		a.subscribe(in)
	case ExecutorCall:
		a.reply(in.Request, a.executorCall(in))
	case ExecutorClosed:
		a.executorClosed(in.Conn)
	case ContainerReady, ContainerNetworks, ContainerClass, ContainerLaunched, ContainerFailed, ContainerExited:
		a.container(in)
	case OperatorCall:
		a.reply(in.Request, refusal.NotImplementedf("the agent's core takes no call %s", in.Call.GetType()))
	case DiskUsage:
		a.collect(in.Used)
	case Unregister:
		a.unregister(in.Message)
	}
	a.expire()
}

// expire does what time has made due.
func (a *Agent) expire() {
	for t, ok := a.timers.due(a.now); ok; t, ok = a.timers.due(a.now) {
		a.timeout(t)
	}
	for _, u := range a.updates.Due(a.now) {
		a.forward(u)
	}
	a.remove(a.gc.due(a.now))
}

// Effects returns what is to be done about the steps since the last call.
func (a *Agent) Effects() Effects {
	a.resize()
	out := a.out
	out.Wake = earliest(a.timers.next(), a.updates.Next(), a.gc.next())
	a.out = Effects{Done: out.Done, Fatal: out.Fatal}
	return out
}

// Snapshot returns the agent as it stands. It is cheap; rendering is the
// reader's work.
func (a *Agent) Snapshot() *Snapshot {
	return &Snapshot{
		State: a.state, Info: a.info, Master: a.master, Registered: a.registered,
		Drain: a.drain, Reserved: a.reserved.proto(), Operations: a.reserved.operations(), MaxSandboxAge: a.gc.maxAge, Waste: len(a.gc.where),
		Frameworks: a.rows.frameworks.Snapshot(),
		Executors:  a.rows.executors.Snapshot(),
		Tasks:      a.rows.tasks.Snapshot(),
		Counters:   a.count.clone(),
	}
}

// persist adds a record to what is to be made durable.
func (a *Agent) persist(r meta.Record) { a.out.Persist = append(a.out.Persist, r) }

// later sends a message when all that was persisted so far is durable.
func (a *Agent) later(m Message) { a.out.Deferred = append(a.out.Deferred, m) }

// act does something to a container when all that was persisted is durable.
func (a *Agent) act(c ContainerAction) { a.out.Containers = append(a.out.Containers, c) }

// tellMaster sends a message to the master, if there is one, when all that was
// persisted so far is durable.
func (a *Agent) tellMaster(m proto.Message) {
	if a.master != "" {
		a.later(ToProcess{To: a.master, Over: a.link, Message: m})
	}
}

// reply answers a request that somebody waits for.
func (a *Agent) reply(r RequestID, err error) {
	if r != 0 {
		a.later(Reply{Request: r, Err: err})
	}
}

// uuid draws the bytes of a UUID.
func (a *Agent) uuid() []byte {
	u := ids.NewUUID(a.rand)
	return u[:]
}

// next numbers frameworks, executors and tasks as they come.
func (a *Agent) next() uint64 {
	a.seq++
	return a.seq
}

// id returns the agent's ID, "" before its first registration.
func (a *Agent) id() ids.AgentID { return ids.AgentID(a.info.GetId().GetValue()) }

// earliest returns the first of the times that are not zero.
func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
