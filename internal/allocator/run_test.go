package allocator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// TestCycleOrder: a cycle visits each agent once, at any place as likely as at any
// other, whether it is over all agents or over those that changed.
func TestCycleOrder(t *testing.T) {
	const made, cycles = 40, 4000
	a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
	id := func(i int) ids.AgentID { return ids.AgentID(fmt.Sprintf("a%d", i)) }
	for i := range made {
		a.AddAgent(Agent{ID: id(i), Info: &mesos.AgentInfo{Hostname: new("h")}, Total: resources.MustParse("cpus:1;mem:64")}, nil)
	}
	for i := 0; i < made; i += 5 { // leaves numbers that nobody has
		a.RemoveAgent(id(i))
	}
	a.Run(time.Unix(1, 0), 1000)
	agents := len(a.agents)
	for _, all := range []bool{true, false} {
		times := map[ids.AgentID][]int{} // that it was at a place
		for range cycles {
			a.all = all
			for _, ag := range a.byNum {
				if ag != nil {
					a.suggest(ag)
				}
			}
			place := 0
			for a.begin(); !a.cycle.done(); {
				ag := a.nextAgent()
				if ag == nil {
					continue
				}
				if times[ag.id] == nil {
					times[ag.id] = make([]int, agents)
				}
				times[ag.id][place]++
				place++
			}
			if place != agents {
				t.Fatalf("%d of %d agents are visited", place, agents)
			}
		}
		for id, at := range times {
			for place, n := range at {
				if mean := cycles / agents; n < mean/2 || n > 2*mean {
					t.Errorf("in %d of %d cycles agent %s is number %d (all: %t)", n, cycles, id, place, all)
				}
			}
		}
	}
}
