package bench

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/resources"
)

// smallAgent is what agents have where quota is measured.
const smallAgent = "cpus:2;mem:2048;disk:2048"

// quotaOf returns a guarantee of so many halves of an agent that is a limit as
// well.
func quotaOf(halves int) allocator.Quota {
	text := fmt.Sprintf("cpus:%d;mem:%d;disk:%d", halves, 1024*halves, 1024*halves)
	guarantees, err := resources.ParseQuantities(text)
	if err != nil {
		panic(err)
	}
	limits, err := resources.ParseLimits(text)
	if err != nil {
		panic(err)
	}
	return allocator.Quota{Guarantees: guarantees, Limits: limits}
}

// BenchmarkLargeAndSmallQuota is Mesos's benchmark of this name, by shares and in
// random order: a first cycle with guarantees that nearly fill the cluster. For each
// five small ones, of half an agent, there is a large one, of two.
func BenchmarkLargeAndSmallQuota(b *testing.B) {
	for _, random := range []bool{false, true} {
		b.Run(map[bool]string{false: "sorter=drf", true: "sorter=random"}[random], func(b *testing.B) {
			run(b, []shape{
				{agents: 30, frameworks: 30, random: random},
				{agents: 300, frameworks: 300, random: random},
				{agents: 3000, frameworks: 3000, random: random},
			}, func(b *testing.B, s shape) {
				s.resources = smallAgent
				c := newCluster(s)
				for i := range s.frameworks {
					halves := 1
					if i%6 == 5 {
						halves = 4
					}
					c.SetQuota(roleOf(i, s), quotaOf(halves))
				}
				c.firstCycles(b, s.agents/2, math.MaxInt)
			})
		})
	}
}

// BenchmarkQuotaHeldBack is a batch in which all that is left is held back for
// guarantees that nobody can use, and something about quota has changed since
// the batch before.
func BenchmarkQuotaHeldBack(b *testing.B) {
	run(b, []shape{{agents: 1000, frameworks: 1000}, {agents: 3000, frameworks: 3000}}, func(b *testing.B, s shape) {
		s.resources = smallAgent
		c := newCluster(s)
		c.SetQuota("absent", quotaOf(2*s.agents))
		for b.Loop() {
			c.now = c.now.Add(time.Second)
			c.SetQuota("absent", quotaOf(2*s.agents))
			if offers := c.cycle(); len(offers) != 0 {
				b.Fatalf("%d offers", len(offers))
			}
		}
		c.report(b)
	})
}

// BenchmarkNoQuota and BenchmarkQuotaForAll are first cycles over two agents
// and two frameworks for each of many roles, without quota and with one that
// gives each role its two agents.
func BenchmarkNoQuota(b *testing.B)     { quotaForAll(b, false) }
func BenchmarkQuotaForAll(b *testing.B) { quotaForAll(b, true) }

func quotaForAll(b *testing.B, quota bool) {
	run(b, []shape{{agents: 20, frameworks: 20}, {agents: 200, frameworks: 200}, {agents: 2000, frameworks: 2000}}, func(b *testing.B, s shape) {
		s.resources, s.roles = smallAgent, s.frameworks/2
		c := newCluster(s)
		for i := range s.roles {
			if quota {
				c.SetQuota(roleOf(i, s), quotaOf(4))
			}
		}
		c.firstCycles(b, s.agents, s.agents)
	})
}
