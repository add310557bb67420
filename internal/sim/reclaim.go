package sim

import (
	"fmt"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// kills are the tasks that one leader has had killed.
type kills struct {
	leader string
	sent   map[taskKey]bool
}

// killSent notes that a leader has a task killed. What no framework has asked
// for, and is no repetition, is a revocation: its role must have its guarantee
// without it.
func (h *history) killSent(m *masterNode, key taskKey) {
	if leader := fmt.Sprint(m.name, m.life); h.kills.leader != leader {
		h.kills = kills{leader: leader, sent: map[taskKey]bool{}}
	}
	again := h.kills.sent[key]
	h.kills.sent[key] = true
	if again || h.killAsked[key] {
		return
	}
	s := m.core.Snapshot()
	for t := range s.Tasks.All() {
		if t.Framework == key.framework && t.ID == key.task && t.Place == master.Running {
			h.counts.Revoked++
			h.revoked(s, t)
		}
	}
}

// revoked: no role has tasks revoked below its guarantee.
func (h *history) revoked(s *master.Snapshot, t *master.TaskRow) {
	top := role.Top(t.Role)
	guaranteed := resources.QuantitiesFromProto(s.Quotas[top].GetGuarantees())
	has := h.keeps(s, top)
	for name := range counting(t.Resources).All() {
		if has.Get(name) < guaranteed.Get(name) {
			fail("reclaiming", "%s of role %s is revoked, which has %s then and is guaranteed %s", t.ID, top, has, guaranteed)
		}
	}
}

// keeps returns what a top-level role has that nobody has asked to end: what its
// tasks and executors use, and what is reserved to it.
func (h *history) keeps(s *master.Snapshot, top string) (has resources.Quantities) {
	for a := range s.Agents.All() {
		has = has.Add(a.Total.Filter(func(r resources.Resource) bool {
			return r.IsScalar() && r.IsReserved() && role.Top(r.Role()) == top
		}).ScalarQuantities())
	}
	for t := range s.Tasks.All() {
		ends := h.kills.sent[taskKey{t.Framework, t.ID}] || t.State == mesos.TaskState_TASK_KILLING
		if t.Place == master.Running && !final(t.State) && !ends && role.Top(t.Role) == top {
			has = has.Add(counting(t.Resources))
		}
	}
	for x := range s.Executors.All() {
		has = has.Add(counting(x.Resources.AllocatedUnder(top)))
	}
	return has
}

// counting returns what of resources counts for quotas when it is given to
// somebody.
func counting(rs resources.Resources) resources.Quantities {
	return rs.Filter(func(r resources.Resource) bool { return !r.IsReserved() && !r.IsRevocable() }).ScalarQuantities()
}
