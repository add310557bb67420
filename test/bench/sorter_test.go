package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/meseta-project/meseta/internal/sorter"
)

// sortShapes are how many agents and clients Mesos's benchmarks of its sorters have.
func sortShapes() []shape {
	return []shape{
		{agents: 1000, frameworks: 1},
		{agents: 1000, frameworks: 1000},
		{agents: 10_000, frameworks: 1000},
		{agents: 50_000, frameworks: 1000},
		{agents: 50_000, frameworks: 6000},
	}
}

// anAgent is what one has of all that counts.
var anAgent = sorter.Vector{24_000, 4_096_000, 4_096_000}

// fullSort measures a sorter: allocate each agent to a client, walk all clients
// after everything has changed places, and take all agents back. The paths of the
// clients are what path says.
func fullSort(b *testing.B, path func(client, of int) string) {
	for _, order := range []sorter.Order{sorter.DRF, sorter.Random} {
		name := map[sorter.Order]string{sorter.DRF: "sorter=drf", sorter.Random: "sorter=random"}[order]
		b.Run(name, func(b *testing.B) { sortOrder(b, order, path) })
	}
}

func sortOrder(b *testing.B, order sorter.Order, path func(client, of int) string) {
	for _, s := range sortShapes() {
		b.Run(s.String(), func(b *testing.B) {
			var total sorter.Total
			tree := sorter.New[int](&total, &sorter.Weights{}, order, rand.New(rand.NewPCG(1, 2)))
			clients := make([]*sorter.Client[int], s.frameworks)
			for i := range clients {
				clients[i] = tree.Add(path(i, s.frameworks), i)
				tree.Activate(clients[i])
			}
			for range s.agents {
				total.Change(nil, anAgent)
			}
			each := func(do func(*sorter.Client[int], sorter.Vector)) func() {
				return func() {
					for i := range s.agents {
						do(clients[i*7919%s.frameworks], anAgent)
					}
				}
			}
			take, give := each(tree.Allocated), each(tree.Unallocated)
			walk := func() {
				n := 0
				for range tree.All() {
					n++
				}
				if n != s.frameworks {
					b.Fatalf("%d clients", n)
				}
			}
			none := func() {}
			phase(b, "allocate", none, take, give)
			phase(b, "sort", func() { // the total decides about all
				total.Change(nil, sorter.Vector{1})
			}, walk, none)
			phase(b, "unallocate", take, give, none)
		})
	}
}

// phase times do, which is prepared and undone each time.
func phase(b *testing.B, name string, prepare, do, undo func()) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			prepare()
			b.StartTimer()
			do()
			b.StopTimer()
			undo()
			b.StartTimer()
		}
	})
}

// BenchmarkFullSort has all clients beside each other.
func BenchmarkFullSort(b *testing.B) {
	fullSort(b, func(client, _ int) string { return fmt.Sprintf("client%d", client) })
}

// BenchmarkHierarchyFullSort has clients at the leaves of a tree of which each node
// has ten children.
func BenchmarkHierarchyFullSort(b *testing.B) {
	fullSort(b, func(client, of int) string {
		path := fmt.Sprintf("c%d", client)
		for ; of > 10; of /= 10 {
			client /= 10
			path = fmt.Sprintf("n%d/%s", client, path)
		}
		return path
	})
}
