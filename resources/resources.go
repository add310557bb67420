package resources

import (
	"iter"
	"slices"
)

// Resources is what some agent has, some offer contains or some task uses. It
// is an immutable value, safe to share between goroutines; the zero value is
// empty. Entries that can be one are one, and their order is always the same:
// by the role they are allocated to, then cpus, gpus, mem, disk, ports and the
// rest by name, then by reservation.
type Resources struct{ entries []Resource }

// Sum returns all of rs together.
func Sum(rs ...Resources) Resources {
	switch len(rs) {
	case 0:
		return Resources{}
	case 1:
		return rs[0]
	}
	half := len(rs) / 2
	return Sum(rs[:half]...).Add(Sum(rs[half:]...))
}

// Of returns the Resources that consists of the entries.
func Of(entries ...Resource) Resources { return collect(slices.Clone(entries)) }

// collect makes entries, which it takes over, into a Resources.
func collect(entries []Resource) Resources {
	if isCanonical(entries) {
		return Resources{entries}
	}
	entries = slices.DeleteFunc(entries, func(r Resource) bool { return isEmpty(&r) })
	slices.SortStableFunc(entries, func(a, b Resource) int { return order(&a, &b) })
	out := entries[:0]
	for i := range entries {
		out = appendMerged(out, &entries[i])
	}
	return Resources{out}
}

// isCanonical reports whether entries, as nearly all that are read, need no
// work.
func isCanonical(entries []Resource) bool {
	for i := range entries {
		if isEmpty(&entries[i]) || i > 0 && order(&entries[i-1], &entries[i]) >= 0 {
			return false
		}
	}
	return true
}

// appendMerged adds r, which is not before the last of out.
func appendMerged(out []Resource, r *Resource) []Resource {
	if n := len(out); n > 0 && !r.kind.fixed && order(&out[n-1], r) == 0 {
		out[n-1] = out[n-1].plus(r)
		return out
	}
	return append(out, *r)
}

// Add returns r and o together. Shared resources count their copies; a fixed
// disk (a mount, a block device, a persistent volume) that both have is there
// twice.
func (r Resources) Add(o Resources) Resources {
	if len(o.entries) == 0 {
		return r
	}
	if len(r.entries) == 0 {
		return o
	}
	a, b := r.entries, o.entries
	out := make([]Resource, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := order(&a[0], &b[0]); {
		case c < 0 || c == 0 && a[0].kind.fixed:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, a[0].plus(&b[0]))
			a, b = a[1:], b[1:]
		}
	}
	return Resources{append(append(out, a...), b...)}
}

// Sub returns what is left of r without o. What o has and r has not is
// ignored: ask Contains first where that matters.
func (r Resources) Sub(o Resources) Resources {
	if len(o.entries) == 0 || len(r.entries) == 0 {
		return r
	}
	a, b := r.entries, o.entries
	out := make([]Resource, 0, len(a))
	for len(a) > 0 && len(b) > 0 {
		switch c := order(&a[0], &b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			b = b[1:]
		default:
			if left := a[0].minus(&b[0]); !isEmpty(&left) {
				out = append(out, left)
			}
			a, b = a[1:], b[1:]
		}
	}
	return Resources{append(out, a...)}
}

// Contains reports whether o can be taken from r: for every entry of o, r has
// one of the same kind and as much of it. A fixed disk is contained only as a
// whole.
func (r Resources) Contains(o Resources) bool {
	a, b := r.entries, o.entries
	for len(b) > 0 {
		if len(a) == 0 {
			return false
		}
		switch c := order(&a[0], &b[0]); {
		case c < 0:
			a = a[1:]
		case c > 0 || !covers(&a[0], &b[0]):
			return false
		default:
			a, b = a[1:], b[1:]
		}
	}
	return true
}

// Equal reports whether r and o are the same resources. How volumes are
// mounted and who created them make no difference, as in Mesos.
func (r Resources) Equal(o Resources) bool {
	if len(r.entries) == len(o.entries) && len(r.entries) > 0 && &r.entries[0] == &o.entries[0] {
		return true
	}
	return slices.EqualFunc(r.entries, o.entries, func(a, b Resource) bool {
		return order(&a, &b) == 0 && a.copies == b.copies && orderValues(&a, &b) == 0
	})
}

// IsEmpty reports whether there is nothing.
func (r Resources) IsEmpty() bool { return len(r.entries) == 0 }

// Len returns how many entries there are.
func (r Resources) Len() int { return len(r.entries) }

// All yields the entries in order.
func (r Resources) All() iter.Seq[Resource] { return slices.Values(r.entries) }

// Scalar returns the sum of the scalars with the name, whatever they are
// reserved for.
func (r Resources) Scalar(name string) Amount {
	var sum Amount
	for i := range r.entries {
		if e := &r.entries[i]; e.kind.name == name && e.IsScalar() {
			sum = sum.plus(e.amount)
		}
	}
	return sum
}

// Ranges returns the numbers with the name, whatever they are reserved for.
func (r Resources) Ranges(name string) Ranges {
	var all Ranges
	for i := range r.entries {
		if e := &r.entries[i]; e.kind.name == name && len(e.list.numbers()) > 0 {
			all = all.union(e.list.numbers())
		}
	}
	return all
}

// Ports returns the numbers called "ports".
func (r Resources) Ports() Ranges { return r.Ranges("ports") }
