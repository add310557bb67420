package sorter

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// A lottery is what a shuffle draws from: the active clients, by the names of the
// nodes above them, so that what is drawn depends on the seed alone. It is good until
// a client is made, removed, activated or deactivated, or a weight changes.
type lottery[T any] struct {
	version, heavy uint64
	tickets        []ticket[T]
	sums           []float64 // of the chances of tickets up to each
	walks          uint64
	walking        bool
}

// A ticket is a client's. Its chance is the product, over the nodes from it up, of the
// weight of each in that of all its siblings that have active clients.
type ticket[T any] struct {
	client *Client[T]
	chance float64
	drawn  uint64 // the walk in which it was drawn last
}

// shuffled yields the active clients, drawn one after the other without being
// put back. What it costs is by how many are drawn, and not by how many there are.
func (t *Tree[T]) shuffled(yield func(*Client[T]) bool) {
	l := t.lottery
	if l == nil || l.walking || l.version != t.changes || l.heavy != t.weights.version {
		l = &lottery[T]{version: t.changes, heavy: t.weights.version}
		l.tickets = t.root.sell(t, 1, nil)
		l.sums = sum(l.tickets, nil)
		t.lottery = l
	}
	l.walking = true
	defer func() { l.walking = false }()
	l.walks++
	tickets, sums, drawn, own := l.tickets, l.sums, 0.0, false
	for left := len(tickets); left > 0; {
		total := sums[len(sums)-1]
		if drawn > total/2 { // most draws would be of what is drawn already
			if !own {
				tickets, sums, own = slices.Clone(tickets), nil, true
			}
			tickets = slices.DeleteFunc(tickets, func(k ticket[T]) bool { return k.drawn == l.walks })
			sums, drawn = sum(tickets, sums[:0]), 0
			continue
		}
		k := &tickets[pick(sums, t.rng)]
		if k.drawn == l.walks {
			continue
		}
		k.drawn = l.walks
		drawn += k.chance
		left--
		if !yield(k.client) {
			return
		}
	}
}

// pick draws one of those whose chances add up to sums.
func pick(sums []float64, rng *rand.Rand) int {
	at := rng.Float64() * sums[len(sums)-1]
	return min(sort.Search(len(sums), func(i int) bool { return sums[i] > at }), len(sums)-1)
}

func sum[T any](tickets []ticket[T], sums []float64) []float64 {
	total := 0.0
	for _, k := range tickets {
		total += k.chance
		sums = append(sums, total)
	}
	return sums
}

// sell appends a ticket for each active client below n, which has a chance.
func (n *node[T]) sell(t *Tree[T], chance float64, tickets []ticket[T]) []ticket[T] {
	var competing []*node[T]
	for _, num := range n.order {
		if t.keys[num].active > 0 {
			competing = append(competing, t.nodes[num])
		}
	}
	slices.SortFunc(competing, func(a, b *node[T]) int { return cmp.Compare(a.name, b.name) })
	all := 0.0
	for _, c := range competing {
		all += t.weights.Of(c.path)
	}
	for _, c := range competing {
		of := chance * t.weights.Of(c.path) / all
		if c.client == nil {
			tickets = c.sell(t, of, tickets)
			continue
		}
		tickets = append(tickets, ticket[T]{client: c.client, chance: max(of, math.SmallestNonzeroFloat64)})
	}
	return tickets
}
