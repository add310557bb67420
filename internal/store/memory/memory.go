// Package memory keeps the registry's records in memory: what a master forgets
// when it ends (--registry=in_memory).
package memory

import (
	"context"
	"iter"
	"maps"
	"sync"

	"github.com/meseta-project/meseta/internal/registry"
)

// Store is safe for concurrent use. The zero value is an empty store.
type Store struct {
	mu      sync.Mutex
	version uint64
	records map[string][]byte
}

// Load returns the records as they are now.
func (s *Store) Load(context.Context) (iter.Seq2[string, []byte], uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.All(maps.Clone(s.records)), s.version, nil
}

// Store makes all the puts, or fails with [registry.ErrConflict].
func (s *Store) Store(_ context.Context, version uint64, puts []registry.Put) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.version {
		return 0, registry.ErrConflict
	}
	if s.records == nil {
		s.records = map[string][]byte{}
	}
	for _, p := range puts {
		if p.Value == nil {
			delete(s.records, p.Key)
		} else {
			s.records[p.Key] = p.Value
		}
	}
	s.version++
	return s.version, nil
}

// Close forgets nothing: the records live as long as the store.
func (s *Store) Close() error { return nil }
