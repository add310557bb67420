package resources

import (
	"math/rand/v2"
	"slices"
)

// ShrinkTo returns as much of r as fits in the target, of which names that are
// absent count as 0. Which of several entries of a name are cut, and which go,
// is drawn from rnd, or follows their order if rnd is nil. Fixed disks are
// kept as a whole or not at all. Ranges and sets are never kept.
func (r Resources) ShrinkTo(target Quantities, rnd *rand.Rand) Resources {
	if target.IsEmpty() {
		return Resources{}
	}
	left := slices.Clone(target.v)
	return r.shrink(rnd, func(e *Resource) bool {
		i, limited := left.find(e.kind.name)
		return limited && e.IsScalar() && shrinkEntry(e, &left[i].Amount)
	})
}

// ShrinkWithin returns as much of r as is within the limits. It is ShrinkTo,
// but that names without a limit are kept in full.
func (r Resources) ShrinkWithin(limits Limits, rnd *rand.Rand) Resources {
	if limits.IsEmpty() {
		return r
	}
	left := slices.Clone(limits.v)
	return r.shrink(rnd, func(e *Resource) bool {
		i, limited := left.find(e.kind.name)
		return !limited || !e.IsScalar() || shrinkEntry(e, &left[i].Amount)
	})
}

// shrink returns the entries that cut keeps, cut as it does.
func (r Resources) shrink(rnd *rand.Rand, cut func(*Resource) bool) Resources {
	entries := slices.Clone(r.entries)
	if rnd != nil {
		rnd.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	}
	out := entries[:0]
	for i := range entries {
		if cut(&entries[i]) {
			out = append(out, entries[i])
		}
	}
	return collect(out)
}

// shrinkEntry cuts e to what is left if need be, takes what remains off that,
// and reports whether anything remains.
func shrinkEntry(e *Resource, left *Amount) bool {
	if *left <= 0 {
		return false
	}
	if e.amount > *left {
		if e.kind.fixed || e.kind.shared != nil {
			return false
		}
		e.amount = *left
	}
	*left -= e.amount
	return true
}
