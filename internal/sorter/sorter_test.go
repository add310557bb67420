package sorter

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// paths returns the order of a walk.
func paths(t *Tree[int]) []string {
	var out []string
	for c := range t.All() {
		out = append(out, c.Path())
	}
	return out
}

// cluster returns a total of the quantities.
func cluster(qs ...int64) *Total {
	total := &Total{}
	total.Change(nil, qs)
	return total
}

func TestOrder(t *testing.T) {
	tree := New[int](cluster(100, 1000), &Weights{}, DRF, nil)
	a, b, c := tree.Add("a", 0), tree.Add("b", 0), tree.Add("c", 0)
	for _, client := range []*Client[int]{c, b, a} {
		tree.Activate(client)
	}
	check := func(want string) {
		t.Helper()
		if got := strings.Join(paths(tree), " "); got != want {
			t.Errorf("order %q, want %q", got, want)
		}
	}
	check("a b c")
	tree.Allocated(a, Vector{10, 10})
	tree.Allocated(b, Vector{0, 200})
	check("c a b")
	tree.Unallocated(a, Vector{10, 10})
	tree.Unallocated(b, Vector{0, 200})
	check("c a b") // a and b were served before
	tree.Deactivate(a)
	check("c b")
	tree.Allocated(a, Vector{50, 0})
	tree.Activate(a)
	check("c b a")
	tree.Remove(b)
	check("c a")
	if got := tree.Share(a); got != 0.5 {
		t.Errorf("share %v, want 0.5", got)
	}
}

func TestHierarchy(t *testing.T) {
	weights := &Weights{}
	tree := New[int](cluster(100), weights, DRF, nil)
	clients := map[string]*Client[int]{}
	for _, path := range []string{"a", "a/x", "a/y", "b", "c/z"} {
		clients[path] = tree.Add(path, 0)
		tree.Activate(clients[path])
	}
	check := func(want ...string) {
		t.Helper()
		if got := paths(tree); !slices.Equal(got, want) {
			t.Errorf("order %q, want %q", got, want)
		}
	}
	check("a", "a/x", "a/y", "b", "c/z")
	tree.Allocated(clients["a/x"], Vector{10})
	check("b", "c/z", "a", "a/y", "a/x")
	tree.Allocated(clients["b"], Vector{15})
	tree.Allocated(clients["c/z"], Vector{20})
	check("a", "a/y", "a/x", "b", "c/z")
	weights.Set("c", 4)
	check("c/z", "a", "a/y", "a/x", "b")
	weights.Set("a", 0.1)
	check("c/z", "b", "a", "a/y", "a/x")
	tree.Remove(clients["a/x"])
	tree.Remove(clients["a/y"])
	check("a", "c/z", "b")
}

func TestExcluded(t *testing.T) {
	total := cluster(100, 100)
	total.Exclude(1)
	tree := New[int](total, &Weights{}, DRF, nil)
	a := tree.Add("a", 0)
	tree.Allocated(a, Vector{10, 90})
	if got := tree.Share(a); got != 0.1 {
		t.Errorf("share %v, want 0.1", got)
	}
	if i, share := total.Dominant(a.Allocation()); i != 0 || share != 0.1 {
		t.Errorf("dominant %d, %v", i, share)
	}
}

// TestEqualFractions shows that fractions that are equal tie however they are
// written.
func TestEqualFractions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.Int64Range(0, 1e6).Draw(t, "part")
		whole := rapid.Int64Range(1, 1e6).Draw(t, "whole")
		by := rapid.Int64Range(1, 1e3).Draw(t, "by")
		x, y := cluster(whole).share(Vector{part}), cluster(whole*by).share(Vector{part * by})
		if x != y {
			t.Fatalf("%d/%d is %v, times %d it is %v", part, whole, x, by, y)
		}
	})
}

// TestRandom draws the first client many times: it is each in proportion to
// the weights on its path.
func TestRandom(t *testing.T) {
	weights := &Weights{}
	weights.Set("a", 3)
	weights.Set("b/y", 2)
	tree := New[int](cluster(1), weights, Random, rand.New(rand.NewPCG(1, 2)))
	for _, path := range []string{"a", "b/x", "b/y", "c/idle"} {
		client := tree.Add(path, 0)
		if path != "c/idle" {
			tree.Activate(client)
		}
	}
	const rounds = 20000
	first := map[string]float64{}
	for range rounds {
		order := paths(tree)
		if len(order) != 3 {
			t.Fatalf("order %q", order)
		}
		first[order[0]]++
	}
	for path, want := range map[string]float64{"a": 9. / 12, "b/x": 1. / 12, "b/y": 2. / 12} {
		if got := first[path] / rounds; math.Abs(got-want) > 0.02 {
			t.Errorf("%s is first in %.3f of the draws, want %.3f", path, got, want)
		}
	}
}

// TestRandomServesAll draws all clients, of whatever weights, and while they come and
// go: each walk has those that are active once, one that is broken off, and one within
// another, among them.
func TestRandomServesAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := &Weights{}
		tree := New[int](cluster(1), weights, Random, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2)))
		clients := map[string]*Client[int]{}
		names := rapid.SampledFrom([]string{"a", "b", "c", "a/x", "a/y", "b/x", "b/y/z", "d", "e", "f"})
		weighs := rapid.SampledFrom([]float64{1, 2, 1e-300, 1e300, 5e-324})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				if name := names.Draw(t, "name"); clients[name] == nil {
					clients[name] = tree.Add(name, 0)
					tree.Activate(clients[name])
				}
			},
			"remove": func(t *rapid.T) {
				if name := names.Draw(t, "name"); clients[name] != nil {
					tree.Remove(clients[name])
					delete(clients, name)
				}
			},
			"turn off": func(t *rapid.T) {
				if c := clients[names.Draw(t, "name")]; c != nil {
					tree.Deactivate(c)
				}
			},
			"weigh": func(t *rapid.T) { weights.Set(names.Draw(t, "name"), weighs.Draw(t, "weight")) },
			"": func(t *rapid.T) {
				var want []string
				for name, c := range clients {
					if c.Active() {
						want = append(want, name)
					}
				}
				slices.Sort(want)
				for range tree.All() {
					break
				}
				for range tree.All() {
					got := paths(tree)
					if slices.Sort(got); !slices.Equal(got, want) {
						t.Fatalf("served are %q, active are %q", got, want)
					}
				}
			},
		})
	})
}

// TestNames adds and removes many siblings that have nothing, so that their
// names are their order: rising, falling and in between, until keys between two
// of them are used up many times.
func TestNames(t *testing.T) {
	tree := New[int](cluster(1000), &Weights{}, DRF, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	clients := map[string]*Client[int]{}
	add := func(i int) {
		name := fmt.Sprintf("role%05d", i)
		if clients[name] == nil {
			clients[name] = tree.Add(name, i)
			tree.Activate(clients[name])
		}
	}
	paths(tree) // sorted from now on
	for i := range 300 {
		add(40_000 + i)
		add(40_000 - i)
		add(20_000 + 50*i)
		add(rng.IntN(100_000))
	}
	for range 3 {
		for _, name := range slices.Sorted(maps.Keys(clients)) {
			if rng.IntN(2) == 0 {
				tree.Remove(clients[name])
				delete(clients, name)
			}
		}
		for range 500 {
			add(rng.IntN(100_000))
		}
		if got, want := paths(tree), slices.Sorted(maps.Keys(clients)); !slices.Equal(got, want) {
			t.Fatalf("the order is %v, not %v", got, want)
		}
	}
}
