package allocator

import (
	"time"

	"github.com/meseta-project/meseta/resources"
)

// A cycle visits the agents that were candidates when it began.
type cycle struct {
	stage  stage
	agents []*agent
	next   int
}

func (c *cycle) done() bool { return c.next == len(c.agents) && c.stage == fairShare }

// tell makes the allocator know the time, from which its batches count.
func (a *Allocator) tell(now time.Time) {
	if a.started.IsZero() {
		a.started = now
		a.nextBatch = now.Add(a.cfg.Interval)
	}
}

// suggest makes the agent a candidate of the next cycle.
func (a *Allocator) suggest(ag *agent) {
	if !ag.pending {
		ag.pending = true
		a.pending = append(a.pending, ag)
	}
}

// wait makes the agent a candidate at the next batch.
func (a *Allocator) wait(ag *agent) {
	if !ag.waiting {
		ag.waiting = true
		a.waiting = append(a.waiting, ag)
	}
}

// waitAll makes all agents candidates at the next batch.
func (a *Allocator) waitAll() { a.allWaiting = true }

// Wake returns when Run will have something to do: now if it has already, and
// the zero time if not before something happens.
func (a *Allocator) Wake(now time.Time) time.Time {
	a.tell(now)
	switch {
	case a.hasWork():
		return now
	case len(a.waiting) > 0 || a.allWaiting:
		return a.nextBatch
	case len(a.expiries) > 0:
		return a.batchAfter(a.started.Add(time.Duration(a.expiries[0].ends) * tick))
	default:
		return time.Time{}
	}
}

// batchAfter returns the first batch that is not before t, nor over.
func (a *Allocator) batchAfter(t time.Time) time.Time {
	if late := t.Sub(a.nextBatch); late > 0 {
		return a.nextBatch.Add((late + a.cfg.Interval - 1) / a.cfg.Interval * a.cfg.Interval)
	}
	return a.nextBatch
}

// Run visits at most budget agents, more than 0, and returns the offers it
// makes, which count as allocated from then on. More tells whether there is
// something left to do at once.
func (a *Allocator) Run(now time.Time, budget int) (offers []Offer, more bool) {
	a.tell(now)
	a.expire(now)
	a.batch(now)
	for ; budget > 0; budget-- {
		if a.cycle.done() && !a.begin() {
			break
		}
		offers = a.visit(a.nextAgent(), offers)
	}
	return offers, a.hasWork()
}

// hasWork reports whether there are candidates.
func (a *Allocator) hasWork() bool { return !a.cycle.done() || len(a.pending) > 0 || a.all }

// batch makes the waiting agents candidates when it is time.
func (a *Allocator) batch(now time.Time) {
	if now.Before(a.nextBatch) {
		return
	}
	a.nextBatch = a.batchAfter(now.Add(1))
	for _, ag := range a.waiting {
		ag.waiting = false
		a.suggest(ag)
	}
	clear(a.waiting)
	a.waiting = a.waiting[:0]
	a.all, a.allWaiting = a.all || a.allWaiting, false
}

// begin starts a cycle with the candidates, in random order. It reports
// whether there are any.
func (a *Allocator) begin() bool {
	agents := a.cycle.agents[:0]
	if a.all {
		for _, ag := range a.byNum {
			if ag != nil {
				agents = append(agents, ag)
			}
		}
	} else {
		agents = append(agents, a.pending...)
	}
	for _, ag := range a.pending {
		ag.pending = false
	}
	clear(a.pending)
	a.pending, a.all = a.pending[:0], false
	clear(a.cycle.agents[min(len(agents), len(a.cycle.agents)):])
	a.cycle = cycle{agents: agents, stage: fairShare}
	if !a.required.IsZero() && len(agents) > 0 {
		a.cycle.stage = guarantees
	}
	a.shuffle()
	return len(agents) > 0
}

// shuffle puts the cycle's agents in random order.
func (a *Allocator) shuffle() {
	agents := a.cycle.agents
	a.rng.Shuffle(len(agents), func(i, j int) { agents[i], agents[j] = agents[j], agents[i] })
}

// nextAgent returns the agent that is to be visited next in a cycle that is
// not done.
func (a *Allocator) nextAgent() *agent {
	if a.cycle.next == len(a.cycle.agents) {
		a.cycle.stage, a.cycle.next = fairShare, 0
		a.shuffle()
	}
	a.cycle.next++
	return a.cycle.agents[a.cycle.next-1]
}

// visit offers what is available on an agent, role by role and framework by
// framework in their order, to those who can get it.
func (a *Allocator) visit(ag *agent, offers []Offer) []Offer {
	a.sweep(ag)
	if !ag.active || ag.available.IsEmpty() || a.whitelist != nil && !a.whitelist[ag.info.GetHostname()] {
		return offers
	}
	a.remember(ag)
	if a.slots.active.within(ag.blocked) {
		return offers
	}
	a.charges = a.charges[:0]
	for client := range a.order.All() {
		if ag.available.IsEmpty() {
			break
		}
		offers = a.offerRole(ag, client.Value, offers)
	}
	// The order is that of before the visit for all of it.
	for _, c := range a.charges {
		a.add(c)
	}
	if a.cycle.stage == fairShare && !ag.lent.IsEmpty() {
		ag.lent = resources.Resources{}
		a.wait(ag)
	}
	return offers
}

// offerRole offers the frameworks of a role what is left.
func (a *Allocator) offerRole(ag *agent, r *role, offers []Offer) []Offer {
	st := a.cycle.stage
	if st == guarantees && r.tree.unsatisfied.IsZero() {
		return offers
	}
	available := ag.forRole(r.name)
	for client := range r.frameworks.All() {
		s := client.Value
		if ag.blocked.has(s.slot) {
			continue
		}
		rs, why := a.fit(ag, s, available, st, a.rng)
		if why != fits {
			a.remark(ag, s, why)
			continue
		}
		offers = append(offers, a.offer(ag, s, rs))
		available = ag.forRole(r.name)
		if available.IsEmpty() || st == guarantees && r.tree.unsatisfied.IsZero() {
			break
		}
	}
	return offers
}

// remark remembers that the agent is no use to the subscription. If that is
// for reasons of quota it may be at any time, and the agent is visited with
// each batch.
func (a *Allocator) remark(ag *agent, s *subscription, why Verdict) {
	switch {
	case why == overQuota:
		a.wait(ag)
	case why != noHelp && ag.lent.IsEmpty():
		ag.blocked.add(s.slot)
	}
}

// offer makes an offer. It counts for shares after the visit.
func (a *Allocator) offer(ag *agent, s *subscription, rs resources.Resources) Offer {
	o := Offer{Framework: s.framework.id, Role: s.role.name, Agent: ag.id, Resources: rs.AllocatedTo(s.role.name)}
	c := a.weigh(ag, s, o.Resources)
	a.consume(s.role.tree, c.quota, 1)
	a.charges = append(a.charges, c)
	if !ag.plain {
		ag.lent = ag.lent.Add(rs.Shared())
	}
	a.take(ag, o.Framework, o.Resources)
	if a.quotas > 0 && !ag.available.IsEmpty() {
		a.wait(ag)
	}
	return o
}
