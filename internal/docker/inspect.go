package docker

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Inspected returns what docker inspect printed when the container was launched, or
// found again, which Mesos puts into the task's first TASK_RUNNING.
func (p *Process) Inspected() []byte { return p.inspected }

// printed is as docker inspect prints it. Secrets are left out, which is why it then
// is not quite as the Engine has told it.
func printed(found *container.InspectResponse, raw []byte, secrets []string) []byte {
	if known := withoutSecrets(found, secrets); known != nil {
		var err error
		if raw, err = json.Marshal(known); err != nil {
			return nil
		}
	}
	var out bytes.Buffer
	if json.Indent(&out, append(append([]byte{'['}, raw...), ']'), "", "    ") != nil {
		return nil
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// Secrets returns the names of a command's variables that are secrets.
func Secrets(command *mesos.CommandInfo) (names []string) {
	for _, v := range command.GetEnvironment().GetVariables() {
		if v.GetType() == mesos.Environment_Variable_SECRET {
			names = append(names, v.GetName())
		}
	}
	return names
}

// withoutSecrets returns what is known of a container but the values of variables
// that are secrets; nil if there are none.
func withoutSecrets(found *container.InspectResponse, secrets []string) *container.InspectResponse {
	if len(secrets) == 0 || found.Config == nil {
		return nil
	}
	copied, config := *found, *found.Config
	copied.Config, config.Env = &config, nil
	for _, v := range found.Config.Env {
		if name, _, _ := strings.Cut(v, "="); slices.Contains(secrets, name) {
			v = name + "="
		}
		config.Env = append(config.Env, v)
	}
	return &copied
}

// Networks returns the network that the container is in, with its addresses there:
// asked is the one that was asked for, if one was. Containers in the machine's
// network, and those without one, have no addresses.
func (p *Process) Networks(asked *mesos.NetworkInfo) []*mesos.NetworkInfo {
	return networksOf(p.found, asked)
}

func networksOf(found *container.InspectResponse, asked *mesos.NetworkInfo) []*mesos.NetworkInfo {
	if found.HostConfig == nil || found.NetworkSettings == nil {
		return nil
	}
	at := found.NetworkSettings.Networks[string(found.HostConfig.NetworkMode)]
	if at == nil {
		return nil
	}
	var ips []*mesos.NetworkInfo_IPAddress
	if at.IPAddress.IsValid() {
		ips = append(ips, &mesos.NetworkInfo_IPAddress{IpAddress: new(at.IPAddress.String())})
	}
	if at.GlobalIPv6Address.IsValid() {
		ips = append(ips, &mesos.NetworkInfo_IPAddress{IpAddress: new(at.GlobalIPv6Address.String()), Protocol: mesos.NetworkInfo_IPv6.Enum()})
	}
	if len(ips) == 0 {
		return nil
	}
	network := &mesos.NetworkInfo{}
	if asked != nil {
		network = asked.CloneVT()
	}
	network.IpAddresses = ips
	return []*mesos.NetworkInfo{network}
}
