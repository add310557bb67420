package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestUserNamespaces: with the isolator a task that is root is nobody on the
// machine, and so is one of a pod, and a session in it.
func TestUserNamespaces(t *testing.T) {
	t.Parallel()
	const first = 1879048192
	flags := []string{"--isolation=cgroups/cpu,cgroups/mem,namespaces/pid,namespaces/ipc,linux/capabilities,namespaces/user", fmt.Sprintf("--user_namespace_ids=%d-%d", first, first+65535)}
	eachOCIRuntimeWith(t, flags, func(t *testing.T, c *containers) {
		c.openToAll(t)
		s := cluster.Subscribe(t, c.Master, durable("users"))
		const script = "id -u >who; echo $$ >pid; exec sleep 1000"
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, "t", script))
		container := s.AwaitState("t", "TASK_RUNNING").At("container_status.container_id")
		offer = s.AwaitOffer()
		launchPod(s, offer, "pod", cluster.Task(offer, "p", script))
		s.AwaitState("p", "TASK_RUNNING")
		for _, pattern := range []string{"executors/t/runs/latest/who", "executors/pod/runs/latest/tasks/p/who"} {
			var files []string
			cluster.Eventually(t, soon, func() error {
				files, _ = filepath.Glob(filepath.Join(c.agent.WorkDir, "slaves/*/frameworks/*", pattern))
				if len(files) != 1 {
					return fmt.Errorf("%d files %s", len(files), pattern)
				}
				return nil
			})
			info, err := os.Stat(files[0])
			if err != nil {
				t.Fatal(err)
			}
			cluster.Eventually(t, soon, func() error {
				if text, err := os.ReadFile(files[0]); string(text) != "0\n" {
					return fmt.Errorf("user %q, %w", text, err)
				}
				return nil
			})
			if uid := info.Sys().(*syscall.Stat_t).Uid; uid != first {
				t.Errorf("%s is of user %d on the machine", pattern, uid)
			}
		}
		out := cluster.OpenSession(t, c.agent, J{"value": "look", "parent": container}, "id -u; cat /proc/self/uid_map", false)
		if err := out.End(); err != nil || !strings.HasPrefix(out.Text(), "0\n") || !strings.Contains(out.Text(), strconv.Itoa(first)) {
			t.Errorf("a session: %q, %v", out.Text(), err)
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestUserNamespacesNetwork: a task in a user namespace joins a network all the
// same, reaches the machine through it, and cannot change it.
func TestUserNamespacesNetwork(t *testing.T) {
	inNetwork(t, func() {
		n := newNetworks(t)
		n.bridge(t, 1)
		n.bridge(t, 2)
		flags := append(n.flags(), "--isolation=cgroups/cpu,cgroups/mem,namespaces/pid,namespaces/user,network/cni")
		eachOCIRuntimeWith(t, flags, func(t *testing.T, c *containers) {
			c.openToAll(t)
			listener, err := net.Listen("tcp4", ":0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			s := cluster.Subscribe(t, c.Master, durable("users"))
			offer := s.AwaitOffer()
			port := listener.Addr().(*net.TCPAddr).Port
			task := cluster.Task(offer, "t", fmt.Sprintf(`ls /sys/class/net; grep -c : /proc/net/dev; ip link set eth0 down || echo mine no more
				bash -c "id -u >/dev/tcp/10.77.1.1/%d"; exec sleep 1000`, port))
			task["container"] = inNetworks("net1", "net2")
			s.Launch(offer, 0, task)
			status := s.AwaitState("t", "TASK_RUNNING")
			conn, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			said, err := io.ReadAll(conn)
			ip := status.List("container_status.network_infos")[0].List("ip_addresses")[0].Text("ip_address")
			if from, _, _ := net.SplitHostPort(conn.RemoteAddr().String()); string(said) != "0\n" || from != ip {
				t.Errorf("user %q, %v, calls from %s, and its status says %s", said, err, from, ip)
			}
			container := status.At("container_status.container_id")
			out := cluster.OpenSession(t, c.agent, J{"value": "look", "parent": container}, "ls /sys/class/net; cat /proc/net/dev | grep -c :", false)
			if err := out.End(); err != nil || out.Text() != "eth0\neth1\nlo\n3\n" {
				t.Errorf("a session: %q, %v", out.Text(), err)
			}
			if got := c.output("t"); got != "eth0\neth1\nlo\n3\nmine no more\n" {
				t.Errorf("the task sees %q", got)
			}
			offer = s.AwaitOffer()
			s.Accept(offer, 0, J{"type": "LAUNCH_GROUP", "launch_group": J{
				"executor": J{
					"type": "DEFAULT", "executor_id": J{"value": "pod"}, "framework_id": J{"value": s.ID}, "container": inNetworks("net1"),
					"resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}}),
				},
				"task_group": J{"tasks": []J{cluster.Task(offer, "p", "grep -c : /proc/net/dev; exec sleep 1000")}},
			}})
			s.AwaitState("p", "TASK_RUNNING")
			cluster.Eventually(t, soon, func() error {
				if got := taskOutput(t, c.agent, "pod", "p"); got != "2\n" {
					return fmt.Errorf("a task of a pod sees %q", got)
				}
				return nil
			})
			s.Teardown()
			c.checkNothingLeft(t)
			cluster.Eventually(t, 3*soon, n.left)
		})
	})
}

// openToAll lets everybody pass to the work folder: a test's own folders let
// nobody.
func (c *containers) openToAll(t *testing.T) {
	t.Helper()
	for dir := c.agent.WorkDir; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
