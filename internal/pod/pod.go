// Package pod decides what the default executor does: the built-in executor that
// runs task groups, a container for each task, inside its own. It is a state
// machine without side effects, told of the agent's events and of the tasks'
// processes, and answering with calls to the agent and with what to do to the
// processes. The life of a task is package builtin's.
//
//	SUBSCRIBED      LAUNCH_GROUP          one of a group fails or is killed:
//	──────────▶ idle ──────────▶ tasks ◀─┐    the others of the group are killed
//	              │                │     └─────┐
//	              │ SHUTDOWN       │ the last is over
//	              ▼                ▼           │
//	            (Done) ◀── the agent knows ────┘
//
// Unlike Mesos's, a kill that comes after another is not ignored: it can shorten
// the time that is left.
package pod

import (
	"cmp"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
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
	Container ids.ContainerID // the executor's own
	Sandbox   string          // of the executor, absolute
	IP        string          // that the tasks' containers have: the agent's
	// ShutdownGrace is after what time the agent destroys the container of an
	// executor that was told to shut down.
	ShutdownGrace time.Duration
}

// Effects is what is to be done about the inputs since the last call.
type Effects struct {
	Calls      []*executorpb.Call // to the agent, in order
	Containers []Action           // to the tasks' containers, in order
	Probes     []Probe            // of the tasks; each is answered by Probed
	Wake       time.Time          // Step a Tick no later than this; zero: nothing is due
	Done       bool               // the executor is over
}

// Action is something to do to a task's container.
type Action struct {
	Container ids.ContainerID
	Do        builtin.Action
	// The rest is set for [builtin.Start].
	Task        *mesos.TaskInfo
	Sandbox     string   // the container's folder, within the executor's
	Environment []string // all of it but PATH, as "NAME=value", sorted
}

// Probe is one to make of a task, in its container.
type Probe struct {
	Container ids.ContainerID
	Request   probe.Request
}

// Input is something that happened.
type Input interface{ input() }

type (
	// Event is an event from the agent.
	Event struct{ Event *executorpb.Event }
	// Started says that a container's process exists.
	Started struct {
		Container ids.ContainerID
		PID       int
	}
	// StartFailed says that it could not be started.
	StartFailed struct {
		Container ids.ContainerID
		Message   string
	}
	// Exited says that the process is gone, with its status as of wait(2).
	// It is meaningless unless Known.
	Exited struct {
		Container ids.ContainerID
		Status    int32
		Known     bool
		Limited   *builtin.Limitation // the container's own limit for which it was killed, or nil
	}
	// Probed says what came of a probe.
	Probed struct {
		Container ids.ContainerID
		Result    probe.Result
	}
	// Tick says that time has passed.
	Tick struct{}
)

func (Event) input()       {}
func (Started) input()     {}
func (StartFailed) input() {}
func (Exited) input()      {}
func (Probed) input()      {}
func (Tick) input()        {}

// member is a task of a group.
type member struct {
	*builtin.Task
	id        ids.TaskID
	seq       int
	container ids.ContainerID
	pid       int
	group     ids.TaskID // the first task of its group, which names it
	last      mesos.TaskState
}

// Executor is the default executor of one container. It is not safe for
// concurrent use.
type Executor struct {
	cfg       Config
	rand      *rand.Rand
	log       *slog.Logger
	reporter  *builtin.Reporter
	now       time.Time
	framework *mesos.FrameworkInfo
	tasks     map[ids.TaskID]*member // that are not over
	where     map[ids.ContainerID]*member
	seq       int
	began     bool // has had tasks
	closing   bool // takes no more
	giveUpAt  time.Time
	out       Effects
}

// New returns an executor that subscribes with its agent.
func New(now time.Time, cfg Config, r *rand.Rand, log *slog.Logger) *Executor {
	x := fresh(now, cfg, r, log)
	x.out.Calls = append(x.out.Calls, x.reporter.Subscribe())
	return x
}

// Recovered is a task that an earlier life of the agent has started.
type Recovered struct {
	Task      *mesos.TaskInfo
	Container ids.ContainerID
	Group     ids.TaskID // the first task of its group
	Launched  time.Time
	Last      *mesos.TaskStatus // the last status that the agent was told, nil: none
}

// Recover returns the executor of tasks whose processes exist or have existed.
func Recover(now time.Time, cfg Config, tasks []Recovered, r *rand.Rand, log *slog.Logger) *Executor {
	x := fresh(now, cfg, r, log)
	x.began = true
	var infos []*mesos.TaskInfo
	for _, t := range tasks {
		m := x.add(t.Task, t.Container, t.Group)
		m.Task = builtin.Recover(now, t.Launched, t.Task, t.Last, sink{x, m})
		infos = append(infos, t.Task)
	}
	x.out.Calls = append(x.out.Calls, x.reporter.Subscribe(infos...))
	for i, m := range x.inOrder() {
		m.Resume(tasks[i].Last, nil)
	}
	return x
}

func fresh(now time.Time, cfg Config, r *rand.Rand, log *slog.Logger) *Executor {
	return &Executor{
		cfg: cfg, rand: r, log: log, now: now, reporter: builtin.NewReporter(cfg.Framework, cfg.Executor, r),
		tasks: map[ids.TaskID]*member{}, where: map[ids.ContainerID]*member{},
	}
}

// add puts a task in its places.
func (x *Executor) add(info *mesos.TaskInfo, c ids.ContainerID, group ids.TaskID) *member {
	x.seq++
	x.began = true
	m := &member{id: ids.TaskID(info.GetTaskId().GetValue()), seq: x.seq, container: c, group: group}
	x.tasks[m.id], x.where[c] = m, m
	return m
}

// Step tells the executor what happened, and when.
func (x *Executor) Step(now time.Time, in Input) {
	x.now = now
	switch in := in.(type) {
	case Event:
		x.event(in.Event)
	case Started:
		if m := x.where[in.Container]; m != nil {
			m.pid = in.PID
			m.Started(now, nil)
		}
	case StartFailed:
		if m := x.where[in.Container]; m != nil {
			m.StartFailed(in.Message)
		}
	case Exited:
		if m := x.where[in.Container]; m != nil {
			exited(m.Task, in)
		}
	case Probed:
		if m := x.where[in.Container]; m != nil {
			m.Probed(now, in.Result)
		}
	case Tick:
	}
	for _, m := range x.inOrder() {
		m.Expire(now)
	}
	x.bury()
	if !x.giveUpAt.IsZero() && !x.giveUpAt.After(now) {
		x.giveUpAt, x.out.Done = time.Time{}, true
	}
}

func exited(t *builtin.Task, in Exited) {
	if in.Limited != nil && in.Known {
		t.Limited(in.Status, *in.Limited)
		return
	}
	t.Exited(in.Status, in.Known)
}

// Effects returns what is to be done about the steps since the last call.
func (x *Executor) Effects() Effects {
	out := x.out
	out.Wake = x.giveUpAt
	for _, m := range x.tasks {
		out.Wake = builtin.Earliest(out.Wake, m.Wake())
	}
	x.out = Effects{Done: out.Done}
	return out
}

func (x *Executor) inOrder() []*member {
	return slices.SortedFunc(maps.Values(x.tasks), func(a, b *member) int { return cmp.Compare(a.seq, b.seq) })
}

// event handles an event of the agent.
func (x *Executor) event(ev *executorpb.Event) {
	switch ev.GetType() {
	case executorpb.Event_SUBSCRIBED:
		x.framework = ev.GetSubscribed().GetFrameworkInfo()
		for _, m := range x.tasks {
			m.Framework(x.framework)
		}
	case executorpb.Event_LAUNCH_GROUP:
		x.launch(ev.GetLaunchGroup().GetTaskGroup().GetTasks())
	case executorpb.Event_LAUNCH:
		x.log.Error("the default executor runs task groups only")
		x.shutdown()
	case executorpb.Event_KILL:
		if m := x.tasks[ids.TaskID(ev.GetKill().GetTaskId().GetValue())]; m != nil && !x.closing {
			m.Kill(x.now, m.Grace(ev.GetKill().GetKillPolicy()))
		}
	case executorpb.Event_ACKNOWLEDGED:
		x.acknowledged(ev.GetAcknowledged().GetUuid())
	case executorpb.Event_SHUTDOWN:
		x.shutdown()
	case executorpb.Event_ERROR:
		x.log.Error("the agent reports an error", slog.String("message", ev.GetError().GetMessage()))
	default: // HEARTBEAT, MESSAGE: nothing to do
	}
}
