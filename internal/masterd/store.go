package masterd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"

	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
)

// A Store keeps the registry's records. Its version changes with each write, so
// that a master that has been deposed without knowing it cannot write: a Store
// with another version than the store's fails with [registry.ErrConflict] and changes
// nothing. internal/masterd/storetest holds what every implementation must do.
type Store interface {
	// Load returns all records, in any order, and the version they have.
	Load(ctx context.Context) (records iter.Seq2[string, []byte], version uint64, err error)
	// Store makes the puts durable, all or none, if the version is still the
	// one given, and returns the next. A nil value deletes.
	Store(ctx context.Context, version uint64, puts []registry.Put) (uint64, error)
	Close() error
}

// taken is a registry that nobody else can write any more.
type taken struct {
	registry *master.Legacy
	version  uint64
	sizes    *sizes
}

// takeRegistry reads the registry and makes it this master's: an empty write
// changes the version, so that no leader before it can write from then on. If
// one did after the reading, it is read again.
func (s *Server) takeRegistry(ctx context.Context) (*taken, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.FetchTimeout, errFetch)
	defer cancel()
	begin := s.clock()
	for {
		records, version, err := s.cfg.Store.Load(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the registry: %w", err)
		}
		known, err := registry.Load(records)
		if err != nil {
			return nil, fmt.Errorf("read the registry (a newer Meseta may have written it: start that, or begin a new cluster with another --work_dir, or another path in --zk or --etcd): %w", err)
		}
		legacy := master.Inherit(known)
		next, err := s.cfg.Store.Store(ctx, version, nil)
		switch {
		case err == nil:
			s.fetchTime.Store(int64(s.clock().Sub(begin)))
			return &taken{legacy, next, newSizes(records, &s.registrySize)}, nil
		case !errors.Is(err, registry.ErrConflict):
			return nil, fmt.Errorf("take over the registry: %w", err)
		}
	}
}

var errFetch = errors.New("the registry's store did not answer within the --registry_fetch_timeout")

// writesMax is how many batches may wait for the store before the master rather
// ends than promise more.
const writesMax = 16384

// writes are the batches that wait for the store. The loop adds and never
// waits.
type writes struct {
	mu      sync.Mutex
	changed *sync.Cond
	queue   []*registry.Batch
	closed  bool
}

func newWrites() *writes {
	w := &writes{}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// add queues a batch; it reports false when too many wait already.
func (w *writes) add(b *registry.Batch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, b)
	w.changed.Signal()
	return len(w.queue) <= writesMax
}

// take waits for batches and returns all there are; none after close.
func (w *writes) take() []*registry.Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.changed.Wait()
	}
	all := w.queue
	w.queue = nil
	return all
}

func (w *writes) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.changed.Signal()
}

func (w *writes) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// sizes are how large the stored records are, in bytes. They belong to one
// goroutine; the sum is for all.
type sizes struct {
	of  map[string]int
	sum *atomic.Int64
}

func newSizes(records iter.Seq2[string, []byte], sum *atomic.Int64) *sizes {
	s := &sizes{of: map[string]int{}, sum: sum}
	for key, value := range records {
		s.put([]registry.Put{{Key: key, Value: value}})
	}
	return s
}

func (s *sizes) put(puts []registry.Put) {
	for _, p := range puts {
		s.sum.Add(int64(len(p.Value) - s.of[p.Key]))
		if s.of[p.Key] = len(p.Value); p.Value == nil {
			delete(s.of, p.Key)
		}
	}
}

// write stores batches, as many as have gathered in one write, and tells the
// core. It ends with the first failure, or when there is nothing more to come.
func (s *Server) write(ctx context.Context, version uint64, sizes *sizes) error {
	for batches := s.writes.take(); len(batches) > 0; batches = s.writes.take() {
		puts := registry.Puts(batches...)
		limited, cancel := context.WithTimeout(ctx, s.cfg.StoreTimeout)
		begin := s.clock()
		next, err := s.cfg.Store.Store(limited, version, puts)
		cancel()
		if err != nil {
			return fmt.Errorf("write the registry: %w", err)
		}
		version = next
		s.storeTime.Add(s.clock().Sub(begin))
		sizes.put(puts)
		for _, b := range batches {
			s.tell(master.Committed{Seq: b.Seq})
		}
	}
	return nil
}
