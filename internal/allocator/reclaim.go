package allocator

import (
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A Taker reports whether frameworks of a top-level role would be offered, to
// satisfy its guarantee, what is available on an agent if freed, unreserved and
// allocated to nobody, were so as well. It holds until the allocator is told
// something.
type Taker func(agent ids.AgentID, freed resources.Resources) bool

// Taker returns who would take what is freed for a top-level role: nil if no
// framework in it wants offers, or nothing is owed to it.
func (a *Allocator) Taker(top string) Taker {
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
	return func(agent ids.AgentID, freed resources.Resources) bool {
		ag := a.agents[agent]
		return ag != nil && a.anyTakes(ag, wanting, freed)
	}
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
