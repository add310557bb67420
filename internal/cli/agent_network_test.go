package cli

import (
	"fmt"
	"testing"

	"github.com/meseta-project/meseta/resources"
)

func TestPortWatch(t *testing.T) {
	offered, err := resources.Parse("ports:[31000-32000]", "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string // "": refused
	}{
		{nil, "0s false []"},
		{[]string{"--isolation=network/ports"}, "30s false []"},
		{[]string{"--isolation=network/ports", "--enforce_container_ports", "--container_ports_watch_interval=1secs"}, "1s true []"},
		{[]string{"--isolation=network/ports", "--container_ports_isolated_range=[0-35000]"}, "30s false [0-35000]"},
		{[]string{"--isolation=network/ports", "--check_agent_port_range_only"}, "30s false [31000-32000]"},
		{[]string{"--isolation=network/ports", "--check_agent_port_range_only", "--container_ports_isolated_range=[1-2]"}, ""},
		{[]string{"--isolation=network/ports", "--container_ports_isolated_range=1"}, ""},
		{[]string{"--isolation=network/ports", "--container_ports_isolated_range=x"}, ""},
		{[]string{"--isolation=network/ports", "--container_ports_watch_interval=0secs"}, ""},
	} {
		f := newAgentFlags()
		if _, err := f.Set.Parse(append(test.args, "--master=x:1", "--work_dir=/x"), nil); err != nil {
			t.Fatal(err)
		}
		w, err := f.portWatch(offered.Proto())
		if got := fmt.Sprint(w.Every, w.Enforce, w.Within); (err == nil) != (test.want != "") || err == nil && got != test.want {
			t.Errorf("%q: %s, %v; want %q", test.args, got, err, test.want)
		}
	}
}

func TestContainerDNS(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"mesos": [{"network_mode": "CNI", "network_name": "a", "dns": {"nameservers": ["8.8.8.8"]}},` +
			`{"network_mode": "CNI", "dns": {"domain": "x"}}], "docker": [{"network_mode": "BRIDGE", "dns": {"nameservers": ["9.9.9.9"]}}]}`: true,
		`{"mesos": [{"network_mode": "CNI"}, {"network_mode": "CNI"}]}`: false,

		`{"mesos": [{"network_mode": "HOST"}]}`:  false,
		`{"docker": [{"network_mode": "NONE"}]}`: false,
		`[]`:                                     false,
	} {
		var f cniFlags
		if err := f.decodeDNS([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
		if ok && (f.DNS["a"].Nameservers[0] != "8.8.8.8" || f.DNS[""].Domain != "x") {
			t.Errorf("%s: %v", text, f.DNS)
		}
	}
}
