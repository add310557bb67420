package resources

import (
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Filter returns the entries that keep is true for.
func (r Resources) Filter(keep func(Resource) bool) Resources {
	kept := 0
	for kept < len(r.entries) && keep(r.entries[kept]) {
		kept++
	}
	if kept == len(r.entries) {
		return r
	}
	out := append(make([]Resource, 0, len(r.entries)-1), r.entries[:kept]...)
	for _, e := range r.entries[kept+1:] {
		if keep(e) {
			out = append(out, e)
		}
	}
	return Resources{out}
}

func not(is func(Resource) bool) func(Resource) bool {
	return func(r Resource) bool { return !is(r) }
}

// Any reports whether is holds for an entry.
func (r Resources) Any(is func(Resource) bool) bool { return slices.ContainsFunc(r.entries, is) }

// Named returns the entries with the name.
func (r Resources) Named(name string) Resources {
	return r.Filter(func(e Resource) bool { return e.kind.name == name })
}

// Unreserved returns what is no role's own.
func (r Resources) Unreserved() Resources { return r.Filter(not(Resource.IsReserved)) }

// Reserved returns what is reserved to any role.
func (r Resources) Reserved() Resources { return r.Filter(Resource.IsReserved) }

// ReservedTo returns what is reserved to the role itself.
func (r Resources) ReservedTo(role string) Resources {
	return r.Filter(func(e Resource) bool { return e.IsReserved() && e.kind.role == role })
}

// ReservedUnder returns what is reserved to the role or to one below.
func (r Resources) ReservedUnder(role string) Resources {
	return r.Filter(func(e Resource) bool { return e.IsReservedUnder(role) })
}

// AllocatableTo returns what may be offered in the role: unreserved, reserved
// to it or to one above.
func (r Resources) AllocatableTo(role string) Resources {
	return r.Filter(func(e Resource) bool { return e.IsAllocatableTo(role) })
}

// AllocatedUnder returns what is allocated to the role or to one below.
func (r Resources) AllocatedUnder(role string) Resources {
	return r.Filter(func(e Resource) bool { return e.IsAllocatedUnder(role) })
}

// Revocable returns what can be taken back at any time.
func (r Resources) Revocable() Resources { return r.Filter(Resource.IsRevocable) }

// NonRevocable returns what cannot.
func (r Resources) NonRevocable() Resources { return r.Filter(not(Resource.IsRevocable)) }

// Shared returns what several tasks can use at once.
func (r Resources) Shared() Resources { return r.Filter(Resource.IsShared) }

// NonShared returns what only one task can use.
func (r Resources) NonShared() Resources { return r.Filter(not(Resource.IsShared)) }

// PersistentVolumes returns the disks whose data outlive tasks.
func (r Resources) PersistentVolumes() Resources { return r.Filter(Resource.IsPersistentVolume) }

// Scalars returns the amounts.
func (r Resources) Scalars() Resources { return r.Filter(Resource.IsScalar) }

// NonScalars returns the ranges and sets.
func (r Resources) NonScalars() Resources { return r.Filter(not(Resource.IsScalar)) }

// NeedingCheckpoint returns what an agent must remember over a restart.
func (r Resources) NeedingCheckpoint() Resources { return r.Filter(Resource.NeedsCheckpoint) }

// ByProvider returns what belongs to the resource provider; for "" it is the
// agent's own.
func (r Resources) ByProvider(id string) Resources {
	return r.Filter(func(e Resource) bool { return e.ProviderID() == id })
}

// AllocatedTo returns r allocated to the role (Resource.allocation_info).
func (r Resources) AllocatedTo(role string) Resources {
	if n := len(r.entries); n == 0 || r.entries[0].allocation == role && r.entries[n-1].allocation == role {
		return r
	}
	out := make([]Resource, len(r.entries))
	copy(out, r.entries)
	for i := range out {
		out[i].allocation = role
	}
	if r.entries[0].allocation == r.entries[len(r.entries)-1].allocation {
		return Resources{out}
	}
	return collect(out)
}

// Unallocated returns r allocated to nobody.
func (r Resources) Unallocated() Resources { return r.AllocatedTo("") }

// AllocationRole returns the role that all of r is allocated to, "" if to none.
// It is not one if parts of r are allocated to different roles.
func (r Resources) AllocationRole() (role string, one bool) {
	if len(r.entries) == 0 {
		return "", true
	}
	role = r.entries[0].allocation
	return role, r.entries[len(r.entries)-1].allocation == role
}

// ByAllocation returns r divided by the role it is allocated to; what is
// allocated to none is under "". The maps of equal resources are equal.
func (r Resources) ByAllocation() map[string]Resources {
	parts := map[string]Resources{}
	for rest := r.entries; len(rest) > 0; {
		role := rest[0].allocation
		n := slices.IndexFunc(rest, func(e Resource) bool { return e.allocation != role })
		if n < 0 {
			n = len(rest)
		}
		parts[role] = Resources{rest[:n:n]}
		rest = rest[n:]
	}
	return parts
}

// ByReservation returns what is reserved, divided by the role it is reserved
// to.
func (r Resources) ByReservation() map[string]Resources {
	parts := map[string]Resources{}
	for _, e := range r.entries {
		if e.IsReserved() {
			part := parts[e.kind.role]
			parts[e.kind.role] = Resources{append(part.entries, e)}
		}
	}
	return parts
}

// each returns r with every entry's kind replaced.
func (r Resources) each(kindFor func(*kind) *kind) Resources {
	out := slices.Clone(r.entries)
	for i := range out {
		out[i].kind = kindFor(out[i].kind)
	}
	return collect(out)
}

// ToUnreserved returns r without its reservations.
func (r Resources) ToUnreserved() Resources {
	if !r.Any(Resource.IsReserved) {
		return r
	}
	return r.each(func(k *kind) *kind { return k.reservedBy(nil) })
}

// reservedBy returns k with the stack of reservations in place of its own.
func (k *kind) reservedBy(stack []*mesos.Resource_ReservationInfo) *kind {
	if len(stack) == 0 && len(k.reservations) == 0 {
		return k
	}
	changed := *k
	changed.reservations = stack
	return canonical(changed)
}
