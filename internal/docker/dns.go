package docker

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// DNS is how names are resolved in containers whose parameters do not say so.
type DNS struct {
	bridge *resolver
	users  map[string]*resolver // by network; "" for those that are not named
}

type resolver struct {
	Servers []netip.Addr `json:"nameservers"`
	Search  []string     `json:"search"`
	Options []string     `json:"options"`
}

// UnmarshalJSON reads the part "docker" of Mesos's ContainerDNSInfo.
func (d *DNS) UnmarshalJSON(text []byte) error {
	var all []struct {
		Mode    string   `json:"network_mode"`
		Network string   `json:"network_name"`
		DNS     resolver `json:"dns"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*d = DNS{users: map[string]*resolver{}}
	for i := range all {
		given := &all[i]
		switch given.Mode {
		case "BRIDGE":
			if d.bridge != nil {
				return errors.New("more than one DNS for Docker's bridge network")
			}
			d.bridge = &given.DNS
		case "USER":
			if d.users[given.Network] != nil {
				return fmt.Errorf("more than one DNS for Docker's network %q", given.Network)
			}
			d.users[given.Network] = &given.DNS
		default:
			return fmt.Errorf("network_mode %q of Docker's: only BRIDGE and USER are known", given.Mode)
		}
	}
	return nil
}

// defaultDNS sets how names are resolved in a container whose parameters say
// nothing of that.
func (r *request) defaultDNS(d *DNS, mode mesos.ContainerInfo_DockerInfo_Network) {
	if len(r.host.DNS)+len(r.host.DNSSearch)+len(r.host.DNSOptions) > 0 {
		return
	}
	var use *resolver
	switch mode {
	case mesos.ContainerInfo_DockerInfo_BRIDGE:
		use = d.bridge
	case mesos.ContainerInfo_DockerInfo_USER:
		use = cmp.Or(d.users[r.network], d.users[""])
	case mesos.ContainerInfo_DockerInfo_HOST, mesos.ContainerInfo_DockerInfo_NONE: // have none to resolve with
	}
	if use != nil {
		r.host.DNS, r.host.DNSSearch, r.host.DNSOptions = use.Servers, use.Search, use.Options
	}
}
