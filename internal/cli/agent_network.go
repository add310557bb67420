package cli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/meseta-project/meseta/internal/cni"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/flags"
)

// cniFlags say which networks containers can join.
type cniFlags struct {
	ConfigDir, PluginsDir string
	Persist, Metrics      bool
	DNS                   map[string]cni.DNS
	DockerDNS             docker.DNS
}

func (f *cniFlags) define(set *flags.Set) {
	set.Path(&f.ConfigDir, "network_cni_config_dir", "", "Folder of the networks that containers can join by name, with --launcher=oci or lxc: a CNI configuration in each file. It is read whenever a container joins one.").Optional()
	set.String(&f.PluginsDir, "network_cni_plugins_dir", "", "Folders of CNI plugins, with colons between them.").Optional()
	set.Bool(&f.Persist, "network_cni_root_dir_persist", false, "Remember the networks of containers in --work_dir, so that what they hold can be given back after a reboot. Without, in --runtime_dir.")
	set.Bool(&f.Metrics, "network_cni_metrics", true, "Tell what goes over the networks of containers among what they use.")
	set.JSON(f.decodeDNS, "default_container_dns", `Name servers of containers whose CNI networks give none, and of Docker's whose parameters give none, as JSON: {"mesos": [{"network_mode": "CNI", "network_name": "net1", "dns": {"nameservers": ["8.8.8.8"]}}], "docker": [{"network_mode": "BRIDGE", "dns": {"nameservers": ["8.8.8.8"]}}]}. Docker's modes are BRIDGE and USER. Without network_name it is for all networks that are not named.`)
}

// decodeDNS is for Mesos's ContainerDNSInfo.
func (f *cniFlags) decodeDNS(text []byte) error {
	var given struct {
		Mesos []struct {
			Mode    string  `json:"network_mode"`
			Network string  `json:"network_name"`
			DNS     cni.DNS `json:"dns"`
		} `json:"mesos"`
		Docker docker.DNS `json:"docker"`
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return err
	}
	f.DockerDNS = given.Docker
	f.DNS = map[string]cni.DNS{}
	for _, d := range given.Mesos {
		if d.Mode != "CNI" {
			return fmt.Errorf("network_mode %q: only CNI is known", d.Mode)
		}
		if _, twice := f.DNS[d.Network]; twice {
			return fmt.Errorf("more than one DNS for CNI network %q", d.Network)
		}
		f.DNS[d.Network] = d.DNS
	}
	return nil
}

// openNetworks returns the networks that containers can join.
func (f *agentFlags) openNetworks(log *slog.Logger) (*cni.Networks, error) {
	networks, err := cni.New(cni.Config{
		ConfigDir: f.CNI.ConfigDir, PluginsDir: f.CNI.PluginsDir, Root: f.networksRoot(), DNS: f.CNI.DNS, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("networks of containers: %w", err)
	}
	return networks, nil
}

// networksRoot returns the folder, and mount, of what is known of containers in
// networks.
func (f *agentFlags) networksRoot() string {
	dir := f.RuntimeDir
	if f.CNI.Persist {
		dir = f.WorkDir
	}
	return filepath.Join(dir, "isolators", "network", "cni")
}
