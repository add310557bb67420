package master

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
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
	role  string // the starved one
	text  string
	until time.Time // its resources are counted upon
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

// reclaimDue looks at all roles with guarantees, and reclaims for one of them at
// most. While agents of an earlier leader may come back nobody knows who is
// starved.
func (m *Master) reclaimDue() {
	m.after(reclaimInterval, deadline{kind: reclaimDue})
	if len(m.recovered) > 0 || len(m.quotas) == 0 {
		clear(m.starving)
		return
	}
	maps.DeleteFunc(m.starving, func(name string, _ *starved) bool { return m.quotas[name] == nil })
	for _, name := range slices.Sorted(maps.Keys(m.quotas)) {
		s := m.hunger(name, m.consumed(name))
		if s == nil || m.now.Before(s.due) || s.vain >= maxVainRounds {
			continue
		}
		if m.reclaimFor(name, s) {
			return
		}
	}
}

// hunger keeps account of a role that uses so much. It returns nil if that is
// not starved.
func (m *Master) hunger(name string, used resources.Quantities) *starved {
	guarantee := quotaOf(m.quotas[name]).Guarantees
	if !m.reclaims(name) || used.Contains(guarantee) {
		delete(m.starving, name)
		return nil
	}
	s := m.starving[name]
	switch {
	case s == nil:
		s = &starved{since: m.now, due: m.now.Add(m.cfg.ReclaimAfter), used: used}
		m.starving[name] = s
	case !m.wants(name):
		s.since, s.due, s.recalled = m.now, m.now.Add(m.cfg.ReclaimAfter<<s.vain), false
	case s.vain > 0 && !s.used.Contains(used):
		s.vain, s.used = 0, used
		s.due = m.now.Add(m.cfg.ReclaimAfter)
	}
	return s
}

// wants reports whether a framework of the tree below a role wants offers.
func (m *Master) wants(name string) bool {
	for _, f := range m.frameworks {
		if f.state != active {
			continue
		}
		for _, r := range f.row.Roles() {
			if role.Top(r) == name && !slices.Contains(f.row.Suppressed, r) {
				return true
			}
		}
	}
	return false
}

// tasksEnding returns the tasks that somebody has asked to end, or that an
// earlier leader may have, and that have not.
func (m *Master) tasksEnding() (all []*task) {
	for _, f := range m.frameworks {
		if f.ending.isZero() {
			continue
		}
		for _, t := range f.tasks {
			if t.ending {
				all = append(all, t)
			}
		}
	}
	return all
}

// reclaimFor takes the next step for a starved role, and reports whether there
// was one to take.
func (m *Master) reclaimFor(name string, s *starved) bool {
	lacking := quotaOf(m.quotas[name]).Guarantees.Sub(m.alloc.Consumed(name))
	for _, t := range m.tasksEnding() {
		if r := t.revoked; r != nil && r.role == name && m.now.Before(r.until) {
			lacking = lacking.Sub(quotaAmount(t.row.Resources))
		}
	}
	taker := m.alloc.Taker(name)
	if lacking.IsEmpty() || taker == nil {
		return false
	}
	if !s.recalled {
		s.recalled = true
		m.recall(false)
		m.recalling.reclaims = true
		return true
	}
	m.revokeRound(name, s, m.planFor(lacking, taker.Takes))
	return true
}

// revokeRound revokes what was chosen, and sets when to do so again.
func (m *Master) revokeRound(name string, s *starved, chosen []*victim) {
	s.recalled = false
	s.due = m.now.Add(m.cfg.ReclaimAfter << s.vain)
	if len(chosen) == 0 { // a look at other agents costs nobody anything
		return
	}
	m.counters.Reclaim.Rounds++
	s.used = m.consumed(name)
	s.vain++
	s.due = m.now.Add(m.cfg.ReclaimAfter << s.vain)
	for _, v := range chosen {
		for _, t := range v.tasks {
			m.revoke(t, name, s.since)
		}
	}
}

// planFor chooses what to revoke, from a part of the agents: as many as the
// allocator may visit in one step. The next plan goes on with the ones behind.
func (m *Master) planFor(lacking resources.Quantities, taker func(ids.AgentID, resources.Resources) bool) []*victim {
	p := &revocationPlan{
		lacking: lacking,
		total:   m.capacity.quantities(),
		stakes:  map[string]*stake{},
		used:    map[ids.FrameworkID]resources.Quantities{},
		takes:   taker,
	}
	var victims []*victim
	agents := inOrder(m.agents)
	for range min(len(agents), m.cfg.AllocationBudget) {
		m.reclaimNext %= len(agents)
		victims = append(victims, victimsOn(agents[m.reclaimNext])...)
		m.reclaimNext++
	}
	for _, v := range victims {
		if p.stakes[v.role] == nil {
			p.stakes[v.role] = m.stakeOf(v.role)
		}
		p.used[v.framework] = quotaAmount(m.frameworks[v.framework].row.Allocated)
	}
	return p.run(victims)
}

func (m *Master) stakeOf(top string) *stake {
	s := &stake{used: m.consumed(top).Sub(m.ending.of(top))}
	if config := m.quotas[top]; config != nil {
		s.guarantee = quotaOf(config).Guarantees
	}
	return s
}

// quotaAmount returns what of quotas resources use up.
func quotaAmount(rs resources.Resources) resources.Quantities {
	return rs.Filter(countsForQuota).ScalarQuantities()
}

// victimsOn returns what could be revoked on an agent. Tasks of one of Mesos's
// own executors are in groups that end together, so they are one victim.
func victimsOn(a *agent) (all []*victim) {
	if !a.row.Connected || !a.row.Active {
		return nil
	}
	groups := map[executorKey]*victim{}
	for _, t := range inOrder(a.tasks) {
		key := executorKey{t.framework.id, a.id, t.row.Executor}
		e := a.executors[key]
		grouped := e != nil && e.row.Info.GetType() == mesos.ExecutorInfo_DEFAULT
		v := groups[key]
		if !grouped || v == nil {
			v = &victim{agent: a.id, framework: t.framework.id, role: role.Top(t.row.Role)}
			all = append(all, v)
		}
		if grouped {
			groups[key] = v
		}
		v.add(t)
	}
	return slices.DeleteFunc(all, func(v *victim) bool { return v.gone })
}

// add makes a task part of a victim, which is none if one of its tasks is
// ending, or over.
func (v *victim) add(t *task) {
	v.gone = v.gone || t.released || t.ending || role.Top(t.row.Role) != v.role
	v.serial = max(v.serial, t.row.Serial)
	gives := t.row.Resources.Filter(func(r resources.Resource) bool { return r.IsScalar() && countsForQuota(r) }).Unallocated()
	v.gives, v.amount = v.gives.Add(gives), v.amount.Add(gives.ScalarQuantities())
	v.tasks = append(v.tasks, t)
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
