package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/masterd"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/store/bolt"
	"github.com/meseta-project/meseta/internal/store/memory"
	"github.com/meseta-project/meseta/resources"
)

// registrars are the stores that need no server.
var registrars = map[string]func(*testing.B) masterd.Store{
	"memory": func(*testing.B) masterd.Store { return &memory.Store{} },
	"bolt": func(b *testing.B) masterd.Store {
		s, err := bolt.Open(filepath.Join(b.TempDir(), "registry"))
		if err != nil {
			b.Fatal(err)
		}
		return s
	},
}

// BenchmarkRegistrar does with all agents of a cluster what Mesos's benchmarks of the
// registrar do. As the master writes them, all that wait for a write are one batch:
// "admit" and the three that follow are one of all agents, "one" is a write of one
// agent beside all others, and "load" what a new leader reads.
func BenchmarkRegistrar(b *testing.B) {
	sizes := []int{10_000}
	if full() {
		sizes = append(sizes, 50_000, 100_000)
	}
	for _, name := range []string{"memory", "bolt"} {
		for _, agents := range sizes {
			b.Run(fmt.Sprintf("store=%s/agents=%d", name, agents), func(b *testing.B) {
				store := registrars[name](b)
				defer store.Close()
				r := &registrar{b: b, store: store, registry: registry.New(), infos: make([]*mesos.AgentInfo, agents)}
				for i := range r.infos {
					r.infos[i] = &mesos.AgentInfo{
						Id: &mesos.AgentID{Value: new(string(agentID(i)))}, Hostname: new(fmt.Sprintf("host%d", i)),
						Resources: resources.MustParse(plainAgent).Proto(),
					}
				}
				r.run()
			})
		}
	}
}

// A registrar writes what it is told of agents.
type registrar struct {
	b        *testing.B
	store    masterd.Store
	registry *registry.Registry
	version  uint64
	infos    []*mesos.AgentInfo
}

// run times each step, of which the next begins where it ends.
func (r *registrar) run() {
	now := time.Unix(1_000_000, 0)
	id := func(info *mesos.AgentInfo) ids.AgentID { return ids.AgentID(info.GetId().GetValue()) }
	remove := func(info *mesos.AgentInfo) ([]registry.Change, error) { return r.registry.Remove(id(info)) }
	leave := func(info *mesos.AgentInfo) ([]registry.Change, error) {
		return r.registry.MarkUnreachable(id(info), now)
	}
	r.time("admit", r.infos, r.registry.Admit, remove)
	r.write(r.infos, r.registry.Admit)
	r.time("one", r.infos[:1], r.registry.Update, nil)
	r.time("unreachable", r.infos, leave, r.registry.MarkReachable)
	r.write(r.infos, leave)
	r.time("reachable", r.infos, r.registry.MarkReachable, leave)
	r.write(r.infos, r.registry.MarkReachable)
	r.b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			records, _, err := r.store.Load(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if known, err := registry.Load(records); err != nil || known.Len() != len(r.infos) {
				b.Fatalf("%d agents are read: %v", known.Len(), err)
			}
		}
	})
	r.time("remove", r.infos, remove, r.registry.Admit)
}

// time times a batch about agents, which is undone each time.
func (r *registrar) time(name string, infos []*mesos.AgentInfo, do, undo func(*mesos.AgentInfo) ([]registry.Change, error)) {
	r.b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.write(infos, do)
			if undo != nil {
				b.StopTimer()
				r.write(infos, undo)
				b.StartTimer()
			}
		}
	})
}

func (r *registrar) write(infos []*mesos.AgentInfo, op func(*mesos.AgentInfo) ([]registry.Change, error)) {
	var all []registry.Change
	for _, info := range infos {
		changes, err := op(info)
		if err != nil {
			r.b.Fatal(err)
		}
		all = append(all, changes...)
	}
	version, err := r.store.Store(r.b.Context(), r.version, registry.Puts(&registry.Batch{Changes: all}))
	if err != nil {
		r.b.Fatal(err)
	}
	r.version = version
}
