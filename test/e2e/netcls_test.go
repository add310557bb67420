package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// inNetCls runs the test again where net_cls is mounted, in a mount namespace of
// its own. No test runs beside it: a hierarchy that is mounted anywhere is seen by
// all programs that look at control groups, and some take offence.
func inNetCls(t *testing.T, test func()) {
	t.Helper()
	const mark, dir = "E2E_NET_CLS", "/sys/fs/cgroup/net_cls"
	if os.Getenv(mark) != "" {
		test()
		return
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		t.Skip("control groups of version 2 have no net_cls: there is nothing to test")
	}
	script := func(text string, args ...string) (string, error) {
		c := exec.Command("unshare", append([]string{"--mount", "/bin/sh", "-c", text, dir}, args...)...)
		c.Env = append(os.Environ(), mark+"=1")
		out, err := c.CombinedOutput()
		return string(out), err
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		_, err = script(`mount -t cgroup -o net_cls none "$0"`)
	}
	if err != nil {
		cluster.Unavailable(t, "no net_cls: run as root, on a kernel with CONFIG_CGROUP_NET_CLASSID: %v", err)
	}
	t.Cleanup(func() {
		// The kernel keeps a hierarchy whose last mount went while groups were still
		// being destroyed: then it takes another mount to let go of it.
		if out, err := script(`for i in $(seq 100); do grep -q '^net_cls[[:space:]]0[[:space:]]' /proc/cgroups && exit
			mount -t cgroup -o net_cls none "$0" && umount "$0"; sleep 0.1; done; exit 1`); err != nil {
			t.Errorf("net_cls stays: %v: %s", err, out)
		}
		// Nothing is mounted here now. What is in it crun made for other containers of the
		// machine, if there were some, and they are no groups.
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	out, err := script(`mount -t cgroup -o net_cls none "$0" && exec "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("inside: %v", err)
	}
}

// TestNetCls: each container's packets are in a class of its own, also after the
// agent's restart, as long as there are some.
func TestNetCls(t *testing.T) {
	inNetCls(t, func() {
		flags := []string{"--isolation=cgroups/cpu,cgroups/mem,cgroups/net_cls,namespaces/pid", "--cgroups_net_cls_primary_handle=0xAAAA", "--cgroups_net_cls_secondary_handles=0x1,0x2"}
		eachOCIRuntimeWith(t, flags, func(t *testing.T, c *containers) {
			s := cluster.Subscribe(t, c.Master, durable("classes"))
			launch := func(id, state string) cluster.Value {
				offer := s.AwaitOffer()
				s.Launch(offer, 0, cluster.Task(offer, id, "exec sleep 1000"))
				return s.AwaitState(id, state)
			}
			classes := func() error {
				procs, _ := filepath.Glob("/sys/fs/cgroup/net_cls/" + c.root + "/*/cgroup.procs")
				for _, file := range procs {
					if text, err := os.ReadFile(file); err != nil || len(text) == 0 {
						return fmt.Errorf("%s: nobody is in it, %w", file, err)
					}
				}
				reply, err := cluster.Get(c.agent.URL + "/containers")
				if err != nil || len(procs) != 2 || !strings.Contains(reply.Body, strconv.Itoa(0xaaaa0001)) || !strings.Contains(reply.Body, strconv.Itoa(0xaaaa0002)) {
					return fmt.Errorf("%d groups, %w, %s", len(procs), err, reply.Body)
				}
				return nil
			}
			launch("a", "TASK_RUNNING")
			for _, event := range s.Events() {
				if status := event.Get("update.status"); status.Text("task_id.value") == "a" && class(status) != 0xaaaa0001 {
					t.Errorf("the status says that packets are in class %x: %v", class(status), status)
				}
			}
			c.agent.Kill9()
			c.agent.Restart(t)
			cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.agent) })
			launch("b", "TASK_RUNNING")
			cluster.Eventually(t, soon, classes)
			if got := launch("none", "TASK_FAILED").Text("message"); !strings.Contains(got, "all 2 handles of --cgroups_net_cls_secondary_handles are in use") {
				t.Errorf("message %q", got)
			}
			s.Kill("a")
			if got := class(s.AwaitState("a", "TASK_KILLED")); got != 0xaaaa0001 {
				t.Errorf("after the agent's restart, the status says that packets are in class %x", got)
			}
			launch("c", "TASK_RUNNING")
			cluster.Eventually(t, soon, classes)
			s.Teardown()
			c.checkNothingLeft(t)
		})
	})
}

// class returns the class that a status says that packets are in, 0 for none.
func class(status cluster.Value) int {
	n, err := strconv.Atoi(status.Text("container_status.cgroup_info.net_cls.classid"))
	if err != nil {
		return 0
	}
	return n
}

// TestNetClsOfPods: the tasks of a pod are in the pod's class, but for those that do not
// share its groups: each of these has one of its own, and an agent that was killed knows
// whose it is.
func TestNetClsOfPods(t *testing.T) {
	inNetCls(t, func() {
		flags := []string{"--isolation=cgroups/cpu,cgroups/mem,cgroups/net_cls,namespaces/pid", "--cgroups_net_cls_primary_handle=0xAAAA", "--cgroups_net_cls_secondary_handles=0x1,0x4"}
		eachOCIRuntimeWith(t, flags, func(t *testing.T, c *containers) {
			s := cluster.Subscribe(t, c.Master, durable("classes"))
			own := J{"share_cgroups": false}
			launch := func(pod string, linux J, task string) int {
				offer := s.AwaitOffer()
				launchPod(s, offer, pod, withMemory(inContainer(cluster.Task(offer, task, "exec sleep 1000"), linux), 32))
				return class(s.AwaitState(task, "TASK_RUNNING"))
			}
			for i, got := range []int{launch("shares", J{}, "a"), launch("shares", J{}, "b"), launch("owns", own, "c"), launch("owns", own, "d")} {
				if want := []int{0xaaaa0001, 0xaaaa0001, 0xaaaa0003, 0xaaaa0004}[i]; got != want {
					t.Errorf("the status of %c says that packets are in class %x, not %x", 'a'+i, got, want)
				}
			}
			c.agent.Kill9()
			c.agent.Restart(t)
			cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.agent) })
			s.Kill("c")
			if got := class(s.AwaitState("c", "TASK_KILLED")); got != 0xaaaa0003 {
				t.Errorf("after the agent's restart, the status says that packets are in class %x", got)
			}
			cluster.Eventually(t, soon, func() error { // a task's end is told before its group is gone
				if classes, _ := filepath.Glob("/sys/fs/cgroup/net_cls/" + c.root + "/*/mesos/*/net_cls.classid"); len(classes) != 3 {
					return fmt.Errorf("there are %q", classes)
				}
				return nil
			})
			if got := launch("owns", own, "e"); got != 0xaaaa0003 {
				t.Errorf("the only class that is free is not %x", got)
			}
			s.Teardown()
			c.checkNothingLeft(t)
		})
	})
}
