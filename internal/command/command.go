// Package command decides what the command executor does: the built-in executor
// that runs one command as one task. It is a state machine without side
// effects, told of the agent's events and of the life of the task's process, and
// answering with calls to the agent and with what to do to the process.
//
//	             SUBSCRIBED          LAUNCH            process exists
//	SUBSCRIBING ───────────▶ IDLE ──────────▶ STARTING ─────────────▶ RUNNING
//	                          │ SHUTDOWN          │ cannot be started    │ kill, shutdown,
//	                          ▼                   │                      │ out of time
//	                        (Done) ◀─┐            ▼        exited        ▼
//	                                 └── ack ── ENDED ◀─────────────── KILLING
//
// The task is TASK_STARTING at once, TASK_RUNNING when its process exists, and
// ends as its exit status says: 0 is TASK_FINISHED, all else TASK_FAILED. Once a
// kill or a shutdown has been asked for, it is TASK_KILLED whatever the status,
// and when its max_completion_time is over TASK_FAILED. A kill is SIGTERM to all
// processes of the task, and SIGKILL when the grace period is over; a later kill
// can only shorten that time.
//
// The checks and health checks of a task are not run here: no status carries
// check_status or healthy.
package command

import (
	"log/slog"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/ids"
)

// Times of Mesos's command executor.
const (
	// DefaultGrace is how long a task has between SIGTERM and SIGKILL unless its
	// kill policy or the kill itself says otherwise.
	DefaultGrace = 3 * time.Second
	// ackTimeout is how long the executor waits, after the task's end, for the
	// agent to have stored it.
	ackTimeout = 60 * time.Second
	// shutdownMargin is the part of the agent's grace that is kept for reporting
	// the end: one second for noticing it, one for sending it.
	shutdownMargin = 2 * time.Second
)

// Config is whose executor this is.
type Config struct {
	Framework ids.FrameworkID
	Executor  ids.ExecutorID
	// ShutdownGrace is after what time the agent destroys the container of an
	// executor that was told to shut down.
	ShutdownGrace time.Duration
	// Killing says of a task that is recovered that it was being killed.
	Killing bool
}

// Effects is what is to be done about the inputs since the last call.
type Effects struct {
	Calls   []*executorpb.Call // to the agent, in order
	Process []Action           // to the task's process, in order
	Wake    time.Time          // Step a Tick no later than this; zero: nothing is due
	Done    bool               // the executor is over
}

// Action is something to do to the task's process.
type Action uint8

// The actions.
const (
	Start     Action = iota + 1 // start it: the container's spec says how
	Terminate                   // SIGTERM to the process and its descendants
	Kill                        // SIGKILL to the process and its descendants
)

// Input is something that happened.
type Input interface{ input() }

type (
	// Event is an event from the agent.
	Event struct{ Event *executorpb.Event }
	// Started says that the task's process exists.
	Started struct{ PID int }
	// StartFailed says that it could not be started.
	StartFailed struct{ Message string }
	// Exited says that the process is gone, with its status as of wait(2).
	// It is meaningless unless Known.
	Exited struct {
		Status int32
		Known  bool
	}
	// Tick says that time has passed.
	Tick struct{}
)

func (Event) input()       {}
func (Started) input()     {}
func (StartFailed) input() {}
func (Exited) input()      {}
func (Tick) input()        {}

type state uint8

const (
	subscribing state = iota
	idle
	starting
	running
	killing
	ended
)

// Executor is the command executor of one task. It is not safe for concurrent
// use.
type Executor struct {
	cfg  Config
	rand *rand.Rand
	log  *slog.Logger

	state     state
	now       time.Time
	framework *mesos.FrameworkInfo
	task      *mesos.TaskInfo
	unacked   []*mesos.TaskStatus // updates that the agent has not stored yet

	killGrace  time.Duration // of a kill that came while starting; <0: none
	killedAt   time.Time
	escalateAt time.Time // when to SIGKILL; zero: not
	completeBy time.Time // when max_completion_time is over; zero: never
	outOfTime  bool      // it was, and that is why the task is killed
	giveUpAt   time.Time // when to end without the last acknowledgement

	out Effects
}

// New returns an executor that subscribes with its agent.
func New(now time.Time, cfg Config, r *rand.Rand, log *slog.Logger) *Executor {
	x := &Executor{cfg: cfg, rand: r, log: log, now: now, killGrace: -1}
	x.subscribe()
	return x
}

// Recover returns the executor of a task that an earlier life of the agent has
// started, and whose process exists or has existed. launched is when it was
// launched. Its updates are the agent's since they were stored; it only
// subscribes.
func Recover(now, launched time.Time, cfg Config, task *mesos.TaskInfo, r *rand.Rand, log *slog.Logger) *Executor {
	x := &Executor{cfg: cfg, rand: r, log: log, now: now, killGrace: -1, task: task, state: running}
	x.limit(launched)
	if cfg.Killing {
		x.state, x.killedAt, x.completeBy = killing, now, time.Time{}
		x.escalateAt = now.Add(x.grace())
	}
	x.subscribe()
	return x
}

// Step tells the executor what happened, and when.
func (x *Executor) Step(now time.Time, in Input) {
	x.now = now
	switch in := in.(type) {
	case Event:
		x.event(in.Event)
	case Started:
		x.started(in.PID)
	case StartFailed:
		x.startFailed(in.Message)
	case Exited:
		x.exited(in)
	}
	x.expire()
}

// Effects returns what is to be done about the steps since the last call.
func (x *Executor) Effects() Effects {
	out := x.out
	out.Wake = earliest(x.escalateAt, x.completeBy, x.giveUpAt)
	x.out = Effects{Done: out.Done}
	return out
}

// event handles an event of the agent.
func (x *Executor) event(ev *executorpb.Event) {
	switch ev.GetType() {
	case executorpb.Event_SUBSCRIBED:
		x.framework = ev.GetSubscribed().GetFrameworkInfo()
		if x.state == subscribing {
			x.state = idle
		}
	case executorpb.Event_LAUNCH:
		x.launch(ev.GetLaunch().GetTask())
	case executorpb.Event_LAUNCH_GROUP:
		x.log.Error("a command executor cannot run task groups")
		x.shutdown()
	case executorpb.Event_KILL:
		x.killTask(ev.GetKill())
	case executorpb.Event_ACKNOWLEDGED:
		x.acknowledged(ev.GetAcknowledged().GetUuid())
	case executorpb.Event_SHUTDOWN:
		x.shutdown()
	case executorpb.Event_ERROR:
		x.log.Error("the agent reports an error", slog.String("message", ev.GetError().GetMessage()))
	case executorpb.Event_UNKNOWN, executorpb.Event_MESSAGE, executorpb.Event_HEARTBEAT:
		// Nothing for a command.
	}
}

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
