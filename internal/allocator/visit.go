package allocator

import (
	"math/bits"
	"slices"

	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A visit offers what is available on one agent. What is offered counts for
// quota at once, but for shares and on the agent only when the visit ends: the
// order of roles and frameworks is that of its beginning throughout.
type visit struct {
	agent   *agent
	stage   stage
	common  resources.Resources            // what is left that is not reserved
	own     map[string]resources.Resources // what is left that is, by role
	shared  resources.Resources            // shared volumes that were offered
	waits   bool                           // quota stands in the way of more
	after   bitset                         // slots of those who are served after others
	behind  bool                           // it is their turn
	offers  []Offer                        // of the run, this visit's at the end
	before  int                            // how many of them are of earlier visits
	bare    []resources.Resources          // of this visit's, allocated to nobody
	charges []charge                       // of this visit's
}

// start begins a visit of an agent, in the place of an earlier one.
func (v *visit) start(ag *agent, st stage) {
	v.agent, v.stage, v.common, v.own, v.shared = ag, st, ag.available, nil, resources.Resources{}
	v.waits, v.behind = false, false
	v.before, v.bare, v.charges = len(v.offers), v.bare[:0], v.charges[:0]
	if ag.plain {
		return
	}
	left := ag.available.Sub(ag.lent)
	v.common = left.Unreserved()
	if len(ag.reserved) > 0 {
		v.own = left.ByReservation()
	}
}

// empty reports whether nothing is left.
func (v *visit) empty() bool { return v.common.IsEmpty() && len(v.own) == 0 }

// forRole returns what is left for a role.
func (v *visit) forRole(name string) resources.Resources {
	rs := v.common
	if len(v.own) == 0 {
		return rs
	}
	rs = rs.Add(v.own[name])
	for above := range roles.Ancestors(name) {
		rs = rs.Add(v.own[above])
	}
	return rs
}

// isAll reports whether rs is all that is left, and plain.
func (v *visit) isAll(rs resources.Resources) bool {
	return v.agent.plain && rs.Len() == v.common.Len() && rs.Equal(v.common)
}

// remove takes away what is offered.
func (v *visit) remove(rs resources.Resources) {
	v.common = v.common.Sub(rs)
	for role, part := range rs.ByReservation() {
		if left := v.own[role].Sub(part); left.IsEmpty() {
			delete(v.own, role)
		} else {
			v.own[role] = left
		}
	}
	v.shared = v.shared.Add(rs.Shared())
}

// visit offers what is available on an agent, role by role and framework by
// framework in their order, to those who can get it. It returns the offers that
// it adds to those of the run.
func (a *Allocator) visit(ag *agent) []Offer {
	a.sweep(ag)
	if ag.maintenance != nil && a.cycle.stage == fairShare {
		a.ask(ag, a.now)
	}
	if !ag.active || ag.available.IsEmpty() || a.whitelist != nil && !a.whitelist[ag.info.GetHostname()] {
		return nil
	}
	a.remember(ag)
	if a.slots.active.within(ag.blocked) {
		return nil
	}
	if ag.heldBack == a.epoch {
		a.wait(ag)
		return nil
	}
	v := &a.visiting
	v.start(ag, a.cycle.stage)
	if a.noRoom(v) {
		v.waits = true
		a.finish(v)
		return nil
	}
	if v.after = a.slots.behind; ag.spurned {
		v.after = a.slots.doubted
	}
	a.offerAll(v)
	if v.behind = true; !v.empty() {
		a.offerAll(v)
	}
	a.finish(v)
	return v.offers[v.before:]
}

// offerAll offers those whose turn it is, role by role in their order, what is left.
func (a *Allocator) offerAll(v *visit) {
	s, several := a.served(v)
	switch {
	case s == nil || v.stage == guarantees && a.claims == 0:
		return
	case !several:
		a.offerRole(v, s.role)
		return
	}
	for client := range a.order.All() {
		if v.empty() || v.stage == guarantees && a.claims == 0 {
			return
		}
		a.offerRole(v, client.Value)
	}
}

// served returns a subscription whose turn it is and that the agent is not known to
// be no use to, nil if there is none, and whether there are several: who comes back
// to a cluster that everybody has declined is found without asking everybody.
func (a *Allocator) served(v *visit) (s *subscription, several bool) {
	for i, w := range a.slots.active {
		w &^= v.agent.blocked.word(i)
		if v.behind {
			w &= v.after.word(i)
		} else {
			w &^= v.after.word(i)
		}
		switch {
		case w == 0:
		case s != nil || w&(w-1) != 0:
			return a.slots.of[64*i+bits.TrailingZeros64(w)].sub, true
		default:
			s = a.slots.of[64*i+bits.TrailingZeros64(w)].sub
		}
	}
	return s, false
}

// skips reports whether it is not the turn of the subscription, or the agent is
// known to be no use to it.
func (a *Allocator) skips(v *visit, s *subscription) bool {
	a.work -= passCost
	return v.agent.blocked.has(s.slot) || v.after.has(s.slot) != v.behind
}

// offerRole offers the frameworks of a role what is left.
func (a *Allocator) offerRole(v *visit, r *role) {
	a.work -= passCost
	if v.stage == guarantees && !r.tree.owed {
		return
	}
	if v.stage == fairShare && a.hopeless(v.agent, r) {
		v.waits = true
		return
	}
	if len(r.members) == 1 && a.skips(v, r.members[0]) {
		return
	}
	available := v.forRole(r.name)
	for client := range r.frameworks.All() {
		s := client.Value
		if a.skips(v, s) {
			continue
		}
		if a.atBudget(s.framework) {
			v.waits = true // until it answers
			continue
		}
		a.work -= fitCost + matchCost*s.framework.info.Constraints.count(s.role.name)
		rs, why := a.fit(v.agent, s, available, v.stage, a.rng)
		if why != fits {
			v.remark(s, why)
			continue
		}
		a.offer(v, s, rs)
		available = v.forRole(r.name)
		if available.IsEmpty() || v.stage == guarantees && !r.tree.owed {
			break
		}
	}
}

// remark remembers that the agent is no use to the subscription. If that is
// for reasons of quota it may be at any time, and the agent is visited with
// each batch.
func (v *visit) remark(s *subscription, why verdict) {
	switch {
	case why == overQuota:
		v.waits = true
	case why != noHelp && v.agent.lent.IsEmpty() && v.shared.IsEmpty():
		v.agent.blocked.add(s.slot)
	}
}

// offer makes an offer.
func (a *Allocator) offer(v *visit, s *subscription, rs resources.Resources) {
	o := Offer{Framework: s.framework.id, Role: s.role.name, Agent: v.agent.id, Resources: rs.AllocatedTo(s.role.name)}
	s.framework.outstanding++
	a.work -= offerCost
	v.offers, v.bare = append(v.offers, o), append(v.bare, rs)
	n := len(v.charges)
	v.charges = slices.Grow(v.charges, 1)[:n+1] // with the vectors of an earlier charge
	c := &v.charges[n]
	if v.isAll(rs) {
		c.to, c.own = s, append(c.own[:0], v.agent.open...)
		c.role, c.quota = c.own, c.own
		v.common = resources.Resources{}
	} else {
		a.weigh(c, v.agent, s, o.Resources)
		v.remove(rs)
	}
	a.consume(s.role.tree, c.quota, 1)
	a.headroom.Sub(c.quota)
	v.agent.open.Sub(c.quota)
}

// finish makes the offers count, and has the agent visited again if more could
// be offered without anything happening to it.
func (a *Allocator) finish(v *visit) {
	ag := v.agent
	offers := v.offers[v.before:]
	for i := range offers {
		o, c := &offers[i], &v.charges[i]
		a.add(c)
		h := ag.held(o.Framework)
		if h == nil {
			c.to.framework.agents++
			h = ag.holding(o.Framework)
		}
		h.resources = h.resources.Add(o.Resources)
	}
	if len(offers) > 0 {
		ag.used = ag.used.Add(resources.Sum(v.bare[:len(offers)]...))
		ag.spurned = false
	}
	switch {
	case len(offers) == 0:
	case ag.plain:
		ag.available = v.common
		a.survey(ag)
	default:
		a.settle(ag)
	}
	ag.lent = ag.lent.Add(v.shared)
	if v.stage == guarantees {
		return
	}
	again := !ag.lent.IsEmpty() || len(offers) > 0 && a.quotas > 0 && !ag.available.IsEmpty()
	if v.waits && !again && len(offers) == 0 {
		ag.heldBack = a.epoch
	}
	if v.waits || again {
		a.wait(ag)
	}
	ag.lent = resources.Resources{}
}

// hopeless reports, for an agent with nothing reserved, revocable or shared,
// that quota leaves too little of it for any framework of the role. If it does so
// on all such agents, that is remembered.
func (a *Allocator) hopeless(ag *agent, r *role) bool {
	if !ag.plain || len(a.least) == 0 || r.choosy > 0 || r.tree.limit == nil && !a.owing {
		return false
	}
	a.work -= quotaCost
	here, anywhere := false, false
	for _, l := range a.least {
		if a.left(r.tree, l.index) >= l.quantity {
			anywhere = true
			here = here || ag.open.At(l.index) >= l.quantity
		}
	}
	if !anywhere {
		a.work -= len(r.members) / 16 * passCost
		a.slots.fill(r.members, a.epoch)
	}
	return !here
}

// left returns how much quota leaves a tree of the resource with an index.
func (a *Allocator) left(t *tree, i int) int64 {
	left := t.below(i)
	if a.owing {
		left = min(left, a.headroom.At(i)-a.required.At(i))
	}
	return left
}

// noRoom reports that quota is known to leave nothing for all that the agent is
// not known to be no use to.
func (a *Allocator) noRoom(v *visit) bool {
	return v.stage == fairShare && v.agent.plain && a.slots.filled == a.epoch &&
		a.slots.active.withinEither(v.agent.blocked, a.slots.full)
}

// An amount is one of the minimums of all offers, of one resource.
type amount struct {
	index    int
	quantity int64
}

// leastOf returns the minimums, nil if one of them is not of one resource alone
// that is known to be a scalar.
func (a *Allocator) leastOf(minimums []resources.Quantities) []amount {
	var least []amount
	for _, q := range minimums {
		for name, quantity := range q.All() {
			if q.Len() != 1 || !slices.Contains([]string{"cpus", "mem", "disk", "gpus"}, name) {
				return nil
			}
			least = append(least, amount{a.names.Index(name), int64(quantity)})
		}
	}
	return least
}
