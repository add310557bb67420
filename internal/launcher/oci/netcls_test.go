package oci

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestParseNetCls(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"", "0x1,0x2"}:        "<nil> <nil>",
		{"0x12", ""}:           "&{18 1 65535} <nil>",
		{"0x12", "0x1, 0xff"}:  "&{18 1 255} <nil>",
		{"0", ""}:              "primary_handle: \"0\" is no handle",
		{"0x10000", ""}:        "is no handle",
		{"0x1", "0x2"}:         "is no range",
		{"0x1", "0x2,0x1"}:     "there is nothing from 0x2 to 0x1",
		{"0x1", "0,0x1"}:       "is no handle",
		{"0x1", "0x1,0x2,0x3"}: "is no handle",
	} {
		got, err := ParseNetCls(in[0], in[1])
		if text := fmt.Sprint(got, " ", err); !strings.Contains(text, want) {
			t.Errorf("%q: %s, want %s", in, text, want)
		}
	}
}

// Every container has a class that no other has, until there are none left.
func TestClasses(t *testing.T) {
	c := newClasses(&NetCls{Primary: 0xa, Low: 3, High: 5}, cgroups{})
	var got []string
	take := func(id string) {
		class, err := c.take(id)
		got = append(got, fmt.Sprintf("%s:%x:%t", id, class, err == nil))
	}
	take("a")
	take("b")
	c.leave("a")
	take("c")
	take("d")
	take("e")
	c.leave("b")
	c.leave("nobody")
	take("f")
	if want := "a:a0003:true b:a0004:true c:a0005:true d:a0003:true e:0:false f:a0004:true"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestNoNetClsInVersion2(t *testing.T) {
	_, err := Isolators("cgroups/net_cls", Machine{Unified: true, Controllers: map[string]string{}})
	if err == nil || !strings.Contains(err.Error(), "needs control groups of version 1") {
		t.Errorf("%v", err)
	}
}

// inNetCls runs the test again where net_cls is mounted, in a mount namespace of
// its own, and reports whether that is here.
func inNetCls(t *testing.T) bool {
	const mark, dir = "MESETA_TEST_NET_CLS", "/sys/fs/cgroup/net_cls"
	if _, err := os.Stat(filepath.Join(dir, "net_cls.classid")); err == nil || os.Getenv(mark) != "" {
		return true
	}
	if machine, err := LookAround("/sys/fs/cgroup"); err != nil || machine.Unified {
		t.Skipf("nothing to test with control groups of version 2, which have no net_cls (%v)", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// While a hierarchy is mounted anywhere, crun makes folders for other containers
	// here, which are no groups.
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	again := exec.CommandContext(t.Context(), "/bin/sh", "-c", "mount -t cgroup -o net_cls none "+dir+` && exec "$@"`, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), mark+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v: %s", err, out)
	}
	return false
}

// On the kernel: containers' groups have the classes, an agent that comes back
// knows which are taken, and one that is free again is given again.
func TestNetCls(t *testing.T) {
	needRuntime(t, "crun")
	if !inNetCls(t) {
		return
	}
	onKernel(t, func(m *testMachine) {
		class := func() (string, func()) {
			p, spec := m.fork("exec sleep 1000", nil)
			if m.cgroups.text("net_cls", spec.ID, "cgroup.procs") == "" {
				m.t.Error("the container is not in its group")
			}
			return strconv.FormatUint(uint64(p.(interface{ NetClass() uint32 }).NetClass()), 16), func() { m.end(p) }
		}
		first, endFirst := class()
		m.Launcher = open(m.t, m.cfg) // as after a restart
		second, endSecond := class()
		if first != "aaaa0001" || second != "aaaa0002" {
			m.t.Errorf("classes %s and %s", first, second)
		}
		if _, err := m.classes.take("more"); err == nil {
			m.t.Error("there are more classes than allowed")
		}
		endFirst()
		endSecond()
	}, func(c *Config) {
		c.Isolation = append([]string{"cgroups/net_cls"}, c.Isolation...)
		c.NetCls = &NetCls{Primary: 0xaaaa, Low: 1, High: 2}
	})
}
