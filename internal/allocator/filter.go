package allocator

import (
	"container/heap"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// Filters are many: with tens of thousands of agents and thousands of
// frameworks that decline what they get, there is one for every pair. So one
// is twelve bytes, kept with its agent in the order in which they end:
//
//   - The subscription is named by its slot, which it exchanges for a new one to
//     be rid of its filters; those of the old one are dead and are swept up when
//     their agents are visited.
//   - The time is in tenths of seconds, rounded up.
//   - What was refused is mostly the same for all that refused it, and is kept
//     once.

// tick is the unit of the ends of filters.
const tick = 100 * time.Millisecond

const (
	defaultRefusal = 5 * time.Second
	maxRefusal     = 365 * 24 * time.Hour
)

// refuseFor returns for how long a framework refuses what it gives back; 0 if
// there is no filter.
func refuseFor(filters *mesos.Filters, interval time.Duration) time.Duration {
	if filters == nil {
		return 0
	}
	seconds := filters.GetRefuseSeconds()
	switch {
	case seconds == 0:
		return 0
	case math.IsNaN(seconds) || seconds < 0:
		return max(interval, defaultRefusal)
	case seconds > maxRefusal.Seconds():
		return maxRefusal
	default:
		return max(interval, time.Duration(seconds*float64(time.Second)))
	}
}

// A filter keeps a subscription from what it refused and any part of that.
type filter struct {
	until uint32 // in ticks since the allocator was started
	slot  uint32
	what  uint32 // index of what was refused
}

// A refused is something that some filters of an agent are about.
type refused struct {
	resources resources.Resources
	filters   int  // how many are about it; 0: the place is free
	covers    bool // it has all that is available and unreserved
}

// refusals are the filters on an agent, by their ends.
type refusals struct {
	swept   uint64 // slots.retired when dead filters were last swept up
	refused []refused
	named   bitset // slots that filters name
	loose   bool   // and perhaps others
	ends    uint32 // when the first filter does, as the expiries have it
	place   int    // in the expiries, from 1; 0: not there
	filters []filter
}

// maxCompared is how many refused resources are compared to find those that
// are there already.
const maxCompared = 8

// intern returns the index of what is refused.
func (rf *refusals) intern(rs resources.Resources) uint32 {
	place := len(rf.refused)
	for i := len(rf.refused) - 1; i >= 0 && i >= len(rf.refused)-maxCompared; i-- {
		if rf.refused[i].filters > 0 && rf.refused[i].resources.Equal(rs) {
			return uint32(i)
		}
		if rf.refused[i].filters == 0 {
			place = i
		}
	}
	if place == len(rf.refused) {
		rf.refused = append(rf.refused, refused{})
	}
	rf.refused[place] = refused{resources: rs}
	return uint32(place)
}

// maxOwn is how many filters a subscription has on one agent. Beyond that the
// one that ends first is dropped.
const maxOwn = 64

// refuse adds a filter that ends at a time, unless there is one that refuses
// all of it for as long. Those that refuse no more and end no later go: a
// framework that gives back about the same over and over has one.
func (a *Allocator) refuse(ag *agent, s *subscription, rs resources.Resources, until time.Time) {
	f := filter{until: a.ticks(until), slot: s.slot}
	own, needless := 0, 0
	for g := range ag.filtersOf(f.slot) {
		own++
		if before := ag.refused[g.what].resources; g.until >= f.until && before.Contains(rs) {
			return
		} else if g.until <= f.until && rs.Contains(before) {
			needless++
		}
	}
	if needless > 0 {
		a.removeFilters(ag, func(g filter) bool {
			return g.slot == f.slot && g.until <= f.until && rs.Contains(ag.refused[g.what].resources)
		})
	} else if own >= maxOwn {
		first := slices.IndexFunc(ag.filters, func(g filter) bool { return g.slot == f.slot })
		ending := ag.filters[first]
		a.removeFilters(ag, func(g filter) bool { return g == ending })
	}
	f.what = ag.intern(rs)
	ag.refused[f.what].filters++
	ag.named.add(f.slot)
	a.slots.filter(f.slot)
	at := sort.Search(len(ag.filters), func(i int) bool { return ag.filters[i].until > f.until })
	ag.filters = slices.Insert(ag.filters, at, f)
	a.expiries.watch(ag)
}

// ticks returns the first tick that is not before t.
func (a *Allocator) ticks(t time.Time) uint32 {
	return uint32((t.Sub(a.started) + tick - 1) / tick)
}

// filtered reports whether the subscription refused the resources, or more.
func (ag *agent) filtered(s *subscription, rs resources.Resources) bool {
	for f := range ag.filtersOf(s.slot) {
		if ag.refused[f.what].resources.Contains(rs) {
			return true
		}
	}
	return false
}

// filtersOf yields the filters that name a slot.
func (rf *refusals) filtersOf(slot uint32) iter.Seq[*filter] {
	return func(yield func(*filter) bool) {
		if !rf.named.has(slot) {
			return
		}
		for i := range rf.filters {
			if f := &rf.filters[i]; f.slot == slot && !yield(f) {
				return
			}
		}
	}
}

// removeFilters takes out the filters for which gone is true.
func (a *Allocator) removeFilters(ag *agent, gone func(filter) bool) {
	ag.filters = slices.DeleteFunc(ag.filters, func(f filter) bool {
		if !gone(f) {
			return false
		}
		a.unfilter(ag, f)
		return true
	})
	a.unfiltered(ag)
}

// unfilter forgets what follows from one filter of an agent.
func (a *Allocator) unfilter(ag *agent, f filter) {
	a.slots.unfilter(f.slot)
	ag.loose = true // others may name the slot
	ag.blocked.remove(f.slot)
	if r := &ag.refused[f.what]; r.filters > 1 {
		r.filters--
	} else {
		*r = refused{}
	}
}

// unfiltered follows the removal of filters.
func (a *Allocator) unfiltered(ag *agent) {
	if len(ag.filters) == 0 {
		ag.filters, ag.refused, ag.named, ag.loose = nil, nil, nil, false
	}
	ag.heldBack = 0
	a.expiries.watch(ag)
}

// dropFilters takes out all filters on an agent.
func (a *Allocator) dropFilters(ag *agent) {
	a.removeFilters(ag, func(filter) bool { return true })
}

// sweep takes out the filters of slots that nobody has any more, if these are
// many.
func (a *Allocator) sweep(ag *agent) {
	if ag.swept == a.slots.retired || !a.slots.crowded() {
		return
	}
	ag.swept = a.slots.retired
	a.work -= len(ag.filters) / 16 * filterCost
	dead := func(f filter) bool { return a.slots.of[f.slot].sub == nil }
	if slices.ContainsFunc(ag.filters, dead) {
		a.removeFilters(ag, dead)
	}
}

// expire takes out filters that have ended, and reports whether it got through
// with them. Their agents wait for the batch.
func (a *Allocator) expire(now time.Time) bool {
	reached := uint32(now.Sub(a.started) / tick)
	for len(a.expiries) > 0 && a.expiries[0].ends <= reached {
		if a.work <= 0 {
			return false
		}
		ag := a.expiries[0]
		ended := sort.Search(len(ag.filters), func(i int) bool { return ag.filters[i].until > reached })
		for _, f := range ag.filters[:ended] {
			a.unfilter(ag, f)
		}
		ag.filters = slices.Delete(ag.filters, 0, ended)
		a.unfiltered(ag)
		a.work -= visitCost + ended*filterCost
		a.wait(ag)
	}
	return true
}

// expiries is a heap of the agents that have filters, by the end of the first.
type expiries []*agent

// watch puts the agent where it belongs now.
func (e *expiries) watch(ag *agent) {
	switch {
	case len(ag.filters) == 0 && ag.place > 0:
		heap.Remove(e, ag.place-1)
	case len(ag.filters) == 0:
	case ag.place == 0:
		ag.ends = ag.filters[0].until
		heap.Push(e, ag)
	case ag.ends != ag.filters[0].until:
		ag.ends = ag.filters[0].until
		heap.Fix(e, ag.place-1)
	}
}

// Len, Less, Swap, Push and Pop are for package heap.
func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].ends < e[j].ends }
func (e expiries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i+1, j+1
}

func (e *expiries) Push(x any) {
	*e = append(*e, x.(*agent))
	(*e)[len(*e)-1].place = len(*e)
}

func (e *expiries) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	last.place = 0
	return last
}

// Filters returns how many filters there are on agents, by the role that they
// keep from offers.
func (a *Allocator) Filters() map[string]int {
	n := map[string]int{}
	for _, s := range a.slots.of {
		if s.sub != nil {
			n[s.sub.role.name] += s.filters
		}
	}
	return n
}
