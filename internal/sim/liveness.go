package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
)

// converge gives a healed cluster time to come to rest, and looks whether all is
// then as it should be.
func (w *world) converge() {
	w.settle("tasks", w.unfinished)
	w.settle("books", func() string {
		w.tearDownLeftovers()
		return w.unsettled()
	})
	w.delivered()
	w.hoard()
	w.settle("offers flow", w.unoffered)
	w.note("----- at rest")
}

// tearDownLeftovers is what operators have to do about frameworks that a new
// master knows from agents only, and whose schedulers were told by the one
// before that they are over: nobody else ends them.
func (w *world) tearDownLeftovers() {
	if w.leader == nil || w.leader.core == nil {
		return
	}
	for f := range w.leader.core.Snapshot().Frameworks.All() {
		mine := func(s *schedulerNode) bool { return !s.gone && s.id == f.ID }
		if f.Recovered && !slices.ContainsFunc(w.schedulers, mine) {
			w.note("%s    <- operator TEARDOWN %s", w.leader.name, f.ID)
			w.leader.tell("operator", master.OperatorCall{Call: &masterpb.Call{
				Type:     masterpb.Call_TEARDOWN.Enum(),
				Teardown: &masterpb.Call_Teardown{FrameworkId: f.Info.Id},
			}})
		}
	}
}

// settle lets time pass until nothing is missing, for as long as patience
// lasts.
func (w *world) settle(checker string, missing func() string) {
	limit := w.now.Add(patience)
	why := missing()
	for why != "" && w.now.Before(limit) {
		w.runUntil(w.now.Add(time.Second))
		why = missing()
	}
	if why != "" {
		fail(checker, "%s after all was healed: %s", patience, why)
	}
}

// unfinished says which framework has not run what it wanted, or does not know
// how it ended.
func (w *world) unfinished() string {
	for _, s := range w.schedulers {
		if s.gone {
			continue
		}
		if s.stream == nil || !s.stream.subscribed {
			return s.name + " is not subscribed"
		}
		if s.todo > 0 {
			return fmt.Sprintf("%s has %d tasks to launch", s.name, s.todo)
		}
		for _, t := range s.current {
			id := ids.AgentID(t.agent.GetValue())
			away := (t.state == mesos.TaskState_TASK_UNREACHABLE || t.unknown) && w.neverBack(id) && !w.history.gone[id]
			if !t.over && !away {
				return fmt.Sprintf("%s does not know the end of %s on %s, last told %s, launch %d",
					s.name, t.id, t.agent.GetValue(), state(t.state), t.launch)
			}
		}
	}
	return ""
}

// neverBack reports whether no agent has an ID any more.
func (w *world) neverBack(id ids.AgentID) bool {
	for _, a := range w.agents {
		if a.core == nil || a.id() == id {
			return false
		}
	}
	return true
}

// unsettled says where the books of master, agents and machines disagree, or are
// not closed.
func (w *world) unsettled() string {
	if w.leader == nil || w.leader.core == nil || !w.leader.leads {
		return "nobody leads"
	}
	snapshot := w.leader.core.Snapshot()
	for _, a := range w.agents {
		if why := w.agentUnsettled(snapshot, a); why != "" {
			return why
		}
	}
	for o := range snapshot.Operations.All() {
		return fmt.Sprintf("the master has operation %s on %s, %s", o.Info.GetType(), o.Agent, o.Latest.GetState())
	}
	for t := range snapshot.Tasks.All() {
		if t.Place == master.Running {
			return fmt.Sprintf("the master has task %s, %s", t.ID, state(t.State))
		}
	}
	for _, t := range w.history.order {
		if t.running > 0 {
			return fmt.Sprintf("task %s runs on %s, and should not", t.key.task, t.machine)
		}
	}
	return ""
}

// agentUnsettled compares an agent with the master, and with its machine.
func (w *world) agentUnsettled(s *master.Snapshot, a *agentNode) string {
	if a.core == nil {
		return a.name + " is down"
	}
	own := a.core.Snapshot()
	if own.State != agent.Running {
		return fmt.Sprintf("%s is %s", a.name, own.State)
	}
	id := ids.AgentID(own.Info.GetId().GetValue())
	var row *master.AgentRow
	for r := range s.Agents.All() {
		if r.ID == id {
			row = r
		}
	}
	if row == nil || !row.Active {
		return fmt.Sprintf("%s is %s, which the master does not offer", a.name, id)
	}
	if here, known := resources.Trusted(own.Reserved), row.Total.NeedingCheckpoint(); !here.IsEmpty() || !known.IsEmpty() {
		return fmt.Sprintf("%s has reserved %s, and the master takes it for %s; operators free all that it knows of", a.name, here, known)
	}
	if n := len(own.Operations); n > 0 {
		return fmt.Sprintf("%s waits for the outcomes of %d operations to be acknowledged", a.name, n)
	}
	for t := range own.Tasks.All() {
		if t.Phase != agent.TaskCompleted && !executorOver(own, t.Run.Container) {
			return fmt.Sprintf("%s has task %s of %s, %s", a.name, t.Task.TaskId.GetValue(), t.Run.Executor, state(t.Task.GetState()))
		}
	}
	return w.executorsUnsettled(s, own, a, id)
}

// executorOver reports whether a run is over and kept for readers only.
func executorOver(s *agent.Snapshot, c ids.ContainerID) bool {
	for x := range s.Executors.All() {
		if x.Run.Container == c {
			return x.Completed
		}
	}
	return true
}

// executorsUnsettled compares which executors run.
func (w *world) executorsUnsettled(s *master.Snapshot, own *agent.Snapshot, a *agentNode, id ids.AgentID) string {
	here, known := map[string]bool{}, map[string]bool{}
	for x := range own.Executors.All() {
		if !x.Completed && x.Generated {
			return fmt.Sprintf("%s has a command executor %s", a.name, x.Run.Executor)
		}
		if !x.Completed {
			here[string(x.Run.Framework)+"/"+string(x.Run.Executor)] = true
		}
	}
	for x := range s.Executors.All() {
		if x.Agent == id {
			key := string(x.Framework) + "/" + x.Info.ExecutorId.GetValue()
			known[key] = true
			if !here[key] {
				return fmt.Sprintf("the master has executor %s on %s, which has not", key, a.name)
			}
		}
	}
	live := 0
	for _, c := range a.machine.order {
		if m := a.machine.containers[c]; m != nil && m.process != nil && m.process.alive {
			live++
		}
	}
	for key := range here {
		if !known[key] {
			return fmt.Sprintf("%s has an executor that the master has not: %s", a.name, key)
		}
	}
	if live != len(here) {
		return fmt.Sprintf("%s has %d containers, and %d executors", a.name, live, len(here))
	}
	return ""
}

// delivered: every update that an agent said it would deliver was.
func (w *world) delivered() {
	live := map[ids.FrameworkID]*schedulerNode{}
	for _, s := range w.schedulers {
		if !s.gone {
			live[s.id] = s
		}
	}
	for _, t := range w.history.order {
		s := live[t.key.framework]
		if s == nil || w.history.wasShut(t) {
			continue
		}
		for _, u := range t.accepted {
			late := t.final && u.at > t.finalAt-w.tolerance()
			if !t.isTold[u.uuid] && u.safe && !late && !w.replaced(s.tasks[t.key.task]) {
				fail("updates lost", "the agent accepted %s of %s, and %s was never told", u.state, t.key.task, s.name)
			}
		}
	}
}

// replaced reports whether the agent that a task was on is no more, with all
// that it had to say.
func (w *world) replaced(t *wanted) bool {
	id := ids.AgentID(t.agent.GetValue())
	return w.history.away(id) || w.neverBack(id)
}

// hoard adds a framework that keeps all it is offered.
func (w *world) hoard() {
	for _, s := range w.schedulers {
		s.traits.teardown = true
		s.teardownIfDone()
	}
	s := newScheduler(w, len(w.schedulers))
	s.hoard, s.todo = true, 0
	s.traits = traits{roles: []string{"blue"}, checkpoint: true}
	w.schedulers = append(w.schedulers, s)
	s.leader = w.leader
	s.start()
}

// unoffered says what is free, and not offered.
func (w *world) unoffered() string {
	if w.leader == nil || w.leader.core == nil {
		return "nobody leads"
	}
	var missing []string
	for a := range w.leader.core.Snapshot().Agents.All() {
		used := a.Allocated.Add(a.Offered).Unallocated()
		if !used.Contains(a.Total.AllocatableTo("blue")) {
			missing = append(missing, fmt.Sprintf("%s has %s and offers %s", a.ID, a.Total, used))
		}
	}
	return strings.Join(missing, "; ")
}
