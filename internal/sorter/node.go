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
	active     int     // how many clients at or below it are active
	listed     bool    // it is in the order of its parent

	// order has the children that are active clients or have clients below
	// them, sorted if the tree is.
	order []*node[T]
}

// compare puts siblings in the order in which they are served.
func (n *node[T]) compare(o *node[T]) int {
	switch {
	case n.share != o.share:
		return cmp.Compare(n.share, o.share)
	case n.made != o.made:
		return cmp.Compare(n.made, o.made)
	default:
		return cmp.Compare(n.name, o.name)
	}
}

// find returns where the child c stands in a sorted order.
func (n *node[T]) find(c *node[T]) int {
	at, _ := slices.BinarySearchFunc(n.order, c, (*node[T]).compare)
	return at
}

// move puts the child at an index, the only one out of place, where it
// belongs.
func (n *node[T]) move(at int) {
	c := n.order[at]
	if at > 0 && c.compare(n.order[at-1]) < 0 {
		to, _ := slices.BinarySearchFunc(n.order[:at], c, (*node[T]).compare)
		copy(n.order[to+1:at+1], n.order[to:at])
		n.order[to] = c
		return
	}
	behind := n.order[at+1:]
	if len(behind) > 0 && behind[0].compare(c) < 0 {
		to, _ := slices.BinarySearchFunc(behind, c, (*node[T]).compare)
		copy(n.order[at:], behind[:to])
		n.order[at+to] = c
	}
}

// list puts the child into the order.
func (n *node[T]) list(t *Tree[T], c *node[T]) {
	at := len(n.order)
	if t.sorted() {
		at = n.find(c)
	}
	n.order = slices.Insert(n.order, at, c)
	c.listed = true
}

// unlist takes the child out of the order, if it is in it.
func (n *node[T]) unlist(t *Tree[T], c *node[T]) {
	if !c.listed {
		return
	}
	var at int
	if t.sorted() {
		at = n.find(c)
	} else {
		at = slices.Index(n.order, c)
	}
	n.order = slices.Delete(n.order, at, at+1)
	c.listed = false
}

// sort puts everything below n in order.
func (n *node[T]) sort(t *Tree[T]) {
	for _, c := range n.order {
		c.share = t.shareOf(c)
		c.sort(t)
	}
	if !slices.IsSortedFunc(n.order, (*node[T]).compare) {
		slices.SortFunc(n.order, (*node[T]).compare)
	}
}

// walk yields the active clients below n in order until it is told to stop.
func (n *node[T]) walk(yield func(*Client[T]) bool) bool {
	for _, c := range n.order {
		switch {
		case c.active == 0:
		case c.client != nil:
			if !yield(c.client) {
				return false
			}
		case !c.walk(yield):
			return false
		}
	}
	return true
}
