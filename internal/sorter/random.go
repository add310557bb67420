package sorter

import (
	"cmp"
	"math"
	"slices"
)

// A draw is a client's place in a shuffle.
type draw[T any] struct {
	client *Client[T]
	place  float64
}

// shuffled yields the active clients, drawn one after the other without being
// put back. A client's chance is the product, over the nodes from it up, of
// the weight of each in that of all its siblings that have active clients.
func (t *Tree[T]) shuffled(yield func(*Client[T]) bool) {
	draws := t.root.draw(t, 1, nil)
	slices.SortFunc(draws, func(a, b draw[T]) int {
		return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.client.path, b.client.path))
	})
	for _, d := range draws {
		if !yield(d.client) {
			return
		}
	}
}

// draw appends a draw for each active client below n, which has a chance. An
// exponential variate divided by the chance makes sorting by it a weighted
// shuffle. The order that the nodes are visited in is kept by name, so that
// what is drawn depends on the seed alone.
func (n *node[T]) draw(t *Tree[T], chance float64, draws []draw[T]) []draw[T] {
	var competing []*node[T]
	for _, num := range n.order {
		if t.keys[num].active > 0 {
			competing = append(competing, t.nodes[num])
		}
	}
	slices.SortFunc(competing, func(a, b *node[T]) int { return cmp.Compare(a.name, b.name) })
	sum := 0.0
	for _, c := range competing {
		sum += t.weights.Of(c.path)
	}
	for _, c := range competing {
		of := chance * t.weights.Of(c.path) / sum
		if c.client == nil {
			draws = c.draw(t, of, draws)
			continue
		}
		draws = append(draws, draw[T]{c.client, t.rng.ExpFloat64() / max(of, math.SmallestNonzeroFloat64)})
	}
	return draws
}
