// Package allocationtest is the conformance suite for allocation policies: the
// built-in ones pass it, and so should each that is served as a module.
package allocationtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/meseta-project/meseta/allocation"
)

// Run tests that a policy answers for whatever a master may ask, with rankings
// that a master takes. It makes a policy for each test.
func Run(t *testing.T, policy func(*testing.T) allocation.Policy) {
	t.Run("an empty cluster", func(t *testing.T) { rank(t, policy(t), allocation.Demand{}) })
	t.Run("roles without frameworks", func(t *testing.T) {
		rank(t, policy(t), allocation.Demand{Roles: []allocation.Role{{Name: "*", Weight: 1}, {Name: "eng/web", Weight: 1}}})
	})
	t.Run("frameworks in several roles", func(t *testing.T) {
		f := allocation.Framework{ID: "f", Name: "f", Wants: true}
		rank(t, policy(t), allocation.Demand{Roles: []allocation.Role{
			{Name: "a", Weight: 1, Frameworks: []allocation.Framework{f}},
			{Name: "a/b", Weight: 1, Frameworks: []allocation.Framework{f}},
		}})
	})
	t.Run("many frameworks", func(t *testing.T) { rank(t, policy(t), Demand(rand.New(rand.NewPCG(1, 1)), 200, 10_000)) })
	t.Run("roles and frameworks come and go", func(t *testing.T) {
		rng, p := rand.New(rand.NewPCG(2, 2)), policy(t)
		for range 50 {
			rank(t, p, Demand(rng, rng.IntN(20), rng.IntN(50)))
		}
	})
	t.Run("a demand is only read", func(t *testing.T) {
		d := Demand(rand.New(rand.NewPCG(3, 3)), 20, 100)
		before := fmt.Sprint(d)
		rank(t, policy(t), d)
		if fmt.Sprint(d) != before {
			t.Error("the policy has changed the demand")
		}
	})
}

func rank(t *testing.T, p allocation.Policy, d allocation.Demand) {
	t.Helper()
	r, err := p.Rank(d)
	if err == nil {
		err = allocation.Check(d, r)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Demand returns a random demand with so many roles and frameworks at most.
func Demand(rng *rand.Rand, roles, frameworks int) allocation.Demand {
	size := []allocation.Quantity{{Name: "cpus", Amount: 1000}, {Name: "mem", Amount: 1 << 20}}
	d := allocation.Demand{Total: size, Free: size}
	for i := range roles {
		name := fmt.Sprintf("role%03d", i)
		if i%3 == 2 {
			name = fmt.Sprintf("role%03d/below", i-1)
		}
		d.Roles = append(d.Roles, allocation.Role{Name: name, Weight: 1 + rng.Float64(), Share: rng.Float64()})
	}
	for i := range frameworks {
		if roles == 0 {
			break
		}
		r := &d.Roles[rng.IntN(roles)]
		r.Frameworks = append(r.Frameworks, allocation.Framework{
			ID: fmt.Sprintf("m-%04d", i), Name: fmt.Sprint("f", i%7), Share: rng.Float64(),
			Allocated: []allocation.Quantity{{Name: "cpus", Amount: rng.Float64()}}, Wants: rng.IntN(3) > 0,
		})
	}
	return d
}
