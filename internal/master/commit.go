package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/registry"
)

// What waits for the registry says what it is about by ID, and looks the world
// up again when its turn comes: much may have happened meanwhile.

// A waiting thing happens once the batch with its number is durable.
type waiting struct {
	seq  uint64
	then action
}

// An action is something that must be durable before anybody hears of it. The
// set is closed.
type action interface{ action() }

type (
	// admitted: a new agent is in the registry, as agent.Slave.Id.
	admitted struct {
		from ids.UPID
		over uint64
		msg  *messages.RegisterSlaveMessage
	}
	// readmitted: a re-registering agent is in the registry.
	readmitted struct {
		from ids.UPID
		over uint64
		msg  *messages.ReregisterSlaveMessage
		was  whereabouts
		came *comeback
	}
	// lost: an agent is marked unreachable.
	lost struct {
		agent     ids.AgentID
		why       string
		recovered bool // it was of an earlier leader
	}
	// dismissed: an agent is out of the registry.
	dismissed struct {
		agent ids.AgentID
		why   removalReason
	}
	// maintained: the maintenance of machines was scheduled, started or stopped.
	maintained struct{ upkeep *upkeep }
	// availabilitySet: an operator has drained, deactivated or reactivated an agent.
	availabilitySet struct {
		request     RequestID
		agent       ids.AgentID
		drain       *mesos.DrainInfo
		deactivated bool
	}
	// wentGone: an agent is marked gone.
	wentGone struct {
		request RequestID
		agent   ids.AgentID
	}
	// pruned: agents are forgotten.
	pruned struct{ unreachable []ids.AgentID }
	// quotasSet: quotas of roles are in the registry.
	quotasSet struct {
		request RequestID
		configs []*quotapb.QuotaConfig
	}
	// weightsSet: weights of roles are in the registry.
	weightsSet struct {
		request RequestID
		weights map[string]float64
	}
)

func (admitted) action()        {}
func (readmitted) action()      {}
func (lost) action()            {}
func (dismissed) action()       {}
func (maintained) action()      {}
func (availabilitySet) action() {}
func (wentGone) action()        {}
func (pruned) action()          {}
func (quotasSet) action()       {}
func (weightsSet) action()      {}

// persist hands changes to the store; then happens when they are durable.
func (m *Master) persist(changes []registry.Change, then action) {
	m.changes = append(m.changes, changes...)
	m.waiting = append(m.waiting, waiting{m.batch, then})
}

// persistFor is persist for a call that somebody waits for. One that changes
// nothing is answered at once.
func (m *Master) persistFor(id RequestID, changes []registry.Change, then action) {
	if len(changes) == 0 {
		m.reply(id, nil)
		return
	}
	m.persist(changes, then)
}

// committed does what waited for a batch, and for those before it: some of it
// now, and the rest a part at a time.
func (m *Master) committed(seq uint64) {
	invariant.Check(seq < m.batch, "batch was committed that was never handed out", "seq", seq)
	m.durable = max(m.durable, seq)
	m.proceedSome(m.cfg.AllocationBudget)
}

// proceedSome does what waited for batches that are durable. An agent that comes is
// as much work as to look at eight offers; one that goes is told to all
// frameworks, and what is on it ends first. What becomes of an agent waits for the
// ACCEPTs for it.
func (m *Master) proceedSome(budget int) (left int) {
	for budget > 0 && len(m.waiting) > 0 && m.waiting[0].seq <= m.durable && !m.accepts(agentOf(m.waiting[0].then)) {
		then := m.waiting[0].then
		if !m.prepare(then, &budget) {
			return 0
		}
		m.waiting = m.waiting[1:]
		budget -= 8
		switch then := then.(type) {
		case pruned:
			budget -= 8 * len(then.unreachable)
		case lost, dismissed, wentGone:
			if m.tellsAllAtOnce() {
				budget -= len(m.frameworks)
			}
		}
		m.proceed(then)
	}
	return max(0, budget)
}

// agentOf returns which agent on the books an action is about, or "".
func agentOf(a action) ids.AgentID {
	switch a := a.(type) {
	case lost:
		return a.agent
	case dismissed:
		return a.agent
	case availabilitySet:
		return a.agent
	case wentGone:
		return a.agent
	default:
		return ""
	}
}

// prepare goes on with what an action has to do for each task of an agent, and reports
// whether it is done with that.
func (m *Master) prepare(a action, budget *int) (done bool) {
	switch a := a.(type) {
	case lost, dismissed, wentGone:
		return m.endSome(a, budget)
	case readmitted:
		brings := len(a.msg.Tasks) + len(a.msg.ExecutorInfos)
		return !m.isNew(a) || a.came.agent == nil && m.atOnce(brings, budget) || m.bringPart(a, budget)
	default:
		return true
	}
}

func (m *Master) proceed(a action) {
	switch a := a.(type) {
	case admitted:
		m.agentAdmitted(a)
	case readmitted:
		m.agentReadmitted(a)
	case lost:
		m.agentLost(a)
	case dismissed:
		m.agentDismissed(a)
	case maintained:
		m.maintenanceChanged(a.upkeep)
	case availabilitySet:
		m.availabilityChanged(a)
	case wentGone:
		m.agentGone(a)
	case pruned:
		m.forgetUnreachable(a.unreachable)
	case quotasSet:
		m.quotasInForce(a)
	case weightsSet:
		m.weightsInForce(a)
	default:
		invariant.Fail("unknown action", "action", a)
	}
}
