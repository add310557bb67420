// Package etcd elects the leading master in etcd and finds it there. Each
// master that leads or would is a key PREFIX/masters/LEASE, with its MasterInfo
// as JSON, and the one that was made first leads. The keys go with their
// leases, which masters keep alive.
package etcd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/wire"
)

// Scheme begins the URLs of groups in etcd.
const Scheme = "etcd://"

// ParseURL reads etcd://[user:password@]host[:port],…/prefix.
func ParseURL(text string) (flags.Servers, error) { return flags.ParseServers(text, "etcd", "2379") }

// Config says where the masters meet.
type Config struct {
	// Dial returns a new client, which is closed after use.
	Dial func() (*clientv3.Client, error)
	// Prefix is what the masters' keys begin with.
	Prefix string
	// SessionTimeout is how long etcd waits for a master that it does not hear
	// of before another may lead, in whole seconds; etcd has a least one of its
	// own, one and a half times its election timeout.
	SessionTimeout time.Duration
	Log            *slog.Logger
}

// Elector contends and detects. It holds nothing open by itself and is safe for
// concurrent use.
type Elector struct{ cfg Config }

// New returns an elector.
func New(cfg Config) *Elector { return &Elector{cfg} }

// Dialer returns what makes clients of servers. One with a password waits for
// them, for callTime.
func Dialer(at flags.Servers) func() (*clientv3.Client, error) {
	return func() (*clientv3.Client, error) { return dial(at) }
}

func dial(at flags.Servers) (*clientv3.Client, error) {
	cfg := clientv3.Config{
		Endpoints: at.Addresses, Logger: zap.NewNop(),
		DialTimeout: callTime, DialKeepAliveTime: 2 * time.Second, DialKeepAliveTimeout: 2 * time.Second,
		BackoffWaitBetween: 50 * time.Millisecond,
	}
	if at.User != "" {
		cfg.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(apart(cfg))}
		cfg.Username, cfg.Password = at.User, at.Password
	}
	client, err := clientv3.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", at, err)
	}
	return client, nil
}

// apart has a client authenticate by a connection of its own, without a token. An
// etcd that was restarted has forgotten all tokens, and before 3.5 it refuses even
// this to who shows one that it does not know; the client would try for ever.
func apart(plain clientv3.Config) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if method != etcdserverpb.Auth_Authenticate_FullMethodName {
			return invoke(ctx, method, req, reply, conn, opts...)
		}
		client, err := clientv3.New(plain)
		if err != nil {
			return err
		}
		defer client.Close()
		return invoke(ctx, method, req, reply, client.ActiveConnection(), opts...)
	}
}

// callTime is how long to wait for an answer.
const callTime = 5 * time.Second

func (e *Elector) prefix() string { return e.cfg.Prefix + "/masters" }

// Contend stands for election and returns when the master that info tells of
// leads. A follower whose session is lost stands again. lost is closed when
// leadership has ended: the session was lost, the key was deleted, or ctx is
// done and the key is gone.
func (e *Elector) Contend(ctx context.Context, info *mesos.MasterInfo) (lost <-chan struct{}, err error) {
	data := string(wire.AppendSortedJSON(nil, info))
	for wait := range backoff(ctx) {
		lost, err := e.stand(ctx, data)
		if err == nil {
			return lost, nil
		}
		if ctx.Err() != nil {
			break
		}
		if final(err) {
			return nil, explain(err)
		}
		e.cfg.Log.Warn("standing for election again", slog.Any("error", explain(err)), slog.Duration("wait", wait))
	}
	return nil, context.Cause(ctx)
}

// stand stands for election for as long as one session.
func (e *Elector) stand(ctx context.Context, data string) (<-chan struct{}, error) {
	client, err := e.cfg.Dial()
	if err != nil {
		return nil, err
	}
	session, err := e.begin(ctx, client)
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	election := concurrency.NewElection(session, e.prefix())
	if err := e.campaign(ctx, client, session, election, data); err != nil {
		end(session, client)
		return nil, err
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		hold(ctx, client, session, election)
		end(session, client)
	}()
	return lost, nil
}

// begin makes a lease and keeps it alive, whatever becomes of ctx.
func (e *Elector) begin(ctx context.Context, client *clientv3.Client) (*concurrency.Session, error) {
	limited, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	ttl := max(1, int64(e.cfg.SessionTimeout/time.Second))
	lease, err := client.Grant(limited, ttl)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(client, concurrency.WithLease(lease.ID), concurrency.WithContext(context.WithoutCancel(ctx)))
}

// campaign returns nil when this master leads.
func (e *Elector) campaign(ctx context.Context, client *clientv3.Client, session *concurrency.Session, election *concurrency.Election, data string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		select {
		case <-session.Done():
			cancel(errOver)
		case <-ctx.Done():
		}
	})
	beside.Go(func() { e.bury(ctx, client) })
	err := election.Campaign(ctx, data)
	if err != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	cancel(nil)
	beside.Wait()
	return err
}

var (
	errOver   = errors.New("the session with etcd is over")
	errSilent = errors.New("etcd does not answer")
)

// hold returns when the session is over, the key is gone, or ctx is done. To
// begin to watch may take as long as etcd is away: the session ends that too.
func hold(ctx context.Context, client *clientv3.Client, session *concurrency.Session, election *concurrency.Election) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(session.Ctx(), cancel)()
	changes := client.Watch(ctx, election.Key(), clientv3.WithRev(election.Rev()+1), clientv3.WithFilterPut())
	for {
		select {
		case <-session.Done():
			return
		case <-ctx.Done():
			return
		case change, ok := <-changes:
			if !ok {
				changes = nil // the session tells
			}
			if len(change.Events) > 0 {
				return
			}
		}
	}
}

// end takes the key away, if a server can be reached.
func end(session *concurrency.Session, client *clientv3.Client) {
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	session.Orphan()
	_, _ = client.Revoke(limited, session.Lease()) // else it goes with its time
	_ = client.Close()
}

func final(err error) bool {
	for _, e := range []error{rpctypes.ErrPermissionDenied, rpctypes.ErrAuthFailed, rpctypes.ErrUserEmpty} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// explain adds the way out.
func explain(err error) error {
	switch {
	case final(err):
		return fmt.Errorf("%w: give a user with the right to it, as etcd://user:password@…", err)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return fmt.Errorf("%w: etcd is full; compact and defragment it or give it a larger quota, then disarm the alarm", err)
	}
	return err
}

// Detect yields who leads, each time that changes, until ctx is done; nil is
// nobody, which is also so before the first, and when etcd does not answer for
// a session's time.
func (e *Elector) Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo] {
	return func(yield func(*mesos.MasterInfo) bool) {
		var last *mesos.MasterInfo
		tell := func(leader *mesos.MasterInfo) bool {
			if proto.Equal(last, leader) {
				return true
			}
			last = leader
			return yield(leader)
		}
		for wait := range backoff(ctx) {
			more, err := e.follow(ctx, tell)
			if !more || ctx.Err() != nil || !tell(nil) {
				return
			}
			e.cfg.Log.Warn("cannot see who leads", slog.Any("error", explain(err)), slog.Duration("wait", wait))
		}
	}
}

// follow tells who leads until etcd does not answer. It reports whether there
// is somebody to tell.
func (e *Elector) follow(ctx context.Context, tell func(*mesos.MasterInfo) bool) (more bool, err error) {
	client, err := e.cfg.Dial()
	if err != nil {
		return true, err
	}
	defer client.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var changes clientv3.WatchChan
	for {
		leader, revision, err := e.read(ctx, client)
		if err != nil {
			return true, err
		}
		if changes == nil { // it waits for etcd to answer
			limit := time.AfterFunc(max(e.cfg.SessionTimeout, time.Second), func() { cancel(errSilent) })
			changes = client.Watch(ctx, e.prefix()+"/", clientv3.WithPrefix(), clientv3.WithRev(revision+1))
			limit.Stop()
		}
		if !tell(leader) {
			return false, nil
		}
		// A watch does not tell that it is cut off: look anyway from time to time.
		select {
		case change, ok := <-changes:
			if !ok {
				return true, errors.Join(errors.New("the watch has ended"), change.Err())
			}
		case <-time.After(e.cfg.SessionTimeout):
		case <-ctx.Done():
			return true, context.Cause(ctx)
		}
	}
}

// read returns what the leader tells of itself, nil if nobody leads, and the
// revision at which it is so.
func (e *Elector) read(ctx context.Context, client *clientv3.Client) (*mesos.MasterInfo, int64, error) {
	limited, cancel := context.WithTimeout(ctx, max(e.cfg.SessionTimeout, time.Second))
	defer cancel()
	first, at, err := e.first(limited, client)
	if err != nil || first == nil {
		return nil, at, err
	}
	info, err := decode(first.Value)
	if err != nil {
		e.cfg.Log.Error("the first candidate is no master: delete its key", slog.String("key", string(first.Key)), slog.Any("error", err))
		return nil, at, nil
	}
	return info, at, nil
}

// first returns the key of the candidate that leads, nil if there is none.
func (e *Elector) first(ctx context.Context, client *clientv3.Client) (*mvccpb.KeyValue, int64, error) {
	got, err := client.Get(ctx, e.prefix()+"/", clientv3.WithFirstCreate()...)
	if err != nil {
		return nil, 0, err
	}
	at := got.Header.GetRevision()
	if len(got.Kvs) == 0 {
		return nil, at, nil
	}
	return got.Kvs[0], at, nil
}

// decode reads the value of a candidate's key.
func decode(data []byte) (*mesos.MasterInfo, error) {
	info := &mesos.MasterInfo{}
	if err := wire.UnmarshalJSON(data, info); err != nil {
		return nil, err
	}
	if _, err := ids.ParseUPID(info.GetPid()); err != nil {
		return nil, fmt.Errorf("it names no master: %w", err)
	}
	return info, nil
}

// backoff yields the time before the next try and, after the body, waits for
// that long: 100 ms at first, twice as long each time, to 2 s. It ends with ctx.
func backoff(ctx context.Context) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for wait := 100 * time.Millisecond; ctx.Err() == nil && yield(wait); wait = min(2*wait, 2*time.Second) {
			sleep(ctx, wait)
		}
	}
}
