package allocator

import (
	"math"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A Taker is the frameworks of a top-level role that want offers. It holds until
// the allocator is told something.
type Taker struct {
	alloc   *Allocator
	wanting []*subscription
}

// Taker returns who would take what is freed for a top-level role: nil if no
// framework in it wants offers, or nothing is owed to it.
func (a *Allocator) Taker(top string) *Taker {
	t := a.trees[top]
	if t == nil || !t.owed || a.paused {
		return nil
	}
	var wanting []*subscription
	for _, r := range a.roles {
		if r.tree != t {
			continue
		}
		for _, s := range r.members {
			if s.wanted && !s.suppressed && s.framework.active {
				wanting = append(wanting, s)
			}
		}
	}
	if len(wanting) == 0 {
		return nil
	}
	return &Taker{a, wanting}
}

// Len returns how many frameworks, in roles, Takes may have to ask.
func (t *Taker) Len() int { return len(t.wanting) }

// Takes reports whether one of them would be offered, to satisfy the role's
// guarantee, what is available on an agent if freed, unreserved and allocated to
// nobody, were so as well.
func (t *Taker) Takes(agent ids.AgentID, freed resources.Resources) bool {
	ag := t.alloc.agents[agent]
	return ag != nil && t.alloc.anyTakes(ag, t.wanting, freed)
}

func (a *Allocator) anyTakes(ag *agent, wanting []*subscription, freed resources.Resources) bool {
	if !ag.active || a.whitelist != nil && !a.whitelist[ag.info.GetHostname()] {
		return false
	}
	could := map[alike]*forAlike{}
	for _, s := range wanting {
		key := alike{s.role, s.framework.can}
		c := could[key]
		if c == nil {
			c = a.couldTake(ag, key, freed)
			could[key] = c
		}
		if c.fits && !c.refused.has(s.slot) && enough(c.offer, s.minimums) &&
			s.framework.info.Constraints.unmet(s.role.name, ag.info) == "" {
			return true
		}
	}
	return false
}

// An alike is a kind of frameworks: those in a role that understand the same. What
// they could be offered differs by their minimums, constraints and refusals only.
type alike struct {
	role *role
	can  capabilities
}

// forAlike is what they could be offered, but for that.
type forAlike struct {
	offer   resources.Resources
	fits    bool
	refused bitset // slots of those that have refused it
}

// couldTake returns what such frameworks could be offered if something were freed.
func (a *Allocator) couldTake(ag *agent, key alike, freed resources.Resources) *forAlike {
	nobody := &subscription{framework: &framework{can: key.can}, role: key.role, slot: math.MaxUint32}
	offer, why := a.fit(ag, nobody, availableTo(ag, nobody).Add(freed), guarantees, nil)
	c := &forAlike{offer: offer, fits: why == fits}
	if !c.fits {
		return c
	}
	covers := make([]bool, len(ag.refused))
	for i, r := range ag.refused {
		covers[i] = r.filters > 0 && r.resources.Contains(offer)
	}
	for _, f := range ag.filters {
		if covers[f.what] {
			c.refused.add(f.slot)
		}
	}
	return c
}
