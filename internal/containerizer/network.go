package containerizer

import (
	"fmt"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/cni"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
)

// attach puts a container into the networks that it names.
func (c *Containerizer) attach(spec *Spec) error {
	infos := spec.Container.GetNetworkInfos()
	if c.cfg.Networks != nil && c.cfg.Launcher != nil {
		return c.cfg.Networks.Attach(spec.ID, infos, spec.Container.GetHostname())
	}
	for _, info := range infos {
		if info.Name != nil {
			return fmt.Errorf("Unknown CNI network '%s'", info.GetName()) //nolint:staticcheck // Mesos's words
		}
	}
	return nil
}

// detach takes a container out of its networks.
func (c *Containerizer) detach(id ids.ContainerID) error {
	if c.cfg.Networks == nil {
		return nil
	}
	return c.cfg.Networks.Detach(id)
}

// recoverNetworks takes the containers that nothing is known of out of their
// networks.
func (c *Containerizer) recoverNetworks(known []ids.ContainerID) error {
	if c.cfg.Networks == nil {
		return nil
	}
	return c.cfg.Networks.Recover(func(id ids.ContainerID) bool { return slices.Contains(known, id.Root()) })
}

// network returns what a container has of networks, nil for the machine's.
func (c *Containerizer) network(id ids.ContainerID) *cni.Attachment {
	if c.cfg.Networks == nil {
		return nil
	}
	return c.cfg.Networks.Of(id)
}

// Networks returns the networks that a container is in, with its addresses; none
// if that is the machine's.
func (c *Containerizer) Networks(id ids.ContainerID) []*mesos.NetworkInfo {
	if at := c.network(id); at != nil {
		return at.Networks
	}
	if networks, ok := c.engineNetworks.Load(id); ok {
		return networks.([]*mesos.NetworkInfo)
	}
	return nil
}

// NetworkStatistics returns what has gone over a container's own networks, nil if
// it has none.
func (c *Containerizer) NetworkStatistics(id ids.ContainerID) *mesos.ResourceStatistics {
	if c.cfg.Networks == nil {
		return nil
	}
	return c.cfg.Networks.Statistics(id)
}

// networkFiles returns what a container sees in /etc of its networks.
func networkFiles(at *cni.Attachment) []launcher.Mount {
	files := []launcher.Mount{{Source: at.Hosts, Target: "/etc/hosts"}, {Source: at.HostsName, Target: "/etc/hostname"}}
	if at.Resolv != "" {
		files = append(files, launcher.Mount{Source: at.Resolv, Target: "/etc/resolv.conf"})
	}
	return files
}

// ownFile reports whether a container's networks give it a file.
func (c *Containerizer) ownFile(id ids.ContainerID, file string) bool {
	at := c.network(id)
	return at != nil && slices.ContainsFunc(networkFiles(at), func(m launcher.Mount) bool { return m.Target == file })
}

// inNetwork makes a process one in the container's networks. One that listens by
// libprocess does so at all addresses, for the agent's is not among its own.
func (c *Containerizer) inNetwork(spec *Spec, process *launcher.Spec) {
	at := c.network(spec.ID)
	if at == nil {
		return
	}
	process.Network = &launcher.Network{Namespace: at.Namespace, Hostname: at.Hostname}
	process.Mounts = append(process.Mounts, networkFiles(at)...)
	process.Env = slices.DeleteFunc(slices.Clone(process.Env), func(v string) bool { return strings.HasPrefix(v, "LIBPROCESS_IP=") })
	process.Env = append(process.Env, "LIBPROCESS_IP=0.0.0.0")
}
