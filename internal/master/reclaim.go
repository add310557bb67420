package master

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A top-level role with a guarantee, where reclaiming is on:
//
//	content ─▶ starved ─▶ recalling ─▶ revoking ─▶ starved, for longer
//	   ▲          │           │            │
//	   └──────────┴───────────┴────────────┘ it has its guarantee
//
// It is starved while it uses less than it is guaranteed and one of its
// frameworks wants offers. After a time, offers that are in the way are
// rescinded; what is lacking then is revoked in one round. Rounds that bring it
// nothing come at twice the distance, and after some of them no more, until it
// uses more than before. See docs/design/reclaiming.md.
type starved struct {
	since    time.Time            // it is below its guarantee
	due      time.Time            // of the next round
	recalled bool                 // offers were rescinded in this one
	used     resources.Quantities // when the last round was made
	vain     int                  // rounds in a row that brought nothing
}

// reclaiming is what goes on from one call of Effects to the next. A part of it
// takes a few milliseconds at most, and nothing is offered in its turn.
type reclaiming struct {
	hungry []string        // roles to look at in this turn, by name
	wants  map[string]bool // those in which somebody wants offers
	round  *round          // nil: none goes on
	// expected are tasks that were revoked and may be counted upon.
	expected []*task
	coming   tallies // what they use, by the role that they were revoked for
}

// reclaimInterval is how often it is looked who is starved.
const reclaimInterval = time.Second

// maxVainRounds is after how many of them a role is taken not to want what it
// is guaranteed.
const maxVainRounds = 3

// patienceToEnd is how much longer than its grace period a revoked task may take
// to end before it is not counted upon.
const patienceToEnd = time.Minute

// A revocation is why a task is ended for another role.
type revocation struct {
	role    string // the starved one
	text    string
	until   time.Time // its resources are counted upon
	counted bool      // they are
}

// reclaims reports whether reclaiming is on for a role with a guarantee.
func (m *Master) reclaims(name string) bool {
	return len(m.cfg.ReclaimRoles) == 0 || slices.Contains(m.cfg.ReclaimRoles, name)
}

// startReclaiming begins to look for starved roles.
func (m *Master) startReclaiming() {
	m.starving = map[string]*starved{}
	if m.cfg.Reclaim {
		m.after(reclaimInterval, deadline{kind: reclaimDue})
	}
}

// reclaimDue begins to look at all roles with guarantees. While agents of an
// earlier leader may come back nobody knows who is starved.
func (m *Master) reclaimDue() {
	m.after(reclaimInterval, deadline{kind: reclaimDue})
	if m.recovered.Len() > 0 || len(m.quotas) == 0 {
		clear(m.starving)
		return
	}
	if r := &m.reclaiming; r.round == nil && len(r.hungry) == 0 && !m.recalling.on {
		m.giveUpOnEnds()
		r.hungry, r.wants = m.quotaNames, m.wanting()
	}
}

// reclaimSome goes on with reclaiming, and reports whether there was anything to
// do.
func (m *Master) reclaimSome() (busy bool) {
	r := &m.reclaiming
	switch {
	case r.round != nil && r.round.planned:
		m.revokeSome(r.round)
	case r.round != nil:
		m.planRound(r.round)
	case len(r.hungry) > 0:
		m.lookForHunger(m.cfg.AllocationBudget)
	default:
		return false
	}
	return true
}

// lookForHunger looks at so many roles, and reclaims for one of all at most.
func (m *Master) lookForHunger(most int) {
	r := &m.reclaiming
	for ; most > 0 && len(r.hungry) > 0; most-- {
		name := r.hungry[0]
		r.hungry = r.hungry[1:]
		s := m.hunger(name, r.wants[name])
		if s != nil && !m.now.Before(s.due) && s.vain < maxVainRounds && m.reclaimFor(name, s) {
			r.hungry = nil
		}
	}
}

// hunger keeps account of a role, in which somebody wants offers or not. It
// returns nil if it is not starved.
func (m *Master) hunger(name string, wants bool) *starved {
	used := m.consumed(name)
	if !m.reclaims(name) || used.Contains(m.guarantees[name]) {
		delete(m.starving, name)
		return nil
	}
	s := m.starving[name]
	switch {
	case s == nil:
		s = &starved{since: m.now, due: m.now.Add(m.cfg.ReclaimAfter), used: used}
		m.starving[name] = s
	case !wants:
		s.since, s.due, s.recalled = m.now, m.now.Add(m.cfg.ReclaimAfter<<s.vain), false
	case s.vain > 0 && !s.used.Contains(used):
		s.vain, s.used = 0, used
		s.due = m.now.Add(m.cfg.ReclaimAfter)
	}
	return s
}

// wanting returns the top-level roles below which a framework wants offers.
func (m *Master) wanting() map[string]bool {
	all := map[string]bool{}
	for _, f := range m.frameworks {
		if f.state != active {
			continue
		}
		for _, r := range f.roles {
			if _, suppressed := slices.BinarySearch(f.row.Suppressed, r); !suppressed {
				all[role.Top(r)] = true
			}
		}
	}
	return all
}

// reclaimFor takes the next step for a starved role, and reports whether there
// was one to take.
func (m *Master) reclaimFor(name string, s *starved) bool {
	if m.lacking(name).IsEmpty() || m.alloc.Taker(name) == nil {
		return false
	}
	if !s.recalled {
		s.recalled = true
		m.recall(false)
		m.recalling.reclaims = true
		return true
	}
	m.reclaiming.round = &round{role: name, starved: s, plan: newRevocationPlan(m.capacity.quantities(), m.stakeOf, usedBeside)}
	return true
}

// lacking returns what a role needs to have its guarantee, beside what is
// offered to it and what is coming.
func (m *Master) lacking(name string) resources.Quantities {
	return m.guarantees[name].Sub(m.alloc.Consumed(name)).Sub(m.reclaiming.coming.of(name))
}

// A round is one in which tasks are revoked for a role: it is planned, and then
// carried out.
type round struct {
	role    string
	starved *starved
	plan    *revocationPlan
	slot    int // of the framework with which to go on
	planned bool
	tasks   int // revoked so far
}

// planRound goes on with a plan: it is of all frameworks.
func (m *Master) planRound(r *round) {
	left := m.cfg.AllocationBudget
	for slot, row := range m.frameworkRows.table.From(r.slot) {
		if left == 0 {
			r.slot = slot
			return
		}
		left--
		if f := m.frameworks[row.ID]; f != nil {
			r.plan.add(f)
		}
	}
	r.planned = true
}

// revokeSome carries out a part of a round.
func (m *Master) revokeSome(r *round) {
	lacking, taker := m.lacking(r.role), m.alloc.Taker(r.role)
	if lacking.IsEmpty() || taker == nil {
		m.endRound(r)
		return
	}
	chosen, more := r.plan.run(m.cfg.AllocationBudget*partCost, lacking, taker)
	for _, v := range chosen {
		for _, t := range v.tasks {
			m.revoke(t, r.role, r.starved.since)
			r.tasks++
		}
	}
	if !more {
		m.endRound(r)
	}
}

// endRound sets when there is to be another.
func (m *Master) endRound(r *round) {
	r.plan.end()
	m.reclaiming.round = nil
	s := r.starved
	s.recalled = false
	if r.tasks > 0 { // a look costs nobody anything
		m.counters.Reclaim.Rounds++
		s.used = m.consumed(r.role)
		s.vain++
	}
	s.due = m.now.Add(m.cfg.ReclaimAfter << s.vain)
}

// stakeOf returns what a plan asks of a top-level role.
func (m *Master) stakeOf(top string) stake {
	return stake{used: m.consumed(top).Sub(m.ending.of(top)), guarantee: m.guarantees[top]}
}

// usedBeside returns what of quotas a framework uses, beside what is ending.
func usedBeside(f *framework) resources.Quantities {
	return f.row.Allocated.Filter(countsForQuota).ScalarQuantities().Sub(f.ending.quantities())
}

// expect counts upon a task that is revoked.
func (m *Master) expect(t *task) {
	t.revoked.counted = true
	m.reclaiming.coming.countFor(t.revoked.role, t.row.Resources, 1)
	m.reclaiming.expected = append(m.reclaiming.expected, t)
}

// expectNoMore undoes expect: the task has ended, or takes too long to.
func (m *Master) expectNoMore(t *task) {
	if t.revoked != nil && t.revoked.counted {
		t.revoked.counted = false
		m.reclaiming.coming.countFor(t.revoked.role, t.row.Resources, -1)
	}
}

// giveUpOnEnds does not count any more upon tasks that take too long.
func (m *Master) giveUpOnEnds() {
	r := &m.reclaiming
	r.expected = slices.DeleteFunc(r.expected, func(t *task) bool {
		if !m.now.Before(t.revoked.until) {
			m.expectNoMore(t)
		}
		return !t.revoked.counted
	})
}

// revoke ends a task for a starved role. A kill policy of its own stands.
func (m *Master) revoke(t *task, name string, since time.Time) {
	grace := m.cfg.ReclaimGracePeriod
	kill := &messages.KillTaskMessage{FrameworkId: frameworkID(t.framework.id), TaskId: t.row.Desc.TaskId}
	if own := t.row.Desc.KillPolicy; own.GetGracePeriod() != nil {
		grace = time.Duration(own.GetGracePeriod().GetNanoseconds())
	} else {
		kill.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(grace.Nanoseconds())}}
	}
	t.revoked = &revocation{
		role: name,
		text: fmt.Sprintf("Reclaimed for role '%s', which has been below its guarantee for %s",
			name, durationText(m.now.Sub(since).Truncate(time.Second))),
		until: m.now.Add(grace + patienceToEnd),
	}
	t.killed = true
	m.reckonEnding(t)
	m.expect(t)
	m.counters.Reclaim.Tasks++
	m.log.Info("revoking a task", slog.String("framework_id", string(t.framework.id)), slog.String("task_id", string(t.row.ID)),
		slog.String("agent_id", string(t.agent.id)), slog.String("for_role", name), slog.Duration("grace_period", grace))
	m.send(t.agent, kill)
}

// marked returns a task's status, which says so if the task ends because it was
// revoked.
func (t *task) marked(s *mesos.TaskStatus) *mesos.TaskStatus {
	state := s.GetState()
	if t == nil || t.revoked == nil || state != mesos.TaskState_TASK_KILLED && state != mesos.TaskState_TASK_KILLING {
		return s
	}
	c := copyStatus(s)
	text := t.revoked.text
	if s.GetMessage() != "" {
		text += ": " + s.GetMessage()
	}
	c.Message, c.Reason = &text, mesos.TaskStatus_REASON_CONTAINER_PREEMPTED.Enum()
	return c
}
