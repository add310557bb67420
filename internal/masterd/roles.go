package masterd

import (
	"iter"
	"maps"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// A usage is what is told of one role. Resources count for the role's ancestors
// too, frameworks do not.
type usage struct {
	name       string
	weight     float64
	frameworks []ids.FrameworkID

	allocated, offered, reserved resources.Quantities
	idle                         resources.Quantities // reserved and not allocated
}

// consumed is what counts against the role's quota.
func (u *usage) consumed() resources.Quantities { return u.allocated.Add(u.idle) }

// usages are all roles that somebody has a use for, by name.
type usages map[string]*usage

func (all usages) of(name string) *usage {
	if all[name] == nil {
		all[name] = &usage{name: name, weight: 1}
		for ancestor := range role.Ancestors(name) {
			all.of(ancestor)
		}
	}
	return all[name]
}

// upwards yields a role and its ancestors.
func (all usages) upwards(name string) iter.Seq[*usage] {
	return func(yield func(*usage) bool) {
		if !yield(all.of(name)) {
			return
		}
		for ancestor := range role.Ancestors(name) {
			if !yield(all.of(ancestor)) {
				return
			}
		}
	}
}

// roles returns the roles that frameworks are subscribed to or use resources
// of, that resources are reserved for, or that have a weight or a quota, and
// their ancestors, by name.
func (v *view) roles() []*usage {
	all := usages{}
	for _, row := range v.frameworks {
		for _, name := range row.Roles() {
			u := all.of(name)
			u.frameworks = append(u.frameworks, row.ID)
		}
		for name, part := range row.Allocated.ByAllocation() {
			for u := range all.upwards(name) {
				u.allocated = u.allocated.Add(part.Quantities())
			}
		}
		for name, part := range row.Offered.ByAllocation() {
			for u := range all.upwards(name) {
				u.offered = u.offered.Add(part.Quantities())
			}
		}
	}
	v.addReservations(all)
	for name, weight := range v.Weights {
		all.of(name).weight = weight
	}
	for name := range v.Quotas {
		all.of(name)
	}
	sorted := make([]*usage, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		sorted = append(sorted, all[name])
	}
	return sorted
}

func (v *view) addReservations(all usages) {
	for _, row := range v.agents {
		used := row.Allocated.ByReservation()
		for name, reserved := range row.Total.ByReservation() {
			amount := reserved.Quantities()
			idle := amount.Sub(used[name].Quantities())
			for u := range all.upwards(name) {
				u.reserved = u.reserved.Add(amount)
				u.idle = u.idle.Add(idle)
			}
		}
	}
}

// rolesResponse answers GET_ROLES.
func (v *view) rolesResponse() *masterpb.Response_GetRoles {
	out := &masterpb.Response_GetRoles{}
	for _, u := range v.roles() {
		r := &mesos.Role{Name: &u.name, Weight: &u.weight, Resources: scalars(u.allocated.Add(u.offered))}
		for _, id := range u.frameworks {
			r.Frameworks = append(r.Frameworks, frameworkID(id))
		}
		out.Roles = append(out.Roles, r)
	}
	return out
}

// scalars returns quantities as messages, those of the kinds that are always
// scalars.
func scalars(q resources.Quantities) []*mesos.Resource {
	var out []*mesos.Resource
	for name, amount := range q.All() {
		if !slices.Contains([]string{"cpus", "disk", "gpus", "mem"}, name) {
			continue
		}
		value := amount.Float64()
		out = append(out, &mesos.Resource{
			Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &value},
		})
	}
	return out
}
