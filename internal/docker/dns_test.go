package docker

import (
	"encoding/json"
	"fmt"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

const dnsText = `[{"network_mode": "BRIDGE", "dns": {"nameservers": ["8.8.8.8"], "search": ["a"], "options": ["ndots:2"]}},
	{"network_mode": "USER", "network_name": "net1", "dns": {"nameservers": ["1.1.1.1"]}},
	{"network_mode": "USER", "dns": {"nameservers": ["2.2.2.2"]}}]`

func TestDefaultDNS(t *testing.T) {
	var e Engine
	if err := json.Unmarshal([]byte(dnsText), &e.cfg.DNS); err != nil {
		t.Fatal(err)
	}
	user := func(network string) func(*mesos.ContainerInfo, *Spec) {
		return func(c *mesos.ContainerInfo, _ *Spec) {
			c.Docker.Network = mesos.ContainerInfo_DockerInfo_USER.Enum()
			c.NetworkInfos = []*mesos.NetworkInfo{{Name: &network}}
		}
	}
	for name, test := range map[string]struct {
		change func(*mesos.ContainerInfo, *Spec)
		want   string
	}{
		"host":    {nil, "[] [] []"},
		"bridge":  {bridged(), "[8.8.8.8] [a] [ndots:2]"},
		"named":   {user("net1"), "[1.1.1.1] [] []"},
		"another": {user("net2"), "[2.2.2.2] [] []"},
		"its own": {func(c *mesos.ContainerInfo, s *Spec) {
			bridged()(c, s)
			c.Docker.Parameters = parametersOf("dns-search", "b")
		}, "[] [b] []"},
	} {
		got, err := e.options(specOf(test.change))
		if err != nil {
			t.Fatal(err)
		}
		if h := got.HostConfig; fmt.Sprint(h.DNS, h.DNSSearch, h.DNSOptions) != test.want {
			t.Errorf("%s: %v %v %v, want %s", name, h.DNS, h.DNSSearch, h.DNSOptions, test.want)
		}
	}
	for _, bad := range []string{
		`[{"network_mode": "HOST"}]`, `[{"network_mode": "BRIDGE"}, {"network_mode": "BRIDGE"}]`, `{}`,
		`[{"network_mode": "USER"}, {"network_mode": "USER"}]`, `[{"network_mode": "BRIDGE", "dns": {"nameservers": ["x"]}}]`,
	} {
		if err := json.Unmarshal([]byte(bad), new(DNS)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}
