package master

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/meseta-project/meseta/allocation"
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
)

// rankWorld is a world with an allocation policy, in which frameworks of the
// roles "first" and "last" compete for agents.
func rankWorld(change func(*Config)) *world {
	cfg := DefaultConfig()
	change(&cfg)
	w := newWorld(cfg)
	w.quiet = true
	return w
}

// asked returns the questions to the module since the last call.
func (w *world) asked() []RankDemand {
	all := w.demands
	w.demands = nil
	return all
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.step(Tick{})
}

// TestModuleAnswers: one question at a time, as often as the interval says, and
// what is answered in time is followed.
func TestModuleAnswers(t *testing.T) {
	w := rankWorld(func(c *Config) { c.Module, c.ModuleStops = true, true })
	first := w.asked()
	if len(first) != 1 || w.m.ranking.asked != first[0].Seq {
		t.Fatalf("asked %v", first)
	}
	w.pass(time.Second)
	w.pass(time.Second)
	if again := w.asked(); len(again) != 0 {
		t.Fatalf("asked %d more while it thinks", len(again))
	}
	w.step(Ranked{Seq: first[0].Seq})
	w.pass(time.Second)
	if again := w.asked(); len(again) != 1 {
		t.Fatalf("asked %d more", len(again))
	}
	if c := w.m.counters.Policy; c != (PolicyCounters{Answers: 1}) {
		t.Errorf("%+v", c)
	}
}

// TestModuleFails: whatever a module does wrong, its order holds no longer, and
// what is to be done instead is done until it answers again.
func TestModuleFails(t *testing.T) {
	nonsense := allocation.Ranking{Roles: map[string]int32{"unheard of": 1}}
	for name, wrong := range map[string]func(w *world, seq uint64){
		"dies":     func(w *world, seq uint64) { w.step(Ranked{Seq: seq, Err: errors.New("it has died")}) },
		"nonsense": func(w *world, seq uint64) { w.step(Ranked{Seq: seq, Ranking: nonsense}) },
		"silent":   func(w *world, _ uint64) { w.pass(w.m.cfg.ModuleTimeout) },
	} {
		for _, stops := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/stops=%v", name, stops), func(t *testing.T) {
				w := rankWorld(func(c *Config) { c.Module, c.ModuleStops = true, stops })
				seq := w.asked()[0].Seq
				wrong(w, seq)
				if c := w.m.counters.Policy; c != (PolicyCounters{Failures: 1}) {
					t.Errorf("%+v", c)
				}
				w.register(w.addAgent("a1", "cpus:4;mem:1024", "a1.test"), "1.11.0")
				w.out.Reset()
				join(w)
				if offered := len(w.m.offers) > 0; offered == stops {
					t.Errorf("offered: %v", offered)
				}
				w.step(Ranked{Seq: seq}) // too late
				w.pass(w.m.cfg.RankInterval)
				asks := w.asked()
				w.step(Ranked{Seq: asks[len(asks)-1].Seq, Ranking: allocation.Ranking{Roles: map[string]int32{"*": -1}}})
				if len(w.m.offers) != 1 || w.m.ranking.failed {
					t.Errorf("%d offers once it is back", len(w.m.offers))
				}
				if w.m.counters.Policy.Late != 1 {
					t.Error("a late answer is not counted")
				}
			})
		}
	}
}

// TestPolicyInProcess: it is asked before anything is offered to who is new.
func TestPolicyInProcess(t *testing.T) {
	var shown []string
	w := rankWorld(func(c *Config) {
		c.Policy = policyFunc(func(d allocation.Demand) (allocation.Ranking, error) {
			shown = nil
			for _, r := range d.Roles {
				shown = append(shown, r.Name)
			}
			return allocation.Ranking{}, nil
		})
	})
	w.register(w.addAgent("a1", "cpus:4;mem:1024", "a1.test"), "1.11.0")
	join(w)
	if !slices.Equal(shown, []string{"*"}) || len(w.m.offers) != 1 {
		t.Errorf("it was shown %v, and %d offers were made", shown, len(w.m.offers))
	}
}

// join subscribes a framework of all roles.
func join(w *world) {
	info := &mesos.FrameworkInfo{User: new("root"), Name: new("fw"), Role: new("*")}
	f := &testFramework{name: "fw", info: info}
	w.frameworks[f.name] = f
	w.subscribe(f, &schedulerpb.Call_Subscribe{})
}

type policyFunc func(allocation.Demand) (allocation.Ranking, error)

func (f policyFunc) Rank(d allocation.Demand) (allocation.Ranking, error) { return f(d) }
