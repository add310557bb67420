package main

import (
	"fmt"
	"testing"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/allocation/allocationtest"
)

func TestPolicy(t *testing.T) {
	allocationtest.Run(t, func(*testing.T) allocation.Policy { return newPolicy("role003,role001") })
}

// TestOrder: who came first stays first, and who left comes last when it is back.
func TestOrder(t *testing.T) {
	p := newPolicy("prod")
	for _, test := range []struct{ there, want string }{
		{"b", "map[b:1]"},
		{"ab", "map[a:2 b:1]"},
		{"a", "map[a:2]"},
		{"ab", "map[a:2 b:3]"},
	} {
		role := allocation.Role{Name: "prod"}
		for _, id := range test.there {
			role.Frameworks = append(role.Frameworks, allocation.Framework{ID: string(id)})
		}
		r, err := p.Rank(allocation.Demand{Roles: []allocation.Role{role}})
		if err != nil || fmt.Sprint(r.Frameworks["prod"]) != test.want || r.Roles["prod"] != -1 {
			t.Errorf("%s: %v, %v", test.there, r, err)
		}
	}
}
