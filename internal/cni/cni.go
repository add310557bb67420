// Package cni gives containers networks of their own, through the plugins of the
// Container Network Interface.
//
// A container that names networks gets a network namespace, and in it an
// interface of each: eth0, eth1 and so on. All that there is to know of it is in
// one folder, which is written before a plugin runs, so that an agent that is
// started again can undo what its earlier life began:
//
//	ROOT/CONTAINER/
//	    lock           held by whoever works on the folder, plugins included
//	    ns             the network namespace, mounted
//	    hostname, hosts, resolv.conf
//	    cache/         of the library's
//	    NETWORK/network.conf          the configuration, as the plugins got it
//	    NETWORK/eth0/network.info     what they said
//
// While there is such a folder, ROOT is a mount of its own: so the namespaces
// can be taken out of sight of other mount namespaces all at once.
package cni

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// Config says which networks there are.
type Config struct {
	ConfigDir  string // --network_cni_config_dir: files with a network each; "" for no networks
	PluginsDir string // --network_cni_plugins_dir: folders, with colons between them
	Root       string // of what is known of containers; made when the first one comes
	// DNS is that of containers whose networks name no servers, by network; that of
	// "" is for those not named.
	DNS map[string]DNS
	Log *slog.Logger
}

// Networks puts containers into networks. It is safe for concurrent use on
// different containers.
type Networks struct {
	cfg  Config
	root sync.Mutex // held while a container's folder is made or removed

	mu       sync.Mutex
	attached map[ids.ContainerID]*Attachment
}

// Attachment is what a container has of its networks. It is not changed.
type Attachment struct {
	Namespace string // path of the network namespace
	Hostname  string
	Hosts     string               // paths of files to be seen in /etc
	HostsName string               // /etc/hostname
	Resolv    string               // "" where /etc/resolv.conf is to be the machine's
	Networks  []*mesos.NetworkInfo // as asked for, with the addresses that there are
}

// New returns the networks of a machine. What an earlier life has left is taken up
// by [Networks.Recover].
func New(cfg Config) (*Networks, error) {
	n := &Networks{cfg: cfg, attached: map[ids.ContainerID]*Attachment{}}
	if cfg.ConfigDir == "" && cfg.PluginsDir == "" {
		return n, nil
	}
	switch {
	case os.Geteuid() != 0:
		return nil, errors.New("the isolator network/cni needs root")
	case cfg.PluginsDir == "":
		return nil, errors.New("--network_cni_config_dir needs --network_cni_plugins_dir")
	case cfg.ConfigDir == "":
		return nil, errors.New("--network_cni_plugins_dir needs --network_cni_config_dir")
	}
	if _, err := os.ReadDir(cfg.ConfigDir); err != nil {
		return nil, fmt.Errorf("look for networks: %w", err)
	}
	return n, nil
}

// Root returns the folder that is a mount while containers are in networks.
func (n *Networks) Root() string { return n.cfg.Root }

// Recover takes up the containers that are still known, and takes all others out
// of their networks. A container that this fails for is tried again next time.
func (n *Networks) Recover(known func(ids.ContainerID) bool) error {
	entries, err := os.ReadDir(n.cfg.Root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for containers in networks: %w", err)
	}
	var failed error
	for _, entry := range entries {
		id := ids.ContainerID(entry.Name())
		if !known(id) {
			failed = errors.Join(failed, n.Detach(id))
			continue
		}
		if at := n.recall(id); at != nil {
			n.note(id, at)
		}
	}
	return errors.Join(failed, n.sweep())
}

// Of returns what a container has of networks: its own, or those of the container
// that it is in. It returns nil for one in the machine's network.
func (n *Networks) Of(id ids.ContainerID) *Attachment {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		if at := n.attached[id]; at != nil {
			return at
		}
		parent, ok := id.Parent()
		if !ok {
			return nil
		}
		id = parent
	}
}

func (n *Networks) note(id ids.ContainerID, at *Attachment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at == nil {
		delete(n.attached, id)
		return
	}
	n.attached[id] = at
}

func (n *Networks) dir(id ids.ContainerID) string { return filepath.Join(n.cfg.Root, string(id)) }

// makeDir makes the folder of a container.
func (n *Networks) makeDir(id ids.ContainerID) error {
	n.root.Lock()
	defer n.root.Unlock()
	if err := os.MkdirAll(n.cfg.Root, 0o755); err != nil {
		return err
	}
	if err := mountRoot(n.cfg.Root); err != nil {
		return err
	}
	return os.Mkdir(n.dir(id), 0o755)
}

// removeDir removes the folder of a container, and with the last of them the
// mount that they are in.
func (n *Networks) removeDir(id ids.ContainerID) error {
	n.root.Lock()
	defer n.root.Unlock()
	if err := os.RemoveAll(n.dir(id)); err != nil {
		return err
	}
	return n.unmountIfEmpty()
}

// sweep removes the mount of the folders if there are none.
func (n *Networks) sweep() error {
	n.root.Lock()
	defer n.root.Unlock()
	return n.unmountIfEmpty()
}

func (n *Networks) unmountIfEmpty() error {
	entries, err := os.ReadDir(n.cfg.Root)
	if err != nil || len(entries) > 0 {
		return nil //nolint:nilerr // nobody ever came
	}
	return unmount(n.cfg.Root)
}

// A link is one interface that a container has, or is to have.
type link struct {
	network   string
	ifName    string
	info      *mesos.NetworkInfo
	config    []byte // as the plugins get it
	container string // folder
}

func (l *link) configFile() string { return filepath.Join(l.container, l.network, "network.conf") }

func (l *link) resultFile() string {
	return filepath.Join(l.container, l.network, l.ifName, "network.info")
}

// links returns the interfaces that a container's folder tells of, in order.
func links(dir string) []*link {
	var all []*link
	found, _ := filepath.Glob(filepath.Join(dir, "*", "eth*")) // the pattern is sound
	for _, path := range found {
		l := &link{network: filepath.Base(filepath.Dir(path)), ifName: filepath.Base(path), container: dir}
		config, err := os.ReadFile(l.configFile())
		if err != nil {
			continue // no plugin ran
		}
		l.config, l.info = config, networkInfo(config)
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *link) int {
		if d := len(a.ifName) - len(b.ifName); d != 0 {
			return d
		}
		return strings.Compare(a.ifName, b.ifName)
	})
	return all
}

// pluginTimeout bounds a plugin's run, and the wait for one that an earlier life of
// the agent has started.
const pluginTimeout = 2 * time.Minute
