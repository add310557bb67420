package master

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A planCase is a small cluster whose roles use what their victims do.
type planCase struct {
	victims []*victim
	stakes  map[string]*stake
	lacking resources.Quantities
	least   resources.Quantities // what is an offer
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
	c := &planCase{stakes: map[string]*stake{}, lacking: amount(20, "lacking"), least: amount(4, "least")}
	for i := range 3 {
		c.stakes[fmt.Sprintf("r%d", i)] = &stake{guarantee: amount(20, "guarantee")}
	}
	for i := range rapid.IntRange(0, 30).Draw(t, "victims") {
		f := rapid.IntRange(0, 5).Draw(t, "framework")
		gives := cpusAndMem(rapid.IntRange(0, 5).Draw(t, "cpus"), rapid.IntRange(0, 5).Draw(t, "mem"))
		v := &victim{
			agent:     ids.AgentID(fmt.Sprintf("a%d", rapid.IntRange(0, 3).Draw(t, "agent"))),
			framework: ids.FrameworkID(fmt.Sprintf("f%d", f)),
			role:      fmt.Sprintf("r%d", f%3),
			serial:    uint64(i),
			gives:     gives, amount: gives.ScalarQuantities(),
		}
		s := c.stakes[v.role]
		s.used = s.used.Add(v.amount)
		c.victims = append(c.victims, v)
	}
	return c
}

// run plans with the victims in the order given, on copies.
func (c *planCase) run(victims []*victim) (*revocationPlan, []*victim) {
	p := &revocationPlan{
		lacking: c.lacking,
		total:   cpusAndMem(100, 100).ScalarQuantities(),
		stakes:  map[string]*stake{},
		used:    map[ids.FrameworkID]resources.Quantities{},
		takes: func(_ ids.AgentID, freed resources.Resources) bool {
			return freed.ScalarQuantities().Contains(c.least)
		},
	}
	for name, s := range c.stakes {
		p.stakes[name] = new(*s)
	}
	var copies []*victim
	for _, v := range victims {
		copies = append(copies, new(*v))
		p.used[v.framework] = p.used[v.framework].Add(v.amount)
	}
	return p, p.run(copies)
}

func serials(victims []*victim) (all []uint64) {
	for _, v := range victims {
		all = append(all, v.serial)
	}
	return all
}

// TestPlanSparesGuarantees checks that nobody whose task is revoked is below its
// guarantee then, that what is freed makes an offer on each agent, that none is
// revoked that does not help, and that one plan leaves nothing to the next.
func TestPlanSparesGuarantees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		p, chosen := c.run(c.victims)
		freed, left := map[ids.AgentID]resources.Quantities{}, c.lacking
		for _, v := range chosen {
			for name := range v.amount.All() {
				if s := p.stakes[v.role]; s.used.Get(name) < s.guarantee.Get(name) {
					t.Fatalf("%s has %s of a guarantee of %s", v.role, s.used, s.guarantee)
				}
			}
			if left.Sub(v.amount).Equal(left) {
				t.Fatalf("%s does not help where %s is lacking", v.amount, left)
			}
			left = left.Sub(v.amount)
			freed[v.agent] = freed[v.agent].Add(v.amount)
		}
		for agent, q := range freed {
			if !q.Contains(c.least) {
				t.Fatalf("%s on %s is no offer", q, agent)
			}
		}
		if !left.Equal(p.lacking) {
			t.Fatalf("%s is lacking, not %s", left, p.lacking)
		}
	})
}

// TestPlanOrder checks that the order in which agents report is no matter, and
// that of a framework's tasks that are alike the youngest end.
func TestPlanOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		_, first := c.run(c.victims)
		_, second := c.run(rapid.Permutation(c.victims).Draw(t, "order"))
		if !slices.Equal(serials(first), serials(second)) {
			t.Fatalf("chosen are %d, or %d", serials(first), serials(second))
		}
		for _, v := range first {
			for _, w := range c.victims {
				alike := w.agent == v.agent && w.framework == v.framework && w.amount.Equal(v.amount)
				if alike && w.serial > v.serial && !slices.Contains(serials(first), w.serial) {
					t.Fatalf("%d is younger than %d", w.serial, v.serial)
				}
			}
		}
	})
}

// TestPlanScale checks that a cluster in which everything is twice as large has
// the same tasks revoked.
func TestPlanScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawPlan(t)
		twice := &planCase{stakes: map[string]*stake{}, lacking: c.lacking.Add(c.lacking), least: c.least.Add(c.least)}
		for name, s := range c.stakes {
			twice.stakes[name] = &stake{used: s.used.Add(s.used), guarantee: s.guarantee.Add(s.guarantee)}
		}
		for _, v := range c.victims {
			w := *v
			w.gives, w.amount = v.gives.Add(v.gives), v.amount.Add(v.amount)
			twice.victims = append(twice.victims, &w)
		}
		_, small := c.run(c.victims)
		_, large := twice.run(twice.victims)
		if !slices.Equal(serials(small), serials(large)) {
			t.Fatalf("chosen are %d, or %d", serials(small), serials(large))
		}
	})
}
