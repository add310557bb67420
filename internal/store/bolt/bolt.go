// Package bolt keeps the registry's records in a file, by go.etcd.io/bbolt: the
// store of a master that has no others beside it.
package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/meseta-project/meseta/internal/registry"
)

// lockTimeout is how long to wait for another process that has the file open,
// such as a master that is about to end.
const lockTimeout = 5 * time.Second

var (
	recordsBucket = []byte("records")
	stateBucket   = []byte("state")
	versionKey    = []byte("version")
	formatKey     = []byte("format")
)

// format is how files are laid out now. One without a format is of the first.
const format = 1

// Store is one file. It is safe for concurrent use.
type Store struct {
	db *bbolt.DB
}

// Open opens the file, and makes it if there is none. One process at a time can
// have it open.
func Open(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open the registry %s: another master has it open; stop that, or use another --work_dir: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the registry %s (if the file is damaged, restore it from a backup or begin a new cluster with another --work_dir): %w", path, err)
	}
	if err := db.Update(prepare); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the registry %s: %w", path, err), db.Close())
	}
	return &Store{db: db}, nil
}

// prepare makes what has to be there, and refuses what it does not know.
func prepare(tx *bbolt.Tx) error {
	if _, err := tx.CreateBucketIfNotExists(recordsBucket); err != nil {
		return err
	}
	state, err := tx.CreateBucketIfNotExists(stateBucket)
	if err != nil {
		return err
	}
	if f := state.Get(formatKey); f != nil && string(f) != strconv.Itoa(format) {
		return fmt.Errorf("it has format %s, and this Meseta knows %d: start a newer one, or begin a new cluster with another --work_dir", f, format)
	}
	return state.Put(formatKey, []byte(strconv.Itoa(format)))
}

// Load returns the records as they are now.
func (s *Store) Load(context.Context) (iter.Seq2[string, []byte], uint64, error) {
	records, version := map[string][]byte{}, uint64(0)
	err := s.db.View(func(tx *bbolt.Tx) error {
		version = versionOf(tx)
		return tx.Bucket(recordsBucket).ForEach(func(key, value []byte) error {
			records[string(key)] = append([]byte{}, value...) // the file's pages are the transaction's
			return nil
		})
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read the registry: %w", err)
	}
	return maps.All(records), version, nil
}

// Store makes all the puts durable, or fails with [registry.ErrConflict].
func (s *Store) Store(_ context.Context, version uint64, puts []registry.Put) (uint64, error) {
	next := version + 1
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if versionOf(tx) != version {
			return registry.ErrConflict
		}
		records := tx.Bucket(recordsBucket)
		for _, p := range puts {
			if err := put(records, p); err != nil {
				return fmt.Errorf("record %q: %w", p.Key, err)
			}
		}
		return tx.Bucket(stateBucket).Put(versionKey, binary.BigEndian.AppendUint64(nil, next))
	})
	if err != nil {
		return 0, fmt.Errorf("write the registry: %w", err)
	}
	return next, nil
}

func put(records *bbolt.Bucket, p registry.Put) error {
	if p.Value == nil {
		return records.Delete([]byte(p.Key))
	}
	return records.Put([]byte(p.Key), p.Value)
}

func versionOf(tx *bbolt.Tx) uint64 {
	value := tx.Bucket(stateBucket).Get(versionKey)
	if len(value) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(value)
}

// Close releases the file.
func (s *Store) Close() error { return s.db.Close() }
