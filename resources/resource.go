package resources

import (
	"cmp"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/role"
)

// unreserved is what Role returns for resources that are nobody's own.
const unreserved = role.Default

// A Resource is one entry of a Resources: an amount, some ranges or a set, of
// one kind. It is a value and is not changed once made; the messages that its
// accessors return are shared and must not be changed either.
type Resource struct {
	kind       *kind
	allocation string // role it is allocated to, "" if to none
	amount     Amount // of scalars
	list       *list  // of ranges and sets, nil if empty
	copies     int    // of shared resources, otherwise 1
}

// A list is the value of ranges and of sets.
type list struct {
	ranges Ranges
	set    []string // sorted, each once
}

func (l *list) numbers() Ranges {
	if l == nil {
		return nil
	}
	return l.ranges
}

func (l *list) names() []string {
	if l == nil {
		return nil
	}
	return l.set
}

// Name returns the name: "cpus", "mem", "ports", …
func (r Resource) Name() string { return r.kind.name }

// Type returns whether it is a scalar, ranges or a set.
func (r Resource) Type() mesos.Value_Type { return r.kind.typ }

// Amount returns how much a scalar is, and 0 for other types.
func (r Resource) Amount() Amount { return r.amount }

// Ranges returns the numbers of a resource of that type, which must not be
// changed, and nil for other types.
func (r Resource) Ranges() Ranges { return r.list.numbers() }

// Set returns the sorted items of a resource of that type, which must not be
// changed, and nil for other types.
func (r Resource) Set() []string { return r.list.names() }

// Quantity returns how much there is: a scalar's amount, or how many numbers
// or items.
func (r Resource) Quantity() Amount {
	switch r.kind.typ {
	case mesos.Value_RANGES:
		return r.list.numbers().size()
	case mesos.Value_SET:
		return Amount(len(r.list.names())) * Unit
	default:
		return r.amount
	}
}

// Copies returns how many copies of a shared resource this entry stands for,
// and 1 for others.
func (r Resource) Copies() int { return r.copies }

// Role returns the role of the innermost reservation, or "*" if it is
// unreserved.
func (r Resource) Role() string { return r.kind.role }

// Reservations returns the stack of reservations, the outermost first; neither
// it nor its entries may be changed.
func (r Resource) Reservations() []*mesos.Resource_ReservationInfo {
	return r.kind.reservations
}

// AllocationRole returns the role it is offered or allocated to, or "" if it
// is not.
func (r Resource) AllocationRole() string { return r.allocation }

// Disk returns what sort of disk it is, or nil. The message must not be
// changed.
func (r Resource) Disk() *mesos.Resource_DiskInfo { return r.kind.disk }

// ProviderID returns the ID of the resource provider, or "" if it is the
// agent's own.
func (r Resource) ProviderID() string { return r.kind.provider.GetValue() }

// HasProvider reports whether it belongs to a resource provider.
func (r Resource) HasProvider() bool { return r.kind.provider != nil }

// IsReserved reports whether it is reserved to any role.
func (r Resource) IsReserved() bool { return len(r.kind.reservations) > 0 }

// IsDynamicallyReserved reports whether its innermost reservation was made by
// an operation, so that an operation can undo it.
func (r Resource) IsDynamicallyReserved() bool {
	n := len(r.kind.reservations)
	return n > 0 && r.kind.reservations[n-1].GetType() == mesos.Resource_ReservationInfo_DYNAMIC
}

// IsRefined reports whether it has more than one reservation, which frameworks
// and agents without RESERVATION_REFINEMENT do not understand.
func (r Resource) IsRefined() bool { return len(r.kind.reservations) > 1 }

// IsReservedUnder reports whether it is reserved to the role or to one below.
func (r Resource) IsReservedUnder(name string) bool {
	return r.IsReserved() && (r.kind.role == name || role.IsStrictSubrole(r.kind.role, name))
}

// IsAllocatableTo reports whether a framework may be offered it in the role:
// it is unreserved, or reserved to the role or to one above.
func (r Resource) IsAllocatableTo(name string) bool {
	return !r.IsReserved() || r.kind.role == name || role.IsStrictSubrole(name, r.kind.role)
}

// IsAllocatedUnder reports whether it is allocated to the role or to one below.
func (r Resource) IsAllocatedUnder(name string) bool {
	return r.allocation == name || role.IsStrictSubrole(r.allocation, name)
}

// IsRevocable reports whether it can be taken back at any time.
func (r Resource) IsRevocable() bool { return r.kind.revocable != nil }

// IsShared reports whether several tasks can use it at once.
func (r Resource) IsShared() bool { return r.kind.shared != nil }

// IsScalar reports whether it is an amount.
func (r Resource) IsScalar() bool { return r.kind.typ == mesos.Value_SCALAR }

// IsPersistentVolume reports whether it is a disk with data that outlives
// tasks.
func (r Resource) IsPersistentVolume() bool { return r.kind.disk.GetPersistence() != nil }

// PersistenceID returns the ID of a persistent volume, or "".
func (r Resource) PersistenceID() string { return r.kind.disk.GetPersistence().GetId() }

// IsDisk reports whether it is a disk with a source of the type.
func (r Resource) IsDisk(typ mesos.Resource_DiskInfo_Source_Type) bool {
	s := r.kind.disk.GetSource()
	return s != nil && s.GetType() == typ
}

// NeedsCheckpoint reports whether the agent must remember it over a restart:
// a dynamic reservation or persistent volume of its own.
func (r Resource) NeedsCheckpoint() bool {
	return !r.HasProvider() && (r.IsDynamicallyReserved() || r.IsPersistentVolume())
}

// isEmpty reports whether there is nothing of it.
func isEmpty(r *Resource) bool {
	if r.copies <= 0 {
		return true
	}
	switch r.kind.typ {
	case mesos.Value_SCALAR:
		return r.amount <= 0
	case mesos.Value_RANGES:
		return len(r.list.numbers()) == 0
	case mesos.Value_SET:
		return len(r.list.names()) == 0
	default:
		return false
	}
}

// order compares the places of two entries. Two that are level are one entry,
// unless their kind is fixed.
func order(a, b *Resource) int {
	if c := strings.Compare(a.allocation, b.allocation); c != 0 {
		return c
	}
	if a.kind != b.kind {
		if c := strings.Compare(a.kind.key, b.kind.key); c != 0 {
			return c
		}
	}
	if a.kind.fixed || a.kind.shared != nil {
		return orderValues(a, b)
	}
	return 0
}

// orderValues compares what two entries of one kind hold.
func orderValues(a, b *Resource) int {
	return cmp.Or(
		cmp.Compare(a.amount, b.amount),
		slices.CompareFunc(a.list.numbers(), b.list.numbers(), func(a, b Range) int {
			return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End))
		}),
		slices.Compare(a.list.names(), b.list.names()),
	)
}

// plus returns a and b, which are level and not fixed, as one.
func (a Resource) plus(b *Resource) Resource {
	switch {
	case a.kind.shared != nil:
		a.copies += b.copies
	case a.kind.typ == mesos.Value_SCALAR:
		a.amount = a.amount.plus(b.amount)
	case a.kind.typ == mesos.Value_RANGES:
		a.list = &list{ranges: a.list.numbers().union(b.list.numbers())}
	case a.kind.typ == mesos.Value_SET:
		a.list = &list{set: unite(a.list.names(), b.list.names())}
	}
	return a
}

// minus returns what is left of a without b, which is level with it.
func (a Resource) minus(b *Resource) Resource {
	switch {
	case a.kind.shared != nil, a.kind.fixed:
		a.copies -= b.copies
	case a.kind.typ == mesos.Value_SCALAR:
		a.amount -= b.amount
	case a.kind.typ == mesos.Value_RANGES:
		a.list = &list{ranges: a.list.numbers().minus(b.list.numbers())}
	case a.kind.typ == mesos.Value_SET:
		a.list = &list{set: subtract(a.list.names(), b.list.names())}
	}
	return a
}

// covers reports whether there is as much of a as of b, which is level with it.
func covers(a, b *Resource) bool {
	switch {
	case a.kind.shared != nil, a.kind.fixed:
		return a.copies >= b.copies
	case a.kind.typ == mesos.Value_SCALAR:
		return a.amount >= b.amount
	case a.kind.typ == mesos.Value_RANGES:
		return a.list.numbers().contains(b.list.numbers())
	case a.kind.typ == mesos.Value_SET:
		return includes(a.list.names(), b.list.names())
	default:
		return true
	}
}

// unite returns the items of a and b, all sorted.
func unite(a, b []string) []string {
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// subtract returns the items of a that are not in b, all sorted.
func subtract(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool {
		_, found := slices.BinarySearch(b, s)
		return found
	})
}

// includes reports whether every item of b is in a, both sorted.
func includes(a, b []string) bool {
	for _, s := range b {
		if _, found := slices.BinarySearch(a, s); !found {
			return false
		}
	}
	return true
}

// SameReservations reports whether r and o have the same stack of reservations.
func (r Resource) SameReservations(o Resource) bool {
	return slices.EqualFunc(r.kind.reservations, o.kind.reservations,
		func(a, b *mesos.Resource_ReservationInfo) bool {
			return string(appendReservation(nil, a)) == string(appendReservation(nil, b))
		})
}
