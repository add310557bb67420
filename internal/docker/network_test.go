package docker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/docker/dockertest"
)

// listen listens in the Engine's network.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var l net.Listener
	err := theEngine.Inside(func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// reads returns what is written to who connects in the Engine's network.
func reads(t *testing.T, address string) string {
	t.Helper()
	var last error
	for range 600 {
		var text string
		last = theEngine.Inside(func() error {
			c, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			text, err = bufio.NewReader(c).ReadString('\n')
			return err
		})
		if last == nil {
			return text
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nothing is at %s: %v", address, last)
	return ""
}

// serve is a script that writes a line to each who connects.
const serve = "while :; do echo hello from $(hostname) | nc -l -p 80; done"

func inNetwork(s *Spec, mode mesos.ContainerInfo_DockerInfo_Network) *mesos.ContainerInfo_DockerInfo {
	s.Container.Docker.Network = &mode
	return s.Container.Docker
}

// addresses are those of the one network that a container is in.
func addresses(t *testing.T, p *Process, asked *mesos.NetworkInfo) (v4, v6 string) {
	t.Helper()
	networks := p.Networks(asked)
	if len(networks) != 1 {
		t.Fatalf("networks %v", networks)
	}
	for _, ip := range networks[0].GetIpAddresses() {
		if ip.GetProtocol() == mesos.NetworkInfo_IPv6 {
			v6 = ip.GetIpAddress()
		} else {
			v4 = ip.GetIpAddress()
		}
	}
	return v4, v6
}

// TestBridge: a container has addresses of its own, and is reached at the port of
// the host that is mapped to its own.
func TestBridge(t *testing.T) {
	e := open(t, nil)
	b := e.box(t, "bridge", shell(serve), func(s *Spec) {
		s.Resources = append(s.Resources, ports(31000, 31005))
		s.Container.Hostname = new("box")
		inNetwork(s, mesos.ContainerInfo_DockerInfo_BRIDGE).PortMappings = []*mesos.ContainerInfo_DockerInfo_PortMapping{
			{HostPort: new(uint32(31002)), ContainerPort: new(uint32(80)), Protocol: new("tcp")},
		}
	})
	p := b.launch(t)
	v4, v6 := addresses(t, p, nil)
	if !strings.HasPrefix(v4, "10.213.0.") || v4 == dockertest.Bridge || !strings.HasPrefix(v6, dockertest.Bridge6) {
		t.Errorf("addresses %q, %q", v4, v6)
	}
	for _, address := range []string{v4 + ":80", dockertest.Bridge + ":31002", "127.0.0.1:31002", net.JoinHostPort(v6, "80")} {
		if got := reads(t, address); got != "hello from box\n" {
			t.Errorf("%s says %q", address, got)
		}
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	b.ends(t, p)
	listen(t, "0.0.0.0:31002") // it is free again
}

// TestUserNetwork: a container is in a network of the user's, under the names that
// it was asked for with.
func TestUserNetwork(t *testing.T) {
	e := open(t, nil)
	made, err := e.api.NetworkCreate(t.Context(), "mine", client.NetworkCreateOptions{Driver: "bridge", IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.MustParsePrefix("10.214.0.0/24")}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := e.api.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	asked := &mesos.NetworkInfo{Name: new("mine"), Labels: &mesos.Labels{Labels: []*mesos.Label{{Key: new("a"), Value: new("b")}}}}
	in := func(s *Spec) {
		inNetwork(s, mesos.ContainerInfo_DockerInfo_USER)
		s.Container.NetworkInfos = []*mesos.NetworkInfo{asked}
	}
	server := e.box(t, "server", shell(serve), func(s *Spec) {
		in(s)
		s.Container.Docker.Parameters = parametersOf("network-alias", "server", "ip", "10.214.0.7")
	})
	p := server.launch(t)
	if v4, _ := addresses(t, p, asked); v4 != "10.214.0.7" {
		t.Errorf("address %q", v4)
	}
	if got := p.Networks(asked)[0]; got.GetName() != "mine" || got.GetLabels().GetLabels()[0].GetValue() != "b" || len(asked.GetIpAddresses()) != 0 {
		t.Errorf("network %v of %v", got, asked)
	}
	other := e.box(t, "other", shell("until nc server 80; do sleep 0.1; done"), in)
	if status, out, errs := other.ends(t, other.launch(t)); status != 0 || !strings.HasPrefix(out, "hello from ") {
		t.Errorf("another in the network: %d, %q, %q", status, out, errs)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	server.ends(t, p)
	if err := e.remove(name(server.spec.ID)); err != nil { // or the network is in use
		t.Error(err)
	}
	if err := e.remove(name(other.spec.ID)); err != nil {
		t.Error(err)
	}
}

// TestOwnNetworks: in HOST a container sees what is the Engine's, in NONE nothing
// but itself; neither has addresses of its own.
func TestOwnNetworks(t *testing.T) {
	e := open(t, nil)
	for mode, want := range map[mesos.ContainerInfo_DockerInfo_Network]string{
		mesos.ContainerInfo_DockerInfo_HOST: "docker0\nlo\n", mesos.ContainerInfo_DockerInfo_NONE: "lo\n",
	} {
		b := e.box(t, "own-"+mode.String(), shell("for d in /sys/class/net/*; do case $d in */docker0 | */lo) echo ${d##*/} ;; */eth*) echo $d; esac; done"), func(s *Spec) { inNetwork(s, mode) })
		p := b.launch(t)
		if status, out, errs := b.ends(t, p); status != 0 || out != want || len(p.Networks(nil)) != 0 {
			t.Errorf("%v: status %d, %q, %q, networks %v", mode, status, out, errs, p.Networks(nil))
		}
	}
}

// TestInspected: a container is told of as docker inspect prints it, without the
// secrets in its environment.
func TestInspected(t *testing.T) {
	e := open(t, nil)
	for _, secret := range []bool{false, true} {
		command := shell("sleep 1000")
		if secret {
			command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{{Name: new("HUSH"), Type: mesos.Environment_Variable_SECRET.Enum()}}}
		}
		b := e.box(t, fmt.Sprint("inspected-", secret), command, func(s *Spec) { s.Env = append(s.Env, "HUSH=word", "B=c") })
		p := b.launch(t)
		text := p.Inspected()
		var all []struct {
			Name   string
			Config struct{ Env []string }
			State  struct{ Running bool }
		}
		if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		if got := all[0]; got.Name != "/mesos-"+b.spec.ID || !got.State.Running || !strings.Contains(strings.Join(got.Config.Env, " "), "B=c") {
			t.Errorf("%+v", got)
		}
		if strings.Contains(string(text), "HUSH=word") == secret || !strings.HasPrefix(string(text), "[\n    {\n        \"") || !strings.HasSuffix(string(text), "}\n]\n") {
			t.Errorf("secret %t: %s", secret, text)
		}
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		b.ends(t, p)
	}
}
