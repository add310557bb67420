package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/registry"
)

// A store keeps the registry's records for all masters, as the replicated ones
// do: a write is taken by the replica that leads, counts when most replicas have
// it, and is answered then. It is done if the store's version is then the one
// that the writer knows, so no deposed master writes. What the leading replica
// alone has taken is the store's tail: another one that leads may have the
// beginning of it, and what follows is lost. Who waits for an answer asks again.
type store struct {
	w       *world
	records map[string][]byte
	version uint64
	last    *write   // the one that made this version
	tail    []*write // taken, and not on most replicas
	waiting []*write // not answered
	past    []image  // what it held before, the oldest first
	lead    int      // which replica leads: an answer of another one is not heard
}

// A write is a master's wish to store a batch.
type write struct {
	by       *masterNode
	life     int
	version  uint64 // that the master knows
	puts     []registry.Put
	done     func(ok bool)
	answered bool
}

// An image is what the store held at a time.
type image struct {
	records map[string][]byte
	version uint64
}

// maxImages is how far a reader can be behind, or a store go back, in writes.
const maxImages = 6

func newStore(w *world) *store { return &store{w: w, records: map[string][]byte{}} }

// read returns the registry that records make up.
func read(records map[string][]byte) *registry.Registry {
	r, err := registry.Load(func(yield func(string, []byte) bool) {
		for _, key := range slices.Sorted(maps.Keys(records)) {
			if !yield(key, records[key]) {
				return
			}
		}
	})
	if err != nil {
		fail("registry", "what was stored cannot be loaded: %v", err)
	}
	return r
}

// load returns the registry as it is stored, and its version: as one of the
// replicas has it, which may be behind.
func (s *store) load() (*registry.Registry, uint64) {
	if len(s.past) > 0 && s.w.suffers(StoreFailover, 0.3) {
		old := s.past[s.w.rand("store").IntN(len(s.past))]
		return read(old.records), old.version
	}
	return read(s.records), s.version
}

// write stores a batch if the version is still the store's. done hears of it,
// unless the master dies first: then the write may be done, or not.
func (s *store) write(m *masterNode, version uint64, puts []registry.Put, done func(ok bool)) {
	x := &write{by: m, life: m.life, version: version, puts: puts, done: done}
	s.waiting = append(s.waiting, x)
	s.send(x)
}

// send has a write reach the leading replica, unless its master dies or the
// connection breaks before it got so far.
func (s *store) send(x *write) {
	latency := s.w.between("store", 0, 4*time.Millisecond)
	if s.w.suffers(SlowStore, 0.2) {
		latency = s.w.between("store", 0, 6*time.Second)
	}
	lead := s.lead
	s.w.after(latency/2, func() {
		if (x.by.life != x.life || s.lead != lead) && s.w.once("store", 0.5) {
			return
		}
		s.take(x, latency/2)
	})
}

// take puts a write at the end of the tail, and has it count in its time.
func (s *store) take(x *write, latency time.Duration) {
	s.tail = append(s.tail, x)
	s.w.after(latency, func() {
		if i := slices.Index(s.tail, x); i >= 0 {
			taken := s.tail[:i+1]
			s.tail = s.tail[i+1:]
			for _, y := range taken {
				s.answer(y, s.apply(y))
			}
		}
	})
}

// apply does a write that most replicas have, if it is based on what is there. It
// reports whether it was done, now or when it was sent before.
func (s *store) apply(x *write) bool {
	if x.version != s.version {
		return s.last == x
	}
	s.past = append(s.past, image{maps.Clone(s.records), s.version})
	s.past = s.past[max(0, len(s.past)-maxImages):]
	s.version++
	s.last = x
	for _, p := range x.puts {
		if p.Value == nil {
			delete(s.records, p.Key)
		} else {
			s.records[p.Key] = p.Value
		}
	}
	s.w.note("store %s version %d: %s", x.by.name, s.version, keys(x.puts))
	s.w.history.stored(s.records, x.puts)
	return true
}

// answer tells the writer, if it is still there and connected.
func (s *store) answer(x *write, ok bool) {
	lead, version := s.lead, s.version
	s.w.after(s.w.between("store", 0, 2*time.Millisecond), func() {
		if s.lead != lead || x.answered {
			return
		}
		x.answered = true
		s.waiting = slices.DeleteFunc(s.waiting, func(y *write) bool { return y == x })
		if x.by.life != x.life {
			return
		}
		if ok {
			s.w.history.acknowledgedBy(version)
		}
		x.done(ok)
	})
}

// failOver has another replica lead. Of the tail it has the beginning; some of
// the rest arrives yet, long after. Whoever has no answer tries again.
func (s *store) failOver() {
	tail := s.tail
	s.lead++
	s.tail = nil
	has := s.w.rand(StoreFailover.String()).IntN(len(tail) + 1)
	s.w.note("store another replica leads, %d of %d writes under way are lost", len(tail)-has, len(tail))
	for _, x := range tail[:has] {
		s.apply(x)
	}
	for _, x := range tail[has:] {
		if s.w.once(StoreFailover.String(), 0.5) {
			s.w.after(s.w.between(StoreFailover.String(), 0, 8*time.Second), func() { s.take(x, time.Millisecond) })
		}
	}
	for _, x := range s.waiting {
		s.w.after(s.w.between(StoreFailover.String(), 50*time.Millisecond, 2*time.Second), func() {
			if x.by.life == x.life && !x.answered {
				s.send(x)
			}
		})
	}
}

// goBack has the store of a single master be as it was some writes ago: it said
// that they were durable, and they were not, or it was restored from a backup.
func (s *store) goBack() {
	if len(s.past) == 0 {
		return
	}
	i := s.w.rand(StoreAmnesia.String()).IntN(len(s.past))
	was := s.past[i]
	s.w.note("store goes back from version %d to %d", s.version, was.version)
	s.records, s.version, s.past = was.records, was.version, s.past[:i]
	s.tail, s.waiting, s.last = nil, nil, nil
	s.lead++
	s.w.history.storeWentBack()
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
