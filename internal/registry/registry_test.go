package registry_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
)

var epoch = time.Unix(1_700_000_000, 0)

func info(id, hostname string) *mesos.AgentInfo {
	return &mesos.AgentInfo{Id: &mesos.AgentID{Value: &id}, Hostname: &hostname}
}

// store keeps records as a store would.
type store map[string][]byte

func (s store) apply(changes []registry.Change) {
	for _, p := range registry.Puts(&registry.Batch{Changes: changes}) {
		if p.Value == nil {
			delete(s, p.Key)
		} else {
			s[p.Key] = p.Value
		}
	}
}

func (s store) load(t interface{ Fatal(...any) }) *registry.Registry {
	r, err := registry.Load(maps.All(s))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAgentLife walks an agent through its states and checks the words of what
// is refused on the way.
func TestAgentLife(t *testing.T) {
	r := registry.New()
	steps := []struct {
		name    string
		do      func() ([]registry.Change, error)
		changes int
		want    refusal.Reason
	}{
		{"admit", func() ([]registry.Change, error) { return r.Admit(info("a", "h")) }, 1, 0},
		{"admit again", func() ([]registry.Change, error) { return r.Admit(info("a", "h")) }, 0, refusal.Conflict},
		{"update", func() ([]registry.Change, error) { return r.Update(info("a", "g")) }, 1, 0},
		{"update unknown", func() ([]registry.Change, error) { return r.Update(info("b", "g")) }, 0, refusal.NotFound},
		{"reachable while admitted", func() ([]registry.Change, error) { return r.MarkReachable(info("a", "g")) }, 0, refusal.Conflict},
		{"unreachable", func() ([]registry.Change, error) { return r.MarkUnreachable("a", epoch) }, 2, 0},
		{"unreachable again", func() ([]registry.Change, error) { return r.MarkUnreachable("a", epoch) }, 0, refusal.NotFound},
		{"remove unreachable", func() ([]registry.Change, error) { return r.Remove("a") }, 0, refusal.NotFound},
		{"reachable", func() ([]registry.Change, error) { return r.MarkReachable(info("a", "g")) }, 2, 0},
		{"remove", func() ([]registry.Change, error) { return r.Remove("a") }, 1, 0},
		{"gone unknown", func() ([]registry.Change, error) { return r.MarkGone("a", epoch) }, 0, refusal.NotFound},
		{"reachable unknown", func() ([]registry.Change, error) { return r.MarkReachable(info("a", "g")) }, 1, 0},
		{"gone", func() ([]registry.Change, error) { return r.MarkGone("a", epoch) }, 3, 0},
		{"back from gone", func() ([]registry.Change, error) { return r.MarkReachable(info("a", "g")) }, 0, refusal.Gone},
		{"admit gone", func() ([]registry.Change, error) { return r.Admit(info("a", "g")) }, 0, refusal.Gone},
	}
	for _, s := range steps {
		changes, err := s.do()
		if len(changes) != s.changes || refusal.ReasonOf(err) != s.want {
			t.Errorf("%s: %d changes, error %v; want %d, %v", s.name, len(changes), err, s.changes, s.want)
		}
	}
}

// TestRecords checks that what is stored gives back the same registry, after
// any history.
func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s := registry.New(), store{}
		s.apply(r.SetMaster(&mesos.MasterInfo{Id: new("m"), Ip: new(uint32(1)), Port: new(uint32(5050))}))
		s.apply([]registry.Change{r.SetWeight("a/b", 2)})
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			id := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "agent")
			at := epoch.Add(time.Duration(i) * time.Hour)
			s.apply(step(r, rapid.IntRange(0, 8).Draw(t, "op"), id, at))
		}
		if got, want := s.load(t).Proto(), r.Proto(); !proto.Equal(got, want) {
			t.Fatalf("loaded %v\nstored %v", got, want)
		}
	})
}

func step(r *registry.Registry, op int, id string, at time.Time) (changes []registry.Change) {
	agent := ids.AgentID(id)
	switch op {
	case 0:
		changes, _ = r.Admit(info(id, at.String()))
	case 1:
		changes, _ = r.Update(info(id, at.String()))
	case 2:
		changes, _ = r.MarkUnreachable(agent, at)
	case 3:
		changes, _ = r.MarkReachable(info(id, at.String()))
	case 4:
		changes, _ = r.Remove(agent)
	case 5:
		changes, _ = r.MarkGone(agent, at)
	case 6:
		_, changes = r.Prune(at, 10*time.Hour, 1, 2)
	case 7:
		changes = r.SetQuotas([]*quotapb.QuotaConfig{quota(id, at.Sub(epoch).Hours())})
	case 8:
		changes = r.SetQuotas([]*quotapb.QuotaConfig{{Role: &id}})
	}
	return changes
}

// quota returns a quota that guarantees and limits cpus.
func quota(role string, cpus float64) *quotapb.QuotaConfig {
	amounts := map[string]*mesos.Value_Scalar{"cpus": {Value: &cpus}, "mem": {Value: new(32.0)}}
	return &quotapb.QuotaConfig{Role: &role, Guarantees: amounts, Limits: amounts}
}

// TestQuotas checks that quotas are set, replaced and removed, and that masters
// must know of them while there are any.
func TestQuotas(t *testing.T) {
	r, s := registry.New(), store{}
	set := func(configs ...*quotapb.QuotaConfig) {
		t.Helper()
		s.apply(r.SetQuotas(configs))
		if got := s.load(t).Proto(); !proto.Equal(got, r.Proto()) {
			t.Fatalf("stored %v", got)
		}
	}
	set(quota("a", 1), quota("b", 2))
	set(quota("a", 3))
	if q := r.Quotas(); len(q) != 2 || q["a"].Guarantees["cpus"].GetValue() != 3 {
		t.Errorf("quotas %v", q)
	}
	if got := r.MinimumCapabilities(); !slices.Equal(got, []string{"QUOTA_V2"}) {
		t.Errorf("masters need %v", got)
	}
	none := &quotapb.QuotaConfig{Role: new("b"), Guarantees: map[string]*mesos.Value_Scalar{"cpus": {Value: new(0.0)}}}
	set(&quotapb.QuotaConfig{Role: new("a")}, none, &quotapb.QuotaConfig{Role: new("never had any")})
	if len(r.Quotas()) != 0 || len(r.MinimumCapabilities()) != 0 || len(s) != 0 {
		t.Errorf("quotas %v, capabilities %v, records %v", r.Quotas(), r.MinimumCapabilities(), s)
	}
}

// TestPrune checks both bounds, age and count, and that the oldest go first, no
// more at a time than may.
func TestPrune(t *testing.T) {
	now := epoch.Add(3 * time.Hour)
	for _, c := range []struct {
		age   time.Duration
		count int
		want  string
	}{{time.Hour * 10, 10, ""}, {2 * time.Hour, 10, "a"}, {time.Hour * 10, 1, "abc"}, {0, 10, "abc"}, {0, 0, "abcd"}} {
		r := registry.New()
		for i, id := range []string{"c", "a", "d", "b"} {
			if _, err := r.Admit(info(id, "h")); err != nil {
				t.Fatal(err)
			}
			at := epoch.Add(time.Duration(id[0]-'a') * time.Hour)
			if _, err := r.MarkUnreachable(ids.AgentID(id), at); err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				continue
			}
			if _, err := r.MarkReachable(info(id, "h")); err != nil {
				t.Fatal(err)
			}
			if _, err := r.MarkUnreachable(ids.AgentID(id), at); err != nil {
				t.Fatal(err)
			}
		}
		var got string
		for range 10 {
			forgotten, changes := r.Prune(now, c.age, c.count, 2)
			if len(changes) > 2 || len(changes) != len(forgotten) {
				t.Errorf("age %v, count %d: %d records and %v forgotten at once", c.age, c.count, len(changes), forgotten)
			}
			for _, id := range forgotten {
				got += string(id)
			}
		}
		if got != c.want || r.UnreachableLen() != 4-len(got) {
			t.Errorf("age %v, count %d: %q forgotten, want %q, %d left", c.age, c.count, got, c.want, r.UnreachableLen())
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for key, value := range map[string]string{"what/a": "", "agents/a": "\xff", "": ""} {
		records := maps.All(store{key: []byte(value)})
		if _, err := registry.Load(records); err == nil {
			t.Errorf("record %q: %q was read", key, value)
		}
	}
}
