package sorter

import "maps"

// A Vector is a quantity of every scalar resource, in thousandths, each at the
// index that a [Names] gave its name. What is beyond its end is 0.
type Vector []int64

// AddScaled adds by times o to v.
func (v *Vector) AddScaled(o Vector, by int64) {
	for len(*v) < len(o) {
		*v = append(*v, 0)
	}
	for i, q := range o {
		(*v)[i] += by * q
	}
}

// Add adds o to v.
func (v *Vector) Add(o Vector) { v.AddScaled(o, 1) }

// Sub takes o from v.
func (v *Vector) Sub(o Vector) { v.AddScaled(o, -1) }

// At returns the quantity at an index.
func (v Vector) At(i int) int64 {
	if i >= len(v) {
		return 0
	}
	return v[i]
}

// Set makes the quantity at an index q. A vector that is too short is filled
// up with rest.
func (v *Vector) Set(i int, q, rest int64) {
	for len(*v) <= i {
		*v = append(*v, rest)
	}
	(*v)[i] = q
}

// IsZero reports whether there is nothing.
func (v Vector) IsZero() bool {
	for _, q := range v {
		if q != 0 {
			return false
		}
	}
	return true
}

// Names gives the names of resources indices from 0 on, which never change. The
// names are those that agents announce, and so are few.
type Names struct {
	index map[string]int
	names []string
}

// few is how many names are sooner compared than looked up.
const few = 4

// Index returns the index of a name, giving it the next one if it is new.
func (n *Names) Index(name string) int {
	for i := range min(len(n.names), few) {
		if n.names[i] == name {
			return i
		}
	}
	if i, ok := n.index[name]; ok {
		return i
	}
	if n.index == nil {
		n.index = map[string]int{}
	}
	n.index[name] = len(n.names)
	n.names = append(n.names, name)
	return len(n.names) - 1
}

// Len returns how many names there are.
func (n *Names) Len() int { return len(n.names) }

// Name returns the name with an index.
func (n *Names) Name(i int) string { return n.names[i] }

// A Total is the size of the cluster, by which shares are measured.
type Total struct {
	quantities Vector
	excluded   []bool // by index: does not count for shares
	version    uint64
}

// Exclude makes the resource with an index not count for shares
// (--fair_sharing_excluded_resource_names).
func (t *Total) Exclude(index int) {
	for len(t.excluded) <= index {
		t.excluded = append(t.excluded, false)
	}
	t.excluded[index] = true
	t.version++
}

// Change makes the cluster smaller by one vector and greater by another.
func (t *Total) Change(less, more Vector) {
	t.quantities.Sub(less)
	t.quantities.Add(more)
	t.version++
}

// Quantities returns the size of the cluster. It must not be changed or kept.
func (t *Total) Quantities() Vector { return t.quantities }

// share returns the greatest part of any resource that allocation is. The
// quotient of two exact numbers is the same for all equal fractions, so that
// three of nine tie with one of three.
func (t *Total) share(allocation Vector) float64 {
	most := 0.0
	for i, all := range t.quantities {
		if all <= 0 || i < len(t.excluded) && t.excluded[i] {
			continue
		}
		most = max(most, float64(allocation.At(i))/float64(all))
	}
	return most
}

// Dominant returns the index of the resource of which allocation is the
// greatest part, and that part; -1 if there is none.
func (t *Total) Dominant(allocation Vector) (index int, share float64) {
	index = -1
	for i := range t.quantities {
		one := Total{quantities: t.quantities[:i+1], excluded: t.excluded}
		if s := one.share(allocation); s > share {
			index, share = i, s
		}
	}
	return index, share
}

// Weights holds the weights of roles; those not set weigh 1.
type Weights struct {
	byPath  map[string]float64
	version uint64
}

// Set makes a path weigh as much, which is more than 0.
func (w *Weights) Set(path string, weight float64) {
	if w.byPath == nil {
		w.byPath = map[string]float64{}
	}
	w.byPath[path] = weight
	w.version++
}

// Of returns the weight of a path.
func (w *Weights) Of(path string) float64 {
	if weight, ok := w.byPath[path]; ok {
		return weight
	}
	return 1
}

// ranks are those of paths that are set from outside; those not set are 0.
type ranks struct {
	byPath  map[string]int32
	version uint64
}

// set replaces all ranks. The same ones again are no change.
func (r *ranks) set(byPath map[string]int32) {
	if !maps.Equal(r.byPath, byPath) {
		r.byPath = byPath
		r.version++
	}
}
