package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/meseta-project/meseta/internal/masterd/storetest"
	"github.com/meseta-project/meseta/internal/registry"
)

var errLost = errors.New("the answer was lost")

// fake is a shared store in memory whose answers may be lost.
type fake struct {
	mu        sync.Mutex
	values    map[string][]byte
	revisions map[string]int64
	lose      func() (before, after bool) // whether to fail before or after the deed; nil: never
	largest   int                         // of all requests, in bytes
}

func newFake() *fake {
	return &fake{values: map[string][]byte{}, revisions: map[string]int64{}}
}

func (f *fake) try(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, after := false, false
	if f.lose != nil {
		before, after = f.lose()
	}
	if before {
		return errLost
	}
	err := do()
	if after {
		return errLost
	}
	return err
}

func (f *fake) set(name string, data []byte) int64 {
	f.largest = max(f.largest, len(data))
	f.values[name] = append([]byte{}, data...)
	f.revisions[name]++
	return f.revisions[name]
}

func (f *fake) Get(_ context.Context, name string) (data []byte, revision int64, err error) {
	err = f.try(func() error {
		data, revision = f.values[name], f.revisions[name]
		return nil
	})
	return data, revision, err
}

func (f *fake) Put(_ context.Context, name string, data []byte) error {
	return f.try(func() error {
		f.set(name, data)
		return nil
	})
}

func (f *fake) Commit(_ context.Context, head []byte, revision int64, entry string, data []byte) (next int64, err error) {
	err = f.try(func() error {
		if f.revisions[headName] != revision {
			return registry.ErrConflict
		}
		next = f.set(headName, head)
		if entry != "" {
			f.set(entry, data)
		}
		return nil
	})
	return next, err
}

func (f *fake) List(context.Context) (names []string, err error) {
	err = f.try(func() error {
		for name := range f.values {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

func (f *fake) Delete(_ context.Context, name string) error {
	return f.try(func() error {
		delete(f.values, name)
		delete(f.revisions, name)
		return nil
	})
}

func (*fake) Passing(err error) bool { return errors.Is(err, errLost) }

func (*fake) Close() error { return nil }

func quiet(f *fake) *Store { return New(f, slog.New(slog.DiscardHandler)) }

func TestConformance(t *testing.T) {
	storetest.RunShared(t, func(*testing.T) func() storetest.Store {
		f := newFake()
		return func() storetest.Store { return quiet(f) }
	})
}

// TestLostAnswers writes while half of all answers are lost: each write is
// taken once.
func TestLostAnswers(t *testing.T) {
	f, dice := newFake(), rand.New(rand.NewPCG(1, 2))
	f.lose = func() (before, after bool) { n := dice.IntN(20); return n == 0, n == 1 }
	s := quiet(f)
	defer s.Close()
	_, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if version, err = s.Store(t.Context(), version, []registry.Put{{Key: "n", Value: fmt.Append(nil, i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if version != 30 {
		t.Errorf("%d writes were taken, want 30", version)
	}
}

// TestBounds writes as 10,000 agents come, and looks at what is stored.
func TestBounds(t *testing.T) {
	f := newFake()
	s := quiet(f)
	_, version, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2500 {
		var puts []registry.Put
		for j := range 4 {
			puts = append(puts, registry.Put{Key: fmt.Sprintf("agents/%d", 4*i+j), Value: []byte(strings.Repeat("x", 500))})
		}
		if version, err = s.Store(t.Context(), version, puts); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if f.largest > partSize {
		t.Errorf("a value has %d bytes, more than %d", f.largest, partSize)
	}
	if len(f.values) > 2*foldAfter {
		t.Errorf("%d values are stored", len(f.values))
	}
}

// TestDamage takes values away and changes them.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]func(*fake){
		"a log entry is missing":  func(f *fake) { delete(f.values, logName(2)); delete(f.revisions, logName(2)) },
		"a log entry is cut":      func(f *fake) { f.values[logName(2)] = f.values[logName(2)][:5] },
		"a log entry is empty":    func(f *fake) { f.values[logName(2)] = nil },
		"a log entry is nonsense": func(f *fake) { f.values[logName(1)] = []byte("nonsense") },
		"the head is nonsense":    func(f *fake) { f.values[headName] = []byte("nonsense") },
		"the head is newer":       func(f *fake) { f.values[headName] = []byte(`{"format":2}`) },
		"the head is of another":  func(f *fake) { f.values[headName] = []byte(`{"from":3,"format":1}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			s := quiet(f)
			defer s.Close()
			version := uint64(0)
			for range 3 {
				var err error
				if version, err = s.Store(t.Context(), version, []registry.Put{{Key: "some/key", Value: []byte("value")}}); err != nil {
					t.Fatal(err)
				}
			}
			damage(f)
			if _, _, err := quiet(f).Load(t.Context()); err == nil || !strings.Contains(err.Error(), "path") {
				t.Errorf("got %v, want a refusal with a way out", err)
			}
		})
	}
}

// TestModel compares with a map, over restarts.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, model, version := newFake(), map[string]string{}, uint64(0)
		s := quiet(f)
		key := rapid.SampledFrom([]string{"a", "b", "c", ""})
		t.Repeat(map[string]func(*rapid.T){
			"store": func(t *rapid.T) {
				var puts []registry.Put
				for range rapid.IntRange(0, 4).Draw(t, "puts") {
					p := registry.Put{Key: key.Draw(t, "key")}
					if delete(model, p.Key); rapid.Bool().Draw(t, "keep") {
						p.Value = rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "value")
						model[p.Key] = string(p.Value)
					}
					puts = append(puts, p)
				}
				var err error
				if version, err = s.Store(context.Background(), version, puts); err != nil {
					t.Fatal(err)
				}
			},
			"fold": func(t *rapid.T) {
				if err := s.fold(context.Background(), s.head); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(t *rapid.T) {
				s = quiet(f)
				records, at, err := s.Load(context.Background())
				if err != nil || at != version {
					t.Fatalf("version %d, %v, want %d", at, err, version)
				}
				got := map[string]string{}
				for key, value := range records {
					got[key] = string(value)
				}
				if !maps.Equal(got, model) {
					t.Fatalf("records are %v, want %v", got, model)
				}
			},
		})
	})
}

func FuzzApply(f *testing.F) {
	f.Add(encode([]registry.Put{{Key: "a", Value: []byte("1")}, {Key: "b"}, {Key: "c", Value: []byte{}}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		records := map[string][]byte{}
		if apply(records, data) != nil {
			return
		}
		var puts []registry.Put
		for key, value := range records {
			puts = append(puts, registry.Put{Key: key, Value: value})
		}
		again := map[string][]byte{}
		if err := apply(again, encode(puts)); err != nil || len(again) != len(records) {
			t.Errorf("%v became %v, %v", records, again, err)
		}
	})
}
