package allocator

import (
	"slices"
	"time"
)

// A cycle visits the agents that were candidates when it began, by their numbers.
// These are in random order as far as it has been drawn: to before next, and a few
// beyond.
type cycle struct {
	stage stage
	nums  []uint32
	next  int
	own   []uint32 // has nums, unless the cycle is over all agents
}

func (c *cycle) done() bool { return c.next == len(c.nums) && c.stage == fairShare }

// A queue is agents that wait for something, each once, by their numbers. One that is
// removed leaves its number to the next that has it.
type queue struct {
	nums []uint32
	has  bitset
}

func (q *queue) add(num uint32) {
	if !q.has.has(num) {
		q.has.add(num)
		q.nums = append(q.nums, num)
	}
}

// tell makes the allocator know the time, from which its batches count. Those
// for which nobody waited are over.
func (a *Allocator) tell(now time.Time) {
	if a.started.IsZero() {
		a.started = now
		a.nextBatch = now.Add(a.cfg.Interval)
	}
	if len(a.waiting.nums) == 0 && !a.allWaiting {
		a.nextBatch = a.batchAfter(now)
	}
}

// suggest makes the agent a candidate of the next cycle.
func (a *Allocator) suggest(ag *agent) { a.pending.add(ag.num) }

// wait makes the agent a candidate at the next batch.
func (a *Allocator) wait(ag *agent) { a.waiting.add(ag.num) }

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
	case len(a.waiting.nums) > 0 || a.allWaiting:
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
	matchCost  = 16 // a constraint of the framework's, which may be a regular expression
	passCost   = 1  // to pass over a role or framework
	quotaCost  = 3  // to see whether quota leaves a role anything
	filterCost = 1  // a filter that ends
	turnCost   = 1  // an agent that becomes a candidate, or a number that none has
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
		ag := a.nextAgent()
		if ag == nil {
			a.work -= turnCost
			continue
		}
		a.work -= visitCost
		a.visit(ag)
	}
	return a.visiting.offers, a.hasWork()
}

// hasWork reports whether there are candidates.
func (a *Allocator) hasWork() bool {
	return !a.cycle.done() || len(a.pending.nums) > 0 || a.all || a.ripe > 0
}

// batch notes, when it is time, that those who wait are to become candidates.
func (a *Allocator) batch(now time.Time) {
	if now.Before(a.nextBatch) {
		return
	}
	a.nextBatch = a.batchAfter(now.Add(1))
	a.ripe = len(a.waiting.nums)
	a.all, a.allWaiting = a.all || a.allWaiting, false
}

// ripen makes candidates of the agents for which it is time, and reports whether
// it got through with them.
func (a *Allocator) ripen() bool {
	q := &a.waiting
	for a.ripened < a.ripe && a.work > 0 {
		num := q.nums[a.ripened]
		q.has.remove(num)
		a.pending.add(num)
		a.ripened++
		a.work -= turnCost
	}
	if a.ripened < a.ripe {
		return false
	}
	q.nums = slices.Delete(q.nums, 0, a.ripe)
	a.ripe, a.ripened = 0, 0
	return true
}

// begin starts a cycle with the candidates. It reports whether there are any.
func (a *Allocator) begin() bool {
	c, p := &a.cycle, &a.pending
	if a.all {
		c.nums, p.nums = a.everyone, p.nums[:0]
	} else {
		c.own, p.nums = p.nums, c.own[:0]
		c.nums = c.own
	}
	clear(p.has)
	a.all = false
	c.next, c.stage = 0, fairShare
	if a.owing && len(c.nums) > 0 {
		c.stage = guarantees
	}
	return len(c.nums) > 0
}

// nextAgent returns the agent that is to be visited next in a cycle that is
// not done, or nil if nobody has its number.
func (a *Allocator) nextAgent() *agent {
	c := &a.cycle
	if c.next == len(c.nums) {
		c.stage, c.next = fairShare, 0
	}
	if c.next%ahead == 0 {
		a.fetch(a.draw())
	}
	c.next++
	return a.byNum[c.nums[c.next-1]]
}

// ahead is how many agents are drawn at a time.
const ahead = 16

// draw puts the next agents' numbers in random order, and returns them. To draw all
// of them when a cycle begins would keep the master.
func (a *Allocator) draw() []uint32 {
	rest := a.cycle.nums[a.cycle.next:]
	next := rest[:min(ahead, len(rest))]
	for i := range min(ahead, len(rest)-1) { // the last is not drawn
		j := len(rest) - 1 - a.rng.IntN(len(rest)-i)
		rest[i], rest[j] = rest[j], rest[i]
	}
	return next
}

// fetch reads a word of each line of memory that the visits of agents begin with.
// Visits are in random order, so each would wait for its agent; here nothing waits
// for what is read, and it comes for all of them at once.
func (a *Allocator) fetch(nums []uint32) {
	for _, num := range nums {
		if ag := a.byNum[num]; ag != nil {
			a.fetched += uint64(ag.num) + ag.checked + uint64(len(ag.blocked)+len(ag.holdings)+len(ag.open)+len(ag.named)) + ag.swept
		}
	}
	for _, num := range nums {
		if ag := a.byNum[num]; ag != nil {
			role, _ := ag.available.AllocationRole() // of the first and the last entry
			a.fetched += uint64(len(role))
		}
	}
}
