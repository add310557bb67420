package master

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// Reclaiming gives a top-level role what it is guaranteed when others have it
// (docs/design/reclaiming.md):
//
//	met ──▶ short ──after so long──▶ offers are taken back ──still short──▶ tasks are revoked
//	 ▲        │▲                                                                │ as many as it takes
//	 └────────┘└────────── it declines an offer: it was not that ──────────────┘
//
// A role is short while it has less than it is guaranteed, a framework of it wants
// offers, and none has declined any: what is declined was there to be had.
// What has been revoked is held for the roles that are short by the allocator,
// which offers nobody else what guarantees need.

// Reclaim says whether and when guarantees are enforced against tasks.
type Reclaim struct {
	// After is how long a role has to be short; 0 is for ever: tasks are never
	// revoked for it (--reclaim, --reclaim_after).
	After time.Duration
	// Roles differ from that (--reclaim_roles).
	Roles map[string]time.Duration
	// Grace is the longest that a revoked task has to end (--reclaim_grace_period).
	Grace time.Duration
}

func (r *Reclaim) on() bool { return r.After > 0 || len(r.Roles) > 0 }

func (r *Reclaim) after(role string) time.Duration {
	if d, ok := r.Roles[role]; ok {
		return d
	}
	return r.After
}

const (
	// reclaimInterval is how often guarantees are looked after.
	reclaimInterval = time.Second
	// reclaimPatience is how long, beside its grace period, a revoked task is
	// taken to be ending. One that is still there then is given up: another is
	// revoked in its place.
	reclaimPatience = time.Minute
	// maxReclaimed bounds how many tasks are revoked at once.
	maxReclaimed = 1000
)

// reclaiming is what is remembered of roles that are short, and of what was done
// for them. Both are bounded: by the roles with quotas, and by the tasks.
type reclaiming struct {
	short    map[string]*shortage
	declined map[string]time.Time // when a framework of a role last said no
	revoked  map[taskKey]*revocation
}

type shortage struct {
	since    time.Time
	recalled bool // offers were taken back
}

// A revocation is a task that was asked to end.
type revocation struct {
	until time.Time // when it is given up
	has   resources.Quantities
	why   string
}

// startReclaiming looks after guarantees from now on, if it is to.
func (m *Master) startReclaiming() {
	m.reclaim = reclaiming{short: map[string]*shortage{}, declined: map[string]time.Time{}, revoked: map[taskKey]*revocation{}}
	if m.cfg.Reclaim.on() {
		m.after(reclaimInterval, deadline{kind: reclaimTurn})
	}
}

// hasDeclined notes that a framework of a role turned something down.
func (m *Master) hasDeclined(name string) {
	if m.cfg.Reclaim.on() && m.quotas[role.Top(name)] != nil {
		m.reclaim.declined[role.Top(name)] = m.now
	}
}

// reclaimForShort enforces guarantees that have not been met for too long.
func (m *Master) reclaimForShort() {
	m.after(reclaimInterval, deadline{kind: reclaimTurn})
	m.forgetReclaimed()
	need, whom := resources.Quantities{}, ""
	for _, name := range slices.Sorted(maps.Keys(m.quotas)) {
		s := m.shortageOf(name)
		switch {
		case s == nil || m.now.Sub(s.since) < m.cfg.Reclaim.after(name):
		case !s.recalled:
			s.recalled = true
			m.log.Info("taking offers back for a role below its guarantee", slog.String("role", name))
			m.counters.Reclaim.Recalls++
			m.recall(false)
		case len(m.recalling.offers) == 0:
			need = need.Add(m.alloc.Unsatisfied(name))
			whom = cmp.Or(whom, name)
		}
	}
	need = need.Sub(m.alloc.Free()).Sub(m.ending())
	if !need.IsEmpty() {
		m.revoke(whom, need)
	}
}

// shortageOf returns since when a role is short, or nil if it is not, or nothing
// is reclaimed for it.
func (m *Master) shortageOf(name string) *shortage {
	r := &m.reclaim
	if m.cfg.Reclaim.after(name) == 0 || m.alloc.Unsatisfied(name).IsEmpty() || !m.alloc.Wants(name) {
		delete(r.short, name)
		return nil
	}
	s := r.short[name]
	if at := r.declined[name]; s == nil || at.After(s.since) {
		s = &shortage{since: m.now}
		r.short[name] = s
	}
	return s
}

// forgetReclaimed forgets tasks that are over, or that do not end, and roles
// without quotas.
func (m *Master) forgetReclaimed() {
	for key, v := range m.reclaim.revoked {
		f := m.frameworks[key.framework]
		if f == nil || f.tasks[key.task] == nil {
			delete(m.reclaim.revoked, key)
		} else if t := f.tasks[key.task]; t.released || m.now.After(v.until) {
			v.has = resources.Quantities{} // it is free, or nobody waits for it any more
		}
	}
	for name := range m.reclaim.short {
		if m.quotas[name] == nil {
			delete(m.reclaim.short, name)
		}
	}
	for name := range m.reclaim.declined {
		if m.quotas[name] == nil {
			delete(m.reclaim.declined, name)
		}
	}
}

// ending returns what tasks hold that were asked to end.
func (m *Master) ending() resources.Quantities {
	var all resources.Quantities
	for _, v := range m.reclaim.revoked {
		all = all.Add(v.has)
	}
	return all
}

// revoke ends tasks of others until what is needed comes free.
func (m *Master) revoke(name string, need resources.Quantities) {
	holders := m.holders()
	victims := choose(need, holders)
	for _, v := range victims {
		m.revokeTask(v, name)
	}
	for _, h := range holders {
		invariant.Check(h.has.Contains(h.had.Min(h.guaranteed)), "no role is reclaimed from below its guarantee", "role", h.name)
	}
	if len(victims) > 0 {
		m.counters.Reclaim.Rounds++
		m.log.Warn("tasks are revoked for a role below its guarantee", slog.String("role", name),
			slog.String("short_of", need.String()), slog.Int("tasks", len(victims)))
	}
}

// revokeTask asks a task to end, within the grace period or its own if that is
// shorter.
func (m *Master) revokeTask(t *task, name string) {
	why := "Reclaimed for role '" + name + "', which has been below its guarantee for " +
		durationText(m.cfg.Reclaim.after(name)) + "; role '" + role.Top(t.row.Role) + "' is above its own"
	m.reclaim.revoked[t.key()] = &revocation{
		until: m.now.Add(m.cfg.Reclaim.Grace + reclaimPatience), has: t.row.Resources.Filter(countsForQuota).ScalarQuantities(), why: why,
	}
	m.counters.Reclaim.Tasks++
	t.agent.killed[t.key()] = true
	kill := &messages.KillTaskMessage{FrameworkId: frameworkID(t.framework.id), TaskId: t.row.Desc.TaskId}
	if own := t.row.Desc.KillPolicy.GetGracePeriod(); own == nil || time.Duration(own.GetNanoseconds()) > m.cfg.Reclaim.Grace {
		kill.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: new(m.cfg.Reclaim.Grace.Nanoseconds())}}
	}
	m.send(t.agent, kill)
}

// sayReclaimed returns a revoked task's status with the reason why it ends.
// Statuses are shared: another is returned.
func (m *Master) sayReclaimed(key taskKey, s *mesos.TaskStatus) *mesos.TaskStatus {
	v := m.reclaim.revoked[key]
	if v == nil || s.GetState() != mesos.TaskState_TASK_KILLING && s.GetState() != mesos.TaskState_TASK_KILLED {
		return s
	}
	c := copyStatus(s)
	c.Reason, c.Message = mesos.TaskStatus_REASON_CONTAINER_PREEMPTED.Enum(), &v.why
	return c
}

// A holder is a top-level role with what it has, of which tasks may be revoked.
type holder struct {
	name            string
	guaranteed      resources.Quantities
	had, has, total resources.Quantities // at first, now, and in the cluster
	tasks           []*task
}

// holders returns the roles that have more than they are guaranteed, with the
// tasks that could be revoked.
func (m *Master) holders() []*holder {
	byName, total := map[string]*holder{}, m.capacity()
	for _, f := range inOrder(m.frameworks) {
		for _, t := range f.tasks {
			if !m.isRevocable(t) {
				continue
			}
			top := role.Top(t.row.Role)
			h := byName[top]
			if h == nil {
				h = &holder{name: top, total: total, guaranteed: resources.QuantitiesFromProto(m.quotas[top].GetGuarantees())}
				h.had = m.alloc.Consumed(top)
				h.has = h.had.Sub(m.endingOf(top))
				h.had = h.has
				byName[top] = h
			}
			h.tasks = append(h.tasks, t)
		}
	}
	all := make([]*holder, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, byName[name])
	}
	return all
}

// isRevocable reports whether revoking a task would bring something back.
func (m *Master) isRevocable(t *task) bool {
	return !t.released && t.agent.row.Active && m.reclaim.revoked[t.key()] == nil && !t.agent.killed[t.key()]
}

// endingOf returns what tasks of a role hold that were asked to end.
func (m *Master) endingOf(top string) resources.Quantities {
	var all resources.Quantities
	for key, v := range m.reclaim.revoked {
		if t := m.frameworks[key.framework].tasks[key.task]; role.Top(t.row.Role) == top {
			all = all.Add(v.has)
		}
	}
	return all
}

// choose returns the tasks to revoke until what is needed comes free: of the role
// furthest above its guarantee first, of its framework that has most, and of that
// the youngest. No role is left with less than it is guaranteed.
func choose(need resources.Quantities, holders []*holder) []*task {
	for _, h := range holders {
		h.sort()
	}
	var victims []*task
	for len(victims) < maxReclaimed && !need.IsEmpty() {
		h := furthest(need, holders)
		if h == nil {
			break
		}
		t := h.take(need)
		if t == nil {
			continue
		}
		victims = append(victims, t)
		need = need.Sub(t.row.Resources.Filter(countsForQuota).ScalarQuantities())
	}
	return victims
}

// sort puts the tasks in the order in which they are revoked, the last first.
func (h *holder) sort() {
	by := map[*framework]float64{}
	for _, t := range h.tasks {
		by[t.framework] += share(t.row.Resources.ScalarQuantities(), h.total)
	}
	slices.SortFunc(h.tasks, func(a, b *task) int {
		return cmp.Or(cmp.Compare(by[a.framework], by[b.framework]), cmp.Compare(a.framework.row.Serial, b.framework.row.Serial),
			cmp.Compare(a.row.Serial, b.row.Serial))
	})
}

// furthest returns the role that is furthest above its guarantee in something
// that is needed and has tasks left, or nil.
func furthest(need resources.Quantities, holders []*holder) *holder {
	var most float64
	var found *holder
	for _, h := range holders {
		above := h.has.Sub(h.guaranteed)
		if s := share(common(above, need), h.total); len(h.tasks) > 0 && s > most {
			most, found = s, h
		}
	}
	return found
}

// take takes the next task off the list, if revoking it helps and leaves the role
// what it is guaranteed; else nil.
func (h *holder) take(need resources.Quantities) *task {
	t := h.tasks[len(h.tasks)-1]
	h.tasks = h.tasks[:len(h.tasks)-1]
	has := t.row.Resources.Filter(countsForQuota).ScalarQuantities()
	left := h.has.Sub(has)
	if common(has, need).IsEmpty() || !left.Contains(h.has.Min(h.guaranteed)) {
		return nil
	}
	h.has = left
	return t
}

// common returns those of a's quantities of which b has some, too.
func common(a, b resources.Quantities) resources.Quantities {
	var qs []resources.Quantity
	for name, amount := range a.All() {
		if b.Get(name) > 0 {
			qs = append(qs, resources.Quantity{Name: name, Amount: amount})
		}
	}
	return resources.QuantitiesOf(qs...)
}

// share returns the largest part that quantities are of what there is in all.
func share(q, total resources.Quantities) float64 {
	var most float64
	for name, amount := range q.All() {
		if all := total.Get(name); all > 0 {
			most = max(most, float64(amount)/float64(all))
		}
	}
	return most
}
