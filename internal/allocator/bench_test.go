package allocator

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// BenchmarkDeclinedCycle visits all agents, of which every framework has
// declined everything. "learnt" is as things are after declining: each agent was
// visited after its last refusal. "unlearnt" is a cycle in which every agent has
// got something back since, and finds anew whom it is no use to. It is here and
// not in test/bench because filters of hundreds of millions of pairs are put in
// place and not declined one by one. The largest size takes four gigabytes and
// is for MESETA_BENCH_FULL.
func BenchmarkDeclinedCycle(b *testing.B) {
	sizes := [][2]int{{1000, 1000}, {10_000, 1000}, {50_000, 1000}}
	if os.Getenv("MESETA_BENCH_FULL") != "" {
		sizes = append(sizes, [2]int{50_000, 6000})
	}
	for _, size := range sizes {
		a, now := declined(size[0], size[1])
		for _, learnt := range []bool{false, true} {
			name := map[bool]string{false: "unlearnt", true: "learnt"}[learnt]
			b.Run(fmt.Sprintf("agents=%d/frameworks=%d/%s", size[0], size[1], name), func(b *testing.B) {
				b.ReportAllocs()
				declinedCycle(b, a, now)
				for b.Loop() {
					for _, ag := range a.byNum {
						ag.sound = ag.sound && learnt
					}
					declinedCycle(b, a, now)
				}
			})
		}
	}
}

// declinedCycle visits all agents, which get no offers.
func declinedCycle(b *testing.B, a *Allocator, now time.Time) {
	a.all = true
	for more := true; more; {
		var offers []Offer
		if offers, more = a.Run(now, 1000); len(offers) != 0 {
			b.Fatalf("%d offers", len(offers))
		}
	}
}

// declined returns a cluster in which everybody has declined everything.
func declined(agents, frameworks int) (*Allocator, time.Time) {
	a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
	now := time.Unix(1_000_000, 0)
	a.tell(now)
	multi := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	for i := range frameworks {
		info := &mesos.FrameworkInfo{Roles: []string{fmt.Sprintf("role%d", i)}, Capabilities: multi}
		a.AddFramework(Framework{ID: ids.FrameworkIDFor("m", uint64(i)), Active: true, Info: info})
	}
	total := resources.MustParse("cpus:16;mem:65536;disk:1000000;ports:[31000-32000]")
	until := a.ticks(now.Add(24 * time.Hour))
	for i := range agents {
		id := ids.AgentIDFor("m", uint64(i))
		a.AddAgent(Agent{ID: id, Info: &mesos.AgentInfo{}, Total: total, Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE}}, nil)
		ag := a.agents[id]
		ag.filters = make([]filter, frameworks)
		for slot := range frameworks {
			ag.filters[slot] = filter{until: until, slot: uint32(slot)}
			ag.named.add(uint32(slot))
			a.slots.filter(uint32(slot))
		}
		ag.refused = []refused{{resources: total, filters: frameworks}}
		a.expiries.watch(ag)
	}
	return a, now
}

// BenchmarkExplore is one slice of an inquiry about a framework that declined
// everything on all agents.
func BenchmarkExplore(b *testing.B) {
	const agents, budget = 50_000, 500
	a, now := declined(agents, 10)
	var in *Inquiry
	b.ReportAllocs()
	for b.Loop() {
		if in == nil || len(in.left) == 0 {
			in = a.Inquire(Query{})
		}
		a.Explore(now, in, budget)
	}
}
