package allocator

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// TestDeclineAll compares a cluster in which all decline at once with one in which
// they do it offer by offer.
func TestDeclineAll(t *testing.T) {
	now := time.Unix(1, 0)
	anHour := &mesos.Filters{RefuseSeconds: new(3600.0)}
	fill := func() *Allocator {
		a := New(DefaultConfig(), rand.New(rand.NewPCG(1, 2)))
		multi := []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
		for i := range 30 {
			info := &mesos.FrameworkInfo{Roles: []string{fmt.Sprintf("role%d", i%7)}, Capabilities: multi}
			a.AddFramework(Framework{ID: ids.FrameworkIDFor("m", uint64(i)), Active: i != 3, Info: info})
		}
		a.Suppress(ids.FrameworkIDFor("m", 4), nil)
		for i := range 40 {
			a.AddAgent(Agent{
				ID: ids.AgentIDFor("m", uint64(i)), Info: &mesos.AgentInfo{}, Total: resources.MustParse("cpus:4;mem:1024;ports:[1-5]"),
				Capabilities: []mesos.AgentInfo_Capability_Type{mesos.AgentInfo_Capability_MULTI_ROLE},
			}, nil)
		}
		a.DeactivateAgent(ids.AgentIDFor("m", 7))
		return a
	}
	singly, atOnce := fill(), fill()
	for offers := drainOffers(singly, now); len(offers) > 0; offers = drainOffers(singly, now) {
		for _, o := range offers {
			singly.Recover(now, o.Framework, o.Agent, o.Resources, anHour)
		}
	}
	atOnce.DeclineAll(now, anHour)
	if offers := drainOffers(atOnce, now); len(offers) > 0 {
		t.Fatalf("%d offers are made where all was declined", len(offers))
	}
	for _, a := range []*Allocator{singly, atOnce} {
		verify(t, a)
	}
	for id, ag := range atOnce.agents {
		of := func(ag *agent) (slots []uint32) {
			for _, f := range ag.filters {
				if f.until != singly.ticks(now.Add(time.Hour)) || !ag.refused[f.what].resources.Equal(ag.total) {
					t.Errorf("agent %s has the filter %+v", id, f)
				}
				slots = append(slots, f.slot)
			}
			slices.Sort(slots)
			return slots
		}
		if one := singly.agents[id]; !slices.Equal(of(ag), of(one)) || !reflect.DeepEqual(ag.blocked, one.blocked) {
			t.Errorf("agent %s is refused by %v, singly by %v", id, of(ag), of(one))
		}
	}
	for id, f := range atOnce.frameworks {
		for role, s := range f.subs {
			if one := singly.frameworks[id].subs[role]; s.declined != one.declined || !s.behind.Equal(one.behind) {
				t.Errorf("%s has declined %d offers, singly %d", id, s.declined, one.declined)
			}
		}
	}
}
