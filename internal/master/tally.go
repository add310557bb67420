package master

import (
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// What all agents, all offers and all tasks that are ending come to is asked at
// each change of quotas, and for reclaiming. It is kept, so that nobody has to
// walk over them.

// A tally is sums of scalars by name.
type tally []resources.Quantity

// count adds, or takes off with a sign of -1, the scalars of rs that count.
func (t *tally) count(rs resources.Resources, counts func(resources.Resource) bool, sign resources.Amount) {
	for r := range rs.All() {
		if r.IsScalar() && counts(r) {
			t.add(r.Name(), sign*r.Amount())
		}
	}
}

func (t *tally) add(name string, amount resources.Amount) {
	for i := range *t {
		if (*t)[i].Name == name {
			(*t)[i].Amount += amount
			return
		}
	}
	*t = append(*t, resources.Quantity{Name: name, Amount: amount})
}

func (t tally) quantities() resources.Quantities { return resources.QuantitiesOf(t...) }

// equal reports whether there is as much of everything.
func (t tally) equal(o tally) bool { return t.within(o) && o.within(t) }

// within reports whether o has the same of everything that t has.
func (t tally) within(o tally) bool {
	for _, q := range t {
		if q.Amount != o.get(q.Name) {
			return false
		}
	}
	return true
}

func (t tally) get(name string) resources.Amount {
	for _, q := range t {
		if q.Name == name {
			return q.Amount
		}
	}
	return 0
}

func (t tally) isZero() bool {
	for _, q := range t {
		if q.Amount != 0 {
			return false
		}
	}
	return true
}

// tallies are sums of what quotas count, by top-level role.
type tallies map[string]*tally

// count adds, or takes off with a sign of -1, resources that are allocated to
// roles.
func (ts tallies) count(rs resources.Resources, sign resources.Amount) {
	for r := range rs.All() {
		if r.IsScalar() && countsForQuota(r) {
			ts.add(role.Top(r.AllocationRole()), r, sign)
		}
	}
}

// countFor is count for one role, whatever the resources are allocated to.
func (ts tallies) countFor(top string, rs resources.Resources, sign resources.Amount) {
	for r := range rs.All() {
		if r.IsScalar() && countsForQuota(r) {
			ts.add(top, r, sign)
		}
	}
}

func (ts tallies) add(top string, r resources.Resource, sign resources.Amount) {
	t := ts[top]
	if t == nil {
		t = &tally{}
		ts[top] = t
	}
	t.add(r.Name(), sign*r.Amount())
	if sign < 0 && t.isZero() {
		delete(ts, top)
	}
}

// of returns the sums of a top-level role.
func (ts tallies) of(top string) resources.Quantities {
	if t := ts[top]; t != nil {
		return t.quantities()
	}
	return resources.Quantities{}
}

// countsForQuota reports whether a resource uses up quota when it is given to
// somebody; what is reserved does so always.
func countsForQuota(r resources.Resource) bool { return !r.IsReserved() && !r.IsRevocable() }

// countsForCapacity reports whether a resource can be guaranteed.
func countsForCapacity(r resources.Resource) bool { return !r.IsRevocable() }

// setTotal gives an agent another total.
func (m *Master) setTotal(a *agent, total resources.Resources) {
	m.capacity.count(a.row.Total, countsForCapacity, -1)
	m.capacity.count(total, countsForCapacity, 1)
	m.editAgent(a).Total = total
}

// checkTallies verifies that the sums are what a walk finds.
func (m *Master) checkTallies() {
	capacity := make(tally, 0, 8)
	offered, ending, coming := tallies{}, tallies{}, tallies{}
	for _, a := range m.agents {
		capacity.count(a.row.Total, countsForCapacity, 1)
	}
	for _, o := range m.offers {
		offered.count(o.row.Resources, 1)
	}
	check := func(f *framework) {
		var ends tally
		for _, t := range f.tasks {
			invariant.CheckOne(t.ending == t.isEnding(), "it is known which tasks are ending", "task", t.row.ID)
			coming.countExpected(t)
			if t.ending {
				ending.count(t.row.Resources, 1)
				ends.count(t.row.Resources, countsForQuota, 1)
			}
		}
		if !ends.equal(f.ending) {
			invariant.Fail("what of a framework is ending is known", "framework", f.id, "ending", ends, "known", f.ending)
		}
	}
	for _, f := range m.frameworks {
		check(f)
	}
	for _, d := range m.departing {
		check(d.framework)
	}
	if !capacity.equal(m.capacity) {
		invariant.Fail("the cluster's capacity is known", "capacity", capacity, "known", m.capacity)
	}
	invariant.Check(offered.equal(m.offered), "what is offered to roles is known")
	invariant.Check(coming.equal(m.reclaiming.coming), "what is coming to roles is known")
	invariant.Check(ending.equal(m.ending), "what of roles is ending is known")
}

// countExpected counts a task that is counted upon.
func (ts tallies) countExpected(t *task) {
	if t.revoked != nil && t.revoked.counted {
		invariant.CheckOne(t.ending, "task that is counted upon is ending", "task", t.row.ID)
		ts.countFor(t.revoked.role, t.row.Resources, 1)
	}
}

func (ts tallies) equal(o tallies) bool {
	for top, t := range ts {
		if u := o[top]; u == nil || !t.equal(*u) {
			return false
		}
	}
	return len(ts) == len(o)
}
