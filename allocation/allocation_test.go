package allocation_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/allocation/allocationtest"
)

func TestPolicies(t *testing.T) {
	for name, policy := range map[string]allocation.Policy{
		"drf":      allocation.DRF{},
		"priority": allocation.Priority{"role001": 5, "role002": -5, "nobody": 1},
		"random":   allocation.Random{Rand: rand.New(rand.NewPCG(1, 2))},
	} {
		t.Run(name, func(t *testing.T) { allocationtest.Run(t, func(*testing.T) allocation.Policy { return policy }) })
	}
}

func TestPriority(t *testing.T) {
	p, err := allocation.ParsePriority("prod=10,batch=-5,eng/web=3")
	if err != nil {
		t.Fatal(err)
	}
	d := allocation.Demand{Roles: []allocation.Role{{Name: "batch"}, {Name: "eng/web/x"}, {Name: "other"}, {Name: "prod"}}}
	if r, _ := p.Rank(d); fmt.Sprint(r.Roles) != "map[batch:5 eng/web:-3 prod:-10]" {
		t.Error(r)
	}
	for text, want := range map[string]string{
		"":                   "is not a priority",
		"prod":               "is not a priority",
		"=1":                 "is not a priority",
		"a=x":                "is not a priority",
		"a=1,a=2":            "two priorities",
		"a=99999999999":      "not within",
		"a=-2147483648":      "not within",
		"a=1,b=0x10,c=1e400": "is not a priority",
	} {
		if _, err := allocation.ParsePriority(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	d := allocation.Demand{Roles: []allocation.Role{{Name: "a/b", Frameworks: []allocation.Framework{{ID: "f"}}}}}
	ranks := func(role, id string) allocation.Ranking {
		return allocation.Ranking{Frameworks: map[string]map[string]int32{role: {id: 1}}}
	}
	for _, good := range []allocation.Ranking{{}, {Roles: map[string]int32{"a": 1, "a/b": 2}}, ranks("a/b", "f")} {
		if err := allocation.Check(d, good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range []allocation.Ranking{{Roles: map[string]int32{"b": 1}}, ranks("a", "f"), ranks("a/b", "g")} {
		if err := allocation.Check(d, bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func FuzzParsePriority(f *testing.F) {
	f.Add("prod=10,batch=-5")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := allocation.ParsePriority(text)
		if err == nil && len(p) != strings.Count(text, ",")+1 {
			t.Errorf("%q: %v", text, p)
		}
	})
}
