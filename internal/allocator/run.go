package allocator

import (
	"slices"
	"time"
)

// A cycle visits the agents that were candidates when it began.
type cycle struct {
	stage  stage
	agents []*agent
	next   int
}

func (c *cycle) done() bool { return c.next == len(c.agents) && c.stage == fairShare }

// tell makes the allocator know the time, from which its batches count. Those
// for which nobody waited are over.
func (a *Allocator) tell(now time.Time) {
	if a.started.IsZero() {
		a.started = now
		a.nextBatch = now.Add(a.cfg.Interval)
	}
	if len(a.waiting) == 0 && !a.allWaiting {
		a.nextBatch = a.batchAfter(now)
	}
}

// suggest makes the agent a candidate of the next cycle.
func (a *Allocator) suggest(ag *agent) {
	if ag.pending != a.turn {
		ag.pending = a.turn
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
	case a.paused:
		return time.Time{}
	case a.holding(now):
		return a.holdOff.until
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
	late := t.Sub(a.nextBatch)
	if late <= 0 {
		return a.nextBatch
	}
	next := t.Add(-late % a.cfg.Interval) // the one before t, or t
	if next.Before(t) {
		next = next.Add(a.cfg.Interval)
	}
	return next
}

// What the parts of a run cost, in units of about 30 ns.
const (
	visitCost  = 64 // an agent that is offered
	offerCost  = 96 // an offer, with what it is to the master
	fitCost    = 8  // to see whether a framework can be offered it
	passCost   = 1  // to pass over a role or framework
	filterCost = 1  // a filter that ends
	turnCost   = 2  // an agent that becomes a candidate, or one of a cycle
)

// Run visits at most budget agents, more than 0, and fewer if they are more work
// than to see that there is nothing to offer. It returns the offers it makes,
// which count as allocated from then on and are valid until the next call, and
// whether there is something left to do at once. See also [Allocator.InverseOffers].
func (a *Allocator) Run(now time.Time, budget int) (offers []Offer, more bool) {
	a.tell(now)
	if a.paused {
		return nil, false
	}
	a.now, a.work = now, budget*visitCost
	a.forgive(now)
	if !a.expire(now) {
		return nil, true
	}
	a.batch(now)
	if a.holding(now) {
		return nil, false
	}
	if !a.ripen() {
		return nil, true
	}
	a.visiting.offers = a.visiting.offers[:0]
	for a.work > 0 && (!a.cycle.done() || a.begin()) {
		a.work -= visitCost
		a.visit(a.nextAgent())
	}
	return a.visiting.offers, a.hasWork()
}

// hasWork reports whether there are candidates.
func (a *Allocator) hasWork() bool {
	return !a.cycle.done() || len(a.pending) > 0 || a.all || a.ripe > 0
}

// batch notes, when it is time, that those who wait are to become candidates.
func (a *Allocator) batch(now time.Time) {
	if now.Before(a.nextBatch) {
		return
	}
	a.nextBatch = a.batchAfter(now.Add(1))
	a.ripe = len(a.waiting)
	a.all, a.allWaiting = a.all || a.allWaiting, false
}

// ripen makes candidates of the agents for which it is time, and reports whether
// it got through with them.
func (a *Allocator) ripen() bool {
	for a.ripened < a.ripe && a.work > 0 {
		ag := a.waiting[a.ripened]
		ag.waiting = false
		a.suggest(ag)
		a.ripened++
		a.work -= turnCost
	}
	if a.ripened < a.ripe {
		return false
	}
	a.waiting = slices.Delete(a.waiting, 0, a.ripe)
	a.ripe, a.ripened = 0, 0
	return true
}

// begin starts a cycle with the candidates, in random order. It reports
// whether there are any.
func (a *Allocator) begin() bool {
	agents := a.cycle.agents
	clear(agents)
	if agents = agents[:0]; a.all {
		for _, ag := range a.byNum {
			if ag != nil {
				agents = append(agents, ag)
			}
		}
		clear(a.pending)
		a.pending = a.pending[:0]
	} else {
		agents, a.pending = a.pending, agents
	}
	a.turn++ // nobody is pending any more
	a.all = false
	a.work -= turnCost * len(agents)
	a.cycle = cycle{agents: agents, stage: fairShare}
	if a.owing && len(agents) > 0 {
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
	if a.cycle.next%ahead == 0 {
		a.fetch()
	}
	a.cycle.next++
	return a.cycle.agents[a.cycle.next-1]
}

// ahead is how many agents are fetched at a time.
const ahead = 16

// fetch reads a word of each line of memory that the visits of the next agents
// begin with. Visits are in random order, so each would wait for its agent; here
// nothing waits for what is read, and it comes for all of them at once.
func (a *Allocator) fetch() {
	agents := a.cycle.agents[a.cycle.next:]
	agents = agents[:min(ahead, len(agents))]
	for _, ag := range agents {
		a.fetched += uint64(ag.num) + ag.checked + uint64(len(ag.blocked)+len(ag.holdings)+len(ag.open)+len(ag.named)) + ag.swept
	}
	for _, ag := range agents {
		role, _ := ag.available.AllocationRole() // of the first and the last entry
		a.fetched += uint64(len(role))
	}
}
