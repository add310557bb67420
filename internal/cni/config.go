package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/utils"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/wire"
)

// Bounds of what an operator configures.
const (
	configsMax = 4096
	configMax  = 1 << 20 // bytes of a file
)

// chained is the version of configurations that name none and have several
// plugins: the first in which a plugin hears of what the one before did.
const chained = "0.3.1"

// network returns the configuration of a network. The folder is read each time:
// a network can be added or changed while the agent runs.
func (n *Networks) network(name string) (map[string]any, error) {
	unknown := fmt.Errorf("Unknown CNI network '%s'", name) //nolint:staticcheck // Mesos's words
	if n.cfg.ConfigDir == "" {
		return nil, unknown
	}
	entries, err := os.ReadDir(n.cfg.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("look for CNI network '%s': %w", name, err)
	}
	for _, entry := range entries[:min(len(entries), configsMax)] {
		path := filepath.Join(n.cfg.ConfigDir, entry.Name())
		config, err := readConfig(path)
		if err == nil && config != nil && config["name"] == name {
			err = n.havePlugins(config)
			if err == nil {
				return config, nil
			}
		}
		if err != nil {
			n.cfg.Log.Error("CNI network configuration file is left out", slog.String("path", path), slog.Any("error", err))
		}
	}
	return nil, unknown
}

// readConfig reads a file, nil for what is not a regular one.
func readConfig(path string) (map[string]any, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	if info.Size() > configMax {
		return nil, fmt.Errorf("larger than %d bytes", configMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseConfig(text)
}

// parseConfig returns a configuration as a list of plugins, whichever form it has:
// one plugin, a list of them, or Mesos's port mapper around one.
func parseConfig(text []byte) (map[string]any, error) {
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, err
	}
	name, _ := config["name"].(string)
	if err := utils.ValidateNetworkName(name); err != nil {
		return nil, err
	}
	if _, list := config["plugins"]; !list {
		plugins, err := chain(config)
		if err != nil {
			return nil, err
		}
		list := map[string]any{"name": name, "plugins": plugins}
		if version, ok := config["cniVersion"]; ok {
			list["cniVersion"] = version
		}
		config = list
	}
	plugins, _ := config["plugins"].([]any)
	if version, _ := config["cniVersion"].(string); version == "" && len(plugins) > 1 {
		config["cniVersion"] = chained
	}
	again, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if _, err := libcni.NetworkConfFromBytes(again); err != nil {
		return nil, err
	}
	return config, nil
}

// portMapper is a plugin of Mesos's that maps ports for another plugin. The
// network that it describes is made by that other and the common portmap.
const portMapper = "mesos-cni-port-mapper"

func chain(config map[string]any) ([]any, error) {
	if config["type"] != portMapper {
		return []any{config}, nil
	}
	inner, ok := config["delegate"].(map[string]any)
	if !ok {
		return nil, errors.New("Failed to get the required field 'delegate'Not found") //nolint:staticcheck // Mesos's words
	}
	return []any{inner, map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}}}, nil
}

// havePlugins checks that the plugins of a network are there.
func (n *Networks) havePlugins(config map[string]any) error {
	for _, plugin := range config["plugins"].([]any) {
		plugin, ok := plugin.(map[string]any)
		if !ok {
			return errors.New("a plugin is not an object")
		}
		kinds := []any{plugin["type"]}
		if ipam, ok := plugin["ipam"].(map[string]any); ok && ipam["type"] != nil {
			kinds = append(kinds, ipam["type"])
		}
		for _, kind := range kinds {
			kind, _ := kind.(string)
			if _, err := invoke.FindInPath(kind, filepath.SplitList(n.cfg.PluginsDir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// reserved is the argument by which plugins learn what was asked for.
const reserved = "org.apache.mesos"

// withInfo returns a configuration with what was asked for among the arguments of
// each plugin.
func withInfo(config map[string]any, info *mesos.NetworkInfo) ([]byte, error) {
	text, err := wire.MarshalJSON(info)
	if err != nil {
		return nil, err
	}
	for _, plugin := range config["plugins"].([]any) {
		plugin := plugin.(map[string]any)
		args, ok := plugin["args"].(map[string]any)
		if !ok && plugin["args"] != nil {
			return nil, fmt.Errorf("Invalid 'args' found in CNI network configuration of '%s'", config["name"]) //nolint:staticcheck // Mesos's words
		}
		if args == nil {
			args = map[string]any{}
		}
		if args[reserved] != nil {
			return nil, errors.New("'org.apache.mesos' in 'args' should not be set in CNI network configuration file. It is reserved by Mesos")
		}
		args[reserved] = map[string]any{"network_info": json.RawMessage(text)}
		plugin["args"] = args
	}
	return json.Marshal(config)
}

// networkInfo returns what was asked for, by a configuration that withInfo made.
func networkInfo(config []byte) *mesos.NetworkInfo {
	var list struct {
		Plugins []struct {
			Args map[string]json.RawMessage `json:"args"`
		} `json:"plugins"`
	}
	var args struct {
		Info json.RawMessage `json:"network_info"`
	}
	info := &mesos.NetworkInfo{}
	if json.Unmarshal(config, &list) != nil || len(list.Plugins) == 0 ||
		json.Unmarshal(list.Plugins[0].Args[reserved], &args) != nil || wire.UnmarshalJSON(args.Info, info) != nil {
		return &mesos.NetworkInfo{}
	}
	return info
}

func portMappings(info *mesos.NetworkInfo) []portMapping {
	var ports []portMapping
	for _, m := range info.GetPortMappings() {
		protocol := strings.ToLower(m.GetProtocol())
		if protocol == "" {
			protocol = "tcp"
		}
		ports = append(ports, portMapping{m.GetHostPort(), m.GetContainerPort(), protocol})
	}
	return ports
}
