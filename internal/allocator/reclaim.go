package allocator

import (
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
	for _, s := range wanting {
		rs := availableTo(ag, s).Add(freed)
		if _, why := a.fit(ag, s, rs, guarantees, nil); why == fits {
			return true
		}
	}
	return false
}
