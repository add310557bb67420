package master

import (
	"log/slog"
	"math"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
)

// Two ways lead off the books. An agent that is *unreachable* may come back
// with its tasks, so those of PARTITION_AWARE frameworks become
// TASK_UNREACHABLE. One that is *removed* left for good: its tasks are lost.

// A removalReason says why an agent was removed.
type removalReason uint8

const (
	removedUnregistered removalReason = iota // it said goodbye
	removedForNew                            // a new agent registered at its address
	removedDown                              // its machine was taken down
)

func (r removalReason) String() string {
	return [...]string{
		removedUnregistered: "the agent unregistered",
		removedForNew:       "a new agent registered at the same address",
		removedDown:         "Operator initiated 'Machine DOWN'",
	}[r]
}

// unregisterAgent answers UnregisterSlaveMessage.
func (m *Master) unregisterAgent(from ids.UPID, msg *messages.UnregisterSlaveMessage) {
	m.counters.Messages.UnregisterAgent++
	a := m.agents[ids.AgentID(msg.GetSlaveId().GetValue())]
	switch {
	case a == nil:
		m.unwanted(msg, from, "the agent is not registered")
	case a.row.PID != from:
		m.unwanted(msg, from, "it is not from the agent it names")
	default:
		m.dismiss(a, removedUnregistered)
	}
}

// dismiss takes an agent out of the registry, and then off the books.
func (m *Master) dismiss(a *agent, why removalReason) {
	if m.leaving[a.id] {
		return
	}
	changes, err := m.registry.Remove(a.id)
	if err != nil { // marked gone meanwhile
		m.log.Warn("agent is not in the registry", slog.String("agent_id", string(a.id)), slog.Any("error", err))
		return
	}
	m.leaving[a.id] = true
	m.persist(changes, dismissed{a.id, why})
}

// agentDismissed tells the frameworks of an agent that was removed, and whose tasks
// have ended.
func (m *Master) agentDismissed(d dismissed) {
	delete(m.leaving, d.agent)
	a := m.agents[d.agent]
	if a == nil {
		return
	}
	m.counters.AgentRemovals++
	switch d.why {
	case removedForNew:
		m.counters.AgentRemovalsRegistered++
	case removedUnregistered:
		m.counters.AgentRemovalsUnregistered++
	case removedDown: // has no counter of its own
	}
	m.vacate(a)
}

// markUnreachable has the registry note that an agent is not heard of: one on
// the books, or (recovered) one of an earlier leader's.
func (m *Master) markUnreachable(id ids.AgentID, why string, recovered bool) {
	if m.leaving[id] || m.isReturning(id) || recovered && !m.recovered.Has(id) {
		return // it is on its way, or back
	}
	changes, err := m.registry.MarkUnreachable(id, m.now)
	if err != nil { // removed meanwhile
		m.log.Warn("agent is not in the registry", slog.String("agent_id", string(id)), slog.Any("error", err))
		return
	}
	m.leaving[id] = true
	m.persist(changes, lost{id, why, recovered})
}

// agentLost tells the frameworks of an agent that is unreachable, and whose tasks have
// ended.
func (m *Master) agentLost(l lost) {
	delete(m.leaving, l.agent)
	m.counters.AgentRemovals++
	m.counters.AgentRemovalsUnhealthy++
	if l.recovered {
		m.recovered.Delete(l.agent)
		m.counters.RecoveryAgentRemovals++
		m.announceLoss(l.agent)
		return
	}
	a := m.agents[l.agent]
	if a == nil {
		return
	}
	m.log.Warn("agent is unreachable", slog.String("agent_id", string(l.agent)), slog.String("reason", l.why))
	m.vacate(a)
}

// endSome goes on with what there is on an agent that an action takes off the books: its
// tasks end, the oldest first, operations (before these if it is unreachable), and its
// executors. Operations that it has listed come on the books before that. It reports
// whether none are left.
func (m *Master) endSome(why action, budget *int) (none bool) {
	a := m.agents[agentOf(why)]
	if a == nil {
		return true
	}
	m.going = a
	if m.atOnce(len(a.tasks)+len(a.executors)+len(a.operations)+len(a.entering), budget) {
		budget = new(math.MaxInt)
	}
	if *budget = m.enter(a, *budget); len(a.entering) > 0 {
		return false
	}
	if _, unreachable := why.(lost); unreachable && !m.endOperations(a, why, budget) {
		return false
	}
	for a.tasksByAge.oldest != nil {
		if !turn(budget, 4) {
			return false
		}
		m.endWithAgent(a.tasksByAge.oldest, why)
	}
	if !m.endOperations(a, why, budget) {
		return false
	}
	for _, e := range inOrder(a.executors) {
		if !turn(budget, 4) {
			return false
		}
		m.removeExecutor(e)
	}
	return true
}

// endWithAgent ends a task, because of what takes its agent off the books.
func (m *Master) endWithAgent(t *task, why action) {
	switch why := why.(type) {
	case lost:
		since, _ := m.registry.Unreachable(why.agent)
		state := mesos.TaskState_TASK_UNREACHABLE
		if !t.framework.caps.partitionAware {
			state = mesos.TaskState_TASK_LOST
		}
		m.endTask(t, state, mesos.TaskStatus_REASON_AGENT_REMOVED, why.why, since)
	case dismissed:
		text := "Agent " + t.agent.row.Info.GetHostname() + " removed: " + why.why.String()
		m.endTask(t, mesos.TaskState_TASK_LOST, mesos.TaskStatus_REASON_AGENT_REMOVED, text, nil)
	case wentGone:
		state, reason := t.framework.goneState()
		m.endTask(t, state, reason, markedGone, nil)
	default:
		invariant.Fail("action takes no agent off the books", "action", why)
	}
}

// vacate takes offers off an agent whose tasks and executors are gone, then the agent
// off the books, and tells all frameworks.
func (m *Master) vacate(a *agent) {
	m.rescindAll(a)
	m.takeOff(a)
	m.announceLoss(a.id)
}

// announceLoss sends FAILURE to every connected framework, to very many a part at a
// time.
func (m *Master) announceLoss(id ids.AgentID) {
	m.losses = append(m.losses, &loss{agent: id})
	if m.tellsAllAtOnce() {
		m.announceLosses(math.MaxInt)
	}
}

// tellsAllAtOnce reports whether there are few enough frameworks to tell them all of
// a loss in one step.
func (m *Master) tellsAllAtOnce() bool {
	return len(m.losses) <= 1 && len(m.frameworks) <= m.cfg.AllocationBudget
}

// A loss is how far it is that frameworks are told of an agent's.
type loss struct {
	agent ids.AgentID
	slot  int // the row of frameworks to go on with
}

// announceLosses goes on with telling frameworks of losses, the first come first. It
// may tell so many as budget, and returns how many of them are left.
func (m *Master) announceLosses(budget int) (left int) {
	for len(m.losses) > 0 {
		l := m.losses[0]
		event := &schedulerpb.Event{
			Type:    schedulerpb.Event_FAILURE.Enum(),
			Failure: &schedulerpb.Event_Failure{AgentId: agentID(l.agent)},
		}
		for slot, row := range m.frameworkRows.table.From(l.slot) {
			if budget <= 0 {
				l.slot = slot
				return 0
			}
			if f := m.frameworks[row.ID]; f != nil { // else it is over
				budget--
				m.notify(f, event)
			}
		}
		m.losses = m.losses[1:]
	}
	return budget
}

// removals are the agents that wait for --agent_removal_rate_limit to be given
// up, first come first served.
type removals struct {
	queue []*removal
	waits map[ids.AgentID]*removal // those of queue that are not canceled
	// next is when the limit lets another go; it is in use while timer is set.
	next  time.Time
	timer *deadline
}

type removal struct {
	agent     ids.AgentID
	why       string
	recovered bool
	canceled  bool
}

// scheduleRemoval gives an agent up, when the rate limit lets it. The limit
// is there to protect tasks: an agent whose frameworks are all
// PARTITION_AWARE, and so lose nothing, does not wait.
func (m *Master) scheduleRemoval(a *agent, why string) {
	if m.leaving[a.id] || m.removals.waits[a.id] != nil {
		return
	}
	m.counters.AgentUnreachableScheduled++
	r := removal{agent: a.id, why: why}
	if m.cfg.AgentRemovalRate.Events == 0 || !losesTasks(a) {
		m.remove(r)
		return
	}
	m.queueRemoval(r)
}

func losesTasks(a *agent) bool {
	for _, t := range a.tasks {
		if !t.framework.caps.partitionAware {
			return true
		}
	}
	return false
}

func (m *Master) queueRemoval(r removal) {
	m.removals.queue = append(m.removals.queue, &r)
	m.removals.waits[r.agent] = &r
	if m.removals.timer == nil {
		wait := max(0, m.removals.next.Sub(m.now))
		m.removals.timer = m.after(wait, deadline{kind: removalAllowed})
	}
}

// removalTurn gives up the agent that waited longest.
func (m *Master) removalTurn() {
	rs := &m.removals
	rs.timer = nil
	for len(rs.queue) > 0 && rs.queue[0].canceled {
		rs.queue = rs.queue[1:]
	}
	if len(rs.queue) == 0 {
		return
	}
	r := rs.queue[0]
	rs.queue = rs.queue[1:]
	delete(rs.waits, r.agent)
	every := m.cfg.AgentRemovalRate.Per / time.Duration(m.cfg.AgentRemovalRate.Events)
	rs.next = m.now.Add(every)
	if len(rs.queue) > 0 {
		rs.timer = m.after(every, deadline{kind: removalAllowed})
	}
	m.remove(*r)
}

func (m *Master) remove(r removal) {
	if !r.recovered {
		m.counters.AgentUnreachableCompleted++
	}
	m.markUnreachable(r.agent, r.why, r.recovered)
}

// cancelRemoval keeps an agent that was heard of in time.
func (m *Master) cancelRemoval(a *agent) {
	if r := m.removals.waits[a.id]; r != nil {
		r.canceled = true
		delete(m.removals.waits, a.id)
		m.counters.AgentUnreachableCanceled++
	}
}
