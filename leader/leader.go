// Package leader finds the master that leads a cluster, as agents do: in ZooKeeper or
// etcd, where masters elect it, or by asking masters.
package leader

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/elect/etcd"
	"github.com/meseta-project/meseta/internal/elect/standalone"
	"github.com/meseta-project/meseta/internal/elect/zookeeper"
)

// DefaultSession is how long a store may be silent before it is taken for cut off,
// and nobody for the leader, unless [Config] says so.
const DefaultSession = 10 * time.Second

// Config says where the leader is to be found.
type Config struct {
	// Where is zk://[user:password@]host:port,…/path,
	// etcd://[user:password@]host:port,…/prefix, or addresses of masters, host:port
	// with commas between, of which any that is up will do.
	Where string
	// Session is how long a store may be silent before it is taken for cut off;
	// 0 is DefaultSession.
	Session time.Duration
	// Log is told of what cannot be reached; nil discards.
	Log *slog.Logger
}

// InStore reports whether text names a store, and not masters.
func InStore(text string) bool {
	return strings.HasPrefix(text, zookeeper.Scheme) || strings.HasPrefix(text, etcd.Scheme)
}

// A Finder finds the leader. It is safe for concurrent use.
type Finder struct {
	detect func(ctx context.Context) iter.Seq[*mesos.MasterInfo]
}

// New returns a finder. It is an error if cfg.Where is none of what it can be; nothing
// is connected to yet.
func New(cfg Config) (*Finder, error) {
	if cfg.Session == 0 {
		cfg.Session = DefaultSession
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case strings.HasPrefix(cfg.Where, zookeeper.Scheme):
		url, err := zookeeper.ParseURL(cfg.Where)
		if err != nil {
			return nil, err
		}
		return &Finder{zookeeper.New(zookeeper.Config{URL: url, SessionTimeout: cfg.Session, Log: cfg.Log}).Detect}, nil
	case strings.HasPrefix(cfg.Where, etcd.Scheme):
		url, err := etcd.ParseURL(cfg.Where)
		if err != nil {
			return nil, err
		}
		return &Finder{etcd.New(etcd.Config{Dial: etcd.Dialer(url), Prefix: url.Path, SessionTimeout: cfg.Session, Log: cfg.Log}).Detect}, nil
	}
	masters, err := standalone.ParseMasters(cfg.Where, cfg.Log)
	if err != nil {
		return nil, err
	}
	return &Finder{masters.Detect}, nil
}

// Detect yields who leads, each time that changes, until ctx is done; nil is nobody.
func (f *Finder) Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo] { return f.detect(ctx) }

// Find returns the address, host:port, of the master that leads now, waiting for one
// until ctx is done. It is what the Leader of a scheduler's or an operator's Config can
// be.
func (f *Finder) Find(ctx context.Context) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for leader := range f.detect(ctx) {
		if leader != nil {
			return Address(leader)
		}
	}
	return "", fmt.Errorf("no master leads: %w", context.Cause(ctx))
}

// Address returns where a master is, host:port.
func Address(master *mesos.MasterInfo) (string, error) {
	ip, err := netip.ParseAddr(master.GetAddress().GetIp())
	if err != nil {
		return "", fmt.Errorf("the leader has no address: %w", err)
	}
	return netip.AddrPortFrom(ip, uint16(master.GetAddress().GetPort())).String(), nil
}
