package allocator

import (
	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/internal/sorter"
)

// Demand returns what policies are shown: all roles that frameworks are
// subscribed to, and of their frameworks at most so many.
func (a *Allocator) Demand(most int) allocation.Demand {
	d := allocation.Demand{
		Total: a.amounts(a.total.Quantities()), Free: a.amounts(a.unallocated()),
		Roles: make([]allocation.Role, 0, len(a.roles)),
	}
	for _, name := range sortedKeys(a.roles) {
		r := a.roles[name]
		role := allocation.Role{
			Name: name, Weight: a.weights.Of(name), Share: a.order.ShareOf(name), Allocated: a.amounts(r.client.Allocation()),
		}
		for _, s := range r.members {
			switch {
			case !s.wanted:
			case most == 0:
				d.Omitted++
			default:
				most--
				role.Frameworks = append(role.Frameworks, a.shown(s))
			}
		}
		d.Roles = append(d.Roles, role)
	}
	return d
}

// shown returns what policies are shown of a subscription.
func (a *Allocator) shown(s *subscription) allocation.Framework {
	return allocation.Framework{
		ID: string(s.framework.id), Name: s.framework.info.Info.GetName(),
		Share: s.role.frameworks.Share(s.client), Allocated: a.amounts(s.client.Allocation()), Wants: s.client.Active(),
	}
}

// unallocated returns what nobody has.
func (a *Allocator) unallocated() sorter.Vector {
	var v sorter.Vector
	v.Add(a.total.Quantities())
	v.Sub(a.order.Allocation())
	for i := range v {
		v[i] = max(0, v[i]) // shared volumes may be had more than once
	}
	return v
}

// amounts returns a vector by name.
func (a *Allocator) amounts(v sorter.Vector) []allocation.Quantity {
	out := make([]allocation.Quantity, 0, len(v))
	for i, q := range v {
		if q > 0 {
			out = append(out, allocation.Quantity{Name: a.names.Name(i), Amount: float64(q) / 1000})
		}
	}
	return out
}

// SetRanking has roles and frameworks served by rank first and by share then,
// from the next visit of an agent on; what is offered stays. Names that are not
// known any more do not matter. The ranking is kept and must not be changed.
func (a *Allocator) SetRanking(r allocation.Ranking) {
	a.order.SetRanks(r.Roles)
	for name, role := range a.roles {
		role.frameworks.SetRanks(r.Frameworks[name])
	}
}

// Pause stops offers, until it is called again with false.
func (a *Allocator) Pause(pause bool) { a.paused = pause }
