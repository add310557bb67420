package allocator

import (
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// TestOfferBudget: a framework that answers nothing holds so many offers and no
// more, what it may not have goes to others, and what it answers it may have
// again.
func TestOfferBudget(t *testing.T) {
	cfg := DefaultConfig()
	cfg.OfferBudget = 3
	a := New(cfg, rand.New(rand.NewPCG(1, 2)))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	held := map[ids.FrameworkID][]Offer{}
	settle := func() {
		for range 5 {
			for more := true; more; {
				var offers []Offer
				offers, more = a.Run(now, 1000)
				for _, o := range offers {
					held[o.Framework] = append(held[o.Framework], o)
				}
			}
			now = now.Add(time.Second)
		}
	}
	add := func(id ids.FrameworkID) {
		a.AddFramework(Framework{ID: id, Active: true, Info: &mesos.FrameworkInfo{Role: new("*")}})
	}
	add("hoarder")
	for _, id := range []ids.AgentID{"a", "b", "c", "d", "e"} {
		a.AddAgent(Agent{ID: id, Info: &mesos.AgentInfo{Hostname: new(string(id))}, Total: resources.MustParse("cpus:1;mem:64")}, nil)
	}
	settle()
	if n := len(held["hoarder"]); n != 3 {
		t.Fatalf("the hoarder holds %d offers", n)
	}
	add("other")
	settle()
	if n := len(held["other"]); n != 2 {
		t.Fatalf("the other holds %d offers", n)
	}
	first := held["other"][0]
	a.Answered("other")
	a.Recover(now, "other", first.Agent, first.Resources, &mesos.Filters{RefuseSeconds: new(3600.0)})
	settle()
	if n := len(held["hoarder"]); n != 3 {
		t.Errorf("the hoarder holds %d offers, and answered none", n)
	}
	a.Answered("hoarder")
	a.Recover(now, "hoarder", held["hoarder"][0].Agent, held["hoarder"][0].Resources, &mesos.Filters{RefuseSeconds: new(3600.0)})
	settle()
	if n := len(held["hoarder"]); n != 4 || held["hoarder"][3].Agent != first.Agent {
		t.Errorf("the hoarder was offered %v", held["hoarder"])
	}
}
