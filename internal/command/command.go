// Package command decides what the command executor does: the built-in executor
// that runs one command as one task, whose life is package builtin's. It is a
// state machine without side effects, told of the agent's events and of the
// life of the task's process, and answering with calls to the agent and with
// what to do to the process.
//
//	             SUBSCRIBED         LAUNCH
//	(subscribing) ──────────▶ idle ────────▶ the task's life
//	                           │                    │ over, and the agent knows
//	                           │ SHUTDOWN           ▼
//	                           └────────────────▶ (Done)
package command

import (
	"log/slog"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/builtin"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/probe"
)

// Config is whose executor this is.
type Config struct {
	Framework ids.FrameworkID
	Executor  ids.ExecutorID
	// ShutdownGrace is after what time the agent destroys the container of an
	// executor that was told to shut down.
	ShutdownGrace time.Duration
	// Last is the last status of a recovered task that the agent was told, nil if
	// it was told none.
	Last *mesos.TaskStatus
	// Data is what the framework of a recovered task is told of its process if it was
	// not told that it runs, as in Started.
	Data []byte
}

// Effects is what is to be done about the inputs since the last call.
type Effects struct {
	Calls   []*executorpb.Call // to the agent, in order
	Process []Action           // to the task's process, in order
	Probes  []probe.Request    // of the task; each is answered by Probed
	Wake    time.Time          // Step a Tick no later than this; zero: nothing is due
	Done    bool               // the executor is over
}

// Action is something to do to the task's process.
type Action = builtin.Action

// The actions. How to start the process the container's spec says.
const (
	Start     = builtin.Start
	Terminate = builtin.Terminate
	Kill      = builtin.Kill
)

// Input is something that happened.
type Input interface{ input() }

type (
	// Event is an event from the agent.
	Event struct{ Event *executorpb.Event }
	// Started says that the task's process exists. Data is what its framework is told
	// of it, nil for nothing.
	Started struct {
		PID  int
		Data []byte
	}
	// StartFailed says that it could not be started.
	StartFailed struct{ Message string }
	// Exited says that the process is gone, with its status as of wait(2).
	// It is meaningless unless Known.
	Exited struct {
		Status int32
		Known  bool
	}
	// Probed says what came of a probe.
	Probed struct{ Result probe.Result }
	// Tick says that time has passed.
	Tick struct{}
)

func (Event) input()       {}
func (Started) input()     {}
func (StartFailed) input() {}
func (Exited) input()      {}
func (Probed) input()      {}
func (Tick) input()        {}

// Executor is the command executor of one task. It is not safe for concurrent
// use.
type Executor struct {
	cfg       Config
	log       *slog.Logger
	reporter  *builtin.Reporter
	now       time.Time
	framework *mesos.FrameworkInfo
	task      *builtin.Task
	giveUpAt  time.Time // when to end without the last acknowledgement
	out       Effects
}

// New returns an executor that subscribes with its agent.
func New(now time.Time, cfg Config, r *rand.Rand, log *slog.Logger) *Executor {
	x := &Executor{cfg: cfg, log: log, now: now, reporter: builtin.NewReporter(cfg.Framework, cfg.Executor, r)}
	x.out.Calls = append(x.out.Calls, x.reporter.Subscribe())
	return x
}

// Recover returns the executor of a task that an earlier life of the agent has
// started, and whose process exists or has existed. launched is when it was
// launched. Its updates are the agent's since they were stored; it subscribes,
// and sends the ones that were not sent.
func Recover(now, launched time.Time, cfg Config, task *mesos.TaskInfo, r *rand.Rand, log *slog.Logger) *Executor {
	x := &Executor{cfg: cfg, log: log, now: now, reporter: builtin.NewReporter(cfg.Framework, cfg.Executor, r)}
	x.task = builtin.Recover(now, launched, task, cfg.Last, x)
	x.out.Calls = append(x.out.Calls, x.reporter.Subscribe(task))
	x.task.Resume(cfg.Last, cfg.Data)
	return x
}

// Step tells the executor what happened, and when.
func (x *Executor) Step(now time.Time, in Input) {
	x.now = now
	switch in := in.(type) {
	case Event:
		x.event(in.Event)
	case Started:
		x.log.Info("command started", slog.String("task_id", string(x.cfg.Executor)), slog.Int("pid", in.PID))
		x.live(func(t *builtin.Task) { t.Started(now, in.Data) })
	case StartFailed:
		x.live(func(t *builtin.Task) { t.StartFailed("Failed to launch command: " + in.Message) })
	case Exited:
		x.live(func(t *builtin.Task) { t.Exited(in.Status, in.Known) })
	case Probed:
		x.live(func(t *builtin.Task) { t.Probed(now, in.Result) })
	case Tick:
	}
	x.live(func(t *builtin.Task) { t.Expire(now) })
	if !x.giveUpAt.IsZero() && !x.giveUpAt.After(now) {
		x.giveUpAt, x.out.Done = time.Time{}, true
	}
}

// live does something to the task, if there is one, and takes note of its end.
func (x *Executor) live(do func(*builtin.Task)) {
	if x.task == nil || x.task.Ended() {
		return
	}
	do(x.task)
	if x.task.Ended() {
		x.giveUpAt = x.now.Add(builtin.AckTimeout)
	}
}

// Effects returns what is to be done about the steps since the last call.
func (x *Executor) Effects() Effects {
	out := x.out
	out.Wake = x.giveUpAt
	if x.task != nil {
		out.Wake = builtin.Earliest(x.giveUpAt, x.task.Wake())
	}
	x.out = Effects{Done: out.Done}
	return out
}

// event handles an event of the agent.
func (x *Executor) event(ev *executorpb.Event) {
	switch ev.GetType() {
	case executorpb.Event_SUBSCRIBED:
		x.framework = ev.GetSubscribed().GetFrameworkInfo()
		x.live(func(t *builtin.Task) { t.Framework(x.framework) })
	case executorpb.Event_LAUNCH:
		x.launch(ev.GetLaunch().GetTask())
	case executorpb.Event_LAUNCH_GROUP:
		x.log.Error("a command executor cannot run task groups")
		x.shutdown()
	case executorpb.Event_KILL:
		x.live(func(t *builtin.Task) { t.Kill(x.now, t.Grace(ev.GetKill().GetKillPolicy())) })
	case executorpb.Event_ACKNOWLEDGED:
		x.acknowledged(ev.GetAcknowledged().GetUuid())
	case executorpb.Event_SHUTDOWN:
		x.shutdown()
	case executorpb.Event_ERROR:
		x.log.Error("the agent reports an error", slog.String("message", ev.GetError().GetMessage()))
	default: // HEARTBEAT, MESSAGE: nothing to do
	}
}

// launch starts the task; an executor has only one.
func (x *Executor) launch(task *mesos.TaskInfo) {
	if x.task != nil {
		x.update(task.GetTaskId(), builtin.Update{State: mesos.TaskState_TASK_FAILED, Message: "Attempted to run multiple tasks using a \"command\" executor"})
		return
	}
	x.task = builtin.Launch(x.now, task, x.framework, x)
}

// shutdown ends the task, and then the executor.
func (x *Executor) shutdown() {
	if x.task == nil {
		x.out.Done = true
		return
	}
	x.live(func(t *builtin.Task) { t.Kill(x.now, max(0, x.cfg.ShutdownGrace-builtin.ShutdownMargin)) })
}

// acknowledged drops an update that the agent has stored; with the task's last,
// the executor is over.
func (x *Executor) acknowledged(uuid []byte) {
	if !x.reporter.Acknowledged(uuid) {
		x.log.Warn("acknowledgement of an unknown update")
		return
	}
	if x.task != nil && x.task.Ended() && x.reporter.Pending() == 0 {
		x.out.Done = true
	}
}

func (x *Executor) update(task *mesos.TaskID, u builtin.Update) {
	x.out.Calls = append(x.out.Calls, x.reporter.Update(x.now, task, u, nil))
}

// Report is for the task; see [builtin.Sink].
func (x *Executor) Report(t *builtin.Task, u builtin.Update) { x.update(t.Info.GetTaskId(), u) }

// Do is for the task; see [builtin.Sink].
func (x *Executor) Do(_ *builtin.Task, a Action) { x.out.Process = append(x.out.Process, a) }

// Probe is for the task; see [builtin.Sink].
func (x *Executor) Probe(_ *builtin.Task, r probe.Request) { x.out.Probes = append(x.out.Probes, r) }
