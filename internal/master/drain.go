package master

import (
	"log/slog"

	"google.golang.org/protobuf/types/known/durationpb"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// What operators say of an agent, each recorded before it takes effect:
//
//	          DEACTIVATE_AGENT
//	offered ───────────────────────────────▶ deactivated
//	  ▲  │                                     │    │
//	  │  └── DRAIN_AGENT ──▶ draining ◀────────┘    │
//	  │                         │ nothing runs there │
//	  │                         ▼                    │
//	  └──REACTIVATE_AGENT──── drained (or gone)      │
//	  └──REACTIVATE_AGENT────────────────────────────┘
//
// A deactivated agent is not offered; what runs there goes on. A draining one
// kills what runs there, and is told to each time that it is back. MARK_AGENT_GONE
// bars an agent for good.

// drainAgent answers DRAIN_AGENT.
func (m *Master) drainAgent(request RequestID, call *masterpb.Call_DrainAgent) *refusal.Error {
	id := ids.AgentID(call.GetAgentId().GetValue())
	_, _, known := m.registry.Availability(id)
	a := m.agents[id]
	switch {
	case !known:
		return m.unknownAgent(id)
	case a != nil && a.unavailability != nil:
		return refusal.Invalidf("Agent %s is currently in a maintenance schedule, and cannot be drained", id)
	case a != nil && !a.caps.draining:
		return refusal.Invalidf("Agent %s is not capable of draining: it is older than Mesos 1.9", id)
	case call.GetMaxGracePeriod().AsDuration() < 0:
		return refusal.Invalidf("'max_grace_period' is negative")
	}
	config := &mesos.DrainConfig{MarkGone: call.MarkGone}
	if call.MaxGracePeriod != nil {
		config.MaxGracePeriod = grace(call.MaxGracePeriod)
	}
	return m.recordAvailability(request, id, &mesos.DrainInfo{State: mesos.DrainState_DRAINING.Enum(), Config: config}, true)
}

// unknownAgent refuses what operators want of an agent that the registry has
// not, or not any more.
func (m *Master) unknownAgent(id ids.AgentID) *refusal.Error {
	if m.leaving[id] {
		return refusal.Conflictf("Agent %s is being marked gone or removed", id)
	}
	return refusal.Invalidf("Unknown agent")
}

func grace(d *durationpb.Duration) *mesos.DurationInfo {
	return &mesos.DurationInfo{Nanoseconds: new(d.AsDuration().Nanoseconds())}
}

// deactivateAgent answers DEACTIVATE_AGENT.
func (m *Master) deactivateAgent(request RequestID, id ids.AgentID) *refusal.Error {
	drain, _, known := m.registry.Availability(id)
	if !known {
		return m.unknownAgent(id)
	}
	return m.recordAvailability(request, id, drain, true)
}

// reactivateAgent answers REACTIVATE_AGENT.
func (m *Master) reactivateAgent(request RequestID, id ids.AgentID) *refusal.Error {
	drain, deactivated, known := m.registry.Availability(id)
	switch {
	case !known:
		return m.unknownAgent(id)
	case !deactivated:
		return refusal.Invalidf("Agent %s is not deactivated", id)
	case drain.GetState() == mesos.DrainState_DRAINING:
		return refusal.Invalidf("Agent %s is still draining", id)
	}
	return m.recordAvailability(request, id, nil, false)
}

func (m *Master) recordAvailability(request RequestID, id ids.AgentID, drain *mesos.DrainInfo, deactivated bool) *refusal.Error {
	changes, err := m.registry.SetAvailability(id, drain, deactivated)
	if err != nil {
		return refusal.Conflictf("%s", err)
	}
	m.persistFor(request, changes, availabilitySet{request, id, drain, deactivated})
	return nil
}

// availabilityChanged goes on once what an operator said of an agent is recorded.
// One that is to be offered again and is not here is in conflict with that,
// though it will be when it is back.
func (m *Master) availabilityChanged(set availabilitySet) {
	a := m.agents[set.agent]
	if a != nil {
		m.setAvailability(a, set.drain, set.deactivated)
		m.askToDrain(a)
	}
	if a == nil && !set.deactivated {
		m.reply(set.request, refusal.Conflictf("Agent %s is not registered; it is offered when it is back", set.agent))
		return
	}
	m.reply(set.request, nil)
}

// heedOperators brings an agent that is back to what operators have said of it.
func (m *Master) heedOperators(a *agent) {
	if drain, deactivated, known := m.registry.Availability(a.id); known {
		m.setAvailability(a, drain, deactivated)
	}
}

func (m *Master) setAvailability(a *agent, drain *mesos.DrainInfo, deactivated bool) {
	if a.row.Drain == drain && a.row.Deactivated == deactivated {
		return
	}
	row := m.editAgent(a)
	if drain.GetState() == mesos.DrainState_DRAINING && row.Drain.GetState() != mesos.DrainState_DRAINING {
		row.DrainStart = m.now
	}
	row.Drain, row.Deactivated = drain, deactivated
	if drain.GetState() == mesos.DrainState_DRAINING {
		m.draining[a.id] = a
		m.lookAfter(a)
	} else {
		delete(m.draining, a.id)
	}
	switch active := row.Connected && !deactivated; {
	case active && !row.Active:
		row.Active = true
		m.alloc.ActivateAgent(a.id)
	case !active && row.Active:
		row.Active = false
		m.alloc.DeactivateAgent(a.id)
		m.rescindAll(a)
	}
}

// askToDrain tells an agent that is to drain to do so. It may have heard before.
func (m *Master) askToDrain(a *agent) {
	if a.row.Drain.GetState() == mesos.DrainState_DRAINING && a.row.Connected {
		m.send(a, &messages.DrainSlaveMessage{Config: a.row.Drain.Config})
	}
}

// lookAfter has it recorded that an agent is drained, if it was to be drained and
// nothing runs on it any more.
func (m *Master) lookAfter(a *agent) {
	if a.isEmpty() && m.draining[a.id] == a {
		m.emptied = append(m.emptied, a)
	}
}

func (a *agent) isEmpty() bool { return len(a.tasks)+len(a.operations)+len(a.entering) == 0 }

// lookAfterDraining records of agents on which nothing runs any more that they
// are drained, or gone.
func (m *Master) lookAfterDraining() {
	for _, a := range m.emptied {
		if m.draining[a.id] != a || !a.isEmpty() || !a.row.Connected || m.leaving[a.id] {
			continue
		}
		m.log.Info("agent is drained", slog.String("agent_id", string(a.id)))
		delete(m.draining, a.id)
		if a.row.Drain.GetConfig().GetMarkGone() {
			m.recordGone(0, a.id)
			continue
		}
		drained := &mesos.DrainInfo{State: mesos.DrainState_DRAINED.Enum(), Config: a.row.Drain.Config}
		if err := m.recordAvailability(0, a.id, drained, true); err != nil {
			m.log.Warn("agent is not in the registry", slog.String("agent_id", string(a.id)), slog.String("error", err.Message))
		}
	}
	m.emptied = nil
}

// markGone answers MARK_AGENT_GONE.
func (m *Master) markGone(request RequestID, id ids.AgentID) *refusal.Error {
	_, _, known := m.registry.Availability(id)
	switch {
	case m.registry.IsGone(id) && !m.leaving[id]:
		m.reply(request, nil)
		return nil
	case m.leaving[id] || m.isReturning(id):
		return refusal.Unavailablef("Agent %s is being marked or taken back; try again in a moment", id)
	case !known:
		return refusal.NotFoundf("Agent %s is not known", id)
	}
	m.recordGone(request, id)
	return nil
}

func (m *Master) recordGone(request RequestID, id ids.AgentID) {
	changes, err := m.registry.MarkGone(id, m.now)
	if err != nil {
		m.log.Warn("agent is not in the registry", slog.String("agent_id", string(id)), slog.Any("error", err))
		return
	}
	m.leaving[id] = true
	m.persistFor(request, changes, wentGone{request, id})
}

// agentGone takes an agent that is gone for good, and whose tasks have ended, off the
// books.
func (m *Master) agentGone(g wentGone) {
	delete(m.leaving, g.agent)
	switch a := m.agents[g.agent]; {
	case a != nil:
		m.send(a, &messages.ShutdownMessage{Message: new(markedGone)})
		m.vacate(a)
	case m.recovered.Has(g.agent):
		m.recovered.Delete(g.agent)
		m.announceLoss(g.agent)
	default:
		for _, f := range m.bereaved(g.agent) {
			m.endUnreachable(f, g.agent)
		}
	}
	m.reply(g.request, nil)
}

const markedGone = "Agent has been marked gone"

// goneState returns what a framework is told of a task whose agent is gone.
func (f *framework) goneState() (mesos.TaskState, mesos.TaskStatus_Reason) {
	if f.caps.partitionAware {
		return mesos.TaskState_TASK_GONE_BY_OPERATOR, mesos.TaskStatus_REASON_AGENT_REMOVED_BY_OPERATOR
	}
	return mesos.TaskState_TASK_LOST, mesos.TaskStatus_REASON_AGENT_REMOVED
}

// endUnreachable ends the tasks of a framework that were on an agent which was
// unreachable, and is gone. Of one that it knows to be over it is told nothing.
func (m *Master) endUnreachable(f *framework, id ids.AgentID) {
	m.takeUnreachable(f, func(t *task) bool {
		if t.row.Agent != id {
			return false
		}
		if over := isTerminal(t.row.State); !over || !isTerminal(t.reportedState()) {
			state, why := f.goneState()
			s := m.statusOf(t, state, why, markedGone)
			if !over {
				m.updateTask(t, s, state)
				m.countEnd(state, s)
			}
			m.notify(f, updateEvent(s))
		}
		m.editTask(t).Place = Completed
		m.keepCompleted(f, t)
		return true
	})
}
