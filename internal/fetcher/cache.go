package fetcher

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
)

// errNoRoom says that a file does not fit the cache. It is fetched without.
var errNoRoom = errors.New("no room in the cache")

// cache keeps fetched files, one per user and URI, the least recently used ones
// first to go. A file that somebody is reading stays. Safe for concurrent use.
//
// An entry is filled by whom it was new to, while the others wait:
//
//	acquire ── fill ──▶ filled ── … ──▶ release
type cache struct {
	dir  string
	size int64

	mu      sync.Mutex
	made    bool // the folder is ours, and empty of earlier lives
	used    int64
	last    int
	entries map[key]*entry
	idle    list.List // of *entry that nobody reads, least recently used first
}

type key struct{ user, uri string }

type entry struct {
	key
	dir    string
	ready  chan struct{} // closed when it is filled, or has failed
	err    error
	size   int64
	refs   int
	parked *list.Element // in idle
}

func (e *entry) path() string { return filepath.Join(e.dir, "file") }

func newCache(dir string, size int64) *cache {
	return &cache{dir: dir, size: size, entries: map[key]*entry{}}
}

// acquire returns the entry of a URI, and whether the caller is to fill it. If
// another does that already it waits.
func (c *cache) acquire(ctx context.Context, user, uri string) (e *entry, fill bool, err error) {
	e, fill, err = c.take(key{user, uri})
	if err != nil || fill {
		return e, fill, err
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		c.release(e)
		return nil, false, context.Cause(ctx)
	}
	if e.err != nil {
		return nil, false, e.err
	}
	return e, false, nil
}

func (c *cache) take(k key) (e *entry, fill bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[k]; ok {
		if e.parked != nil {
			c.idle.Remove(e.parked)
			e.parked = nil
		}
		e.refs++
		return e, false, nil
	}
	if err := c.make(); err != nil {
		return nil, false, err
	}
	c.last++
	e = &entry{key: k, dir: filepath.Join(c.dir, strconv.Itoa(c.last)), ready: make(chan struct{}), refs: 1}
	if err := makeFor(e.dir, k.user); err != nil {
		return nil, false, fmt.Errorf("make a place in the fetcher's cache: %w", err)
	}
	c.entries[k] = e
	return e, true, nil
}

// make makes the folder and empties it of what an earlier life left.
func (c *cache) make() error {
	if c.made {
		return nil
	}
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("empty the fetcher's cache: %w", err)
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return fmt.Errorf("make the fetcher's cache: %w", err)
	}
	c.made = true
	return nil
}

// makeFor makes a folder that the user can write, and others cannot read.
func makeFor(dir, name string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if name == "" {
		return nil
	}
	account, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil || uid == os.Getuid() {
		return err
	}
	return os.Chown(dir, uid, -1)
}

// filled ends the filling, with the error that made it fail, which it returns.
// What was not used for longest makes room.
func (c *cache) filled(e *entry, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.measure(e)
	}
	e.err = err
	close(e.ready)
	if err != nil {
		delete(c.entries, e.key)
		return errors.Join(err, os.RemoveAll(e.dir))
	}
	return nil
}

func (c *cache) measure(e *entry) error {
	info, err := os.Stat(e.path())
	if err != nil {
		return err
	}
	for c.used+info.Size() > c.size && c.idle.Len() > 0 {
		oldest := c.idle.Remove(c.idle.Front()).(*entry)
		delete(c.entries, oldest.key)
		c.used -= oldest.size
		if err := os.RemoveAll(oldest.dir); err != nil {
			return err
		}
	}
	if c.used+info.Size() > c.size {
		return fmt.Errorf("%w: %d bytes, of which %d are in use, for %d more", errNoRoom, c.size, c.used, info.Size())
	}
	e.size = info.Size()
	c.used += e.size
	return nil
}

// release ends the reading of an entry.
func (c *cache) release(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.refs--; e.refs == 0 && e.err == nil {
		e.parked = c.idle.PushBack(e)
	}
}

// inUse returns how many bytes the entries have together.
func (c *cache) inUse() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}
