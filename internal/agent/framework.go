package agent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/meta"
)

// noDriver is the address that stands for a framework without a v0 driver.
const noDriver = "@0.0.0.0:0"

// framework is a framework that has, or had, executors on this agent:
//
//	          ShutdownFramework              last executor removed
//	running ────────────────────▶ terminating ─────────────────────▶ (completed)
//	   │   ▲──────────────── re-registered ──────│
//	   └──────────────── last executor removed ────────────────────────▲
type framework struct {
	id          ids.FrameworkID
	seq         uint64
	row         uint64
	info        *mesos.FrameworkInfo
	pid         string
	terminating bool
	executors   map[ids.ExecutorID]*executor
	tasks       map[ids.TaskID]*task // of all executors, but those completed
	ended       ring[*executor]
	since       time.Time
}

func (f *framework) order() uint64 { return f.seq }

// can reports whether the framework has announced a capability.
func can(info *mesos.FrameworkInfo, c mesos.FrameworkInfo_Capability_Type) bool {
	return slices.ContainsFunc(info.GetCapabilities(), func(have *mesos.FrameworkInfo_Capability) bool {
		return have.GetType() == c
	})
}

// droppedOrLost is the state of a task that never ran: older frameworks know
// only TASK_LOST.
func droppedOrLost(info *mesos.FrameworkInfo) mesos.TaskState {
	if can(info, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return mesos.TaskState_TASK_DROPPED
	}
	return mesos.TaskState_TASK_LOST
}

// goneOrLost is the state of a task that ran and was lost sight of.
func goneOrLost(info *mesos.FrameworkInfo) mesos.TaskState {
	if can(info, mesos.FrameworkInfo_Capability_PARTITION_AWARE) {
		return mesos.TaskState_TASK_GONE
	}
	return mesos.TaskState_TASK_LOST
}

// framework returns the framework of info, taken up if it is not known. One
// that comes back gets its completed executors back.
func (a *Agent) framework(info *mesos.FrameworkInfo, pid string) *framework {
	id := ids.FrameworkID(info.GetId().GetValue())
	if f := a.frameworks[id]; f != nil {
		return f
	}
	a.gc.keep(meta.Run{Framework: id})
	f, back := a.completed.take(func(f *framework) bool { return f.id == id })
	if !back {
		f = &framework{id: id, row: a.next(), ended: ring[*executor]{max: a.cfg.MaxCompletedExecutors}}
	}
	f.seq, f.info, f.pid, f.terminating, f.since = a.next(), info, pid, false, a.now
	f.executors, f.tasks = map[ids.ExecutorID]*executor{}, map[ids.TaskID]*task{}
	a.frameworks[id] = f
	a.saveFramework(f)
	return f
}

// saveFramework remembers the framework, if it wants that, and shows it.
func (a *Agent) saveFramework(f *framework) {
	if f.info.GetCheckpoint() {
		a.persist(meta.Framework{Info: f.info, PID: or(f.pid, noDriver)})
	}
	a.showFramework(f, false)
}

func (a *Agent) showFramework(f *framework, completed bool) {
	a.rows.frameworks.Put(f.row, &FrameworkRow{Serial: f.row, Info: f.info, PID: f.pid, Completed: completed, Since: f.since})
}

// updateFramework handles a change of the framework: other info, another
// scheduler. That one is told at once what it has not acknowledged.
func (a *Agent) updateFramework(m *messages.UpdateFrameworkMessage) {
	f := a.frameworks[ids.FrameworkID(m.GetFrameworkId().GetValue())]
	if a.state != Running || f == nil || f.terminating {
		return
	}
	if m.GetFrameworkInfo() != nil {
		f.info = m.GetFrameworkInfo()
	}
	f.pid = m.GetPid()
	a.saveFramework(f)
	for _, u := range a.updates.ResumeFramework(a.now, f.id) {
		a.forward(u)
	}
}

// dropIfIdle ends a framework that has no executors any more. Updates that it
// has not acknowledged are sent on: Mesos forgets them here.
func (a *Agent) dropIfIdle(f *framework) {
	if a.replaying || len(f.executors) > 0 || a.frameworks[f.id] != f {
		return
	}
	if f.terminating { // while it lasted, another master could have known it still
		a.updates.Remove(f.id)
	}
	a.collectFramework(f)
	delete(a.frameworks, f.id)
	a.showFramework(f, true)
	if old, full := a.completed.add(f); full {
		a.forgetFramework(old)
	}
	a.drained()
	a.doneIfIdle()
}

// doneIfIdle ends an agent that is to end and runs nothing any more.
func (a *Agent) doneIfIdle() {
	if a.state == Terminating && len(a.frameworks) == 0 {
		a.out.Done = true
	}
}

// forgetFramework takes a framework out of sight for good.
func (a *Agent) forgetFramework(f *framework) {
	a.rows.frameworks.Delete(f.row)
	for _, x := range f.ended.kept {
		a.forgetExecutor(x)
	}
}

// archive returns what a re-registration says of a completed framework.
func (f *framework) archive() *messages.Archive_Framework {
	ar := &messages.Archive_Framework{FrameworkInfo: f.info}
	if f.pid != "" && f.pid != noDriver {
		ar.Pid = &f.pid
	}
	for _, x := range f.ended.kept {
		for _, t := range inOrder(x.tasks) {
			ar.Tasks = append(ar.Tasks, t.row)
		}
		for _, t := range x.completed.kept {
			ar.Tasks = append(ar.Tasks, t.row)
		}
	}
	return ar
}

// shutdownFramework ends a framework that is gone from the cluster.
func (a *Agent) shutdownFramework(id ids.FrameworkID) {
	if a.state == Recovering || a.state == Disconnected {
		return
	}
	f := a.frameworks[id]
	if f == nil {
		a.updates.Remove(id) // nobody will acknowledge them
		return
	}
	if f.terminating {
		return
	}
	f.terminating = true
	for _, x := range inOrder(f.executors) {
		switch x.state {
		case ExecutorRegistering, ExecutorRunning:
			a.shutdown(x)
		case ExecutorTerminated:
			a.removeExecutor(x)
		default: // it is ending already
		}
	}
	a.dropIfIdle(f)
}

// inOrder returns the values of a map in the order in which they came, so that
// nothing that the agent does is left to chance.
func inOrder[K comparable, V interface {
	comparable
	order() uint64
}](m map[K]V) []V {
	return slices.SortedFunc(maps.Values(m), func(x, y V) int { return cmp.Compare(x.order(), y.order()) })
}

// check panics unless the framework is what its place says; see [Agent.Check].
func (f *framework) check(a *Agent) {
	invariant.CheckOne(len(f.executors) > 0, "a framework has executors", "framework_id", f.id)
	invariant.CheckOne(len(f.ended.kept) <= a.cfg.MaxCompletedExecutors, "completed executors are bounded", "framework_id", f.id)
	n := 0
	for id, x := range f.executors {
		invariant.CheckOne(id == x.run.Executor && f.id == x.run.Framework, "an executor is where it belongs", "executor_id", id)
		n += len(x.tasks)
		x.check(a)
	}
	invariant.CheckOne(n == len(f.tasks), "a framework's tasks are those of its executors", "framework_id", f.id)
}
