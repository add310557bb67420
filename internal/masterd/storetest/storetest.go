// Package storetest holds what every store of the registry must do. An
// implementation's test calls [Run]; what passes is interchangeable.
package storetest

import (
	"context"
	"errors"
	"flag"
	"iter"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/meseta-project/meseta/internal/registry"
)

// Store is what is tested: masterd.Store.
type Store interface {
	Load(ctx context.Context) (iter.Seq2[string, []byte], uint64, error)
	Store(ctx context.Context, version uint64, puts []registry.Put) (uint64, error)
	Close() error
}

// Run tests a kind of stores. open returns the same store each time it is
// called within a test, as a restarted process would find it; a store that
// cannot be opened again says so with durable.
func Run(t *testing.T, durable bool, fresh func(t *testing.T) (open func() Store)) {
	t.Run("begins empty", func(t *testing.T) { want(t, fresh(t)(), nil) })
	t.Run("puts and deletes", func(t *testing.T) { putsAndDeletes(t, fresh(t)()) })
	t.Run("refuses another version", func(t *testing.T) { refuses(t, fresh(t)()) })
	t.Run("keeps many large records", func(t *testing.T) { manyRecords(t, fresh(t)()) })
	if durable {
		t.Run("remembers", func(t *testing.T) { remembers(t, fresh(t)) })
	}
}

func load(t *testing.T, s Store) (map[string]string, uint64) {
	t.Helper()
	records, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, value := range records {
		got[key] = string(value)
	}
	return got, version
}

func want(t *testing.T, s Store, want map[string]string) (version uint64) {
	t.Helper()
	got, version := load(t, s)
	if !maps.Equal(got, want) {
		t.Errorf("records are %v, want %v", got, want)
	}
	return version
}

func store(t *testing.T, s Store, version uint64, puts ...registry.Put) uint64 {
	t.Helper()
	next, err := s.Store(t.Context(), version, puts)
	if err != nil {
		t.Fatal(err)
	}
	if next == version {
		t.Errorf("the version is %d still after a write", next)
	}
	return next
}

func put(key, value string) registry.Put { return registry.Put{Key: key, Value: []byte(value)} }

func putsAndDeletes(t *testing.T, s Store) {
	defer s.Close()
	_, version := load(t, s)
	version = store(t, s, version, put("agents/a", "1"), put("agents/b", "2"), put("empty", ""))
	want(t, s, map[string]string{"agents/a": "1", "agents/b": "2", "empty": ""})
	version = store(t, s, version, put("agents/a", "3"), registry.Put{Key: "agents/b"}, registry.Put{Key: "none"})
	if got := want(t, s, map[string]string{"agents/a": "3", "empty": ""}); got != version {
		t.Errorf("loaded version %d, stored %d", got, version)
	}
	// The last word on a key within one write holds.
	store(t, s, version, put("agents/a", "4"), registry.Put{Key: "agents/a"}, put("agents/a", "5"))
	want(t, s, map[string]string{"agents/a": "5", "empty": ""})
}

func refuses(t *testing.T, s Store) {
	defer s.Close()
	_, old := load(t, s)
	store(t, s, old, put("a", "mine"))
	if _, err := s.Store(t.Context(), old, []registry.Put{put("a", "a deposed leader's"), put("b", "too")}); err == nil {
		t.Error("a write with an old version was taken")
	}
	want(t, s, map[string]string{"a": "mine"})
}

func manyRecords(t *testing.T, s Store) {
	defer s.Close()
	_, version := load(t, s)
	var puts []registry.Put
	all := map[string]string{}
	for i := range 5000 {
		p := put("agents/"+strconv.Itoa(i), string(make([]byte, 400)))
		puts, all[p.Key] = append(puts, p), string(p.Value)
	}
	store(t, s, version, puts...)
	want(t, s, all)
}

func remembers(t *testing.T, open func() Store) {
	s := open()
	_, version := load(t, s)
	version = store(t, s, version, put("a", "1"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open()
	defer s.Close()
	if got := want(t, s, map[string]string{"a": "1"}); got != version {
		t.Errorf("version %d after a restart, stored %d", got, version)
	}
}

// RunShared tests a kind of stores that several processes have open at once, as
// Run does and besides that only one of them can write.
func RunShared(t *testing.T, fresh func(t *testing.T) (open func() Store)) {
	Run(t, true, fresh)
	t.Run("fences a deposed leader", func(t *testing.T) { fences(t, fresh(t)) })
	t.Run("takes a large batch whole", func(t *testing.T) { largeBatch(t, fresh(t)) })
	t.Run("stays small", func(t *testing.T) { folds(t, fresh(t)) })
	t.Run("one of many writes", func(t *testing.T) { races(t, fresh(t)) })
	t.Run("holds a large cluster", func(t *testing.T) { largeCluster(t, fresh(t)) })
}

// agents is how many a large cluster has. Meseta is for 100,000.
var agents = flag.Int("store.agents", 20_000, "how many agents the registry of a large cluster has")

// largeCluster admits very many agents, batch by batch as they come, and reads
// them back as the next leader does. Their records are of the usual size.
func largeCluster(t *testing.T, open func() Store) {
	const batch = 500
	s := open()
	_, version := load(t, s)
	all := map[string]string{}
	for i := 0; i < *agents; i += batch {
		var puts []registry.Put
		for j := i; j < min(i+batch, *agents); j++ {
			p := put("agents/"+strconv.Itoa(j), strings.Repeat(strconv.Itoa(j)+" ", 250)[:500])
			puts, all[p.Key] = append(puts, p), string(p.Value)
		}
		version = store(t, s, version, puts...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	next := open()
	defer next.Close()
	got, at := load(t, next)
	if at != version || !maps.Equal(got, all) {
		t.Errorf("version %d with %d agents, want %d with %d", at, len(got), version, len(all))
	}
	version = store(t, next, version, registry.Put{Key: "agents/0"}) // and goes on
	if got, at := load(t, next); at != version || len(got) != len(all)-1 {
		t.Errorf("version %d with %d agents, want %d with %d", at, len(got), version, len(all)-1)
	}
}

// fences has a second leader take over while the first still writes.
func fences(t *testing.T, open func() Store) {
	old, next := open(), open()
	defer old.Close()
	defer next.Close()
	_, version := load(t, old)
	version = store(t, old, version, put("a", "old"))
	_, taken := load(t, next)
	version = store(t, old, version, put("a", "older")) // after the reading, before the taking
	if _, err := next.Store(t.Context(), taken, nil); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("taking over what has changed: %v, want a conflict", err)
	}
	_, taken = load(t, next)
	taken = store(t, next, taken)
	if _, err := old.Store(t.Context(), version, []registry.Put{put("a", "deposed")}); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("a deposed leader's write: %v, want a conflict", err)
	}
	large := make([]byte, 3<<20)
	if _, err := old.Store(t.Context(), version, []registry.Put{{Key: "a", Value: large}}); !errors.Is(err, registry.ErrConflict) {
		t.Errorf("a deposed leader's large write: %v, want a conflict", err)
	}
	store(t, next, taken, put("b", "new"))
	want(t, next, map[string]string{"a": "older", "b": "new"})
}

// largeBatch writes more at once than such stores take in one request.
func largeBatch(t *testing.T, open func() Store) {
	s := open()
	defer s.Close()
	_, version := load(t, s)
	all := map[string]string{}
	var puts []registry.Put
	for i := range 2000 {
		p := put("agents/"+strconv.Itoa(i), strings.Repeat(strconv.Itoa(i%10), 2000))
		puts, all[p.Key] = append(puts, p), string(p.Value)
	}
	version = store(t, s, version, puts...)
	all["huge"] = strings.Repeat("x", 3<<20)
	version = store(t, s, version, put("huge", all["huge"]))
	other := open()
	defer other.Close()
	if got := want(t, other, all); got != version {
		t.Errorf("loaded version %d, stored %d", got, version)
	}
}

// folds writes the same over and over, more than a store could keep of it.
func folds(t *testing.T, open func() Store) {
	s := open()
	defer s.Close()
	_, version := load(t, s)
	value := strings.Repeat("x", 1<<20)
	for i := range 20 {
		version = store(t, s, version, put("a", value), put("b", strconv.Itoa(i)))
	}
	other := open()
	defer other.Close()
	if got := want(t, other, map[string]string{"a": value, "b": "19"}); got != version {
		t.Errorf("loaded version %d, stored %d", got, version)
	}
}

// races has several leaders write as fast as they can: every write that was
// taken is there, in order.
func races(t *testing.T, open func() Store) {
	const writers, writes = 4, 10
	var work sync.WaitGroup
	for range writers {
		work.Go(func() {
			s := open()
			defer s.Close()
			for done := 0; done < writes; {
				records, version, err := s.Load(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				n := 0
				for _, value := range records {
					n, _ = strconv.Atoi(string(value))
				}
				switch _, err := s.Store(t.Context(), version, []registry.Put{put("n", strconv.Itoa(n+1))}); {
				case err == nil:
					done++
				case !errors.Is(err, registry.ErrConflict):
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	s := open()
	defer s.Close()
	want(t, s, map[string]string{"n": strconv.Itoa(writers * writes)})
}
