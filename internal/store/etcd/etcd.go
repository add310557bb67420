// Package etcd keeps the registry in etcd, beneath the prefix at which the
// masters are elected.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/store/journal"
)

// Open returns the store beneath prefix, with a client that dial makes when it is
// first used: one with a password asks the servers, which may not be there yet.
func Open(dial func() (*clientv3.Client, error), prefix string, log *slog.Logger) *journal.Store {
	return journal.New(&values{dial: dial, prefix: prefix + "/"}, log)
}

// values are the keys with a prefix.
type values struct {
	dial   func() (*clientv3.Client, error)
	prefix string

	mu     sync.Mutex
	client *clientv3.Client // nil before it is used
}

// use calls etcd.
func use[T any](v *values, call func(*clientv3.Client) (T, error)) (T, error) {
	client, err := v.connect()
	if err != nil {
		var none T
		return none, explain(err)
	}
	got, err := call(client)
	return got, explain(err)
}

func (v *values) connect() (_ *clientv3.Client, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.client == nil {
		v.client, err = v.dial()
	}
	return v.client, err
}

// Get is journal.Values'.
func (v *values) Get(ctx context.Context, name string) ([]byte, int64, error) {
	got, err := use(v, func(c *clientv3.Client) (*clientv3.GetResponse, error) { return c.Get(ctx, v.prefix+name) })
	if err != nil || len(got.Kvs) == 0 {
		return nil, 0, err
	}
	return got.Kvs[0].Value, got.Kvs[0].ModRevision, nil
}

// Put is journal.Values'.
func (v *values) Put(ctx context.Context, name string, data []byte) error {
	_, err := use(v, func(c *clientv3.Client) (*clientv3.PutResponse, error) {
		return c.Put(ctx, v.prefix+name, string(data))
	})
	return err
}

// Commit is journal.Values'.
func (v *values) Commit(ctx context.Context, head []byte, revision int64, entry string, data []byte) (int64, error) {
	key := v.prefix + "head"
	ops := []clientv3.Op{clientv3.OpPut(key, string(head))}
	if entry != "" {
		ops = append(ops, clientv3.OpPut(v.prefix+entry, string(data)))
	}
	got, err := use(v, func(c *clientv3.Client) (*clientv3.TxnResponse, error) {
		return c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(ops...).Commit()
	})
	if err != nil {
		return 0, err
	}
	if !got.Succeeded {
		return 0, registry.ErrConflict
	}
	return got.Header.GetRevision(), nil
}

// List is journal.Values'.
func (v *values) List(ctx context.Context) ([]string, error) {
	got, err := use(v, func(c *clientv3.Client) (*clientv3.GetResponse, error) {
		return c.Get(ctx, v.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, kv := range got.Kvs {
		names = append(names, strings.TrimPrefix(string(kv.Key), v.prefix))
	}
	return names, nil
}

// Delete is journal.Values'.
func (v *values) Delete(ctx context.Context, name string) error {
	_, err := use(v, func(c *clientv3.Client) (*clientv3.DeleteResponse, error) { return c.Delete(ctx, v.prefix+name) })
	return err
}

// Passing is journal.Values': the cluster may elect a leader, or a member come
// back.
func (v *values) Passing(err error) bool {
	switch {
	case errors.Is(err, registry.ErrConflict):
		return false
	case errors.Is(err, context.DeadlineExceeded): // of a call without the caller's limit: to connect
		return true
	}
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Aborted:
		return true
	default:
		return false
	}
}

// Close is journal.Values'.
func (v *values) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.client == nil {
		return nil
	}
	return v.client.Close()
}

func code(err error) codes.Code {
	if e, ok := errors.AsType[rpctypes.EtcdError](err); ok {
		return e.Code()
	}
	return status.Code(err)
}

func explain(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: etcd is full; compact and defragment it or give it a larger quota, then disarm the alarm", err)
	case errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrUserEmpty):
		return fmt.Errorf("%w: give a user that may write there, as etcd://user:password@…", err)
	}
	return err
}
