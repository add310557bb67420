package bench

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// BenchmarkAddFrameworks adds frameworks to a cluster whose agents are all free
// at first, and makes offers after each.
func BenchmarkAddFrameworks(b *testing.B) {
	run(b, large([]shape{{agents: 1000, frameworks: 1000}, {agents: 1000, frameworks: 6000}}), func(b *testing.B, s shape) {
		for b.Loop() {
			b.StopTimer()
			c := newCluster(shape{agents: s.agents})
			b.StartTimer()
			for i := range s.frameworks {
				c.addFramework(i, s)
				c.Run(c.now, slice)
			}
		}
	})
}

// reservedAs returns resources of the agents of a ladder that are reserved for
// role0: with labels, each agent its own, or as a persistent volume.
func reservedAs(agent int, what string, labels, volume bool) []*mesos.Resource {
	rs := resources.MustParse(what).Proto()
	for _, r := range rs {
		info := &mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("role0")}
		if labels {
			info.Labels = &mesos.Labels{Labels: []*mesos.Label{{Key: new("agent"), Value: new(strconv.Itoa(agent))}}}
		}
		r.Reservations = []*mesos.Resource_ReservationInfo{info}
		if volume {
			r.Disk = &mesos.Resource_DiskInfo{
				Persistence: &mesos.Resource_DiskInfo_Persistence{Id: new(fmt.Sprintf("v%d", agent))},
				Volume:      &mesos.Volume{ContainerPath: new("data"), Mode: mesos.Volume_RW.Enum()},
			}
		}
	}
	return rs
}

// reservedCycle is a first cycle over agents of which a part is reserved.
func reservedCycle(b *testing.B, what string, labels, volume bool) {
	run(b, large([]shape{{agents: 1000, frameworks: 50}, {agents: 1000, frameworks: 1000}}), func(b *testing.B, s shape) {
		c := newCluster(shape{frameworks: s.frameworks})
		for i := range s.agents {
			c.addAgentOf(i, resources.MustParse(plainAgent).Add(resources.Trusted(reservedAs(i, what, labels, volume))))
		}
		c.firstCycles(b, s.agents, math.MaxInt)
	})
}

// BenchmarkResourceLabels has reservations of which no two are alike.
func BenchmarkResourceLabels(b *testing.B) { reservedCycle(b, "cpus:2;mem:2048", true, false) }

// BenchmarkPersistentVolumes has a persistent volume on each agent.
func BenchmarkPersistentVolumes(b *testing.B) { reservedCycle(b, "disk:1000", false, true) }

// BenchmarkUpdateAllocation reserves a part of an offer, as an ACCEPT does, on an
// agent that has something reserved to each of many roles, and undoes it.
func BenchmarkUpdateAllocation(b *testing.B) {
	for _, roles := range []int{50, 100, 200} {
		b.Run(fmt.Sprintf("reservations=%d", roles), func(b *testing.B) {
			b.ReportAllocs()
			s := shape{agents: 1, frameworks: roles}
			s.resources = "cpus:100;mem:1024" + toEach(s)
			c := newCluster(s)
			o := c.cycle()[0]
			part := resources.MustParse("cpus:1").AllocatedTo(o.Role)
			if !o.Resources.Contains(part) {
				b.Fatalf("offered is %s", o.Resources)
			}
			info := &mesos.Resource_ReservationInfo{Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: &o.Role}
			reserved, err := part.PushReservation(info)
			if err != nil {
				b.Fatal(err)
			}
			there := []resources.Conversion{{Consumed: part, Converted: reserved}}
			back := []resources.Conversion{{Consumed: reserved, Converted: part}}
			with := o.Resources.Sub(part).Add(reserved)
			for b.Loop() {
				c.UpdateAllocation(o.Framework, o.Agent, o.Resources, there)
				c.UpdateAllocation(o.Framework, o.Agent, with, back)
			}
		})
	}
}

// BenchmarkMultiFrameworkAllocations fills a cluster with tasks of frameworks of
// three kinds, of which most are small: one task of each offer, until nothing is
// offered any more.
func BenchmarkMultiFrameworkAllocations(b *testing.B) {
	tasks := []resources.Resources{
		resources.MustParse("cpus:0.5;mem:512"), resources.MustParse("cpus:1;mem:2048"), resources.MustParse("cpus:8;mem:16384"),
	}
	run(b, []shape{{agents: 100, frameworks: 50}, {agents: 1000, frameworks: 200}}, func(b *testing.B, s shape) {
		for b.Loop() {
			b.StopTimer()
			c := newCluster(s)
			b.StartTimer()
			for range 30 {
				for _, o := range c.cycle() {
					task := tasks[min(number(o.Framework)%10/4, 2)].AllocatedTo(o.Role)
					if o.Resources.Contains(task) {
						c.Accepted(o.Framework, o.Role)
						c.Recover(c.now, o.Framework, o.Agent, o.Resources.Sub(task), nil)
						continue
					}
					c.Recover(c.now, o.Framework, o.Agent, o.Resources, forADay())
				}
				c.now = c.now.Add(time.Second)
			}
		}
	})
}

// BenchmarkUpdateAgents is the other half of Mesos's AddAndUpdateSlave: all agents,
// of which everything is offered, get something that may be revoked, one after the
// other, and lose it again.
func BenchmarkUpdateAgents(b *testing.B) {
	run(b, large([]shape{{agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}}), func(b *testing.B, s shape) {
		c := newCluster(s)
		c.cycle()
		plain := resources.MustParse(plainAgent)
		revocable := resources.MustParse("cpus:10").Proto()
		revocable[0].Revocable = &mesos.Resource_RevocableInfo{}
		more := plain.Add(resources.Trusted(revocable))
		for b.Loop() {
			for _, total := range []resources.Resources{more, plain} {
				for i := range s.agents {
					known := agentOf(i, total)
					c.UpdateAgent(known)
					if offers, _ := c.Run(c.now, slice); len(offers) != 0 {
						b.Fatalf("%d offers to who takes nothing that may be revoked", len(offers))
					}
				}
			}
		}
	})
}

// BenchmarkExtremeSuppress is a first cycle where 99 of 100 frameworks want nothing.
func BenchmarkExtremeSuppress(b *testing.B) {
	shapes := []shape{{agents: 1000, frameworks: 1000}, {agents: 10_000, frameworks: 1000}, {agents: 10_000, frameworks: 6000}}
	run(b, large(shapes), func(b *testing.B, s shape) {
		c := newCluster(s)
		for i := range s.frameworks {
			if i%100 != 0 {
				c.Suppress(frameworkID(i), nil)
			}
		}
		c.firstCycles(b, s.agents, s.agents)
	})
}
