package master

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A planCase is a small cluster whose roles use what their tasks do.
type planCase struct {
	tasks      []planTask
	guarantees map[string]resources.Quantities
	lacking    resources.Quantities
	least      resources.Quantities // what is an offer
}

type planTask struct {
	agent, framework int
	role             string
	cpus, mem        int
}

func cpusAndMem(cpus, mem int) resources.Resources {
	rs := resources.Resources{}
	if cpus > 0 {
		rs = rs.Add(resources.MustParse(fmt.Sprintf("cpus:%d", cpus)))
	}
	if mem > 0 {
		rs = rs.Add(resources.MustParse(fmt.Sprintf("mem:%d", mem)))
	}
	return rs
}

func drawPlan(t *rapid.T) *planCase {
	amount := func(most int, label string) resources.Quantities {
		return cpusAndMem(rapid.IntRange(0, most).Draw(t, label), rapid.IntRange(0, most).Draw(t, label)).ScalarQuantities()
	}
	c := &planCase{guarantees: map[string]resources.Quantities{}, lacking: amount(20, "lacking"), least: amount(4, "least")}
	for i := range 3 {
		c.guarantees[fmt.Sprintf("r%d", i)] = amount(20, "guarantee")
	}
	for range rapid.IntRange(0, 30).Draw(t, "tasks") {
		f := rapid.IntRange(0, 5).Draw(t, "framework")
		c.tasks = append(c.tasks, planTask{
			agent: rapid.IntRange(0, 3).Draw(t, "agent"), framework: f,
			role: fmt.Sprintf("r%d", (f+rapid.IntRange(0, 1).Draw(t, "role"))%3),
			cpus: rapid.IntRange(0, 5).Draw(t, "cpus"), mem: rapid.IntRange(0, 5).Draw(t, "mem"),
		})
	}
	return c
}

// A planWorld is a case with books.
type planWorld struct {
	*planCase
	frameworks []*framework
	tasks      []*task
	left       resources.Quantities
}

// world puts a case on books, with everything so many times as large.
func (c *planCase) world(scale int) *planWorld {
	w := &planWorld{planCase: c, left: times(c.lacking, scale)}
	agents := make([]*agent, 4)
	for i := range agents {
		agents[i] = &agent{id: ids.AgentID(fmt.Sprintf("a%d", i)), tasks: map[taskKey]*task{}}
		agents[i].row = &AgentRow{Connected: true, Active: true}
	}
	for i := range 6 {
		f := &framework{id: ids.FrameworkID(fmt.Sprintf("f%d", i)), tasks: map[ids.TaskID]*task{}}
		f.row = &FrameworkRow{ID: f.id}
		w.frameworks = append(w.frameworks, f)
	}
	for i, p := range c.tasks {
		t := &task{framework: w.frameworks[p.framework], agent: agents[p.agent]}
		rs := cpusAndMem(p.cpus*scale, p.mem*scale).AllocatedTo(p.role)
		t.row = &TaskRow{Serial: uint64(i + 1), ID: ids.TaskID(fmt.Sprintf("t%d", i)), Role: p.role, Resources: rs}
		t.framework.enlist(t)
		t.agent.tasks[t.key()] = t
		t.framework.row.Allocated = t.framework.row.Allocated.Add(rs)
		w.tasks = append(w.tasks, t)
	}
	return w
}

func times(q resources.Quantities, scale int) (all resources.Quantities) {
	for range scale {
		all = all.Add(q)
	}
	return all
}

// used returns what tasks use that are not revoked.
func (w *planWorld) used(counts func(*task) bool) (all resources.Quantities) {
	for _, t := range w.tasks {
		if !t.ending && counts(t) {
			all = all.Add(t.row.Resources.ScalarQuantities())
		}
	}
	return all
}

func (w *planWorld) stakeOf(scale int) func(string) stake {
	return func(top string) stake {
		return stake{
			used:      w.used(func(t *task) bool { return t.row.Role == top }),
			guarantee: times(w.guarantees[top], scale),
		}
	}
}

// least is a taker of so much.
type least struct{ resources.Quantities }

func (l least) Takes(_ ids.AgentID, freed resources.Resources) bool {
	return freed.ScalarQuantities().Contains(l.Quantities)
}

// run plans, in parts that cost so much, and has what is chosen end.
func (w *planWorld) run(scale, work int) (chosen []*victim) {
	p := newRevocationPlan(cpusAndMem(100*scale, 100*scale).ScalarQuantities(), w.stakeOf(scale), func(f *framework) resources.Quantities {
		return w.used(func(t *task) bool { return t.framework == f })
	})
	for _, f := range w.frameworks {
		p.add(f)
	}
	for more := true; more; {
		var part []*victim
		part, more = p.run(work, w.left, least{times(w.least, scale)})
		for _, v := range part {
			w.left = w.left.Sub(v.amount)
			for _, t := range v.tasks {
				t.ending = true
			}
		}
		chosen = append(chosen, part...)
	}
	p.end()
	return chosen
}

func serials(victims []*victim) (all []uint64) {
	for _, v := range victims {
		all = append(all, v.serial)
	}
	return all
}

// TestPlanSparesGuarantees checks that nobody whose task is revoked is below its
// guarantee then, that what is freed makes an offer on each agent, that none is
// revoked that does not help, and that nothing is left that could have been
// revoked.
func TestPlanSparesGuarantees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		w := c.world(1)
		chosen := w.run(1, rapid.SampledFrom([]int{1, 300, math.MaxInt}).Draw(t, "work"))
		freed, left := map[ids.AgentID]resources.Quantities{}, c.lacking
		for _, v := range chosen {
			s := w.stakeOf(1)(v.claim.rank.name)
			for name := range v.amount.All() {
				if s.used.Get(name) < s.guarantee.Get(name) {
					t.Fatalf("%s has %s of a guarantee of %s", v.claim.rank.name, s.used, s.guarantee)
				}
			}
			if left.Sub(v.amount).Equal(left) {
				t.Fatalf("%s does not help where %s is lacking", v.amount, left)
			}
			left = left.Sub(v.amount)
			id := v.tasks[0].agent.id
			freed[id] = freed[id].Add(v.amount)
		}
		for agent, q := range freed {
			if !q.Contains(c.least) {
				t.Fatalf("%s on %s is no offer", q, agent)
			}
		}
		if !left.Equal(w.left) {
			t.Fatalf("%s is lacking, not %s", left, w.left)
		}
		if c.least.IsEmpty() {
			w.checkExhausted(t)
		}
	})
}

// checkExhausted checks, where whatever is freed is taken, that nothing is lacking
// that a task could give.
func (w *planWorld) checkExhausted(t *rapid.T) {
	for _, k := range w.tasks {
		s, q := w.stakeOf(1)(k.row.Role), k.row.Resources.ScalarQuantities()
		if !k.ending && !w.left.Sub(q).Equal(w.left) && s.spares(q) {
			t.Fatalf("%s is lacking, and %s of %s left where it has %s and is guaranteed %s", w.left, q, k.row.Role, s.used, s.guarantee)
		}
	}
}

// TestPlanOrder checks that the role furthest above its guarantee comes first, of
// its frameworks the one that has most, and of a framework's tasks that are alike
// the youngest.
func TestPlanOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		w := c.world(1)
		p := newRevocationPlan(cpusAndMem(100, 100).ScalarQuantities(), w.stakeOf(1), nil)
		over := func(k *task) float64 {
			s := w.stakeOf(1)(k.row.Role)
			return p.share(s.used.Sub(s.guarantee))
		}
		has := func(k *task) float64 {
			return p.share(w.used(func(o *task) bool { return o.framework == k.framework }))
		}
		possible := slices.DeleteFunc(slices.Clone(w.tasks), func(k *task) bool {
			s, q := w.stakeOf(1)(k.row.Role), k.row.Resources.ScalarQuantities()
			return c.lacking.Sub(q).Equal(c.lacking) || !s.spares(q)
		})
		var want uint64
		if len(possible) > 0 && c.least.IsEmpty() {
			want = slices.MinFunc(possible, func(a, b *task) int {
				return cmp.Or(cmp.Compare(over(b), over(a)), cmp.Compare(has(b), has(a)), cmp.Compare(b.row.Serial, a.row.Serial))
			}).row.Serial
		}
		chosen := w.run(1, math.MaxInt)
		if want != 0 && (len(chosen) == 0 || chosen[0].serial != want) {
			t.Fatalf("chosen are %d, not %d first", serials(chosen), want)
		}
		for _, v := range chosen {
			for _, k := range w.tasks {
				o := v.tasks[0]
				alike := k.agent == o.agent && k.framework == o.framework && k.row.Role == o.row.Role && k.row.Resources.Equal(o.row.Resources)
				if alike && k.row.Serial > v.serial && !k.ending {
					t.Fatalf("%d is younger than %d", k.row.Serial, v.serial)
				}
			}
		}
	})
}

// TestPlanInParts checks that it is no matter into how many parts a plan is
// divided, nor how large the cluster is.
func TestPlanInParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		whole := serials(c.world(1).run(1, math.MaxInt))
		if parts := serials(c.world(1).run(1, rapid.IntRange(1, 500).Draw(t, "work"))); !slices.Equal(whole, parts) {
			t.Fatalf("chosen are %d, or in parts %d", whole, parts)
		}
		if twice := serials(c.world(2).run(2, math.MaxInt)); !slices.Equal(whole, twice) {
			t.Fatalf("chosen are %d, or if everything is twice as large %d", whole, twice)
		}
	})
}

// TestPlanOutlivesTasks checks that tasks that are no more, and those of a
// framework that is over, are passed over.
func TestPlanOutlivesTasks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		w := c.world(1)
		p := newRevocationPlan(cpusAndMem(100, 100).ScalarQuantities(), w.stakeOf(1), func(f *framework) resources.Quantities {
			return w.used(func(k *task) bool { return k.framework == f })
		})
		for _, f := range w.frameworks {
			p.add(f)
		}
		for more := true; more; {
			if n := len(w.tasks); n > 0 {
				i := rapid.IntRange(0, n-1).Draw(t, "ended")
				k := w.tasks[i]
				k.released = true
				k.framework.delist(k)
				delete(k.agent.tasks, k.key())
				w.tasks = slices.Delete(w.tasks, i, i+1)
			}
			var part []*victim
			part, more = p.run(1, w.left, least{})
			for _, v := range part {
				w.left = w.left.Sub(v.amount)
				for _, k := range v.tasks {
					if k.released {
						t.Fatalf("%s is revoked, which has ended", k.row.ID)
					}
					k.ending = true
				}
			}
		}
		p.end()
		for _, f := range w.frameworks {
			if len(f.claims) > 0 {
				t.Fatalf("framework %s has a place when all is over", f.id)
			}
		}
	})
}

// TestPlanTakesWholeExecutors checks that tasks that end together are revoked
// together, or not at all.
func TestPlanTakesWholeExecutors(t *testing.T) {
	c := &planCase{
		tasks: []planTask{{role: "r0", cpus: 2}, {role: "r0", cpus: 2}, {role: "r0", cpus: 2}},
		guarantees: map[string]resources.Quantities{
			"r0": cpusAndMem(3, 0).ScalarQuantities(),
		},
		lacking: cpusAndMem(1, 0).ScalarQuantities(),
	}
	for _, guaranteed := range []int{2, 3} {
		c.guarantees["r0"] = cpusAndMem(guaranteed, 0).ScalarQuantities()
		w := c.world(1)
		for _, k := range w.tasks[1:] { // the two youngest
			k.row.Executor = "pod"
			k.agent.executors = map[executorKey]*executor{k.executorKey(): {
				cell: cell[ExecutorRow]{row: &ExecutorRow{Info: &mesos.ExecutorInfo{Type: mesos.ExecutorInfo_DEFAULT.Enum()}}},
			}}
		}
		chosen := w.run(1, math.MaxInt)
		want := map[int]int{2: 2, 3: 1}[guaranteed]
		if len(chosen) != 1 || len(chosen[0].tasks) != want {
			t.Errorf("with a guarantee of %d cpus %d victims are chosen: %v", guaranteed, len(chosen), chosen)
		}
	}
}
