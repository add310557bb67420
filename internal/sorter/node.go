package sorter

import (
	"cmp"
	"slices"
)

// self is the name of the child that stands for the client at its parent.
const self = "."

// A node is a client, or has clients below it.
type node[T any] struct {
	name, path string
	parent     *node[T]
	children   map[string]*node[T]
	client     *Client[T] // nil if there are children

	allocation Vector  // what it and all below have
	made       uint64  // how many allocations were made to it and those below
	share      float64 // up to date if listed and the tree is sorted
	rank       int32   // up to date if listed and the tree is sorted
	active     int     // how many clients at or below it are active
	listed     bool    // it is in the order of its parent

	// order has the children that are active clients or have clients below
	// them, sorted if the tree is. They are numbers, since moving those about
	// is no business of the garbage collector's.
	num   int32 // index in Tree.nodes
	order []int32
}

// compare puts siblings in the order in which they are served.
func (n *node[T]) compare(o *node[T]) int {
	switch {
	case n.rank != o.rank:
		return cmp.Compare(n.rank, o.rank)
	case n.share != o.share:
		return cmp.Compare(n.share, o.share)
	case n.made != o.made:
		return cmp.Compare(n.made, o.made)
	default:
		return cmp.Compare(n.name, o.name)
	}
}

// search returns the first place in sorted nodes that does not belong before c.
func (t *Tree[T]) search(nodes []int32, c *node[T]) int {
	low, high := 0, len(nodes)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if t.nodes[nodes[middle]].compare(c) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// move puts the child of n at an index, the only one out of place, where it
// belongs.
func (t *Tree[T]) move(n *node[T], at int) {
	num := n.order[at]
	c := t.nodes[num]
	if at > 0 && c.compare(t.nodes[n.order[at-1]]) < 0 {
		to := t.search(n.order[:at], c)
		copy(n.order[to+1:at+1], n.order[to:at])
		n.order[to] = num
		return
	}
	behind := n.order[at+1:]
	if len(behind) > 0 && t.nodes[behind[0]].compare(c) < 0 {
		to := t.search(behind, c)
		copy(n.order[at:], behind[:to])
		n.order[at+to] = num
	}
}

// list puts the child c of n into the order.
func (t *Tree[T]) list(n, c *node[T]) {
	at := len(n.order)
	c.rank = t.ranks.byPath[c.path]
	if t.sorted() {
		at = t.search(n.order, c)
	}
	n.order = slices.Insert(n.order, at, c.num)
	c.listed = true
}

// unlist takes the child c of n out of the order, if it is in it.
func (t *Tree[T]) unlist(n, c *node[T]) {
	if !c.listed {
		return
	}
	var at int
	if t.sorted() {
		at = t.search(n.order, c)
	} else {
		at = slices.Index(n.order, c.num)
	}
	n.order = slices.Delete(n.order, at, at+1)
	c.listed = false
}

// sort puts everything below n in order.
func (t *Tree[T]) sort(n *node[T]) {
	for _, num := range n.order {
		c := t.nodes[num]
		c.share, c.rank = t.shareOf(c), t.ranks.byPath[c.path]
		t.sort(c)
	}
	byTurn := func(a, b int32) int { return t.nodes[a].compare(t.nodes[b]) }
	if !slices.IsSortedFunc(n.order, byTurn) {
		slices.SortFunc(n.order, byTurn)
	}
}

// walk yields the active clients below n in order until it is told to stop.
func (t *Tree[T]) walk(n *node[T], yield func(*Client[T]) bool) bool {
	for _, num := range n.order {
		c := t.nodes[num]
		switch {
		case c.active == 0:
		case c.client != nil:
			if !yield(c.client) {
				return false
			}
		case !t.walk(c, yield):
			return false
		}
	}
	return true
}
