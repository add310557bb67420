package allocator

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A user runs as many tasks of one size as it can, or wants.
type user struct {
	task   resources.Resources
	most   int // 0: any number
	weight float64
}

// fill lets users share one large agent until nobody can launch anything, and
// returns how many tasks each runs. Every offer is used for one task.
func fill(capacity resources.Resources, users []user) []int {
	cfg := DefaultConfig()
	cfg.MinAllocatable = nil
	a := New(cfg, rand.New(rand.NewPCG(1, 1)))
	now := time.Unix(1, 0)
	multi := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	for i, u := range users {
		role := fmt.Sprintf("role%03d", i)
		if u.weight > 0 {
			a.SetWeight(role, u.weight)
		}
		a.AddFramework(Framework{ID: ids.FrameworkID(role), Active: true, Info: &mesos.FrameworkInfo{Roles: []string{role}, Capabilities: multi}})
	}
	a.AddAgent(Agent{ID: "all", Info: &mesos.AgentInfo{}, Total: capacity, Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE}}, nil)
	runs := make([]int, len(users))
	for {
		offers, _ := a.Run(now, 1)
		if len(offers) == 0 {
			return runs
		}
		o := offers[0]
		var i int
		fmt.Sscanf(o.Role, "role%d", &i)
		task := users[i].task.AllocatedTo(o.Role)
		if !o.Resources.Contains(task) || users[i].most > 0 && runs[i] == users[i].most {
			a.Recover(now, o.Framework, o.Agent, o.Resources, &mesos.Filters{})
			continue
		}
		runs[i]++
		a.Recover(now, o.Framework, o.Agent, o.Resources.Sub(task), nil)
	}
}

// pool is what the users of the properties share: tasks are at most a fiftieth
// of it, so that what is said of divisible tasks holds nearly.
var pool = map[string]int{"cpus": 100, "mem": 10_000}

func poolResources() resources.Resources { return resources.MustParse("cpus:100;mem:10000") }

func drawTask(t *rapid.T, who string) resources.Resources {
	cpus := rapid.IntRange(5, 20).Draw(t, who+" tenths of cpus")
	mem := rapid.IntRange(50, 200).Draw(t, who+" mem")
	return resources.MustParse(fmt.Sprintf("cpus:%.1f;mem:%d", float64(cpus)/10, mem))
}

func drawUsers(t *rapid.T) []user {
	users := make([]user, rapid.IntRange(2, 5).Draw(t, "users"))
	for i := range users {
		users[i].task = drawTask(t, fmt.Sprint("user ", i))
	}
	return users
}

// shareOf returns the dominant share of so many tasks.
func shareOf(u user, tasks float64) float64 {
	most := 0.0
	for name, all := range pool {
		most = max(most, tasks*u.task.Scalar(name).Float64()/float64(all))
	}
	return most
}

// use returns how many tasks of u fit into so many of v.
func use(u, v user, tasks int) float64 {
	fit := math.Inf(1)
	for name := range pool {
		fit = min(fit, float64(tasks)*v.task.Scalar(name).Float64()/u.task.Scalar(name).Float64())
	}
	return fit
}

// grain is how far from the properties of divisible tasks those of ours may
// be: the largest tasks, a few times.
const grain = 0.06

// TestSharingIncentive: nobody would rather have an equal part of everything to
// himself.
func TestSharingIncentive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := drawUsers(t)
		for i, runs := range fill(poolResources(), users) {
			if share := shareOf(users[i], float64(runs)); share < 1/float64(len(users))-grain {
				t.Fatalf("user %d of %d has a share of %.3f", i, len(users), share)
			}
		}
	})
}

// TestEnvyFreeness: nobody would rather have what another has.
func TestEnvyFreeness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := drawUsers(t)
		runs := fill(poolResources(), users)
		for i, u := range users {
			for j, v := range users {
				if envied := use(u, v, runs[j]); shareOf(u, envied) > shareOf(u, float64(runs[i]))+grain {
					t.Fatalf("user %d runs %d tasks and could run %.1f with what user %d has", i, runs[i], envied, j)
				}
			}
		}
	})
}

// TestParetoEfficiency: nobody can have more without another having less.
func TestParetoEfficiency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := drawUsers(t)
		left := poolResources()
		for i, runs := range fill(poolResources(), users) {
			for range runs {
				left = left.Sub(users[i].task)
			}
		}
		for i, u := range users {
			if left.Contains(u.task) {
				t.Fatalf("%s is left, user %d could use %s", left, i, u.task)
			}
		}
	})
}

// TestStrategyProofness: who claims to need something else can run no more of
// what he really needs.
func TestStrategyProofness(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		users := drawUsers(t)
		honest := fill(poolResources(), users)[0]
		truth := users[0]
		users[0].task = drawTask(t, "lie")
		lying := use(truth, users[0], fill(poolResources(), users)[0])
		if shareOf(truth, lying) > shareOf(truth, float64(honest))+grain {
			t.Fatalf("saying %s instead of %s gives %.1f tasks instead of %d", users[0].task, truth.task, lying, honest)
		}
	})
}

// TestMaxMin compares shares of one resource with those that water finds.
func TestMaxMin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const slots = 200
		users := make([]user, rapid.IntRange(1, 6).Draw(t, "users"))
		level, left := 0.0, float64(slots)
		for i := range users {
			users[i] = user{
				task:   resources.MustParse("cpus:1"),
				most:   rapid.IntRange(1, slots).Draw(t, "most"),
				weight: rapid.SampledFrom([]float64{1, 2, 3}).Draw(t, "weight"),
			}
		}
		// Raise the level of all until the pool is empty or everybody is full.
		for left > 1e-9 {
			open := 0.0
			for _, u := range users {
				if level*u.weight < float64(u.most)-1e-9 {
					open += u.weight
				}
			}
			if open == 0 {
				break
			}
			step := left / open
			for _, u := range users {
				if room := float64(u.most) - level*u.weight; room > 1e-9 {
					step = min(step, room/u.weight)
				}
			}
			level, left = level+step, left-step*open
		}
		for i, runs := range fill(resources.MustParse(fmt.Sprintf("cpus:%d", slots)), users) {
			want := min(float64(users[i].most), level*users[i].weight)
			if math.Abs(float64(runs)-want) > users[i].weight+float64(len(users)) {
				t.Fatalf("user %d runs %d tasks, should run %.1f", i, runs, want)
			}
		}
	})
}

// TestBudgets shows that how the work is cut into slices changes nothing: a
// history is the same for any budget.
func TestBudgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		order := rapid.IntRange(0, 1).Draw(t, "random order")
		whole := live(seed, func() int { return 1_000_000 }, order)
		if !strings.Contains(whole, "->") {
			t.Fatalf("nothing happens")
		}
		most := rapid.IntRange(1, 9).Draw(t, "budget")
		sizes := rand.New(rand.NewPCG(seed, 3))
		budget := func() int { return most }
		if rapid.Bool().Draw(t, "slices of many sizes") {
			budget = func() int { return 1 + sizes.IntN(most) }
		}
		if cut := live(seed, budget, order); cut != whole {
			t.Fatalf("in slices:\n%s\nat once:\n%s", cut, whole)
		}
	})
}

// live writes down a history that follows from the seed.
func live(seed uint64, budget func() int, order int) string {
	cfg := DefaultConfig()
	if order == 1 {
		cfg.RoleOrder, cfg.FrameworkOrder = 1, 1
	}
	a := New(cfg, rand.New(rand.NewPCG(seed, 1)))
	rng := rand.New(rand.NewPCG(seed, 2))
	now := time.Unix(1, 0)
	multi := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	for i := range 4 {
		info := &mesos.FrameworkInfo{Roles: []string{[]string{"a", "a/b", "c"}[i%3]}, Capabilities: multi}
		a.AddFramework(Framework{ID: ids.FrameworkIDFor("m", uint64(i)), Active: true, Info: info})
	}
	for i := range 12 {
		a.AddAgent(Agent{
			ID:           ids.AgentIDFor("m", uint64(i)),
			Info:         &mesos.AgentInfo{},
			Total:        resources.MustParse([]string{"cpus:4;mem:4096", "cpus(a):2;cpus:1;mem:512"}[i%2]),
			Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE},
		}, nil)
	}
	if rng.IntN(2) == 0 {
		q, _ := resources.ParseQuantities("cpus:20;mem:9000")
		a.SetQuota("c", Quota{Guarantees: q})
	}
	var log strings.Builder
	var held []Offer
	for range 10 {
		for more := true; more; {
			var offers []Offer
			offers, more = a.Run(now, budget())
			held = append(held, offers...)
			for _, o := range offers {
				fmt.Fprintf(&log, "%s -> %s: %s\n", o.Agent, o.Framework, o.Resources)
			}
		}
		rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
		for _, o := range held[:len(held)/2] {
			answer(a, rng, now, o)
		}
		switch id := ids.FrameworkIDFor("m", uint64(rng.IntN(4))); rng.IntN(5) {
		case 0:
			a.Revive(id, nil)
		case 1:
			a.Suppress(id, nil)
		case 2:
			a.SetWeight([]string{"a", "a/b", "c"}[rng.IntN(3)], 1+float64(rng.IntN(4)))
		}
		held = held[len(held)/2:]
		now = now.Add(time.Duration(rng.IntN(3)) * 700 * time.Millisecond)
		fmt.Fprintf(&log, "%s\n", now.UTC())
	}
	return log.String()
}

// answer declines an offer, or launches of it, or reserves some of it, and returns
// the rest.
func answer(a *Allocator, rng *rand.Rand, now time.Time, o Offer) {
	seconds, part := float64(rng.IntN(3)), resources.MustParse("cpus:1;mem:64").AllocatedTo(o.Role)
	rest := o.Resources
	switch kind := rng.IntN(3); {
	case kind == 0 || !rest.Contains(part):
	case kind == 1:
		a.Accepted(o.Framework, o.Role)
		rest = rest.Sub(part)
	default:
		reserved, err := part.PushReservation(&mesos.Resource_ReservationInfo{Role: &o.Role, Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum()})
		if err != nil {
			panic(err)
		}
		a.Accepted(o.Framework, o.Role)
		a.UpdateAllocation(o.Framework, o.Agent, o.Resources, []resources.Conversion{{Consumed: part, Converted: reserved}})
		rest = rest.Sub(part).Add(reserved)
	}
	a.Recover(now, o.Framework, o.Agent, rest, &mesos.Filters{RefuseSeconds: &seconds})
}

// TestFiltersAreBounded declines ever other parts of one agent.
func TestFiltersAreBounded(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	w.do(nil, strings.Fields("agent a cpus:1000;mem:100000"))
	w.do(nil, strings.Fields("framework F roles=r"))
	w.tell(w.now)
	ag := w.Allocator.agents["a"]
	s := w.frameworks["F"].subs["r"]
	for i := range 1000 {
		part := resources.MustParse(fmt.Sprintf("cpus:%d;mem:%d", 1+i, 32+1000-i))
		w.refuse(ag, s, part, w.now.Add(time.Hour))
		verify(t, w.Allocator)
	}
	if len(ag.filters) != maxOwn {
		t.Errorf("%d filters that differ, want %d", len(ag.filters), maxOwn)
	}
	w.refuse(ag, s, ag.total, w.now.Add(time.Hour))
	if len(ag.filters) != 1 {
		t.Errorf("%d filters, of which one is about everything", len(ag.filters))
	}
	w.refuse(ag, s, resources.MustParse("cpus:1"), w.now.Add(time.Minute))
	if len(ag.filters) != 1 {
		t.Errorf("%d filters, of which one is about everything for longest", len(ag.filters))
	}
}

// TestSharedCopies gives a framework a second copy of a shared volume, as an
// ACCEPT with two tasks on it does: the agent has no more of it than before.
func TestSharedCopies(t *testing.T) {
	w := newWorld(t, DefaultConfig())
	total := resources.MustParse(moreAmounts[1])
	w.do(nil, strings.Fields("framework F roles=eng"))
	w.AddAgent(Agent{ID: "a", Info: &mesos.AgentInfo{}, Total: total, Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE}}, nil)
	offers, _ := w.Run(w.now, 10)
	rs := offers[0].Resources
	w.UpdateAllocation("F", "a", rs, []resources.Conversion{{Converted: rs.Shared()}})
	verify(t, w.Allocator)
	ag := w.Allocator.agents["a"]
	if !ag.total.Equal(total) || !ag.held("F").resources.Equal(rs.Add(rs.Shared())) {
		t.Errorf("the agent has %s, the framework %s", ag.total, ag.held("F").resources)
	}
	w.Recover(w.now, "F", "a", rs.Shared(), nil)
	w.Recover(w.now, "F", "a", rs, nil)
	verify(t, w.Allocator)
	if !ag.used.IsEmpty() {
		t.Errorf("%s is used", ag.used)
	}
}
