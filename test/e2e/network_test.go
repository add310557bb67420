package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// cniPlugins is where Debian's package containernetworking-plugins has them.
const cniPlugins = "/usr/lib/cni"

// inNetwork runs a test in a network namespace of its own, this program again:
// bridges and firewall rules of the machine are not touched.
func inNetwork(t *testing.T, test func()) {
	t.Helper()
	if os.Getenv("E2E_INSIDE") == t.Name() {
		if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		test()
		return
	}
	t.Parallel()
	unshare, err := exec.LookPath("unshare")
	if err == nil {
		err = exec.Command(unshare, "--net", "ip", "link", "add", "b0", "type", "bridge").Run()
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(cniPlugins, "bridge"))
	}
	if err != nil {
		cluster.Unavailable(t, "no networks: run as root, with Debian's packages iproute2 and containernetworking-plugins: %v", err)
	}
	cmd := exec.Command(unshare, "--net", "--mount", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1",
		fmt.Sprintf("-launches=%d", *launches), fmt.Sprintf("-seed=%d", *seed))
	cmd.Env = append(os.Environ(), "E2E_INSIDE="+t.Name())
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("inside: %v", err)
	}
}

// networks is a folder with configurations of networks.
type networks struct{ dir string }

func newNetworks(t *testing.T) *networks {
	n := &networks{t.TempDir()}
	if err := os.Mkdir(filepath.Join(n.dir, "conf"), 0o755); err != nil {
		t.Fatal(err)
	}
	return n
}

// flags are those of an agent with these networks.
func (n *networks) flags() []string {
	return []string{"--network_cni_config_dir=" + filepath.Join(n.dir, "conf"), "--network_cni_plugins_dir=" + cniPlugins}
}

// bridge adds a network 10.77.I.0/24 with mapped ports.
func (n *networks) bridge(t *testing.T, i int) {
	t.Helper()
	text := fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "net%d", "plugins": [
		{"type": "bridge", "bridge": "br%d", "isGateway": true, "ipMasq": true, "dns": {"nameservers": ["10.77.%d.1"]},
		 "ipam": {"type": "host-local", "dataDir": %q, "subnet": "10.77.%d.0/24"}},
		{"type": "portmap", "capabilities": {"portMappings": true}}]}`, i, i, i, filepath.Join(n.dir, "ipam"), i)
	if err := os.WriteFile(filepath.Join(n.dir, "conf", fmt.Sprintf("%d.conflist", i)), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// left returns what containers have left in networks.
func (n *networks) left() error {
	var left []string
	found, _ := filepath.Glob(filepath.Join(n.dir, "ipam/*/10.*"))
	left = append(left, found...)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), "/isolators/network/cni") {
		left = append(left, "a mount")
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if strings.HasPrefix(i.Name, "veth") {
			left = append(left, "interface "+i.Name)
		}
	}
	rules, err := exec.Command("iptables", "-w", "-t", "nat", "-S").Output()
	if err != nil {
		return err
	}
	for rule := range strings.Lines(string(rules)) {
		if strings.Contains(rule, "10.77.") || strings.Contains(rule, "CNI-DN-") {
			left = append(left, rule)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %q", left)
	}
	return nil
}

// inNetworks returns a task's container that joins networks.
func inNetworks(names ...string) J {
	var infos []J
	for _, name := range names {
		infos = append(infos, J{"name": name})
	}
	return J{"type": "MESOS", "mesos": J{}, "network_infos": infos}
}

// TestNetworks runs tasks in networks of their own, which are added while the
// agent runs, and kills the agent.
func TestNetworks(t *testing.T) {
	inNetwork(t, func() {
		n := newNetworks(t)
		eachRuntimeWith(t, n.flags(), func(t *testing.T, c *containers) {
			s := cluster.Subscribe(t, c.Master, durable("netizen"))
			offer := s.AwaitOffer()
			lost := cluster.Task(offer, "lost", "true")
			lost["container"] = inNetworks("nowhere")
			s.Launch(offer, 0, lost)
			if got := s.AwaitState("lost", "TASK_FAILED").Text("message"); got != "Failed to launch container: Unknown CNI network 'nowhere'" {
				t.Errorf("message %q", got)
			}
			n.bridge(t, 1)
			n.bridge(t, 2)
			offer = s.AwaitOffer()
			two := cluster.Task(offer, "two", "ls /sys/class/net; cat /etc/hosts /etc/hostname /etc/resolv.conf; hostname; exec sleep 1000")
			two["container"] = inNetworks("net1", "net2")
			two["container"].(J)["hostname"] = "two.example"
			two["container"].(J)["network_infos"].([]J)[0]["port_mappings"] = []J{{"host_port": 31000, "container_port": 80, "protocol": "tcp"}}
			s.Launch(offer, 0, two)
			infos := s.AwaitState("two", "TASK_RUNNING").List("container_status.network_infos")
			if len(infos) != 2 || infos[0].Text("name") != "net1" || infos[1].Text("name") != "net2" || infos[0].List("port_mappings")[0].Number("host_port") != 31000 {
				t.Fatalf("network_infos %v", infos)
			}
			ip := infos[0].List("ip_addresses")[0]
			if ip.Text("protocol") != "IPv4" || !strings.HasPrefix(ip.Text("ip_address"), "10.77.1.") {
				t.Errorf("address %v", ip)
			}
			want := fmt.Sprintf("eth0\neth1\nlo\n127.0.0.1 localhost\n%s two.example\ntwo.examplenameserver 10.77.1.1\nnameserver 10.77.2.1\ntwo.example\n", ip.Text("ip_address"))
			cluster.Eventually(t, soon, func() error {
				if got := c.output("two"); got != want {
					return fmt.Errorf("the task sees %q, want %q", got, want)
				}
				return nil
			})
			c.agent.Kill9()
			c.agent.Restart(t)
			cluster.Eventually(t, soon, func() error { return reconciled(s, "two", "TASK_RUNNING") })
			cluster.Eventually(t, soon, func() error {
				reply, err := cluster.Get(c.agent.URL + "/containers")
				if err != nil || reply.Status != 200 {
					return fmt.Errorf("/containers: %d, %w", reply.Status, err)
				}
				rows := reply.JSON().List("")
				if len(rows) != 1 || len(rows[0].List("status.network_infos")) != 2 || rows[0].At("statistics.net_rx_packets") == nil {
					return fmt.Errorf("/containers says %v", rows)
				}
				return nil
			})
			s.Kill("two")
			if got := s.AwaitState("two", "TASK_KILLED").List("container_status.network_infos"); len(got) != 2 {
				t.Errorf("network_infos after the agent's restart: %v", got)
			}
			s.Teardown()
			c.checkNothingLeft(t)
			cluster.Eventually(t, 3*soon, n.left)
		})
	})
}

// TestPodNetwork: the tasks of a pod share its networks.
func TestPodNetwork(t *testing.T) {
	inNetwork(t, func() {
		n := newNetworks(t)
		n.bridge(t, 1)
		eachRuntimeWith(t, n.flags(), func(t *testing.T, c *containers) {
			s := cluster.Subscribe(t, c.Master, durable("pods"))
			offer := s.AwaitOffer()
			look := "cat /etc/hostname; readlink /proc/self/ns/net; echo $MESOS_CONTAINER_IP; exec sleep 1000"
			s.Accept(offer, 0, J{"type": "LAUNCH_GROUP", "launch_group": J{
				"executor": J{
					"type": "DEFAULT", "executor_id": J{"value": "pod"}, "framework_id": J{"value": s.ID}, "container": inNetworks("net1"),
					"resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}}),
				},
				"task_group": J{"tasks": []J{cluster.Task(offer, "a", look), cluster.Task(offer, "b", look)}},
			}})
			awaitAll(t, s, "TASK_RUNNING", "a", "b")
			cluster.Eventually(t, soon, func() error {
				a, b := taskOutput(t, c.agent, "pod", "a"), taskOutput(t, c.agent, "pod", "b")
				if a != b || strings.Count(a, "\n") != 2 || !strings.Contains(a, "\n10.77.1.") {
					return fmt.Errorf("the tasks see %q and %q", a, b)
				}
				return nil
			})
			c.agent.Kill9()
			c.agent.Restart(t)
			s.Kill("a")
			status := s.AwaitState("a", "TASK_KILLED")
			if got := status.List("container_status.network_infos"); len(got) != 1 || got[0].Text("name") != "net1" {
				t.Errorf("network_infos %v", got)
			}
			s.Teardown()
			c.checkNothingLeft(t)
			cluster.Eventually(t, 3*soon, n.left)
		})
	})
}

// TestPorts: a task that listens at a port that it was not given is ended; one that
// has it is not.
func TestPorts(t *testing.T) {
	inNetwork(t, func() {
		if _, err := os.Stat("/bin/busybox"); err != nil {
			cluster.Unavailable(t, "no busybox: %v", err)
		}
		flags := []string{"--isolation=cgroups/mem,network/ports", "--enforce_container_ports", "--container_ports_watch_interval=50ms"}
		eachRuntimeWith(t, flags, func(t *testing.T, c *containers) {
			s := cluster.Subscribe(t, c.Master, durable("listener"))
			offer := s.AwaitOffer()
			good, bad := cluster.Task(offer, "good", "exec /bin/busybox nc -l -p 31001"), cluster.Task(offer, "bad", "exec /bin/busybox nc -l -p 31002")
			good["resources"] = append(cluster.Resources(0.1, 32), J{"name": "ports", "type": "RANGES", "ranges": J{"range": []J{{"begin": 31001, "end": 31001}}}})
			s.Launch(offer, 0, good, bad)
			status := s.AwaitState("bad", "TASK_FAILED")
			if status.Text("reason") != "REASON_CONTAINER_LIMITATION" || !strings.HasSuffix(status.Text("message"), " is listening on unallocated port(s): [31002-31002]") {
				t.Errorf("%v", status)
			}
			if got := status.List("limitation.resources"); len(got) != 1 || got[0].Text("name") != "ports" || got[0].List("ranges.range")[0].Number("begin") != 31002 {
				t.Errorf("limitation %v", got)
			}
			s.AwaitState("good", "TASK_RUNNING")
			cluster.Eventually(t, soon, func() error { return reconciled(s, "good", "TASK_RUNNING") })
			s.Teardown()
			c.checkNothingLeft(t)
		})
	})
}

// TestImageNetwork: a container with a root of its own sees the files of its network.
func TestImageNetwork(t *testing.T) {
	inNetwork(t, func() {
		n := newNetworks(t)
		n.bridge(t, 1)
		eachRoot(t, func(t *testing.T, runtime string) { imageNetwork(t, n, runtime) })
	})
}

func imageNetwork(t *testing.T, n *networks, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	agent := withImages(t, c.Master, runtime, n.flags()...)
	s := cluster.Subscribe(t, c.Master, durable("images"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "task", "cat /etc/hosts /etc/resolv.conf; hostname; ls /sys/class/net")
	task["container"] = boxed("box:1")
	task["container"].(J)["network_infos"] = []J{{"name": "net1"}}
	task["container"].(J)["hostname"] = "boxed"
	s.Launch(offer, 0, task)
	ip := s.AwaitState("task", "TASK_FINISHED").List("container_status.network_infos")[0].List("ip_addresses")[0].Text("ip_address")
	want := fmt.Sprintf("127.0.0.1 localhost\n%s boxed\nnameserver 10.77.1.1\nboxed\neth0\nlo\n", ip)
	if got := sandboxText(t, agent, "task", "stdout"); got != want {
		t.Errorf("stdout %q, want %q; stderr %q", got, want, sandboxText(t, agent, "task", "stderr"))
	}
	s.Teardown()
	unmounted(t, agent.WorkDir)
	cluster.Eventually(t, 3*soon, n.left)
}
