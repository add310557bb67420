// Package etcdserver runs a member of an etcd cluster inside this process, so
// that masters need no other programs to elect a leader and keep the registry.
// Members talk on one port each; clients are in the same process and need none.
package etcdserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// How fast members notice that their leader is gone: they hear of it every
// heartbeat, and elect another after one to two election times without. Leases
// last at least one and a half.
const (
	heartbeat    = 50 * time.Millisecond
	electionTime = 500 * time.Millisecond
)

// Bounds on what a member keeps.
const (
	quota          = 2 << 30 // bytes of the database
	keepRevisions  = "1000"  // of old values
	snapshotAfter  = 1000    // writes
	catchUpEntries = 200     // writes in memory for slow members
)

// Config says who the members are.
type Config struct {
	// Peers are the addresses, host:port, on which the members reach each other,
	// the own one among them. All members must be given the same.
	Peers []string
	// Self is the own one of Peers.
	Self string
	// Dir is the folder of the member's files. It must survive restarts: a member
	// that has lost it must not come back under its address.
	Dir string
	// Cluster keeps members of different clusters from mixing.
	Cluster string
	Log     *slog.Logger
}

// ParsePeers reads host:port,…, at least two and no two the same.
func ParsePeers(text string) ([]string, error) {
	var all []string
	for part := range strings.SplitSeq(text, ",") {
		peer := strings.TrimSpace(part)
		host, port, err := net.SplitHostPort(peer)
		u, urlErr := url.Parse("http://" + peer)
		if err != nil || urlErr != nil || host == "" || port == "" || port == "0" || u.Host != peer {
			return nil, fmt.Errorf("%q is not host:port", part)
		}
		if slices.Contains(all, peer) {
			return nil, fmt.Errorf("%s is named twice", peer)
		}
		all = append(all, peer)
	}
	if len(all) < 2 {
		return nil, errors.New("name all masters, the own one too: three, of which two must be up")
	}
	return all, nil
}

// Server is a member that has started.
type Server struct{ etcd *embed.Etcd }

// Start starts a member. It does not wait for the others.
func Start(cfg Config) (*Server, error) {
	c, err := cfg.embed()
	if err != nil {
		return nil, err
	}
	etcd, err := embed.StartEtcd(c)
	var network *net.OpError
	switch {
	case errors.As(err, &network):
		return nil, fmt.Errorf("start the embedded etcd at %s: %w", cfg.Self, err)
	case err != nil:
		return nil, fmt.Errorf("start the embedded etcd at %s: %w: %s", cfg.Self, err, cfg.wayOut())
	}
	return &Server{etcd}, nil
}

// wayOut says what to do about files that cannot be used.
func (cfg Config) wayOut() string {
	return fmt.Sprintf("if files in %s are damaged, move that folder away, restart one of the other masters with --replace_peer=%s,"+
		" and then this one; if no majority of the masters has its files, bring a backup back", cfg.Dir, cfg.Self)
}

// end is what etcd does when it cannot go on. It panics in goroutines of its own,
// where nobody can take it up, so the process ends here.
type end struct{ cfg Config }

// OnWrite ends the process.
func (e end) OnWrite(entry *zapcore.CheckedEntry, fields []zapcore.Field) {
	why := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(why)
	}
	_, _ = fmt.Fprintf(os.Stderr, "meseta: the embedded etcd cannot go on: %s: %v: %s\n", entry.Message, why.Fields["error"], e.cfg.wayOut())
	os.Exit(1)
}

func (cfg Config) embed() (*embed.Config, error) {
	if !slices.Contains(cfg.Peers, cfg.Self) {
		return nil, fmt.Errorf("%s is not one of the peers %s", cfg.Self, strings.Join(cfg.Peers, ","))
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the embedded etcd: %w", err)
	}
	c := embed.NewConfig()
	c.Name, c.Dir = cfg.Self, cfg.Dir
	self, err := url.Parse("http://" + cfg.Self)
	if err != nil {
		return nil, err
	}
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*self}, []url.URL{*self}
	// There are no clients elsewhere, but for tools on this machine. That the member
	// says where they would find it is how others know that it has run.
	c.ListenClientUrls, c.AdvertiseClientUrls = cfg.socket(), []url.URL{*self}
	members := make([]string, 0, len(cfg.Peers))
	for _, peer := range cfg.Peers {
		members = append(members, peer+"=http://"+peer)
	}
	slices.Sort(members)
	c.InitialCluster = strings.Join(members, ",")
	c.InitialClusterToken = "meseta-" + cfg.Cluster
	// What a member has confirmed is in its log; without one it has forgotten.
	if logs, _ := filepath.Glob(filepath.Join(cfg.Dir, "member", "wal", "*.wal")); len(logs) == 0 {
		if c.ClusterState, err = cfg.state(); err != nil {
			return nil, err
		}
	}
	c.TickMs, c.ElectionMs = uint(heartbeat.Milliseconds()), uint(electionTime.Milliseconds())
	c.QuotaBackendBytes, c.MaxRequestBytes = quota, 2<<20
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotAfter, catchUpEntries
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModeRevision, keepRevisions
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(bridge{cfg.Log}, zap.WithPanicHook(end{cfg}), zap.WithFatalHook(end{cfg})))
	return c, nil
}

// SocketName is the file in the member's folder at which etcd's own tools reach it,
// for backups: etcdctl --endpoints=unix://DIR/etcdctl.sock. Who may enter the folder
// may use it.
const SocketName = "etcdctl.sock"

// maxSocket is how long the path of a socket can be on Linux.
const maxSocket = 107

// socket is what the member listens on for such tools: nothing where the path of the
// folder is too long.
func (cfg Config) socket() []url.URL {
	path := filepath.Join(cfg.Dir, SocketName)
	if len(path) > maxSocket {
		cfg.Log.Warn("etcd's tools cannot reach the embedded etcd: its folder's path is too long for a socket", slog.String("path", path))
		return nil
	}
	return []url.URL{{Scheme: "unix", Path: path}}
}

// Client returns a client of the member's. Closing it leaves the member alone.
func (s *Server) Client() (*clientv3.Client, error) { return v3client.New(s.etcd.Server), nil }

// Wait returns when the member has found the others, has failed, or ctx is done.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-s.etcd.Server.ReadyNotify():
		return nil
	case err := <-s.etcd.Err():
		return err
	case <-s.etcd.Server.StopNotify():
		return errors.New("the embedded etcd has stopped")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Failed returns when the member has failed or ctx is done.
func (s *Server) Failed(ctx context.Context) error {
	select {
	case err := <-s.etcd.Err():
		return fmt.Errorf("the embedded etcd: %w", err)
	case <-s.etcd.Server.StopNotify():
		return errors.New("the embedded etcd has stopped: it may have been taken out of its cluster")
	case <-ctx.Done():
		return nil
	}
}

// Close stops the member.
func (s *Server) Close() { s.etcd.Close() }
