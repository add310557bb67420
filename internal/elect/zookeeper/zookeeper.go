// Package zookeeper elects the leading master in Apache ZooKeeper and finds it
// there, in Mesos's znodes: each master that leads or would is an ephemeral
// sequential child json.info_NNNNNNNNNN of the group's path, with its
// MasterInfo as JSON, and the lowest number leads. So masters, agents and
// drivers of Apache Mesos and ours find each other.
package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path"
	"slices"
	"time"

	"github.com/go-zookeeper/zk"
	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/wire"
)

// Config says where the masters meet.
type Config struct {
	URL flags.Servers
	// SessionTimeout is how long ZooKeeper waits for a master that it does not
	// hear of before another may lead (--zk_session_timeout). The server holds
	// it to bounds of its own, by default 2 to 20 ticks of 2 s.
	SessionTimeout time.Duration
	Log            *slog.Logger
}

// Elector contends and detects. It holds nothing open by itself and is safe for
// concurrent use.
type Elector struct{ cfg Config }

// New returns an elector.
func New(cfg Config) *Elector { return &Elector{cfg} }

// Contend stands for election and returns when the master that info tells of
// leads. A follower whose session is lost stands again. lost is closed when
// leadership has ended: the session was lost, the znode was deleted, or ctx is
// done and the znode is gone.
func (e *Elector) Contend(ctx context.Context, info *mesos.MasterInfo) (lost <-chan struct{}, err error) {
	data := wire.AppendSortedJSON(nil, info)
	for wait := range backoff(ctx) {
		lost, err := e.stand(ctx, data)
		if err == nil {
			return lost, nil
		}
		if ctx.Err() != nil {
			break
		}
		if !passing(err) {
			return nil, e.explain("stand for election", err)
		}
		e.cfg.Log.Warn("standing for election again", slog.Any("error", err), slog.Duration("wait", wait))
	}
	return nil, context.Cause(ctx)
}

// stand stands for election for as long as one session.
func (e *Elector) stand(ctx context.Context, data []byte) (<-chan struct{}, error) {
	s, err := e.begin(ctx)
	if err != nil {
		return nil, err
	}
	own, err := e.join(s, data)
	if err == nil {
		err = e.await(ctx, s, own)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	lost := make(chan struct{})
	go func() {
		defer close(lost)
		e.hold(ctx, s, own)
		s.close()
	}()
	return lost, nil
}

// join creates the candidate's znode and returns its name. An error may hide
// that it was created, so it must end the session.
func (e *Elector) join(s *session, data []byte) (string, error) {
	if err := e.makePath(s); err != nil {
		return "", err
	}
	made, err := s.Create(e.cfg.URL.Path+"/"+labelJSON+"_", data, zk.FlagEphemeral|zk.FlagSequence, e.acl())
	return path.Base(made), err
}

func (e *Elector) makePath(s *session) error {
	for made := range ancestors(e.cfg.URL.Path) {
		if exists, _, err := s.Exists(made); err != nil {
			return err
		} else if exists {
			continue
		}
		if _, err := s.Create(made, nil, 0, e.acl()); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

// acl is Mesos's: open to all, or to be changed by the user alone and read by
// all.
func (e *Elector) acl() []zk.ACL {
	if e.cfg.URL.User == "" {
		return zk.WorldACL(zk.PermAll)
	}
	return append(zk.WorldACL(zk.PermRead), zk.DigestACL(zk.PermAll, e.cfg.URL.User, e.cfg.URL.Password)...)
}

// await returns nil when own has the lowest number.
func (e *Elector) await(ctx context.Context, s *session, own string) error {
	for {
		children, changed, err := e.children(ctx, s)
		if err != nil {
			return err
		}
		if !slices.Contains(children, own) {
			return fmt.Errorf("%w: the candidate %s was deleted", errOver, own)
		}
		first, _ := lowest(children)
		if first.name == own {
			return nil
		}
		watching, stop := context.WithCancel(ctx)
		go e.bury(watching, s, first)
		err = s.until(ctx, changed)
		stop()
		if err != nil {
			return err
		}
	}
}

// hold returns when own is gone.
func (e *Elector) hold(ctx context.Context, s *session, own string) {
	for {
		exists, _, changed, err := s.ExistsW(e.cfg.URL.Path + "/" + own)
		switch {
		case err == nil && !exists:
			return
		case err != nil:
			changed = nil // not watching: look again in a moment
		}
		if s.until(ctx, changed) != nil {
			return
		}
	}
}

// children lists the group, with a channel that is told of changes. It goes on
// over broken connections, and waits for the path to be created.
func (e *Elector) children(ctx context.Context, s *session) ([]string, <-chan zk.Event, error) {
	for {
		children, _, changed, err := s.ChildrenW(e.cfg.URL.Path)
		if err == nil {
			return children, changed, nil
		}
		if errors.Is(err, zk.ErrNoNode) {
			var exists bool
			if exists, _, changed, err = s.ExistsW(e.cfg.URL.Path); exists {
				continue // created since: this watch is not told of children
			}
		}
		if err != nil && !passing(err) {
			return nil, nil, err
		}
		if err != nil {
			changed = nil
		}
		if err := s.until(ctx, changed); err != nil {
			return nil, nil, err
		}
	}
}

// retryAfter is how long to wait for a connection that broke.
const retryAfter = 100 * time.Millisecond

// until waits for changed, or, if that is nil, a moment.
func (s *session) until(ctx context.Context, changed <-chan zk.Event) error {
	var moment <-chan time.Time
	if changed == nil {
		moment = time.After(retryAfter)
	}
	select {
	case <-changed:
	case <-moment:
	case <-s.over:
		return errOver
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// Detect yields who leads, each time that changes, until ctx is done; nil is
// nobody, which is also so before the first. It tries again whatever happens:
// what is wrong at ZooKeeper can be put right.
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
			e.cfg.Log.Warn("cannot see who leads", slog.Any("error", e.explain("look for the leader", err)), slog.Duration("wait", wait))
		}
	}
}

// follow tells who leads for as long as one session. It reports whether there
// is somebody to tell.
func (e *Elector) follow(ctx context.Context, tell func(*mesos.MasterInfo) bool) (more bool, err error) {
	s, err := e.begin(ctx)
	if err != nil {
		return true, err
	}
	defer s.close()
	for {
		children, changed, err := e.children(ctx, s)
		if err != nil {
			return true, err
		}
		leader, err := e.read(s, children)
		if err != nil {
			return true, err
		}
		if !tell(leader) {
			return false, nil
		}
		if err := s.until(ctx, changed); err != nil {
			return true, err
		}
	}
}

// read returns what the leader tells of itself, nil if nobody leads. What is no
// master's leads nobody: it must be deleted by hand, since masters of Apache
// Mesos wait for it too.
func (e *Elector) read(s *session, children []string) (*mesos.MasterInfo, error) {
	first, ok := lowest(children)
	if !ok {
		return nil, nil
	}
	node := e.cfg.URL.Path + "/" + first.name
	data, _, err := s.Get(node)
	if errors.Is(err, zk.ErrNoNode) {
		return nil, nil // gone since: the children's watch tells
	}
	if err != nil {
		return nil, err
	}
	info, err := first.decode(data)
	if err != nil {
		e.cfg.Log.Error("the first candidate is no master: delete its znode", slog.String("znode", node), slog.Any("error", err))
		return nil, nil
	}
	return info, nil
}

// backoff yields the time before the next try and, after the body, waits for
// that long: 100 ms at first, twice as long each time, to 5 s. It ends with ctx.
func backoff(ctx context.Context) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for wait := retryAfter; ctx.Err() == nil && yield(wait); wait = min(2*wait, 5*time.Second) {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}
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
