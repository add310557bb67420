package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// linksMax bounds the networks of one container.
const linksMax = 32

// Attach puts a container into the networks that it names; there may be none. The
// hostname is that of the container's id if it is empty. What fails is undone.
func (n *Networks) Attach(id ids.ContainerID, infos []*mesos.NetworkInfo, hostname string) error {
	wanted, err := n.wanted(id, infos)
	if err != nil || len(wanted) == 0 {
		return err
	}
	if hostname == "" {
		hostname = id.Value()
	}
	if err := n.makeDir(id); err != nil {
		return fmt.Errorf("make the folder of container %s's networks: %w", id, err)
	}
	at, err := n.attach(id, wanted, hostname)
	if err != nil {
		return errors.Join(err, n.Detach(id))
	}
	n.note(id, at)
	return nil
}

// wanted returns the interfaces that a container is to have.
func (n *Networks) wanted(id ids.ContainerID, infos []*mesos.NetworkInfo) ([]*link, error) {
	var all []*link
	for _, info := range infos {
		if info.Name == nil {
			continue
		}
		name := info.GetName()
		if slices.ContainsFunc(all, func(l *link) bool { return l.network == name }) {
			return nil, fmt.Errorf("Attempted to join CNI network '%s' multiple times", name) //nolint:staticcheck // Mesos's words
		}
		if len(all) == linksMax {
			return nil, fmt.Errorf("a container can join %d CNI networks at most", linksMax)
		}
		config, err := n.network(name)
		if err != nil {
			return nil, err
		}
		text, err := withInfo(config, info)
		if err != nil {
			return nil, err
		}
		all = append(all, &link{network: name, ifName: fmt.Sprintf("eth%d", len(all)), info: info, config: text, container: n.dir(id)})
	}
	return all, nil
}

func (n *Networks) attach(id ids.ContainerID, wanted []*link, hostname string) (*Attachment, error) {
	dir := n.dir(id)
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := newNamespace(filepath.Join(dir, "ns")); err != nil {
		return nil, fmt.Errorf("make the network namespace of container %s: %w", id, err)
	}
	results := make([]*types100.Result, 0, len(wanted))
	for _, l := range wanted {
		result, err := n.attachLink(string(id), l, lock)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	if err := n.writeFiles(dir, hostname, wanted, results); err != nil {
		return nil, fmt.Errorf("write the network files of container %s: %w", id, err)
	}
	return attachment(dir, hostname, wanted, results), nil
}

// attachLink makes an interface. What it will be is written down before.
func (n *Networks) attachLink(id string, l *link, lock *os.File) (*types100.Result, error) {
	if err := os.MkdirAll(filepath.Dir(l.resultFile()), 0o755); err != nil {
		return nil, err
	}
	if err := replace(l.configFile(), l.config); err != nil {
		return nil, fmt.Errorf("remember CNI network '%s': %w", l.network, err)
	}
	result, err := n.add(id, l, lock)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(result)
	if err != nil {
		return nil, err
	}
	return result, replace(l.resultFile(), text)
}

// replace writes a file at once.
func replace(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Detach takes a container out of all networks, and forgets it. One that is in
// none is no error.
func (n *Networks) Detach(id ids.ContainerID) error {
	dir := n.dir(id)
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	namespace := filepath.Join(dir, "ns")
	mounted := namespace
	if !isNamespace(namespace) {
		mounted = ""
	}
	var failed error
	for _, l := range links(dir) {
		failed = errors.Join(failed, n.del(string(id), l, mounted, lock))
	}
	if failed != nil {
		return failed
	}
	if err := unmount(namespace); err != nil {
		return fmt.Errorf("unmount the network namespace of container %s: %w", id, err)
	}
	n.note(id, nil)
	if err := n.removeDir(id); err != nil {
		return fmt.Errorf("forget the networks of container %s: %w", id, err)
	}
	return nil
}

// recall returns what a container has of networks by what is written down, nil if
// it was not finished.
func (n *Networks) recall(id ids.ContainerID) *Attachment {
	dir := n.dir(id)
	hostname, err := os.ReadFile(filepath.Join(dir, "hostname"))
	if err != nil {
		return nil
	}
	known := links(dir)
	results := make([]*types100.Result, len(known))
	for i, l := range known {
		results[i] = &types100.Result{}
		text, err := os.ReadFile(l.resultFile())
		if err == nil {
			err = json.Unmarshal(text, results[i])
		}
		if err != nil {
			n.cfg.Log.Warn("cannot read what a CNI plugin has said", slog.String("path", l.resultFile()), slog.Any("error", err))
		}
	}
	return attachment(dir, string(hostname), known, results)
}

// attachment puts together what containers and frameworks are told.
func attachment(dir, hostname string, all []*link, results []*types100.Result) *Attachment {
	at := &Attachment{
		Namespace: filepath.Join(dir, "ns"), Hostname: hostname,
		Hosts: filepath.Join(dir, "hosts"), HostsName: filepath.Join(dir, "hostname"),
	}
	if path := filepath.Join(dir, "resolv.conf"); isFile(path) {
		at.Resolv = path
	}
	for i, l := range all {
		info := l.info.CloneVT()
		info.IpAddresses = addresses(results[i])
		at.Networks = append(at.Networks, info)
	}
	return at
}

// addresses returns the first address of each protocol.
func addresses(r *types100.Result) []*mesos.NetworkInfo_IPAddress {
	var all []*mesos.NetworkInfo_IPAddress
	for _, protocol := range []mesos.NetworkInfo_Protocol{mesos.NetworkInfo_IPv4, mesos.NetworkInfo_IPv6} {
		for _, ip := range r.IPs {
			if (ip.Address.IP.To4() != nil) == (protocol == mesos.NetworkInfo_IPv4) {
				all = append(all, &mesos.NetworkInfo_IPAddress{Protocol: protocol.Enum(), IpAddress: new(ip.Address.IP.String())})
				break
			}
		}
	}
	return all
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
