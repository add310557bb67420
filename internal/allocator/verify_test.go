package allocator

import (
	"slices"
	"testing"

	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

var _ fataler = (*testing.T)(nil)

// verify works out anew all that the allocator keeps up to date.
func verify(t fataler, a *Allocator) {
	t.Helper()
	own, role := map[*subscription]sorter.Vector{}, map[string]sorter.Vector{}
	var total sorter.Vector
	on := map[*framework]int{}
	for _, id := range sortedKeys(a.agents) {
		ag := a.agents[id]
		verifyAgent(t, a, ag)
		total.Add(a.scalars(ag.total, nil))
		for _, h := range ag.holdings {
			f := a.frameworks[h.framework]
			if f == nil {
				continue
			}
			on[f]++
			for name, rs := range h.resources.ByAllocation() {
				v := own[f.subs[name]]
				v.Add(a.scalars(rs, nil))
				own[f.subs[name]] = v
			}
		}
		for name, rs := range ag.everybodyKnown(a).ByAllocation() {
			v := role[name]
			v.Add(a.scalars(rs, nil))
			role[name] = v
		}
	}
	if !same(total, a.total.Quantities()) {
		t.Fatalf("the cluster has %v, not %v", total, a.total.Quantities())
	}
	for id, f := range a.frameworks {
		if f.agents != on[f] {
			t.Fatalf("framework %s has something on %d agents, not %d", id, on[f], f.agents)
		}
	}
	verifyShares(t, a, own)
	verifyQuota(t, a)
	verifyFull(t, a)
	verifyNumbers(t, a)
}

// verifyNumbers looks for agents' numbers that are missing, or there twice.
func verifyNumbers(t fataler, a *Allocator) {
	t.Helper()
	all := slices.Sorted(slices.Values(a.everyone))
	if len(slices.Compact(all)) != len(a.byNum) || len(a.everyone) != len(a.byNum) {
		t.Fatalf("%v are not the numbers below %d", a.everyone, len(a.byNum))
	}
	for _, q := range []*queue{&a.pending, {nums: a.waiting.nums[a.ripened:], has: a.waiting.has}} {
		var has bitset
		for _, num := range q.nums {
			has.add(num)
		}
		if n := len(slices.Compact(slices.Sorted(slices.Values(q.nums)))); n != len(q.nums) || !has.within(q.has) || !q.has.within(has) {
			t.Fatalf("%v wait, as %v", q.nums, q.has)
		}
	}
}

// noUse is what hopeless says, of one member only, and without remembering it.
func noUse(a *Allocator, ag *agent, s *subscription) bool {
	if len(a.least) == 0 || s.choosy || s.role.tree.limit == nil && !a.owing {
		return false
	}
	return !slices.ContainsFunc(a.least, func(l amount) bool {
		return a.left(s.role.tree, l.index) >= l.quantity && ag.open.At(l.index) >= l.quantity
	})
}

// verifyFull tries to whom quota is remembered to leave nothing.
func verifyFull(t fataler, a *Allocator) {
	t.Helper()
	if a.slots.filled != a.epoch {
		return
	}
	for i, slot := range a.slots.of {
		if slot.sub == nil || !a.slots.active.has(uint32(i)) || !a.slots.full.has(uint32(i)) {
			continue
		}
		for _, ag := range a.agents {
			if ag.plain && !noUse(a, ag, slot.sub) {
				t.Fatalf("agent %s: quota leaves something to %s", ag.id, slot.sub.framework.id)
			}
		}
	}
}

// verifyQuota works out anew what trees consume and are owed.
func verifyQuota(t fataler, a *Allocator) {
	t.Helper()
	reserved, used := map[string]*sorter.Vector{}, map[string]*sorter.Vector{}
	for name := range a.trees {
		reserved[name], used[name] = &sorter.Vector{}, &sorter.Vector{}
	}
	var headroom, required sorter.Vector
	for _, ag := range a.agents {
		for name, rs := range ag.total.ByReservation() {
			reserved[roles.Top(name)].Add(a.scalars(rs, nil))
		}
		for name, rs := range ag.everybodyKnown(a).ByAllocation() {
			used[roles.Top(name)].Add(a.scalars(rs, countsForQuota))
		}
		headroom.Add(a.scalars(ag.available, countsForQuota))
	}
	if !same(headroom, a.headroom) {
		t.Fatalf("the headroom is %v, not %v", headroom, a.headroom)
	}
	for name, tree := range a.trees {
		if !same(*reserved[name], tree.reserved) || !same(*used[name], tree.used) {
			t.Fatalf("role %s has reserved %v and uses %v, not %v and %v", name, reserved[name], used[name], tree.reserved, tree.used)
		}
		for i, g := range tree.guarantee {
			required.Add(unit(i, max(0, g-reserved[name].At(i)-used[name].At(i))))
		}
	}
	claims := 0
	for _, r := range a.roles {
		if r.tree.owed {
			claims++
		}
	}
	if claims != a.claims {
		t.Fatalf("%d roles are owed something, not %d", claims, a.claims)
	}
	if !same(required, a.required) {
		t.Fatalf("%v is owed to roles, not %v", required, a.required)
	}
}

func unit(i int, q int64) (v sorter.Vector) {
	v.Set(i, q, 0)
	return v
}

func (ag *agent) everybodyKnown(a *Allocator) resources.Resources {
	var all resources.Resources
	for _, h := range ag.holdings {
		if a.frameworks[h.framework] != nil {
			all = all.Add(h.resources)
		}
	}
	return all
}

func verifyAgent(t fataler, a *Allocator, ag *agent) {
	t.Helper()
	if used := ag.everybody().Unallocated(); !used.Equal(ag.used) {
		t.Fatalf("agent %s: %s is used, not %s", ag.id, used, ag.used)
	}
	if left := ag.total.NonShared().Sub(ag.used.NonShared()).Add(ag.total.Shared()); !left.Equal(ag.available) {
		t.Fatalf("agent %s: %s is available, not %s", ag.id, left, ag.available)
	}
	if !slices.IsSortedFunc(ag.filters, func(x, y filter) int { return int(x.until) - int(y.until) }) {
		t.Fatalf("agent %s: filters are not sorted: %v", ag.id, ag.filters)
	}
	if (len(ag.filters) > 0) != (ag.place > 0) {
		t.Fatalf("agent %s has %d filters and is at place %d", ag.id, len(ag.filters), ag.place)
	}
	if ag.place > 0 && (a.expiries[ag.place-1] != ag || ag.ends != ag.filters[0].until) {
		t.Fatalf("agent %s is not at its place among expiries", ag.id)
	}
	var named bitset
	for _, f := range ag.filters {
		named.add(f.slot)
	}
	if !named.within(ag.named) || !ag.loose && !ag.named.within(named) {
		t.Fatalf("agent %s: filters name %v, not %v, loose: %t", ag.id, named, ag.named, ag.loose)
	}
	verifyBlocked(t, a, ag)
}

// verifyBlocked tries whom the agent is remembered to be no use to.
func verifyBlocked(t fataler, a *Allocator, ag *agent) {
	t.Helper()
	if !ag.sound || ag.checked != a.slots.version {
		return
	}
	for i, slot := range a.slots.of {
		if slot.sub == nil || !ag.blocked.has(uint32(i)) {
			continue
		}
		if rs, why := a.fit(ag, slot.sub, ag.available.AllocatableTo(slot.sub.role.name), fairShare, nil); why == fits {
			t.Fatalf("agent %s: %s could be offered %s", ag.id, slot.sub.framework.id, rs)
		}
	}
}

func verifyShares(t fataler, a *Allocator, own map[*subscription]sorter.Vector) {
	t.Helper()
	roles := 0
	for _, f := range a.frameworks {
		for _, s := range f.subs {
			if !same(own[s], s.client.Allocation()) {
				t.Fatalf("framework %s has %v in role %s, not %v", f.id, own[s], s.role.name, s.client.Allocation())
			}
			want := s.wanted && !s.suppressed && f.active
			if s.client.Active() != want || a.slots.active.has(s.slot) != want {
				t.Fatalf("framework %s in role %s is active: %t", f.id, s.role.name, !want)
			}
			if a.slots.of[s.slot].sub != s {
				t.Fatalf("framework %s in role %s does not have its slot", f.id, s.role.name)
			}
			if a.roles[s.role.name] != s.role {
				t.Fatalf("role %s is not known", s.role.name)
			}
		}
	}
	for _, r := range a.roles {
		roles += r.frameworks.Len()
	}
	filters, dead := 0, 0
	for _, s := range a.slots.of {
		filters += s.filters
		if s.sub == nil {
			dead += s.filters
		}
	}
	if filters != a.slots.all || dead != a.slots.dead {
		t.Fatalf("%d filters, %d dead, are counted as %d and %d", filters, dead, a.slots.all, a.slots.dead)
	}
	for _, ag := range a.agents {
		filters -= len(ag.filters)
	}
	if filters != 0 {
		t.Fatalf("%d filters are counted that are not there", filters)
	}
}

// same reports whether two vectors are, zeros at the end aside.
func same(a, b sorter.Vector) bool {
	a = slices.Clone(a)
	a.Sub(b)
	return a.IsZero()
}
