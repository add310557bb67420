// Package zookeeper keeps the registry in Apache ZooKeeper, beside the znodes by
// which the masters are elected.
package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/store/journal"
)

// Config says where the registry is.
type Config struct {
	Servers        []string // host:port each
	User, Password string   // of digest authentication; "" without
	// Path is the znode that the registry is kept beneath, absolute. It is made
	// when there is none.
	Path string
	Log  *slog.Logger
}

// sessionTimeout is how long the servers remember a client that is not heard
// of. Nothing here depends on the session.
const sessionTimeout = 10 * time.Second

// answerLimit bounds an answer of the server, in bytes.
const answerLimit = 4 << 20

// Open returns the store. It does not wait for a server.
func Open(cfg Config) (*journal.Store, error) {
	conn, _, err := zk.Connect(cfg.Servers, sessionTimeout,
		zk.WithLogger(printer{cfg.Log}), zk.WithLogInfo(false), zk.WithMaxBufferSize(answerLimit))
	if err != nil {
		return nil, fmt.Errorf("open the registry in ZooKeeper: %w", err)
	}
	return journal.New(&values{conn: conn, cfg: cfg}, cfg.Log), nil
}

// values are the children of a znode.
type values struct {
	conn *zk.Conn
	cfg  Config

	mu sync.Mutex
	in bool // logged in: the client does it again by itself
}

// do calls the server, for as long as ctx; the client knows no contexts, and
// what is left behind ends with the connection.
func do[T any](ctx context.Context, v *values, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: v.logIn()}
		if r.err == nil {
			r.value, r.err = call()
		}
		done <- r
	}()
	select {
	case r := <-done:
		return r.value, v.explain(r.err)
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

func (v *values) logIn() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.in || v.cfg.User == "" {
		return nil
	}
	err := v.conn.AddAuth("digest", []byte(v.cfg.User+":"+v.cfg.Password))
	v.in = err == nil
	return err
}

func (v *values) explain(err error) error {
	if errors.Is(err, zk.ErrNoAuth) {
		return fmt.Errorf("%w: %s belongs to others; give the user and password that made it, or use another path", err, v.cfg.Path)
	}
	return err
}

func (v *values) path(name string) string { return v.cfg.Path + "/" + name }

func (v *values) acl() []zk.ACL {
	if v.cfg.User == "" {
		return zk.WorldACL(zk.PermAll)
	}
	return append(zk.WorldACL(zk.PermRead), zk.DigestACL(zk.PermAll, v.cfg.User, v.cfg.Password)...)
}

// Get is journal.Values'. A znode's version, which begins with 0, is one less
// than its revision.
func (v *values) Get(ctx context.Context, name string) ([]byte, int64, error) {
	var stat *zk.Stat
	data, err := do(ctx, v, func() (data []byte, err error) {
		data, stat, err = v.conn.Get(v.path(name))
		return data, err
	})
	if errors.Is(err, zk.ErrNoNode) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return data, int64(stat.Version) + 1, nil
}

// Put is journal.Values'.
func (v *values) Put(ctx context.Context, name string, data []byte) error {
	_, err := do(ctx, v, func() (string, error) { return v.conn.Create(v.path(name), data, 0, v.acl()) })
	switch {
	case errors.Is(err, zk.ErrNodeExists):
		return nil
	case errors.Is(err, zk.ErrNoNode):
		return errors.Join(errPath, v.makePath(ctx))
	}
	return err
}

var errPath = errors.New("the registry's path was not there")

// Commit is journal.Values'.
func (v *values) Commit(ctx context.Context, head []byte, revision int64, entry string, data []byte) (int64, error) {
	var ops []any
	if revision == 0 {
		if err := v.makePath(ctx); err != nil {
			return 0, err
		}
		ops = append(ops, &zk.CreateRequest{Path: v.path("head"), Data: head, Acl: v.acl()})
	} else {
		ops = append(ops, &zk.SetDataRequest{Path: v.path("head"), Data: head, Version: int32(revision - 1)})
	}
	if entry != "" {
		ops = append(ops, &zk.CreateRequest{Path: v.path(entry), Data: data, Acl: v.acl()})
	}
	_, err := do(ctx, v, func() ([]zk.MultiResponse, error) { return v.conn.Multi(ops...) })
	switch {
	case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrNoNode):
		return 0, registry.ErrConflict
	case err != nil:
		return 0, err
	}
	return revision + 1, nil
}

func (v *values) makePath(ctx context.Context) error {
	for made := range ancestors(v.cfg.Path) {
		_, err := do(ctx, v, func() (string, error) {
			if exists, _, err := v.conn.Exists(made); exists || err != nil {
				return "", err
			}
			return v.conn.Create(made, nil, 0, v.acl())
		})
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

// List is journal.Values'.
func (v *values) List(ctx context.Context) ([]string, error) {
	return do(ctx, v, func() ([]string, error) {
		children, _, err := v.conn.Children(v.cfg.Path)
		return children, err
	})
}

// Delete is journal.Values'.
func (v *values) Delete(ctx context.Context, name string) error {
	_, err := do(ctx, v, func() (struct{}, error) { return struct{}{}, v.conn.Delete(v.path(name), -1) })
	if errors.Is(err, zk.ErrNoNode) {
		return nil
	}
	return err
}

// Passing is journal.Values'.
func (v *values) Passing(err error) bool {
	for _, e := range []error{
		zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired, zk.ErrSessionMoved, errPath,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Close is journal.Values'.
func (v *values) Close() error {
	v.conn.Close()
	return nil
}

// printer logs what the client prints.
type printer struct{ log *slog.Logger }

// Printf logs one line.
func (p printer) Printf(format string, args ...any) {
	p.log.Debug("zookeeper client", slog.String("line", fmt.Sprintf(format, args...)))
}

// ancestors yields the nodes of a path from the root down, itself the last.
func ancestors(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := 1; i <= len(path); i++ {
			if (i == len(path) || path[i] == '/') && !yield(path[:i]) {
				return
			}
		}
	}
}
