package allocator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/meseta-project/meseta/allocation"
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// ranked returns a cluster of 40 agents and six frameworks in four roles.
func ranked() (*Allocator, time.Time) {
	a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
	multi := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	for i, role := range []string{"batch", "prod/web", "prod/db", "test", "batch", "batch"} {
		info := &mesos.FrameworkInfo{Roles: []string{role}, Capabilities: multi}
		a.AddFramework(Framework{ID: ids.FrameworkIDFor("m", uint64(i)), Active: true, Info: info})
	}
	for i := range 40 {
		a.AddAgent(Agent{
			ID: ids.AgentIDFor("m", uint64(i)), Info: &mesos.AgentInfo{}, Total: resources.MustParse("cpus:1;mem:100"),
			Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE, mesos.AgentInfo_Capability_HIERARCHICAL_ROLE},
		}, nil)
	}
	return a, time.Unix(1_000_000, 0)
}

// TestPriorityIsStrict: whatever shares are, all goes to the role that is first,
// and in a role to the framework that is.
func TestPriorityIsStrict(t *testing.T) {
	a, now := ranked()
	r, err := allocation.Priority{"prod": 10, "batch": -1}.Rank(a.Demand(100))
	if err != nil {
		t.Fatal(err)
	}
	a.SetRanking(r)
	got := map[string]int{}
	for more := true; more; {
		var offers []Offer
		offers, more = a.Run(now, 3)
		for _, o := range offers {
			got[o.Role]++
		}
	}
	if fmt.Sprint(got) != "map[prod/db:20 prod/web:20]" { // by shares among themselves
		t.Errorf("offered to %v", got)
	}
	for _, f := range []ids.FrameworkID{"m-0001", "m-0002"} {
		a.Suppress(f, nil)
	}
	a.SetRanking(allocation.Ranking{
		Roles:      map[string]int32{"batch": -1},
		Frameworks: map[string]map[string]int32{"batch": {"m-0004": -7, "unheard of": -9}},
	})
	for i := range 40 {
		id := ids.AgentIDFor("m", uint64(i))
		h := a.agents[id].holdings[0]
		a.Recover(now, h.framework, id, h.resources, nil)
	}
	for _, o := range drainOffers(a, now) {
		if o.Framework != "m-0004" {
			t.Errorf("%s is offered to %s", o.Agent, o.Framework)
		}
	}
}

func drainOffers(a *Allocator, now time.Time) (all []Offer) {
	for more := true; more; {
		var offers []Offer
		offers, more = a.Run(now, 3)
		all = append(all, offers...)
	}
	return all
}

// TestDemand: what policies are shown, and no more frameworks than are asked for.
func TestDemand(t *testing.T) {
	a, now := ranked()
	drainOffers(a, now)
	a.Suppress("m-0003", nil)
	d := a.Demand(5)
	if d.Omitted != 1 || fmt.Sprint(d.Total, d.Free) != "[{cpus 40} {mem 4000}] []" || len(d.Roles) != 4 {
		t.Errorf("%+v", d)
	}
	batch := d.Roles[0]
	if batch.Name != "batch" || batch.Weight != 1 || batch.Share < 0.3 || len(batch.Frameworks) != 3 || !batch.Frameworks[0].Wants {
		t.Errorf("%+v", batch)
	}
	if f := a.Demand(100).Roles[3].Frameworks[0]; f.ID != "m-0003" || f.Wants {
		t.Errorf("%+v", f)
	}
}

// TestPause: nothing is offered, and all of it afterwards.
func TestPause(t *testing.T) {
	a, now := ranked()
	a.Pause(true)
	if offers := drainOffers(a, now); len(offers) != 0 || !a.Wake(now).IsZero() {
		t.Errorf("%d offers", len(offers))
	}
	if e := explainAll(a, now)[0]; e.Findings[0].Reason != ModuleSilent {
		t.Errorf("%v", e)
	}
	a.Pause(false)
	if offers := drainOffers(a, now); len(offers) != 40 {
		t.Errorf("%d offers", len(offers))
	}
}

// TestExplainRanks: who is put first by the policy is said.
func TestExplainRanks(t *testing.T) {
	a, now := ranked()
	a.SetRanking(allocation.Ranking{
		Roles: map[string]int32{"batch": -1}, Frameworks: map[string]map[string]int32{"batch": {"m-0004": -7}},
	})
	for _, e := range explainAll(a, now) {
		first := e.Findings[0]
		want := map[ids.FrameworkID]string{
			"m-0000": "the allocation policy puts other frameworks first: rank 0 against -7 of framework m-0004",
			"m-0003": "the allocation policy puts other roles first: rank 0 against -1 of role batch",
		}[e.Framework]
		if want != "" && (first.Reason != LowerRanksFirst || first.Message != want) {
			t.Errorf("%s: %+v", e.Framework, first)
		}
	}
}

func explainAll(a *Allocator, now time.Time) []Explanation {
	in := a.Inquire(Query{})
	for !a.Explore(now, in, 100) {
	}
	return in.Explanations
}
