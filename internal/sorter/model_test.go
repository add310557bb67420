package sorter

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A model is a tree that keeps no order: it works everything out from the
// paths of the clients when asked.
type model struct {
	total   Vector
	weights map[string]float64
	clients map[string]*modelClient
	ranks   map[string]int32
	made    map[string]uint64 // by path of a node, "a/." for a client with others below
}

type modelClient struct {
	allocation int64
	active     bool
}

// node returns the path of a client's own node.
func (m *model) node(path string) string {
	for other := range m.clients {
		if strings.HasPrefix(other, path+"/") {
			return path + "/" + self
		}
	}
	return path
}

// above yields the paths of the nodes from a client's up.
func (m *model) above(path string) []string {
	out := []string{}
	for node := m.node(path); node != ""; node = node[:max(0, strings.LastIndexByte(node, '/'))] {
		out = append(out, node)
	}
	return out
}

func (m *model) add(path string) {
	before := map[string]string{}
	for other := range m.clients {
		before[other] = m.node(other)
	}
	m.clients[path] = &modelClient{}
	for other, node := range before {
		if now := m.node(other); now != node {
			m.made[now] = m.made[node]
		}
	}
}

func (m *model) remove(path string) {
	delete(m.clients, path)
	nodes := map[string]bool{}
	for other := range m.clients {
		for _, node := range m.above(other) {
			nodes[node] = true
		}
	}
	maps.DeleteFunc(m.made, func(node string, _ uint64) bool { return !nodes[node] })
}

// share returns the weighted share of a node.
func (m *model) share(node string) float64 {
	var sum int64
	for path, c := range m.clients {
		if own := m.node(path); own == node || strings.HasPrefix(own, node+"/") {
			sum += c.allocation
		}
	}
	weight, ok := m.weights[node]
	if !ok {
		weight = 1
	}
	return float64(sum) / float64(m.total[0]) / weight
}

// walk returns the active clients by comparing every two of them at the node
// where their paths part.
func (m *model) walk() []string {
	var active []string
	for path, c := range m.clients {
		if c.active {
			active = append(active, path)
		}
	}
	slices.SortFunc(active, func(a, b string) int {
		x, y := slices.Clone(m.above(a)), slices.Clone(m.above(b))
		slices.Reverse(x)
		slices.Reverse(y)
		for i := range min(len(x), len(y)) {
			if x[i] != y[i] {
				return cmp.Or(cmp.Compare(m.ranks[x[i]], m.ranks[y[i]]), cmp.Compare(m.share(x[i]), m.share(y[i])),
					cmp.Compare(m.made[x[i]], m.made[y[i]]), cmp.Compare(x[i], y[i]))
			}
		}
		return 0
	})
	return active
}

// TestModel does the same things to a tree and to the model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{total: Vector{1000}, weights: map[string]float64{}, clients: map[string]*modelClient{}, made: map[string]uint64{}}
		total, weights := cluster(1000), &Weights{}
		tree := New[int](total, weights, DRF, nil)
		clients := map[string]*Client[int]{}
		all := []string{"a", "a/b", "a/b/c", "a/d", "b", "c/d", "c/e/f", "c/e"}
		path := rapid.SampledFrom(all)
		pick := func(t *rapid.T) (string, *Client[int]) {
			p := path.Draw(t, "path")
			if clients[p] == nil {
				t.Skip("no such client")
			}
			return p, clients[p]
		}
		for _, p := range all {
			clients[p] = tree.Add(p, 0)
			m.add(p)
			tree.Activate(clients[p])
			m.clients[p].active = true
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				p := path.Draw(t, "path")
				if clients[p] != nil {
					t.Skip("there already")
				}
				clients[p] = tree.Add(p, 0)
				m.add(p)
			},
			"remove": func(t *rapid.T) {
				p, c := pick(t)
				tree.Remove(c)
				delete(clients, p)
				m.remove(p)
			},
			"activate": func(t *rapid.T) {
				p, c := pick(t)
				tree.Activate(c)
				m.clients[p].active = true
			},
			"deactivate": func(t *rapid.T) {
				p, c := pick(t)
				tree.Deactivate(c)
				m.clients[p].active = false
			},
			"allocate": func(t *rapid.T) {
				p, c := pick(t)
				q := rapid.Int64Range(0, 3).Draw(t, "quantity")
				tree.Allocated(c, Vector{q})
				m.clients[p].allocation += q
				for _, node := range m.above(p) {
					m.made[node]++
				}
			},
			"unallocate": func(t *rapid.T) {
				p, c := pick(t)
				q := rapid.Int64Range(0, m.clients[p].allocation).Draw(t, "quantity")
				tree.Unallocated(c, Vector{q})
				m.clients[p].allocation -= q
			},
			"weigh": func(t *rapid.T) {
				p := path.Draw(t, "path")
				w := rapid.SampledFrom([]float64{0.5, 1, 2, 3}).Draw(t, "weight")
				weights.Set(p, w)
				m.weights[p] = w
			},
			"rank": func(t *rapid.T) {
				m.ranks = map[string]int32{}
				for _, p := range append([]string{"c"}, all...) {
					m.ranks[p] = rapid.Int32Range(-1, 1).Draw(t, "rank")
				}
				tree.SetRanks(maps.Clone(m.ranks))
			},
			"grow": func(t *rapid.T) {
				q := rapid.Int64Range(500, 2000).Draw(t, "total")
				total.Change(m.total, Vector{q})
				m.total = Vector{q}
			},
			"": func(t *rapid.T) {
				if got, want := fmt.Sprint(paths(tree)), fmt.Sprint(m.walk()); got != want {
					t.Fatalf("order %s, want %s", got, want)
				}
			},
		})
	})
}
