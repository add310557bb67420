// Package journal keeps the registry's records in a shared store that holds
// small values under names, changes two of them at once if one is as it was,
// and no more: ZooKeeper, etcd.
//
//	head                  what counts: version N, and the base at version B
//	log-B+1 … log-N       what each write since the base changed
//	part-V-WRITER-I       what is too large for one value: bases, large writes
//
// A write makes log-N+1 and sets head to N+1 as one change, on condition that
// head is as the writer knows it: so it is taken whole or not at all, a deposed
// leader can write nothing, and its size is that of what changed. Now and then
// the log is folded into a new base. Parts are written ahead under a name that
// nobody else uses, and count once head or a log entry names them.
package journal

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/registry"
)

// format is the version of this layout.
const format = 1

// Bounds on what is stored.
const (
	partSize   = 512 << 10 // of one value, in bytes; ZooKeeper holds up to 1 MiB, etcd 1.5
	foldAfter  = 1000      // writes, at most, in the log
	foldBeyond = 4 << 20   // bytes in the log, and at least the size of the base
)

// Values is the store beneath.
type Values interface {
	// Get returns a value and its revision: nil and 0 if there is none.
	Get(ctx context.Context, name string) (data []byte, revision int64, err error)
	// Put makes a value that is not there. To make it again is no error.
	Put(ctx context.Context, name string, data []byte) error
	// Commit sets head, if its revision is still the one given (0: there is
	// none), and makes the value called entry ("": none), both or neither. It
	// returns head's new revision, or [registry.ErrConflict].
	Commit(ctx context.Context, head []byte, revision int64, entry string, data []byte) (int64, error)
	// List returns the names of all values.
	List(ctx context.Context) ([]string, error)
	// Delete deletes a value; that there is none is no error.
	Delete(ctx context.Context, name string) error
	// Passing says whether an operation that failed so may succeed in a moment.
	Passing(err error) bool
	Close() error
}

// parts is a content in several values.
type parts struct {
	Name  string `json:"name"`  // of the first, without its number
	Count int    `json:"count"` // none: no content
}

func (p parts) name(i int) string { return fmt.Sprintf("%s-%d", p.Name, i) }

// head says what counts.
type head struct {
	Format  int    `json:"format"`
	Version uint64 `json:"version"` // of the last write
	Writer  string `json:"writer"`  // who made it
	Base    parts  `json:"base"`
	From    uint64 `json:"from"` // the base's version: the log begins after it
}

const headName = "head"

func logName(version uint64) string { return fmt.Sprintf("log-%020d", version) }

// Store is a masterd.Store on Values. It is safe for concurrent use.
type Store struct {
	values Values
	log    *slog.Logger
	writer string // nobody else's

	mu       sync.Mutex
	head     head
	revision int64 // of head
	logSize  int   // bytes since the base
	baseSize int
	folding  bool

	background sync.WaitGroup
	ctx        context.Context //nolint:containedctx // it is the store's life, not a call's
	stop       context.CancelFunc
}

// New returns the store that values hold.
func New(values Values, log *slog.Logger) *Store {
	ctx, stop := context.WithCancel(context.Background())
	return &Store{values: values, log: log, writer: fmt.Sprintf("%016x", seed()), ctx: ctx, stop: stop}
}

// Load returns the records as they are now. It tries again over broken
// connections, until ctx is done.
func (s *Store) Load(ctx context.Context) (iter.Seq2[string, []byte], uint64, error) {
	for {
		h, revision, err := s.readHead(ctx)
		if err != nil {
			return nil, 0, err
		}
		records, base, log, err := s.read(ctx, h)
		if err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.head, s.revision, s.baseSize, s.logSize = h, revision, base, log
			return maps.All(records), h.Version, nil
		}
		if !errors.Is(err, errMissing) {
			return nil, 0, err
		}
		// A leader before us may have folded the log while we read it.
		if _, now, again := s.readHead(ctx); again != nil || now == revision {
			return nil, 0, errors.Join(fmt.Errorf("%w: %w", errDamaged, err), again)
		}
	}
}

var errMissing = errors.New("a value is missing")

func (s *Store) readHead(ctx context.Context) (h head, revision int64, err error) {
	data, revision, err := s.get(ctx, headName)
	if err != nil || revision == 0 {
		return head{Format: format}, 0, err
	}
	if err := json.Unmarshal(data, &h); err != nil || h.Format < 1 || h.From > h.Version {
		return h, 0, errors.New("what is there is not a registry of Meseta's: use " + elsewhere)
	}
	if h.Format > format {
		return h, 0, fmt.Errorf("the registry has format %d, and this Meseta knows up to %d: start a newer one, or begin a new cluster under %s", h.Format, format, elsewhere)
	}
	return h, revision, nil
}

// read returns the records that h stands for, and the sizes of base and log.
func (s *Store) read(ctx context.Context, h head) (records map[string][]byte, base, log int, err error) {
	data, err := s.readParts(ctx, h.Base)
	if err != nil {
		return nil, 0, 0, err
	}
	records = map[string][]byte{}
	if err := apply(records, data); err != nil {
		return nil, 0, 0, err
	}
	if h.Version-h.From > 2*foldAfter+readers {
		// Folding has failed for long; it is a lot to read, but it can be read.
		s.log.Warn("the registry's log is long", slog.Uint64("entries", h.Version-h.From))
	}
	entries, err := gather(ctx, int(h.Version-h.From), func(ctx context.Context, i int) ([]byte, error) {
		return s.readEntry(ctx, h.From+1+uint64(i))
	})
	if err != nil {
		return nil, 0, 0, err
	}
	for _, e := range entries {
		log += len(e)
		if err := apply(records, e); err != nil {
			return nil, 0, 0, err
		}
	}
	return records, len(data), log, nil
}

// readEntry returns the changes of one write.
func (s *Store) readEntry(ctx context.Context, version uint64) ([]byte, error) {
	data, revision, err := s.get(ctx, logName(version))
	if err != nil {
		return nil, err
	}
	if revision == 0 || len(data) == 0 {
		return nil, fmt.Errorf("%w: %s", errMissing, logName(version))
	}
	if data[0] == inline {
		return data[1:], nil
	}
	var where parts
	if err := json.Unmarshal(data, &where); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errDamaged, logName(version), err)
	}
	return s.readParts(ctx, where)
}

func (s *Store) readParts(ctx context.Context, p parts) ([]byte, error) {
	pieces, err := gather(ctx, p.Count, func(ctx context.Context, i int) ([]byte, error) {
		data, revision, err := s.get(ctx, p.name(i))
		if err == nil && revision == 0 {
			err = fmt.Errorf("%w: %s", errMissing, p.name(i))
		}
		return data, err
	})
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, piece := range pieces {
		all = append(all, piece...)
	}
	return all, nil
}

// Store makes the puts durable as one write, or fails with
// [registry.ErrConflict]. When the answer to a write is lost it finds out
// whether the write was taken, until ctx is done.
func (s *Store) Store(ctx context.Context, version uint64, puts []registry.Put) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if version != s.head.Version {
		return 0, registry.ErrConflict
	}
	next := s.head
	next.Format, next.Version, next.Writer = format, version+1, s.writer
	data := encode(puts)
	entry := append([]byte{inline}, data...)
	if len(entry) > partSize {
		where, err := s.writeParts(ctx, next.Version, "w", data)
		if err != nil {
			return 0, fmt.Errorf("write the registry: %w", err)
		}
		entry = where.marshal()
	}
	if err := s.commit(ctx, next, logName(next.Version), entry); err != nil {
		return 0, fmt.Errorf("write the registry: %w", err)
	}
	s.logSize += len(data)
	s.maybeFold()
	return next.Version, nil
}

// commit makes next the head. The lock is held.
func (s *Store) commit(ctx context.Context, next head, entry string, data []byte) error {
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	err = s.retry(ctx, func() error {
		revision, err := s.values.Commit(ctx, text, s.revision, entry, data)
		if errors.Is(err, registry.ErrConflict) {
			// An earlier try of ours may have been taken without our learning of it.
			now, at, readErr := s.values.Get(ctx, headName)
			if readErr != nil {
				return readErr
			}
			if string(now) == string(text) {
				revision, err = at, nil
			}
		}
		if err == nil {
			s.revision = revision
		}
		return err
	})
	if err == nil {
		s.head = next
	}
	return err
}

// writeParts writes a content ahead of the write that will name it.
func (s *Store) writeParts(ctx context.Context, version uint64, kind string, data []byte) (parts, error) {
	p := parts{Name: fmt.Sprintf("part-%020d-%s%s", version, s.writer, kind)}
	for ; len(data) > 0; p.Count++ {
		piece := data[:min(partSize, len(data))]
		data = data[len(piece):]
		name := p.name(p.Count)
		if err := s.retry(ctx, func() error { return s.values.Put(ctx, name, piece) }); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (s *Store) get(ctx context.Context, name string) (data []byte, revision int64, err error) {
	err = s.retry(ctx, func() error {
		data, revision, err = s.values.Get(ctx, name)
		return err
	})
	return data, revision, err
}

// retry tries until it works, cannot work, or ctx is done.
func (s *Store) retry(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || !s.values.Passing(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close ends what runs in the background and releases the values.
func (s *Store) Close() error {
	s.stop()
	s.background.Wait()
	return s.values.Close()
}

// seed is a number that no other store has.
func seed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}
