// Package sorter keeps the clients of a tree in the order in which a fair
// allocator serves them.
//
// A client is a role or, within a role, a framework. Its path is divided at
// slashes; the nodes above it stand for the sum of what is below them, so that
// fairness holds between "eng" and "ops" first and between "eng/web" and
// "eng/db" then. A client that has others below it competes with them as a
// child called ".".
//
// Under [DRF] the node with the lowest dominant share comes first: the largest,
// over the resources that count, of what it has to what the cluster has,
// divided by its weight. Ranks ([Tree.SetRanks]) come before that: of siblings
// those with the lowest rank come first, whatever they have. Of equals the one
// that was allocated something fewer times comes first, and of those the first by
// name, as in Mesos.
//
// The order is kept, not made: a change moves one node per level, in
// logarithmic time. Only a change of the cluster's size, of a weight or of the
// ranks makes the next walk sort anew.
package sorter

import (
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/meseta-project/meseta/internal/invariant"
)

// An Order is how the children of a node are put in order.
type Order int

// The orders: by dominant share, or, at every walk anew, at random, a client
// being the likelier to be first the greater its weight is.
const (
	DRF Order = iota
	Random
)

// A Tree orders clients that carry a T, such as a role or a framework in a
// role. It is not safe for concurrent use.
type Tree[T any] struct {
	root    *node[T]
	nodes   []*node[T] // by number, nil if free
	keys    []key      // by number
	free    []int32    // numbers
	total   *Total
	seen    uint64 // the version of total that the order is by
	weights *Weights
	heavy   uint64 // the version of weights that the order is by
	ranks   ranks
	ranked  uint64 // the version of ranks that the order is by
	order   Order
	rng     *rand.Rand
	clients int
	changes uint64      // of which clients are active, and where
	lottery *lottery[T] // what was drawn from last, at random
}

// A Client is a place in a Tree that is served if it is active.
type Client[T any] struct {
	Value  T
	path   string
	active bool
	node   *node[T] // changes when the client gets or loses children
}

// Path returns the client's path.
func (c *Client[T]) Path() string { return c.path }

// Active reports whether the client takes part in walks.
func (c *Client[T]) Active() bool { return c.active }

// Allocation returns what the client has, without what those below it have.
// It must not be changed or kept.
func (c *Client[T]) Allocation() Vector { return c.node.allocation }

// New returns an empty tree for a cluster of size total. Several trees may use
// one Total and one Weights; rng is used by [Random] only.
func New[T any](total *Total, weights *Weights, order Order, rng *rand.Rand) *Tree[T] {
	t := &Tree[T]{root: &node[T]{}, total: total, weights: weights, order: order, rng: rng}
	t.number(t.root)
	return t
}

// SetRanks puts those with the lowest rank first, by the paths of nodes, from
// the next walk on. Paths without a rank have 0. It does nothing to [Random].
func (t *Tree[T]) SetRanks(ranks map[string]int32) { t.ranks.set(ranks) }

// RankOf returns the rank of a path.
func (t *Tree[T]) RankOf(path string) int32 { return t.ranks.byPath[path] }

// Allocation returns what all clients have together. It must not be changed or
// kept.
func (t *Tree[T]) Allocation() Vector { return t.root.allocation }

// Len returns how many clients there are, active or not.
func (t *Tree[T]) Len() int { return t.clients }

// Add makes a client, which is not active. Its path must be new.
func (t *Tree[T]) Add(path string, value T) *Client[T] {
	n := t.root
	for name := range strings.SplitSeq(path, "/") {
		if n.client != nil {
			t.pushDown(n)
		}
		n = t.child(n, name)
	}
	if len(n.children) > 0 {
		n = t.child(n, self)
	}
	invariant.Check(n.client == nil, "a client is added to a sorter once", "path", path)
	t.changes++
	c := &Client[T]{Value: value, path: path, node: n}
	n.client = c
	if n.listed {
		t.unlist(n.parent, n)
	}
	t.clients++
	return c
}

// Remove takes the client away together with whatever it still has.
func (t *Tree[T]) Remove(c *Client[T]) {
	t.changes++
	t.Deactivate(c)
	t.change(c, slices.Clone(c.node.allocation), -1, 0)
	n := c.node
	for n.parent != nil && len(n.children) == 0 {
		t.unlist(n.parent, n)
		t.withdraw(n.parent, n)
		n = n.parent
	}
	if only := n.children[self]; only != nil && len(n.children) == 1 {
		t.pullUp(n, only)
	}
	c.node = nil
	t.clients--
}

// Activate makes the client take part in walks.
func (t *Tree[T]) Activate(c *Client[T]) {
	if c.active {
		return
	}
	t.changes++
	c.active = true
	n := c.node
	for p := n; p != nil; p = p.parent {
		t.keys[p.num].active++
	}
	t.keys[n.num].share = t.shareOf(n)
	t.list(n.parent, n)
}

// Deactivate leaves the client out of walks. What it has still counts for the
// nodes above it.
func (t *Tree[T]) Deactivate(c *Client[T]) {
	if !c.active {
		return
	}
	t.changes++
	c.active = false
	n := c.node
	t.unlist(n.parent, n)
	for p := n; p != nil; p = p.parent {
		t.keys[p.num].active--
	}
}

// Allocated gives the client v more, once.
func (t *Tree[T]) Allocated(c *Client[T], v Vector) { t.change(c, v, 1, 1) }

// Unallocated takes v away from the client, which has it.
func (t *Tree[T]) Unallocated(c *Client[T], v Vector) {
	for i, q := range v {
		if q > c.node.allocation.At(i) {
			invariant.Fail("what is taken away is there", "path", c.path, "index", i, "taken", q, "there", c.node.allocation.At(i))
		}
	}
	t.change(c, v, -1, 0)
}

// Changed gives the client v more, which may be negative, as part of something
// that it was allocated before.
func (t *Tree[T]) Changed(c *Client[T], v Vector) { t.change(c, v, 1, 0) }

// change adds sign times v to all nodes from the client up, and made to the
// number of allocations made to them.
func (t *Tree[T]) change(c *Client[T], v Vector, sign int64, made uint64) {
	sorted := t.sorted()
	for n := c.node; n != nil; n = n.parent {
		at := -1
		if sorted && n.listed {
			at = t.place(n.parent, n.num)
		}
		n.allocation.AddScaled(v, sign)
		t.keys[n.num].made += made
		if at >= 0 {
			t.keys[n.num].share = t.shareOf(n)
			t.move(n.parent, at)
		}
	}
}

// sorted reports whether the nodes are in their order.
func (t *Tree[T]) sorted() bool {
	return t.seen == t.total.version && t.heavy == t.weights.version && t.ranked == t.ranks.version
}

// All yields the active clients in order. What is changed while it runs may or
// may not show: collect changes and make them afterwards.
func (t *Tree[T]) All() iter.Seq[*Client[T]] {
	return func(yield func(*Client[T]) bool) {
		if t.order == Random {
			t.shuffled(yield)
			return
		}
		if !t.sorted() {
			t.sort(t.root)
			t.seen, t.heavy, t.ranked = t.total.version, t.weights.version, t.ranks.version
		}
		t.walk(t.root, yield)
	}
}

// Share returns the dominant share of the client's node, divided by its
// weight: of the client alone, without those below it.
func (t *Tree[T]) Share(c *Client[T]) float64 { return t.shareOf(c.node) }

// ShareOf returns the dominant share of everything at and below a path,
// divided by the weight of the path; 0 if there is nothing.
func (t *Tree[T]) ShareOf(path string) float64 {
	n := t.root
	for name := range strings.SplitSeq(path, "/") {
		if n = n.children[name]; n == nil {
			return 0
		}
	}
	return t.shareOf(n)
}

func (t *Tree[T]) shareOf(n *node[T]) float64 {
	return t.total.share(n.allocation) / t.weights.Of(n.path)
}

// pushDown makes room for children of n, which is a client: the client becomes
// one of them.
func (t *Tree[T]) pushDown(n *node[T]) {
	c := n.client
	n.client = nil
	below := t.child(n, self)
	below.client, c.node = c, below
	below.allocation = append(below.allocation, n.allocation...)
	own, above := &t.keys[below.num], &t.keys[n.num]
	own.made, own.active = above.made, above.active
	own.share = t.shareOf(below)
	if !n.listed {
		above.share = t.shareOf(n)
		t.list(n.parent, n)
	}
	if own.active == 0 {
		t.unlist(n, below)
	}
}

// pullUp makes n the node of the client that is its only child.
func (t *Tree[T]) pullUp(n, only *node[T]) {
	n.client, only.client.node = only.client, n
	t.release(only)
	n.children, n.byName, n.order = nil, nil, nil
	if t.keys[n.num].active == 0 {
		t.unlist(n.parent, n)
	}
}

// child returns the child of n called name and makes it if need be, listed as
// a node that has clients below it is.
func (t *Tree[T]) child(n *node[T], name string) *node[T] {
	if c := n.children[name]; c != nil {
		return c
	}
	c := &node[T]{name: name, path: name, parent: n}
	c.allocation = c.near[:0]
	t.number(c)
	if n != t.root {
		c.path = n.path + "/" + name
	}
	if n.children == nil {
		n.children = map[string]*node[T]{}
	}
	n.children[name] = c
	t.enter(n, c)
	t.list(n, c)
	return c
}

// number gives a new node its number.
func (t *Tree[T]) number(n *node[T]) {
	if last := len(t.free) - 1; last >= 0 {
		n.num, t.free = t.free[last], t.free[:last]
		t.nodes[n.num], t.keys[n.num] = n, key{}
		return
	}
	n.num = int32(len(t.nodes))
	t.nodes, t.keys = append(t.nodes, n), append(t.keys, key{})
}

// release takes the number of a node that is gone.
func (t *Tree[T]) release(n *node[T]) {
	t.nodes[n.num] = nil
	t.free = append(t.free, n.num)
}
