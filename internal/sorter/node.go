package sorter

import (
	"cmp"
	"math"
	"slices"
)

// self is the name of the child that stands for the client at its parent.
const self = "."

// A node is a client, or has clients below it.
type node[T any] struct {
	num        int32      // index in Tree.nodes and Tree.keys
	listed     bool       // it is in the order of its parent
	client     *Client[T] // nil if there are children
	parent     *node[T]
	allocation Vector   // what it and all below have
	near       [4]int64 // where allocation is, unless it is longer

	// order has the children that are active clients or have clients below
	// them, sorted if the tree is. They are numbers, since moving those about
	// is no business of the garbage collector's.
	order []int32

	name, path string
	children   map[string]*node[T]
	byName     []int32 // all children
}

// A key is what a node is put in order by, with all others in one place: to find
// where a node belongs is to look at a dozen others.
type key struct {
	share  float64 // up to date if listed and the tree is sorted
	made   uint64  // how many allocations were made to the node and those below
	name   uint64  // in the order of the names of siblings
	rank   int32   // up to date if listed and the tree is sorted
	active int32   // how many clients at or below the node are active
}

// compare puts siblings in the order in which they are served.
func (k *key) compare(o *key) int {
	switch {
	case k.rank != o.rank:
		return cmp.Compare(k.rank, o.rank)
	case k.share != o.share:
		return cmp.Compare(k.share, o.share)
	case k.made != o.made:
		return cmp.Compare(k.made, o.made)
	default:
		return cmp.Compare(k.name, o.name)
	}
}

// search returns the first place in sorted nodes that does not belong before
// the one with a number.
func (t *Tree[T]) search(nodes []int32, num int32) int {
	k := &t.keys[num]
	low, high := 0, len(nodes)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if t.keys[nodes[middle]].compare(k) < 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// place returns where in the sorted order of n the child with a number is:
// mostly in front, when it has just been served.
func (t *Tree[T]) place(n *node[T], num int32) int {
	if n.order[0] == num {
		return 0
	}
	return t.search(n.order, num)
}

// move puts the child of n at an index, the only one out of place, where it
// belongs.
func (t *Tree[T]) move(n *node[T], at int) {
	num := n.order[at]
	if at > 0 && t.keys[num].compare(&t.keys[n.order[at-1]]) < 0 {
		to := t.search(n.order[:at], num)
		copy(n.order[to+1:at+1], n.order[to:at])
		n.order[to] = num
		return
	}
	behind := n.order[at+1:]
	if len(behind) > 0 && t.keys[behind[0]].compare(&t.keys[num]) < 0 {
		to := t.search(behind, num)
		if at == 0 && to > len(behind)/2 {
			n.order = slices.Insert(behind, to, num) // moves less, mostly in place
			return
		}
		copy(n.order[at:], behind[:to])
		n.order[at+to] = num
	}
}

// list puts the child c of n into the order.
func (t *Tree[T]) list(n, c *node[T]) {
	at := len(n.order)
	t.keys[c.num].rank = t.ranks.byPath[c.path]
	if t.sorted() {
		at = t.search(n.order, c.num)
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
		at = t.search(n.order, c.num)
	} else {
		at = slices.Index(n.order, c.num)
	}
	n.order = slices.Delete(n.order, at, at+1)
	c.listed = false
}

// searchName returns the place of a name among all children of n.
func (t *Tree[T]) searchName(n *node[T], name string) int {
	at, _ := slices.BinarySearchFunc(n.byName, name, func(num int32, name string) int {
		return cmp.Compare(t.nodes[num].name, name)
	})
	return at
}

// enter puts the child c, which is new, among all children of n, and its key
// between those of its neighbours. If these leave no room all get new ones.
func (t *Tree[T]) enter(n, c *node[T]) {
	at := t.searchName(n, c.name)
	below, above := uint64(0), uint64(math.MaxUint64)
	if at > 0 {
		below = t.keys[n.byName[at-1]].name
	}
	if at < len(n.byName) {
		above = t.keys[n.byName[at]].name
	}
	n.byName = slices.Insert(n.byName, at, c.num)
	t.keys[c.num].name = below + (above-below)/2
	if above-below > 1 {
		return
	}
	step := math.MaxUint64 / uint64(len(n.byName)+1)
	for i, num := range n.byName {
		t.keys[num].name = step * uint64(i+1)
	}
}

// withdraw takes the child c, which is not listed, from n.
func (t *Tree[T]) withdraw(n, c *node[T]) {
	at := t.searchName(n, c.name)
	n.byName = slices.Delete(n.byName, at, at+1)
	delete(n.children, c.name)
	t.release(c)
}

// sort puts everything below n in order.
func (t *Tree[T]) sort(n *node[T]) {
	for _, num := range n.order {
		c := t.nodes[num]
		t.keys[num].share, t.keys[num].rank = t.shareOf(c), t.ranks.byPath[c.path]
		t.sort(c)
	}
	byTurn := func(a, b int32) int { return t.keys[a].compare(&t.keys[b]) }
	if !slices.IsSortedFunc(n.order, byTurn) {
		slices.SortFunc(n.order, byTurn)
	}
}

// walk yields the active clients below n in order until it is told to stop.
func (t *Tree[T]) walk(n *node[T], yield func(*Client[T]) bool) bool {
	for _, num := range n.order {
		if t.keys[num].active == 0 {
			continue
		}
		c := t.nodes[num]
		switch {
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
