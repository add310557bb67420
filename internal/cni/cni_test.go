package cni

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/skip"
)

// plugins is where Debian's package containernetworking-plugins has them.
const plugins = "/usr/lib/cni"

const (
	insideVar = "MESETA_CNI_TEST" // set in network and mount namespaces of our own
	attachVar = "MESETA_CNI_ATTACH"
)

// TestMain runs the tests in namespaces of their own: what they leave, if they
// do, nobody sees.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(insideVar) != "" {
		if dir := os.Getenv(attachVar); dir != "" {
			attachAndWait(dir)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideVar+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// place is a machine with networks: the namespace that the tests run in.
type place struct {
	*Networks
	t    *testing.T
	dir  string
	conf string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	skip.UnlessRoot(t)
	if _, err := os.Stat(filepath.Join(plugins, "bridge")); err != nil {
		skip.Lacking(t, "the plugins of the package containernetworking-plugins")
	}
	if err := raise("lo"); err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: t.TempDir()}
	p.conf = filepath.Join(p.dir, "conf")
	for _, dir := range []string{"conf", "bin"} {
		if err := os.Mkdir(filepath.Join(p.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p.Networks = p.again()
	t.Cleanup(p.checkNothingLeft)
	return p
}

// again returns the networks as an agent finds them that is started again.
func (p *place) again() *Networks {
	p.t.Helper()
	n, err := New(placeConfig(p.dir))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

func placeConfig(dir string) Config {
	return Config{
		ConfigDir: filepath.Join(dir, "conf"), PluginsDir: plugins + ":" + filepath.Join(dir, "bin"),
		Root: filepath.Join(dir, "root"), Log: slog.New(slog.DiscardHandler),
	}
}

// write writes the configuration of a network. IPAM is where addresses are kept.
func (p *place) write(file, text string) {
	p.t.Helper()
	ipam := fmt.Sprintf(`"ipam": {"type": "host-local", "dataDir": %q, "subnet"`, filepath.Join(p.dir, "ipam"))
	if err := os.WriteFile(filepath.Join(p.conf, file), []byte(strings.ReplaceAll(text, `"ipam": {"subnet"`, ipam)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// plugin writes a plugin, a shell script.
func (p *place) plugin(name, script string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "bin", name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) attach(id ids.ContainerID, names ...string) *Attachment {
	p.t.Helper()
	var infos []*mesos.NetworkInfo
	for _, name := range names {
		infos = append(infos, &mesos.NetworkInfo{Name: new(name)})
	}
	if err := p.Attach(id, infos, ""); err != nil {
		p.t.Fatal(err)
	}
	return p.Of(id)
}

func (p *place) detach(id ids.ContainerID) {
	p.t.Helper()
	if err := p.Detach(id); err != nil {
		p.t.Fatal(err)
	}
	if p.Of(id) != nil {
		p.t.Errorf("container %s is still known", id)
	}
}

// checkNothingLeft waits a while: the kernel removes interfaces after the namespace
// that they were in.
func (p *place) checkNothingLeft() {
	left := p.left()
	for end := time.Now().Add(time.Minute); len(left) > 0 && time.Now().Before(end); left = p.left() {
		time.Sleep(20 * time.Millisecond)
	}
	for _, what := range left {
		p.t.Error(what)
	}
}

// left returns what containers have left.
func (p *place) left() (left []string) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), p.dir) {
		left = append(left, "a mount is left")
	}
	for _, pattern := range []string{"root/*", "ipam/*/10.*"} {
		found, _ := filepath.Glob(filepath.Join(p.dir, pattern))
		left = append(left, found...)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, "veth") {
			left = append(left, "interface "+i.Name)
		}
	}
	rules, err := exec.Command("iptables", "-w", "-t", "nat", "-S").CombinedOutput()
	if err != nil {
		p.t.Fatalf("%v: %s", err, rules)
	}
	for rule := range strings.Lines(string(rules)) {
		if strings.Contains(rule, "c1") || strings.Contains(rule, "10.88.") {
			left = append(left, rule)
		}
	}
	return left
}

// interfaces returns those of a container.
func interfaces(t *testing.T, at *Attachment) (names []string) {
	t.Helper()
	err := within(at.Namespace, func() error {
		all, err := net.Interfaces()
		for _, i := range all {
			if i.Flags&net.FlagUp != 0 {
				names = append(names, i.Name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func address(t *testing.T, at *Attachment, i int) string {
	t.Helper()
	if len(at.Networks) <= i || len(at.Networks[i].GetIpAddresses()) == 0 {
		t.Fatalf("no address: %v", at.Networks)
	}
	return at.Networks[i].GetIpAddresses()[0].GetIpAddress()
}

const bridge = `{"cniVersion": "0.3.1", "name": "net1", "type": "bridge", "bridge": "br-one", "isGateway": true, "ipMasq": true,
	"ipam": {"subnet": "10.88.1.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}`

func TestBridge(t *testing.T) {
	p := newPlace(t)
	p.write("net1.conf", bridge)
	at := p.attach("c1", "net1")
	if got := interfaces(t, at); !slices.Equal(got, []string{"eth0", "lo"}) {
		t.Errorf("interfaces %q", got)
	}
	ip := address(t, at, 0)
	if !strings.HasPrefix(ip, "10.88.1.") || at.Networks[0].GetName() != "net1" || at.Networks[0].GetIpAddresses()[0].GetProtocol() != mesos.NetworkInfo_IPv4 {
		t.Errorf("networks %v", at.Networks)
	}
	hosts, err := os.ReadFile(at.Hosts)
	if want := "127.0.0.1 localhost\n" + ip + " c1\n"; err != nil || string(hosts) != want {
		t.Errorf("hosts %q, %v", hosts, err)
	}
	if at.Hostname != "c1" || at.Resolv != "" {
		t.Errorf("%+v", at)
	}
	if p.Of("c1.inner") != at {
		t.Error("a container within has not the networks of its parent")
	}
	p.talk(at, net.JoinHostPort(ip, "80"), "80")
	if got := p.Statistics("c1"); got.GetNetRxBytes() == 0 || got.GetNetTxPackets() == 0 {
		t.Errorf("statistics %v", got)
	}
	p.detach("c1")
	if err := p.Detach("c1"); err != nil {
		t.Error(err)
	}
}

// talk listens in a container and connects to an address from outside.
func (p *place) talk(at *Attachment, address, port string) {
	p.t.Helper()
	var l net.Listener
	err := within(at.Namespace, func() (err error) {
		l, err = net.Listen("tcp", ":"+port)
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "hello")
			conn.Close()
		}
	}()
	conn, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "hello\n" {
		p.t.Errorf("%q, %v", line, err)
	}
}

func TestPtp(t *testing.T) {
	p := newPlace(t)
	p.write("a", `{"cniVersion": "0.4.0", "name": "wire", "type": "ptp", "ipMasq": true, "ipam": {"subnet": "10.88.2.0/24", "routes": [{"dst": "0.0.0.0/0"}]},
		"dns": {"nameservers": ["10.0.0.53", "10.0.0.54"], "domain": "example.org", "search": ["a", "b"], "options": ["ndots:2"]}}`)
	at := p.attach("c1", "wire")
	p.talk(at, net.JoinHostPort(address(t, at, 0), "80"), "80")
	got, err := os.ReadFile(at.Resolv)
	if want := "domain example.org\nsearch a b\noptions ndots:2\nnameserver 10.0.0.53\nnameserver 10.0.0.54\n"; err != nil || string(got) != want {
		t.Errorf("resolv.conf %q, %v", got, err)
	}
	p.detach("c1")
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %q: %v: %s", args, err, out)
	}
}

func TestMacvlan(t *testing.T) {
	p := newPlace(t)
	ip(t, "link", "add", "m0", "type", "veth", "peer", "name", "m1")
	t.Cleanup(func() { ip(t, "link", "delete", "m0") })
	ip(t, "link", "set", "m0", "up")
	ip(t, "link", "set", "m1", "up")
	p.write("m", `{"cniVersion": "0.3.1", "name": "mac", "type": "macvlan", "master": "m0", "ipam": {"subnet": "10.88.3.0/24"}}`)
	one, two := p.attach("c1", "mac"), p.attach("c2", "mac")
	var conn net.Conn
	l, err := listenIn(one, ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = within(two.Namespace, func() (err error) {
		conn, err = net.DialTimeout("tcp", net.JoinHostPort(address(t, one, 0), "80"), 20*time.Second)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	p.detach("c1")
	p.detach("c2")
}

func listenIn(at *Attachment, address string) (l net.Listener, err error) {
	return l, within(at.Namespace, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
}

func TestSeveralNetworks(t *testing.T) {
	p := newPlace(t)
	p.write("net1.conf", bridge)
	p.write("net2.conf", strings.NewReplacer("net1", "net2", "br-one", "br-two", "10.88.1", "10.88.4", `, "routes": [{"dst": "0.0.0.0/0"}]`, "").Replace(bridge))
	at := p.attach("c1", "net2", "net1")
	if got := interfaces(t, at); !slices.Equal(got, []string{"eth0", "eth1", "lo"}) {
		t.Errorf("interfaces %q", got)
	}
	if !strings.HasPrefix(address(t, at, 0), "10.88.4.") || !strings.HasPrefix(address(t, at, 1), "10.88.1.") {
		t.Errorf("networks %v", at.Networks)
	}
	again := p.again()
	if err := again.Recover(func(ids.ContainerID) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(again.Of("c1").Networks); got != fmt.Sprint(at.Networks) {
		t.Errorf("recovered %s, want %v", got, at.Networks)
	}
	p.detach("c1")
	one := &mesos.NetworkInfo{Name: new("net1")}
	if err := p.Attach("c1", []*mesos.NetworkInfo{one, one}, ""); err == nil || err.Error() != "Attempted to join CNI network 'net1' multiple times" {
		t.Errorf("twice in a network: %v", err)
	}
	if err := p.Attach("c1", []*mesos.NetworkInfo{{}}, ""); err != nil || p.Of("c1") != nil {
		t.Errorf("in a network without a name: %v", err)
	}
}

// Ports are mapped by a chain of plugins, and where a configuration names Mesos's
// own port mapper.
func TestPortMappings(t *testing.T) {
	p := newPlace(t)
	inner := strings.Replace(bridge, `"cniVersion": "0.3.1", "name": "net1", `, "", 1)
	p.write("list", `{"cniVersion": "0.3.1", "name": "list", "plugins": [`+inner+`, {"type": "portmap", "capabilities": {"portMappings": true}}]}`)
	p.write("mapper", `{"name": "mapper", "type": "mesos-cni-port-mapper", "chain": "X", "excludeDevices": ["br-one"], "delegate": `+inner+`}`)
	for _, network := range []string{"list", "mapper"} {
		info := &mesos.NetworkInfo{Name: &network, PortMappings: []*mesos.NetworkInfo_PortMapping{
			{HostPort: new(uint32(31000)), ContainerPort: new(uint32(80))}, {HostPort: new(uint32(31001)), ContainerPort: new(uint32(53)), Protocol: new("UDP")},
		}}
		if err := p.Attach("c1", []*mesos.NetworkInfo{info}, "web"); err != nil {
			t.Fatal(err)
		}
		at := p.Of("c1")
		if at.Hostname != "web" || len(at.Networks[0].GetPortMappings()) != 2 {
			t.Errorf("%+v", at)
		}
		p.talk(at, "10.88.1.1:31000", "80")
		p.detach("c1")
		p.checkNothingLeft()
	}
}

// A network can be added and changed while the agent runs.
func TestConfigurationIsReadWhenUsed(t *testing.T) {
	p := newPlace(t)
	infos := []*mesos.NetworkInfo{{Name: new("net1")}}
	if err := p.Attach("c1", infos, ""); err == nil || err.Error() != "Unknown CNI network 'net1'" {
		t.Errorf("unknown network: %v", err)
	}
	p.write("broken", `{"name": "net1"`)
	p.write("without", strings.Replace(bridge, `"bridge"`, `"no-such-plugin"`, 1))
	if err := p.Attach("c1", infos, ""); err == nil || err.Error() != "Unknown CNI network 'net1'" {
		t.Errorf("broken networks: %v", err)
	}
	p.write("x", bridge)
	p.attach("c1", "net1")
	p.write("x", strings.ReplaceAll(strings.ReplaceAll(bridge, "10.88.1.", "10.88.5."), "br-one", "br-new"))
	at := p.attach("c2", "net1")
	if !strings.HasPrefix(address(t, at, 0), "10.88.5.") {
		t.Errorf("networks %v", at.Networks)
	}
	p.detach("c1") // by what it was attached by
	p.detach("c2")
}

func TestPluginFails(t *testing.T) {
	p := newPlace(t)
	p.write("x", `{"name": "bad", "type": "bad"}`)
	p.plugin("bad", `[ $CNI_COMMAND = DEL ] && exit 0; echo out; echo err >&2; exit 1`)
	err := p.Attach("c1", []*mesos.NetworkInfo{{Name: new("bad")}}, "")
	want := fmt.Sprintf("The CNI plugin '%s' failed to attach container c1 to CNI network 'bad': stdout='out\n', stderr='err\n'", filepath.Join(p.dir, "bin/bad"))
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// What cannot be undone is tried again.
func TestDetachFails(t *testing.T) {
	p := newPlace(t)
	p.write("x", `{"name": "sticky", "type": "sticky", "cniVersion": "0.4.0"}`)
	p.plugin("sticky", `[ $CNI_COMMAND = DEL ] && exit 1; echo '{"cniVersion": "0.4.0", "ips": [{"version": "6", "address": "fd00::2/64"}]}'`)
	at := p.attach("c1", "sticky")
	if got := at.Networks[0].GetIpAddresses(); len(got) != 1 || got[0].GetIpAddress() != "fd00::2" || got[0].GetProtocol() != mesos.NetworkInfo_IPv6 {
		t.Errorf("addresses %v", got)
	}
	if err := p.Detach("c1"); err == nil || !strings.Contains(err.Error(), "failed to detach container c1 from CNI network 'sticky'") {
		t.Errorf("detach: %v", err)
	}
	p.plugin("sticky", "")
	if err := p.again().Recover(func(ids.ContainerID) bool { return false }); err != nil {
		t.Error(err)
	}
}

// A plugin is told what was asked for, as Mesos does it; and old plugins, which
// know nothing of versions, are understood.
func TestWhatPluginsAreTold(t *testing.T) {
	p := newPlace(t)
	p.write("x", `{"name": "ask", "type": "ask", "args": {"own": 1}}`)
	p.plugin("ask", `cat > `+p.dir+`/$CNI_COMMAND; echo "$CNI_CONTAINERID $CNI_IFNAME $CNI_NETNS" >> `+p.dir+`/env; echo '{"ip4": {"ip": "10.1.2.3/24"}}'`)
	info := &mesos.NetworkInfo{Name: new("ask"), Groups: []string{"g"}, Labels: &mesos.Labels{Labels: []*mesos.Label{{Key: new("k"), Value: new("v")}}}}
	if err := p.Attach("c1", []*mesos.NetworkInfo{info}, ""); err != nil {
		t.Fatal(err)
	}
	if got := address(t, p.Of("c1"), 0); got != "10.1.2.3" {
		t.Errorf("address %q", got)
	}
	p.detach("c1")
	for _, command := range []string{"ADD", "DEL"} {
		text, err := os.ReadFile(filepath.Join(p.dir, command))
		if err != nil {
			t.Fatal(err)
		}
		var told struct {
			Name string
			Args map[string]any
		}
		if err := json.Unmarshal(text, &told); err != nil {
			t.Fatal(err)
		}
		want := `{"ask" map[org.apache.mesos:map[network_info:map[groups:[g] labels:map[labels:[map[key:k value:v]]] name:ask]] own:1]}`
		if got := fmt.Sprintf("{%q %v}", told.Name, told.Args); got != want {
			t.Errorf("%s: %s, want %s", command, got, want)
		}
	}
	env, err := os.ReadFile(filepath.Join(p.dir, "env"))
	if line := "c1 eth0 " + filepath.Join(p.dir, "root/c1/ns") + "\n"; err != nil || string(env) != line+line {
		t.Errorf("environment %q, %v", env, err)
	}
	p.write("x", `{"name": "ask", "type": "ask", "args": {"org.apache.mesos": {}}}`)
	if err := p.Attach("c1", []*mesos.NetworkInfo{info}, ""); err == nil || !strings.Contains(err.Error(), "It is reserved by Mesos") {
		t.Errorf("reserved argument: %v", err)
	}
}

// After the machine was started again there are no namespaces, and plugins are
// still told to give back what they hold.
func TestDetachWithoutNamespace(t *testing.T) {
	p := newPlace(t)
	p.write("x", strings.Replace(bridge, `"ipMasq": true,`, "", 1))
	at := p.attach("c1", "net1")
	if err := unmount(at.Namespace); err != nil {
		t.Fatal(err)
	}
	p.detach("c1")
}

// attachAndWait is the life of an agent that is killed.
func attachAndWait(dir string) {
	n, err := New(placeConfig(dir))
	if err == nil {
		err = n.Attach("c1", []*mesos.NetworkInfo{{Name: new("net1")}}, "")
	}
	fmt.Println("attached", err)
	select {}
}

// An agent that is killed while a plugin runs leaves the plugin running. The next
// one waits for it, and undoes what it did.
func TestKilledWhileAttaching(t *testing.T) {
	p := newPlace(t)
	p.plugin("slow", `touch `+p.dir+`/began; [ $CNI_COMMAND = ADD ] && while [ ! -e `+p.dir+`/go ]; do sleep 0.01; done; exec `+plugins+`/bridge`)
	p.write("x", strings.Replace(bridge, `"type": "bridge"`, `"type": "slow"`, 1))
	agent := exec.Command("/proc/self/exe")
	agent.Env = append(os.Environ(), attachVar+"="+p.dir)
	agent.Stderr = os.Stderr
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, filepath.Join(p.dir, "began"))
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.Wait()
	done := make(chan error, 1)
	next := p.again()
	go func() { done <- next.Recover(func(ids.ContainerID) bool { return false }) }()
	if err := os.WriteFile(filepath.Join(p.dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not come", path)
		}
	}
}

// An agent that is killed later finds what it had, and keeps what still runs.
func TestKilledAfterAttaching(t *testing.T) {
	p := newPlace(t)
	p.write("x", bridge)
	agent := exec.Command("/proc/self/exe")
	agent.Env = append(os.Environ(), attachVar+"="+p.dir)
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "attached <nil>\n" {
		t.Errorf("%q, %v", line, err)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	agent.Wait()
	next := p.again()
	if err := next.Recover(func(id ids.ContainerID) bool { return id == "c1" }); err != nil {
		t.Fatal(err)
	}
	at := next.Of("c1")
	if at == nil {
		t.Fatal("the container is forgotten")
	}
	p.talk(at, net.JoinHostPort(address(t, at, 0), "80"), "80")
	if err := next.Recover(func(ids.ContainerID) bool { return false }); err != nil {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	none, err := New(Config{Root: "/no/such"})
	if err != nil {
		t.Fatal(err)
	}
	if err := none.Attach("c1", []*mesos.NetworkInfo{{Name: new("n")}}, ""); err == nil || err.Error() != "Unknown CNI network 'n'" {
		t.Error(err)
	}
	if err := none.Recover(func(ids.ContainerID) bool { return false }); err != nil {
		t.Error(err)
	}
	if err := none.Detach("c1"); err != nil {
		t.Error(err)
	}
	for _, c := range []Config{{ConfigDir: "/etc"}, {PluginsDir: "/etc"}, {ConfigDir: "/no/such", PluginsDir: "/etc"}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestDNSText(t *testing.T) {
	d := DNS{Nameservers: []string{"1.1.1.1", "2.2.2.2\nnameserver 3.3.3.3"}}
	d.add(DNS{Nameservers: []string{"4.4.4.4"}, Domain: "x"})
	if got, want := d.text(), "domain x\nnameserver 1.1.1.1\nnameserver 4.4.4.4\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzConfig(f *testing.F) {
	for _, text := range []string{bridge, `{"name": "n", "plugins": [{"type": "a"}, {"type": "b"}]}`, `{"name": "n", "type": "mesos-cni-port-mapper", "delegate": {"type": "x"}}`, `{"name": 1}`, `{"plugins": 3, "name": "x"}`} {
		f.Add([]byte(text))
	}
	info := &mesos.NetworkInfo{Name: new("n"), Groups: []string{"g"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		config, err := parseConfig(text)
		if err != nil {
			return
		}
		n := &Networks{cfg: Config{PluginsDir: "/no/such"}}
		if n.havePlugins(config) == nil {
			t.Error("plugins are found where there are none")
		}
		told, err := withInfo(config, info)
		if err != nil {
			return
		}
		if got := networkInfo(told); got.GetName() != "n" || len(got.GetGroups()) != 1 {
			t.Errorf("%s tells %v", told, got)
		}
	})
}

func FuzzDevices(f *testing.F) {
	f.Add("Inter-|   Receive\n eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  lo: 1\neth1:1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	f.Fuzz(func(t *testing.T, table string) { parseDevices(table) })
}
