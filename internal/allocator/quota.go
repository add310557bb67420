package allocator

import (
	"math"
	"math/rand/v2"

	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// Quota is what a top-level role, with all roles below it, is guaranteed and
// what it may have at most, of unreserved scalars that cannot be revoked and of
// all that is reserved to it.
type Quota struct {
	Guarantees resources.Quantities
	Limits     resources.Limits
}

// A tree is a top-level role and those below it, for which quota is counted.
//
//	consumed = reserved to the tree, by whomever used
//	         + offered to it or used by it, unreserved and not revocable
//	unsatisfied = guarantees - consumed, at least 0
type tree struct {
	name        string
	quota       Quota
	guarantee   sorter.Vector
	limit       sorter.Vector // unlimited where there is no limit
	reserved    sorter.Vector
	used        sorter.Vector
	unsatisfied sorter.Vector
	owed        bool // something is unsatisfied
	roles       int  // how many roles it has that frameworks are in
}

// unlimited is the limit of what has none.
const unlimited = math.MaxInt64

// tree returns the tree that a role is of and makes it if need be.
func (a *Allocator) tree(role string) *tree {
	top := roles.Top(role)
	t := a.trees[top]
	if t == nil {
		t = &tree{name: top}
		a.trees[top] = t
	}
	return t
}

// prune forgets a tree that nothing is known of.
func (a *Allocator) prune(t *tree) {
	if t.roles == 0 && t.guarantee == nil && t.limit == nil && t.reserved.IsZero() && t.used.IsZero() {
		delete(a.trees, t.name)
	}
}

// SetQuota gives a top-level role a quota; the zero value is none, as for all
// roles at first. It takes effect with the next batch. What is used stays.
func (a *Allocator) SetQuota(role string, q Quota) {
	t := a.tree(role)
	had := t.guarantee != nil || t.limit != nil
	t.quota, t.guarantee, t.limit = q, nil, nil
	for name, amount := range q.Guarantees.All() {
		t.guarantee.Set(a.names.Index(name), int64(amount), 0)
	}
	for name, amount := range q.Limits.All() {
		t.limit.Set(a.names.Index(name), int64(amount), unlimited)
	}
	has := t.guarantee != nil || t.limit != nil
	switch {
	case has && !had:
		a.quotas++
	case had && !has:
		a.quotas--
	}
	a.consume(t, nil, 1)
	a.prune(t)
	a.waitAll()
}

// countsForQuota reports whether a scalar uses up quota when it is given to
// somebody.
func countsForQuota(r resources.Resource) bool { return !r.IsReserved() && !r.IsRevocable() }

// consume adds sign times v to what a tree uses.
func (a *Allocator) consume(t *tree, v sorter.Vector, sign int64) {
	t.used.AddScaled(v, sign)
	a.epoch++
	a.reckon(t)
}

// reckon works out what a tree is owed, and what is owed to all: the headroom
// that others must leave.
func (a *Allocator) reckon(t *tree) {
	if t.guarantee == nil && t.unsatisfied == nil {
		return
	}
	a.claim(t, -t.roles)
	a.required.Sub(t.unsatisfied)
	t.unsatisfied = t.unsatisfied[:0]
	for i, g := range t.guarantee {
		t.unsatisfied = append(t.unsatisfied, max(0, g-t.reserved.At(i)-t.used.At(i)))
	}
	a.required.Add(t.unsatisfied)
	t.owed, a.owing = !t.unsatisfied.IsZero(), !a.required.IsZero()
	a.claim(t, t.roles)
}

// claim counts roles of a tree, more or fewer, among those that are owed something.
func (a *Allocator) claim(t *tree, roles int) {
	if t.owed {
		a.claims += roles
	}
}

// reserve counts the reservations on an agent for or against their trees.
func (a *Allocator) reserve(total resources.Resources, sign int64) {
	for r := range total.All() {
		if !r.IsReserved() || !r.IsScalar() {
			continue
		}
		t := a.tree(r.Role())
		i := a.names.Index(r.Name())
		t.reserved.Set(i, t.reserved.At(i)+sign*int64(r.Amount()), 0)
		a.reckon(t)
		a.prune(t)
	}
}

// below returns how much a tree is below its limit of the resource with an
// index.
func (t *tree) below(i int) int64 {
	if i >= len(t.limit) || t.limit[i] == unlimited {
		return unlimited
	}
	return t.limit[i] - t.reserved.At(i) - t.used.At(i)
}

// above returns by how much a tree has more of the resource with an index than
// it is guaranteed.
func (t *tree) above(i int) int64 {
	return t.reserved.At(i) + t.used.At(i) - t.guarantee.At(i)
}

// InTheWay reports whether quotas speak against what is offered to a role: the
// role is above its limit of something in it, or something in it is missing to
// satisfy the guarantees of others, and the role has more of it than it is
// guaranteed.
func (a *Allocator) InTheWay(role string, offered resources.Resources) bool {
	t := a.trees[roles.Top(role)]
	if a.quotas == 0 || t == nil {
		return false
	}
	for i, amount := range a.scalars(offered, countsForQuota) {
		missing := a.required.At(i) - a.headroom.At(i)
		if amount > 0 && (t.below(i) < 0 || missing > 0 && t.above(i) > 0) {
			return true
		}
	}
	return false
}

// room returns how much more of each resource a tree may be given, beside
// what is given of its guarantees: to its limits, and so that enough is left
// for all guarantees. Nil is any amount. What is beyond its end is unlimited.
func (a *Allocator) room(t *tree, guaranteed sorter.Vector) sorter.Vector {
	if t.limit == nil && !a.owing {
		return nil
	}
	room := make(sorter.Vector, max(len(t.limit), len(a.required), len(a.headroom)))
	for i := range room {
		room[i] = unlimited
		if i < len(t.limit) && t.limit[i] != unlimited {
			room[i] = max(0, t.below(i)-guaranteed.At(i))
		}
		if a.owing {
			room[i] = min(room[i], max(0, a.headroom.At(i)-a.required.At(i)))
		}
	}
	return room
}

// shrink returns as much of rs as there is room for, and whether that is less.
func (a *Allocator) shrink(rs resources.Resources, room sorter.Vector, rnd *rand.Rand) (resources.Resources, bool) {
	if room == nil || within(a.scalars(rs, nil), room) {
		return rs, false
	}
	limits := make([]resources.Quantity, 0, len(room))
	for i, q := range room {
		if q != unlimited && i < a.names.Len() {
			limits = append(limits, resources.Quantity{Name: a.names.Name(i), Amount: resources.Amount(q)})
		}
	}
	return rs.ShrinkWithin(resources.LimitsOf(limits...), rnd), true
}

// within reports whether v is at most as much as room.
func within(v, room sorter.Vector) bool {
	for i := range min(len(v), len(room)) {
		if v[i] > room[i] {
			return false
		}
	}
	return true
}

// subjectToQuota returns what of rs quota counts.
func subjectToQuota(rs resources.Resources) resources.Resources {
	return rs.Filter(func(r resources.Resource) bool { return r.IsScalar() && countsForQuota(r) })
}

// capped returns what of rs a subscription may be offered above guarantees,
// and whether quota cuts it.
func (a *Allocator) capped(s *subscription, rs resources.Resources, rnd *rand.Rand) (resources.Resources, bool) {
	room := a.room(s.role.tree, nil)
	if room == nil {
		return rs, false
	}
	counted := subjectToQuota(rs)
	left, cut := a.shrink(counted, room, rnd)
	if !cut {
		return rs, false
	}
	return rs.Sub(counted).Add(left), true
}

// guaranteed returns what of rs a subscription is offered to satisfy its
// role's guarantees: as much as is owed, with what is the role's own and what
// quota does not count, and, where there is room, the rest. It is empty if rs
// is no help.
func (a *Allocator) guaranteed(s *subscription, rs resources.Resources, rnd *rand.Rand) resources.Resources {
	t := s.role.tree
	counted := subjectToQuota(rs)
	owed := counted.ShrinkTo(a.quantities(t.unsatisfied), rnd)
	if owed.IsEmpty() {
		return owed
	}
	rest := counted.Sub(owed)
	// What is owed comes off the headroom and off what that must be alike, so
	// there is as much room for the rest as before.
	rest, _ = a.shrink(rest, a.room(t, a.scalars(owed, nil)), rnd)
	return owed.Add(rest).Add(rs.Filter(func(r resources.Resource) bool {
		return r.IsReserved() && r.Role() == s.role.name || !r.IsScalar() || r.IsRevocable()
	}))
}

// quantities returns a vector by name.
func (a *Allocator) quantities(v sorter.Vector) resources.Quantities {
	qs := make([]resources.Quantity, 0, len(v))
	for i, q := range v {
		if q > 0 {
			qs = append(qs, resources.Quantity{Name: a.names.Name(i), Amount: resources.Amount(q)})
		}
	}
	return resources.QuantitiesOf(qs...)
}

// Consumed returns how much of its quota a top-level role has used up.
func (a *Allocator) Consumed(role string) resources.Quantities {
	t := a.trees[role]
	if t == nil {
		return resources.Quantities{}
	}
	var v sorter.Vector
	v.Add(t.reserved)
	v.Add(t.used)
	return a.quantities(v)
}
