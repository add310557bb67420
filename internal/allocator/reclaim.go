package allocator

import (
	roles "github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// Unsatisfied returns how much a top-level role with those below it is short of
// its guarantees; what is offered to it counts as had.
func (a *Allocator) Unsatisfied(role string) resources.Quantities {
	t := a.trees[role]
	if t == nil {
		return resources.Quantities{}
	}
	return a.quantities(t.unsatisfied)
}

// Free returns what nobody has and what counts for quotas when it is given to
// somebody, on agents that are offered. It is nothing while there are no quotas.
func (a *Allocator) Free() resources.Quantities {
	if a.quotas == 0 {
		return resources.Quantities{}
	}
	free := append(sorter.Vector(nil), a.headroom...)
	for _, ag := range a.byNum {
		if ag != nil && !ag.active {
			free.Sub(ag.open)
		}
	}
	return a.quantities(free)
}

// Wants reports whether a framework is active, and has not suppressed offers, in
// a top-level role or one below it.
func (a *Allocator) Wants(role string) bool {
	for _, f := range a.frameworks {
		if !f.active {
			continue
		}
		for name, s := range f.subs {
			if roles.Top(name) == role && s.wanted && !s.suppressed {
				return true
			}
		}
	}
	return false
}
