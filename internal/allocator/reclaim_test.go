package allocator

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// TestTakes compares who is said to take what is freed with what each framework
// would be offered.
func TestTakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
		now := time.Unix(1_000_000, 0)
		amounts := rapid.SampledFrom([]string{"cpus:1;mem:64", "cpus:2;mem:64", "cpus:4;mem:2048", "mem:32", "cpus:4;mem:1024;gpus:1"})
		a.AddAgent(Agent{
			ID: "a", Info: &mesos.AgentInfo{}, Total: resources.MustParse("cpus:4;mem:4096;gpus:1;cpus(r):1"),
			Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE},
		}, nil)
		a.SetQuota("r", Quota{Guarantees: resources.MustParse(amounts.Draw(t, "guarantee")).ScalarQuantities()})
		for i := range rapid.IntRange(1, 4).Draw(t, "frameworks") {
			id := ids.FrameworkID(strconv.Itoa(i))
			info := &mesos.FrameworkInfo{Role: new(rapid.SampledFrom([]string{"r", "r/s"}).Draw(t, "role"))}
			if rapid.Bool().Draw(t, "knows of GPUs") {
				info.Capabilities = []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_GPU_RESOURCES.Enum()}}
			}
			if rapid.Bool().Draw(t, "is choosy") {
				least := map[string]*mesos.Value_Scalar{"mem": {Value: new(float64(rapid.IntRange(1, 1024).Draw(t, "mem")))}}
				info.OfferFilters = map[string]*mesos.OfferFilters{info.GetRole(): {MinAllocatableResources: &mesos.OfferFilters_MinAllocatableResources{
					Quantities: []*mesos.OfferFilters_ResourceQuantities{{Quantities: least}},
				}}}
			}
			a.AddFramework(Framework{ID: id, Active: true, Info: info})
			if rapid.Bool().Draw(t, "refuses") {
				a.tell(now)
				refused := resources.MustParse(amounts.Draw(t, "what")).Add(resources.MustParse("cpus:4;mem:4096;gpus:1;cpus(r):1"))
				a.refuse(a.agents["a"], a.frameworks[id].subs[info.GetRole()], refused, now.Add(time.Hour))
			}
		}
		taker, freed := a.Taker("r"), resources.MustParse(amounts.Draw(t, "freed"))
		if taker == nil {
			t.Fatal("nobody would take anything")
		}
		want := false
		for _, s := range taker.wanting {
			_, why := a.fit(a.agents["a"], s, availableTo(a.agents["a"], s).Add(freed), guarantees, nil)
			want = want || why == fits
		}
		if got := taker.Takes("a", freed); got != want {
			t.Fatalf("somebody takes it: %t, want %t", got, want)
		}
	})
}
