package allocation_test

import (
	"fmt"

	"github.com/meseta-project/meseta/allocation"
)

// hungriest serves frameworks that have nothing before all others.
type hungriest struct{}

func (hungriest) Rank(d allocation.Demand) (allocation.Ranking, error) {
	r := allocation.Ranking{Frameworks: map[string]map[string]int32{}}
	for _, role := range d.Roles {
		ranks := map[string]int32{}
		for _, f := range role.Frameworks {
			if len(f.Allocated) > 0 {
				ranks[f.ID] = 1 // those not named have 0, and come first
			}
		}
		r.Frameworks[role.Name] = ranks
	}
	return r, nil
}

// A policy is asked with a demand, and what it answers is checked.
func Example() {
	demand := allocation.Demand{Roles: []allocation.Role{{Name: "eng", Weight: 1, Frameworks: []allocation.Framework{
		{ID: "web", Wants: true, Allocated: []allocation.Quantity{{Name: "cpus", Amount: 1.5}}},
		{ID: "batch", Wants: true},
	}}}}
	ranking, err := hungriest{}.Rank(demand)
	if err == nil {
		err = allocation.Check(demand, ranking)
	}
	fmt.Println(ranking.Frameworks["eng"], err)
	// Output: map[web:1] <nil>
}

func ExampleParsePriority() {
	policy, err := allocation.ParsePriority("prod=10,batch=-5")
	if err != nil {
		panic(err)
	}
	ranking, _ := policy.Rank(allocation.Demand{Roles: []allocation.Role{{Name: "batch"}, {Name: "prod/web"}, {Name: "eng"}}})
	fmt.Println(ranking.Roles)
	// Output: map[batch:5 prod:-10]
}

// A policy that remembers who was there may name who has gone.
func ExampleCheck() {
	ranking := allocation.Ranking{Roles: map[string]int32{"gone": 1}}
	fmt.Println(allocation.Check(allocation.Demand{}, ranking))
	// Output: it ranks role "gone", of which it was told nothing
}
