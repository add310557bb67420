// Package builtin is what the executors have in common that the agent plays
// itself: the life of a task, and how an executor reports to its agent.
//
// The life of a task, which is one process and what it starts:
//
//	          process exists            exited
//	STARTING ───────────────▶ RUNNING ─────────▶ ENDED
//	    │                        │                 ▲
//	    │ cannot be started      ▼ killed, or out  │
//	    └────────────────────▶ KILLING ────────────┘
//	                                of time
//
// It is TASK_STARTING at once, TASK_RUNNING when its process exists, and ends as
// its exit status says: 0 is TASK_FINISHED, all else TASK_FAILED. Once it was to
// be killed it is TASK_KILLED whatever the status, and when its
// max_completion_time is over TASK_FAILED. A kill is SIGTERM to all of its
// processes, and SIGKILL when the grace period is over; a later kill can only
// shorten that time.
//
// While it runs it is probed, as package probe decides: what its check and its
// health check find is told as TASK_RUNNING anew, and a task that is not healthy is
// killed as if the framework had asked for it. All statuses of a task with a check
// have a check_status, be it an empty one.
package builtin

import (
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/probe"
)

// Times of Mesos's executors.
const (
	// DefaultGrace is how long a task has between SIGTERM and SIGKILL unless its
	// kill policy or the kill itself says otherwise.
	DefaultGrace = 3 * time.Second
	// AckTimeout is how long an executor waits, after its tasks' end, for the
	// agent to have stored it.
	AckTimeout = 60 * time.Second
	// ShutdownMargin is the part of the agent's grace that is kept for reporting
	// the end: one second for noticing it, one for sending it.
	ShutdownMargin = 2 * time.Second
)

// Action is something to do to a task's process.
type Action uint8

// The actions.
const (
	Start     Action = iota + 1 // start it
	Terminate                   // SIGTERM to the process and its descendants
	Kill                        // SIGKILL to the process and its descendants
)

// Sink takes what a task wants done, in order.
type Sink interface {
	// Report tells the agent how the task is now.
	Report(t *Task, u Update)
	// Do does something to the task's process.
	Do(t *Task, a Action)
	// Probe makes a probe of the task; [Task.Probed] takes its result.
	Probe(t *Task, r probe.Request)
}

// Update is what a status says of a task.
type Update struct {
	State   mesos.TaskState
	Reason  *mesos.TaskStatus_Reason
	Message string // "": none
	Healthy *bool
	Check   *mesos.CheckStatusInfo
	Data    []byte            // nil: none
	Limited []*mesos.Resource // what the task used of that which it had too little of
}

// Limitation says for what limit of its own a task's process was killed.
type Limitation struct {
	Reason    mesos.TaskStatus_Reason
	Message   string
	Resources []*mesos.Resource
}

type state uint8

const (
	starting state = iota
	running
	killing
	ended
)

// Task is the life of one task.
type Task struct {
	Info *mesos.TaskInfo

	sink       Sink
	known      bool // to the framework, TASK_KILLING is
	state      state
	killGrace  time.Duration // of a kill that came while starting; <0: none
	killedAt   time.Time
	escalateAt time.Time // when to SIGKILL; zero: not
	completeBy time.Time // when max_completion_time is over; zero: never
	outOfTime  bool      // it was, and that is why the task is killed

	probes    *probe.Probes          // while it runs; nil: it has none
	healthy   *bool                  // as was told last
	checked   *mesos.CheckStatusInfo // as was told last
	unhealthy bool                   // and that is why the task is killed
}

// Launch begins a task.
func Launch(now time.Time, info *mesos.TaskInfo, f *mesos.FrameworkInfo, sink Sink) *Task {
	t := &Task{Info: info, sink: sink, killGrace: -1}
	t.Framework(f)
	t.report(mesos.TaskState_TASK_STARTING, nil, "")
	t.limit(now)
	t.sink.Do(t, Start)
	return t
}

// Recover takes up a task whose process exists or has existed. last is the last
// status that the agent was told of it, nil if none. A kill that was under way
// begins its grace anew.
func Recover(now, launched time.Time, info *mesos.TaskInfo, last *mesos.TaskStatus, sink Sink) *Task {
	t := &Task{Info: info, sink: sink, killGrace: -1, state: running}
	if last.GetState() == mesos.TaskState_TASK_KILLING {
		t.state, t.killedAt, t.escalateAt = killing, now, now.Add(t.Grace(nil))
		return t
	}
	t.limit(launched)
	t.checked = probe.Empty(info.GetCheck())
	if last != nil {
		t.healthy, t.checked = last.Healthy, last.CheckStatus
	}
	t.probes = probe.Start(now, launched, info, last)
	return t
}

// Resume reports what a recovered task's framework was not told before its agent
// died: last is the last status that was, data what it is told of the process.
func (t *Task) Resume(last *mesos.TaskStatus, data []byte) {
	switch last.GetState() {
	case mesos.TaskState_TASK_STAGING:
		t.report(mesos.TaskState_TASK_STARTING, nil, "")
	case mesos.TaskState_TASK_STARTING:
	default:
		return
	}
	t.sink.Report(t, Update{State: mesos.TaskState_TASK_RUNNING, Check: probe.Empty(t.Info.GetCheck()), Data: data})
}

// Framework tells the task what its framework understands.
func (t *Task) Framework(f *mesos.FrameworkInfo) {
	t.known = slices.ContainsFunc(f.GetCapabilities(), func(c *mesos.FrameworkInfo_Capability) bool {
		return c.GetType() == mesos.FrameworkInfo_Capability_TASK_KILLING_STATE
	})
}

// Ended reports whether the task is over.
func (t *Task) Ended() bool { return t.state == ended }

// Killed reports whether the task was to be killed, and not because its time
// was over.
func (t *Task) Killed() bool {
	return !t.outOfTime && (t.state == killing || t.state == starting && t.killGrace >= 0)
}

// limit sets the end of the task's time, if it has one.
func (t *Task) limit(launched time.Time) {
	if d := t.Info.GetMaxCompletionTime().GetNanoseconds(); d > 0 {
		t.completeBy = launched.Add(time.Duration(d))
	}
}

// Grace is how long the task has once it is killed: as the kill says, if it
// does, else as the task does.
func (t *Task) Grace(kill *mesos.KillPolicy) time.Duration {
	for _, p := range [...]*mesos.KillPolicy{kill, t.Info.GetKillPolicy()} {
		if g := p.GetGracePeriod(); g != nil {
			return time.Duration(g.GetNanoseconds())
		}
	}
	return DefaultGrace
}

// Started says that the process exists, and what its framework is told of it. A kill
// that came before begins now.
func (t *Task) Started(now time.Time, data []byte) {
	if t.state != starting {
		return
	}
	t.state = running
	t.sink.Report(t, Update{State: mesos.TaskState_TASK_RUNNING, Check: probe.Empty(t.Info.GetCheck()), Data: data})
	if t.killGrace >= 0 {
		t.begin(now, t.killGrace)
		return
	}
	t.checked = probe.Empty(t.Info.GetCheck())
	t.probes = probe.Start(now, now, t.Info, nil)
}

// StartFailed ends a task whose process never existed.
func (t *Task) StartFailed(message string) {
	if t.state == starting {
		t.end(mesos.TaskState_TASK_FAILED, mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED.Enum(), message)
	}
}

// Kill begins to end the task, or shortens the time that is left to it.
func (t *Task) Kill(now time.Time, grace time.Duration) {
	t.completeBy = time.Time{}
	switch t.state {
	case starting:
		if t.killGrace < 0 || grace < t.killGrace {
			t.killGrace = grace
		}
	case running:
		t.begin(now, grace)
	case killing:
		if at := t.killedAt.Add(grace); at.Before(t.escalateAt) {
			t.escalateAt = at
		}
	case ended:
	}
}

func (t *Task) begin(now time.Time, grace time.Duration) {
	if !t.outOfTime && t.known {
		t.report(mesos.TaskState_TASK_KILLING, nil, "")
	}
	t.state, t.killedAt, t.escalateAt = killing, now, now.Add(grace)
	t.probes.Stop()
	t.sink.Do(t, Terminate)
}

// Probed takes the result of a probe. What was told before of the one kind is
// told again with the other.
func (t *Task) Probed(now time.Time, r probe.Result) {
	news := t.probes.Done(now, r)
	if news == nil || t.state != running {
		return
	}
	reason := mesos.TaskStatus_REASON_TASK_CHECK_STATUS_UPDATED
	if news.Kind == probe.Health {
		reason, t.healthy = mesos.TaskStatus_REASON_TASK_HEALTH_CHECK_STATUS_UPDATED, &news.Healthy
	} else {
		t.checked = news.Status
	}
	t.sink.Report(t, Update{State: mesos.TaskState_TASK_RUNNING, Reason: &reason, Healthy: t.healthy, Check: t.checked})
	if news.Kill {
		t.unhealthy = true
		t.Kill(now, t.Grace(nil))
	}
}

// Unhealthy reports whether the task is killed since it, or one that it shares its
// fate with, was not healthy.
func (t *Task) Unhealthy() bool { return t.unhealthy }

// ShareUnhealth says that another task that was not healthy takes this one along.
func (t *Task) ShareUnhealth() { t.unhealthy = true }

// Expire does what time has made due.
func (t *Task) Expire(now time.Time) {
	if due(t.completeBy, now) {
		t.outOfTime = true
		t.Kill(now, 0)
	}
	if due(t.escalateAt, now) {
		t.escalateAt = time.Time{}
		t.sink.Do(t, Kill)
	}
	for _, r := range t.probes.Due(now) {
		t.sink.Probe(t, r)
	}
}

// Wake returns when something of the task will be due; zero: nothing is.
func (t *Task) Wake() time.Time { return Earliest(t.escalateAt, t.completeBy, t.probes.Wake()) }

// Limited ends the task that passed a limit of its own, whatever else was to become of
// it.
func (t *Task) Limited(status int32, l Limitation) {
	t.begun()
	if t.state == ended {
		return
	}
	t.stop()
	t.sink.Report(t, Update{
		State: mesos.TaskState_TASK_FAILED, Reason: &l.Reason, Message: "Command " + describe(status) + ": " + l.Message,
		Healthy: t.unhealth(), Check: probe.Empty(t.Info.GetCheck()), Limited: l.Resources,
	})
}

// begun tells of a process that ended before it was told to exist: it has existed all
// the same.
func (t *Task) begun() {
	if t.state == starting {
		t.state = running
		t.report(mesos.TaskState_TASK_RUNNING, nil, "")
	}
}

// Exited ends the task as its exit status says; known tells whether there is
// one.
func (t *Task) Exited(status int32, known bool) {
	killed := t.Killed()
	t.begun()
	switch {
	case t.state == ended:
	case !known:
		t.end(mesos.TaskState_TASK_FAILED, nil, t.unknown())
	case t.outOfTime:
		t.end(mesos.TaskState_TASK_FAILED, mesos.TaskStatus_REASON_MAX_COMPLETION_TIME_REACHED.Enum(), t.what()+" "+describe(status))
	case killed:
		t.end(mesos.TaskState_TASK_KILLED, nil, t.what()+" "+describe(status))
	case status == 0:
		t.end(mesos.TaskState_TASK_FINISHED, nil, t.what()+" "+describe(status))
	default:
		t.end(mesos.TaskState_TASK_FAILED, nil, t.what()+" "+describe(status))
	}
}

// what is what Mesos's executors call what has ended.
func (t *Task) what() string {
	if c := t.Info.GetContainer(); c != nil && c.GetType() == mesos.ContainerInfo_DOCKER {
		return "Container"
	}
	return "Command"
}

func (t *Task) unknown() string {
	if t.what() == "Container" {
		return "Failed to get exit status of container"
	}
	return "Failed to get exit status for Command"
}

func (t *Task) end(s mesos.TaskState, reason *mesos.TaskStatus_Reason, message string) {
	t.stop()
	t.report(s, reason, message)
}

func (t *Task) stop() {
	t.state, t.escalateAt, t.completeBy = ended, time.Time{}, time.Time{}
	t.probes.Stop()
}

// report tells a state. What probes have found is not told with it, but that lack
// of health was the end.
func (t *Task) report(s mesos.TaskState, reason *mesos.TaskStatus_Reason, message string) {
	t.sink.Report(t, Update{State: s, Reason: reason, Message: message, Healthy: t.unhealth(), Check: probe.Empty(t.Info.GetCheck())})
}

func (t *Task) unhealth() *bool {
	if t.state == ended && t.unhealthy {
		return new(false)
	}
	return nil
}

// due reports whether a time is set and has come.
func due(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }

// Earliest returns the first of the times that are not zero.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
