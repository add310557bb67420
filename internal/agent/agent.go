// Package agent decides what an agent does: whom it registers with, which
// executors it starts and what it tells them, when a status update is sent
// again, what is remembered and what is forgotten. It is a state machine
// without side effects: it is told the time and what happened, and answers with
// [Effects].
//
// The life of an agent:
//
//	           Recover                 master accepts
//	RECOVERING ───────▶ DISCONNECTED ─────────────────▶ RUNNING
//	                        ▲   │ ◀── master lost ───────┘ │
//	                        │   └────── shut down ─────┐   │ shut down
//	                                                   ▼   ▼
//	                                                TERMINATING ──▶ (Done)
//
// An Agent is not safe for concurrent use: one goroutine owns it.
package agent

import (
	"log/slog"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
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

	state  State
	now    time.Time
	info   *mesos.AgentInfo
	master ids.UPID
	out    Effects
	count  Counters
}

// New returns an agent that has to [Agent.Recover] before anything else.
func New(cfg Config, deps Deps) *Agent {
	return &Agent{cfg: cfg.withDefaults(), rand: deps.Rand, log: deps.Log, info: cfg.Info}
}

// Recover takes up what an earlier life left: state is what it remembered (nil:
// nothing), running the containers that the containerizer still knows.
func (a *Agent) Recover(now time.Time, state *meta.State, running []ids.ContainerID) {
	a.now, a.state = now, Disconnected
}

// Step tells the agent what happened, and when. Time must not go back.
func (a *Agent) Step(now time.Time, in Input) {
	a.now = now
}

// Effects returns what is to be done about the steps since the last call.
func (a *Agent) Effects() Effects {
	out := a.out
	a.out = Effects{}
	return out
}

// Snapshot returns the agent as it stands. It is cheap; rendering is the
// reader's work.
func (a *Agent) Snapshot() *Snapshot {
	return &Snapshot{State: a.state, Info: a.info, Master: a.master, Counters: a.count}
}
