package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/elect/etcd"
	"github.com/meseta-project/meseta/internal/elect/standalone"
	"github.com/meseta-project/meseta/internal/elect/zookeeper"
	"github.com/meseta-project/meseta/internal/etcdserver"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/masterd"
	storeetcd "github.com/meseta-project/meseta/internal/store/etcd"
	"github.com/meseta-project/meseta/internal/store/memory"
	storezk "github.com/meseta-project/meseta/internal/store/zookeeper"
	"github.com/meseta-project/meseta/leader"
)

// haFlags are how several masters of a cluster agree on one that leads.
type haFlags struct {
	Mode, ZK, Etcd, Peers, Peer, Replace string
	ZKSession, EtcdSession               time.Duration
}

const (
	haNone      = "none"
	haZooKeeper = "zookeeper"
	haEtcd      = "etcd"
	haEmbedded  = "embedded"
)

func (h *haFlags) define(set *flags.Set) {
	set.Group("High availability")
	set.Choice(&h.Mode, "ha", haNone, []string{haNone, haZooKeeper, haEtcd, haEmbedded},
		"Where several masters elect a leader and keep the registry: in ZooKeeper (--zk), in an etcd that runs elsewhere (--etcd), or in one embedded in the masters (--peers).")
	set.String(&h.ZK, "zk", "", "ZooKeeper: zk://[user:password@]host:port,…/path, or file:// and a file with that. Implies --ha=zookeeper.").Optional()
	set.Duration(&h.ZKSession, "zk_session_timeout", leader.DefaultSession, "How long ZooKeeper waits for a leader that it does not hear of.")
	set.String(&h.Etcd, "etcd", "", "etcd: etcd://[user:password@]host:port,…/prefix, or file:// and a file with that. Implies --ha=etcd.").Optional()
	set.Duration(&h.EtcdSession, "etcd_session_timeout", 2*time.Second, "How long etcd waits for a leader that it does not hear of, in whole seconds.")
	set.String(&h.Peers, "peers", "", "All masters, the own one too: host:port,… on which their embedded etcds talk to each other. Implies --ha=embedded.").Optional()
	set.String(&h.Peer, "peer_address", "", "The own one of --peers, if the address or host name of this master does not tell.").Optional()
	set.String(&h.Replace, "replace_peer", "", "One of --peers whose files are lost: it is given up as the member it was, and may then be started again, with none. It must not be running.").Optional()
	set.String(new(string), "quorum", "", "Taken for Mesos's sake and not used: the stores know their quorum.").Optional()
	set.String(new(string), "log_auto_initialize", "", "Taken for Mesos's sake and not used.").Optional()
}

// mode says which backend the flags ask for.
func (h *haFlags) mode() (string, error) {
	mode := h.Mode
	for _, f := range []struct{ name, value, implies string }{
		{"zk", h.ZK, haZooKeeper}, {"etcd", h.Etcd, haEtcd}, {"peers", h.Peers, haEmbedded},
	} {
		switch {
		case f.value == "" && mode == f.implies:
			return "", fmt.Errorf("--ha=%s needs --%s", mode, f.name)
		case f.value == "":
		case mode == haNone:
			mode = f.implies
		case mode != f.implies:
			return "", fmt.Errorf("--%s does not go with --ha=%s", f.name, mode)
		}
	}
	return mode, nil
}

// backend is where masters elect a leader and keep the registry.
type backend struct {
	elector masterd.Elector
	store   masterd.Store
	member  *etcdserver.Server // or nil
	replace string             // a peer to replace, or ""
	log     *slog.Logger
}

// watch ends with an error when the embedded member fails, or with ctx.
func (b *backend) watch(ctx context.Context) error {
	if b.member == nil {
		<-ctx.Done()
		return nil
	}
	if b.replace != "" {
		go b.replacePeer(ctx)
	}
	return b.member.Failed(ctx)
}

// replaceTime is how long the replacement of a peer is tried.
const replaceTime = time.Minute

// replacePeer lets another member in for one that is lost. A master that cannot
// do it goes on as it is.
func (b *backend) replacePeer(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, replaceTime)
	defer cancel()
	err := b.member.Wait(ctx)
	if err == nil {
		err = b.member.Replace(ctx, b.replace)
	}
	if err != nil {
		b.log.Error("cannot replace a peer", slog.String("peer", b.replace), slog.Any("error", err))
		return
	}
	b.log.Info("the peer is replaced: start it now, without its old files", slog.String("peer", b.replace))
}

func (b *backend) close() error {
	err := b.store.Close()
	if b.member != nil {
		b.member.Close()
	}
	return err
}

// openBackend opens what the flags ask for, for the master that info tells of.
func (f *masterFlags) openBackend(info *mesos.MasterInfo, log *slog.Logger) (*backend, error) {
	mode, err := f.ha.mode()
	if err != nil {
		return nil, err
	}
	var b *backend
	switch mode {
	case haZooKeeper:
		b, err = f.ha.zookeeper(log)
	case haEtcd:
		b, err = f.ha.etcd(log)
	case haEmbedded:
		b, err = f.embedded(info, log)
	default:
		b = &backend{elector: standalone.New(info)}
		b.store, err = f.openStore()
		return b, err
	}
	if err != nil {
		return nil, err
	}
	switch {
	case f.Registry == "in_memory":
		err = b.store.Close()
		b.store = &memory.Store{}
	case f.Registry == "bolt" && f.Set.Loaded("registry"):
		return nil, errors.Join(fmt.Errorf("--registry=bolt is a file of one master alone: leave it out, and --ha=%s keeps the registry", mode), b.close())
	}
	return b, err
}

func (h *haFlags) zookeeper(log *slog.Logger) (*backend, error) {
	url, err := zookeeper.ParseURL(h.ZK)
	if err != nil {
		return nil, fmt.Errorf("--zk: %w", err)
	}
	store, err := storezk.Open(storezk.Config{
		Servers: url.Addresses, User: url.User, Password: url.Password, Path: url.Path + "/registry", Log: log,
	})
	if err != nil {
		return nil, err
	}
	return &backend{elector: zookeeper.New(zookeeper.Config{URL: url, SessionTimeout: h.ZKSession, Log: log}), store: store}, nil
}

func (h *haFlags) etcd(log *slog.Logger) (*backend, error) {
	url, err := etcd.ParseURL(h.Etcd)
	if err != nil {
		return nil, fmt.Errorf("--etcd: %w", err)
	}
	dial := etcd.Dialer(url)
	return &backend{
		elector: etcd.New(etcd.Config{Dial: dial, Prefix: url.Path, SessionTimeout: h.EtcdSession, Log: log}),
		store:   storeetcd.Open(dial, url.Path+"/registry", log),
	}, nil
}

// embeddedPrefix is where the embedded etcd has what is the masters'.
const embeddedPrefix = "/meseta"

func (f *masterFlags) embedded(info *mesos.MasterInfo, log *slog.Logger) (*backend, error) {
	if f.WorkDir == "" {
		return nil, errors.New("--work_dir is missing: name a folder that survives restarts, for this master's part of the registry")
	}
	peers, err := etcdserver.ParsePeers(f.ha.Peers)
	if err != nil {
		return nil, fmt.Errorf("--peers: %w", err)
	}
	self, err := f.ha.self(peers, info)
	if err != nil {
		return nil, err
	}
	if r := f.ha.Replace; r != "" && (r == self || !slices.Contains(peers, r)) {
		return nil, fmt.Errorf("--replace_peer: %s is not another one of --peers", r)
	}
	member, err := etcdserver.Start(etcdserver.Config{
		Peers: peers, Self: self, Dir: filepath.Join(f.WorkDir, "etcd"), Cluster: f.Cluster, Log: log,
	})
	if err != nil {
		return nil, err
	}
	return &backend{
		elector: etcd.New(etcd.Config{Dial: member.Client, Prefix: embeddedPrefix, SessionTimeout: f.ha.EtcdSession, Log: log}),
		store:   storeetcd.Open(member.Client, embeddedPrefix+"/registry", log),
		member:  member, replace: f.ha.Replace, log: log,
	}, nil
}

// self returns which of the peers this master is.
func (h *haFlags) self(peers []string, info *mesos.MasterInfo) (string, error) {
	if h.Peer != "" {
		return h.Peer, nil
	}
	var own []string
	for _, peer := range peers {
		host, _, _ := net.SplitHostPort(peer) // parsed before
		if host == info.GetHostname() || host == info.GetAddress().GetIp() {
			own = append(own, peer)
		}
	}
	if len(own) != 1 {
		return "", fmt.Errorf("%d of --peers are on %s (%s): say which one is this master's with --peer_address",
			len(own), info.GetHostname(), info.GetAddress().GetIp())
	}
	return own[0], nil
}

// shown returns flags' values as they may be shown: without passwords.
func shown(values map[string]string) map[string]string {
	for _, name := range []string{"zk", "etcd", "master"} {
		scheme, rest, ok := strings.Cut(values[name], "://")
		who, _, _ := strings.Cut(rest, "/")
		at := strings.LastIndexByte(who, '@')
		if user, _, secret := strings.Cut(who[:max(at, 0)], ":"); ok && secret {
			values[name] = scheme + "://" + user + rest[at:]
		}
	}
	if text := values[dockerConfig]; text != "" && !filepath.IsAbs(text) {
		values[dockerConfig] = "…" // not a file's name, but what is in it
	}
	return values
}
