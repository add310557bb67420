package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/registry"
)

// A store keeps the registry's records for all masters. It takes a write only
// from who knows the version that it has, so no deposed master writes.
type store struct {
	w       *world
	records map[string][]byte
	version uint64
}

func newStore(w *world) *store { return &store{w: w, records: map[string][]byte{}} }

// load returns the registry as it is stored, and its version.
func (s *store) load() (*registry.Registry, uint64) {
	r, err := registry.Load(func(yield func(string, []byte) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.records)) {
			if !yield(key, s.records[key]) {
				return
			}
		}
	})
	if err != nil {
		fail("registry", "what was stored cannot be loaded: %v", err)
	}
	return r, s.version
}

// write stores a batch if the version is still the store's. done hears of it,
// unless the master dies first: then the write may have been done, or not.
func (s *store) write(m *masterNode, version uint64, puts []registry.Put, done func(ok bool)) {
	latency := s.w.between("store", 0, 4*time.Millisecond)
	if s.w.suffers(SlowStore, 0.2) {
		latency = s.w.between("store", 0, 6*time.Second)
	}
	life := m.life
	s.w.after(latency/2, func() {
		if m.life != life && s.w.once("store", 0.5) {
			return // it had not got so far
		}
		ok := version == s.version
		if ok {
			s.apply(m, puts)
		}
		s.w.after(latency/2, func() {
			if m.life == life {
				done(ok)
			}
		})
	})
}

func (s *store) apply(m *masterNode, puts []registry.Put) {
	s.version++
	for _, p := range puts {
		if p.Value == nil {
			delete(s.records, p.Key)
		} else {
			s.records[p.Key] = p.Value
		}
	}
	s.w.note("store %s version %d: %s", m.name, s.version, keys(puts))
	s.w.history.stored(s.records, puts)
}

func keys(puts []registry.Put) string {
	var b strings.Builder
	for _, p := range puts {
		sign := "+"
		if p.Value == nil {
			sign = "-"
		}
		b.WriteString(" " + sign + p.Key)
	}
	return b.String()
}
