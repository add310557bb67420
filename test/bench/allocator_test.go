// Package bench measures the parts that must be fast, at the sizes that
// clusters have.
package bench

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/sorter"
	"github.com/meseta-project/meseta/resources"
)

// full tells whether sizes that take minutes to set up are wanted too.
func full() bool { return os.Getenv("MESETA_BENCH_FULL") != "" }

// A cluster is an allocator with agents and frameworks that are all alike.
type cluster struct {
	*allocator.Allocator
	now     time.Time
	cpu     time.Duration // that cycles took
	slowest time.Duration // CPU time of a slice
	offers  []allocator.Offer
}

// shape tells what a cluster is made of.
type shape struct {
	agents, frameworks int
	roles              int    // 0: each framework has its own
	resources          string // of an agent
	random             bool   // the order, in place of shares
}

const plainAgent = "cpus:16;mem:65536;disk:1000000;ports:[31000-32000]"

func (s shape) String() string { return fmt.Sprintf("agents=%d/frameworks=%d", s.agents, s.frameworks) }

func newCluster(s shape) *cluster {
	cfg := allocator.DefaultConfig()
	if s.random {
		cfg.RoleOrder, cfg.FrameworkOrder = sorter.Random, sorter.Random
	}
	c := &cluster{
		offers:    make([]allocator.Offer, 0, s.agents),
		Allocator: allocator.New(cfg, rand.New(rand.NewPCG(1, 2))),
		now:       time.Unix(1_000_000, 0),
	}
	for i := range s.frameworks {
		c.addFramework(i, s)
	}
	for i := range s.agents {
		c.addAgent(i, s)
	}
	return c
}

func frameworkID(i int) ids.FrameworkID { return ids.FrameworkIDFor("m", uint64(i)) }
func agentID(i int) ids.AgentID         { return ids.AgentIDFor("m", uint64(i)) }

func roleOf(i int, s shape) string {
	if s.roles > 0 {
		i %= s.roles
	}
	return fmt.Sprintf("role%d", i)
}

func (c *cluster) addFramework(i int, s shape) {
	c.AddFramework(allocator.Framework{
		ID: frameworkID(i),
		Info: &mesos.FrameworkInfo{
			Roles: []string{roleOf(i, s)},
			Capabilities: []*mesos.FrameworkInfo_Capability{
				{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()},
				{Type: mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT.Enum()},
			},
		},
		Active: true,
	})
}

func (c *cluster) addAgent(i int, s shape) {
	if s.resources == "" {
		s.resources = plainAgent
	}
	c.addAgentOf(i, resources.MustParse(s.resources))
}

func (c *cluster) addAgentOf(i int, total resources.Resources) {
	c.AddAgent(agentOf(i, total), nil)
}

func agentOf(i int, total resources.Resources) allocator.Agent {
	host := fmt.Sprintf("host%d", i)
	return allocator.Agent{
		ID:           agentID(i),
		Info:         &mesos.AgentInfo{Hostname: &host},
		Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE},
		Total:        total,
	}
}

// slice is how many agents one turn of the master's loop visits.
const slice = 500

// cycle runs until there is nothing left to do and returns the offers, which are
// valid until the next.
func (c *cluster) cycle() []allocator.Offer {
	c.offers = c.offers[:0]
	for more := true; more; {
		var offers []allocator.Offer
		begun := cpuTime()
		offers, more = c.Run(c.now, slice)
		took := cpuTime() - begun
		c.cpu, c.slowest = c.cpu+took, max(c.slowest, took)
		c.offers = append(c.offers, offers...)
	}
	return c.offers
}

func (c *cluster) giveBack(offers []allocator.Offer, filters *mesos.Filters) {
	for _, o := range offers {
		c.Recover(c.now, o.Framework, o.Agent, o.Resources, filters)
	}
}

// firstCycles measures cycles over agents that are all free, each of which makes at
// least so many offers, and at most so many.
func (c *cluster) firstCycles(b *testing.B, least, most int) {
	for b.Loop() {
		offers := c.cycle()
		b.StopTimer()
		if len(offers) < least || len(offers) > most {
			b.Fatalf("%d offers", len(offers))
		}
		c.giveBack(offers, nil)
		b.StartTimer()
	}
	c.report(b)
}

// forADay is a refusal that outlasts a benchmark.
func forADay() *mesos.Filters {
	seconds := 86400.0
	return &mesos.Filters{RefuseSeconds: &seconds}
}

// cpuTime returns what the thread has used so far. Unlike the time of the
// clock it means something while others use the machine too.
func cpuTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err)
	}
	return time.Duration(t.Nano())
}

// report reports the CPU time of a cycle, without that of garbage collection,
// and the longest that the master's loop was kept.
func (c *cluster) report(b *testing.B) {
	b.ReportMetric(float64(c.cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(c.slowest.Nanoseconds()), "slowest-slice-ns")
}

func run(b *testing.B, shapes []shape, f func(*testing.B, shape)) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			b.ReportAllocs()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			f(b, s)
		})
	}
}

// large adds the size of a large cluster, if it is wanted.
func large(shapes []shape) []shape {
	if full() {
		shapes = append(shapes, shape{agents: 50_000, frameworks: 1000})
	}
	return shapes
}

// BenchmarkAddAgents adds agents to a cluster that has frameworks, and offers
// each at once.
func BenchmarkAddAgents(b *testing.B) {
	run(b, []shape{{agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}, {agents: 50_000, frameworks: 1000}}, func(b *testing.B, s shape) {
		for b.Loop() {
			b.StopTimer()
			c := newCluster(shape{frameworks: s.frameworks})
			b.StartTimer()
			for i := range s.agents {
				c.addAgent(i, s)
				c.Run(c.now, slice)
			}
		}
	})
}

// BenchmarkFirstCycle offers all agents, all free.
func BenchmarkFirstCycle(b *testing.B) {
	shapes := []shape{
		{agents: 1000, frameworks: 1},
		{agents: 1000, frameworks: 1000},
		{agents: 10_000, frameworks: 1000},
		{agents: 50_000, frameworks: 1000},
		{agents: 100_000, frameworks: 1000},
		{agents: 50_000, frameworks: 6000},
	}
	run(b, shapes, func(b *testing.B, s shape) {
		newCluster(s).firstCycles(b, s.agents, s.agents)
	})
}

// declinedShapes are the sizes of clusters in which everybody has declined
// everything. The largest takes four gigabytes, for the filters of 300 million
// pairs.
func declinedShapes() []shape {
	shapes := []shape{{agents: 1000, frameworks: 1}, {agents: 1000, frameworks: 50}, {agents: 1000, frameworks: 100}, {agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}}
	if full() {
		shapes = append(shapes, shape{agents: 50_000, frameworks: 1000}, shape{agents: 50_000, frameworks: 6000})
	}
	return shapes
}

// newDeclined returns a cluster in which everybody has declined everything, and
// that knows of each agent whom it is no use to.
func newDeclined(s shape) *cluster {
	c := newCluster(s)
	c.DeclineAll(c.now, forADay())
	c.cycle()
	c.cpu, c.slowest = 0, 0
	return c
}

// BenchmarkDeclinedCycle visits all agents, of which everybody has declined
// everything.
func BenchmarkDeclinedCycle(b *testing.B) {
	run(b, declinedShapes(), func(b *testing.B, s shape) {
		c := newDeclined(s)
		for b.Loop() {
			c.ActivateFramework(frameworkID(0)) // active already: makes all agents candidates
			if offers := c.cycle(); len(offers) != 0 {
				b.Fatalf("%d offers", len(offers))
			}
		}
		c.report(b)
	})
}

// BenchmarkRelearntCycle is the same after every agent got something back, so that
// whom it is no use to is found anew.
func BenchmarkRelearntCycle(b *testing.B) {
	run(b, declinedShapes(), func(b *testing.B, s shape) {
		c := newDeclined(s)
		part := resources.MustParse("cpus:1").AllocatedTo(roleOf(0, s))
		for b.Loop() {
			b.StopTimer()
			for i := range s.agents {
				c.Allocate(frameworkID(0), agentID(i), part)
				c.Recover(c.now, frameworkID(0), agentID(i), part, nil)
			}
			b.StartTimer()
			if offers := c.cycle(); len(offers) != 0 {
				b.Fatalf("%d offers", len(offers))
			}
		}
		c.report(b)
	})
}

// BenchmarkExplore is one slice of an inquiry about frameworks that have declined
// everything on all agents.
func BenchmarkExplore(b *testing.B) {
	run(b, []shape{{agents: 50_000, frameworks: 10}}, func(b *testing.B, s shape) {
		c := newDeclined(s)
		in := c.Inquire(allocator.Query{})
		for b.Loop() {
			if c.Explore(c.now, in, slice) {
				in = c.Inquire(allocator.Query{})
			}
		}
	})
}

// BenchmarkFreedAgent frees one agent of a cluster that is full, and decides
// whom to offer it.
func BenchmarkFreedAgent(b *testing.B) {
	run(b, []shape{{agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}, {agents: 50_000, frameworks: 1000}}, func(b *testing.B, s shape) {
		c := newCluster(s)
		offers := slices.Clone(c.cycle())
		i := 0
		for b.Loop() {
			c.giveBack(offers[i:i+1], nil)
			now := c.cycle()
			if len(now) != 1 {
				b.Fatalf("%d offers", len(now))
			}
			offers[i] = now[0]
			i = (i + 7919) % len(offers)
		}
	})
}

// BenchmarkDeclineStorm is a round in which all agents are offered and all
// offers declined, some of many.
func BenchmarkDeclineStorm(b *testing.B) {
	run(b, large([]shape{{agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}}), func(b *testing.B, s shape) {
		c := newCluster(s)
		rounds := 0
		for b.Loop() {
			if rounds == s.frameworks {
				b.StopTimer()
				c, rounds = newCluster(s), 0
				b.StartTimer()
			}
			c.giveBack(c.cycle(), forADay())
			rounds++
		}
	})
}

// BenchmarkSuppress stops offers to all frameworks, one after the other.
func BenchmarkSuppress(b *testing.B) {
	run(b, large([]shape{{agents: 1000, frameworks: 1000}, {agents: 1000, frameworks: 6000}}), func(b *testing.B, s shape) {
		c := newCluster(s)
		c.cycle()
		for b.Loop() {
			for i := range s.frameworks {
				c.Suppress(frameworkID(i), nil)
			}
			b.StopTimer()
			for i := range s.frameworks {
				c.Revive(frameworkID(i), nil)
			}
			c.cycle()
			b.StartTimer()
		}
	})
}

// BenchmarkRevive is what follows when one framework of many that have
// declined everything wants offers again: all agents, which it declines again.
func BenchmarkRevive(b *testing.B) {
	run(b, declinedShapes(), func(b *testing.B, s shape) {
		c := newDeclined(s)
		i := 0
		for b.Loop() {
			c.Revive(frameworkID(i), nil)
			offers := c.cycle()
			if len(offers) != s.agents {
				b.Fatalf("%d offers", len(offers))
			}
			c.giveBack(offers, forADay())
			i = (i + 1) % s.frameworks
		}
		c.report(b)
	})
}

// BenchmarkReviveBacklog is Mesos's AllocatorBacklog: all frameworks revive where
// everything is offered already, and after each the allocator runs.
func BenchmarkReviveBacklog(b *testing.B) {
	run(b, large([]shape{{agents: 1000, frameworks: 1000}, {agents: 1000, frameworks: 6000}}), func(b *testing.B, s shape) {
		c := newCluster(s)
		c.cycle()
		c.cpu, c.slowest = 0, 0
		for b.Loop() {
			for i := range s.frameworks {
				c.Revive(frameworkID(i), nil)
				if offers := c.cycle(); len(offers) != 0 {
					b.Fatalf("%d offers", len(offers))
				}
			}
		}
		c.report(b)
	})
}

// BenchmarkReservations is a cycle over agents that have something reserved to
// each of many roles, with one framework for each.
func BenchmarkReservations(b *testing.B) {
	run(b, []shape{{agents: 100, frameworks: 50}, {agents: 100, frameworks: 100}, {agents: 100, frameworks: 200}}, func(b *testing.B, s shape) {
		s.resources = "cpus:1;mem:1024" + toEach(s)
		newCluster(s).firstCycles(b, s.agents*s.frameworks, s.agents*s.frameworks)
	})
}

// toEach is something that is reserved to the role of each framework.
func toEach(s shape) string {
	var text strings.Builder
	for i := range s.frameworks {
		fmt.Fprintf(&text, ";cpus(%s):0.1;mem(%s):32", roleOf(i, s), roleOf(i, s))
	}
	return text.String()
}

// BenchmarkPorts is a first cycle over agents whose ports are in many ranges.
func BenchmarkPorts(b *testing.B) {
	for _, ranges := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("ranges=%d", ranges), func(b *testing.B) {
			run(b, []shape{{agents: 1000, frameworks: 100}}, func(b *testing.B, s shape) {
				s.resources = "cpus:16;mem:65536;ports:[1-2"
				for i := range ranges - 1 {
					s.resources += fmt.Sprintf(",%d-%d", 10*i+11, 10*i+15)
				}
				s.resources += "]"
				newCluster(s).firstCycles(b, s.agents, s.agents)
			})
		})
	}
}
