package lxc

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// config is LXC's configuration of a container while it is being written: lines of
// a key and a value. What is wrong with one is told at the end.
type config struct {
	lines, first, mounts bytes.Buffer // the latter two are orders to the shim
	wrong                error
}

// set adds a line. LXC takes one pair of quotes around a value away, and blanks when
// there are none; but the end of a line is the end of a value.
func (c *config) set(key, value string) {
	if strings.ContainsAny(value, "\n\x00") {
		c.fail("a line break in %s %.40q, which LXC's configuration cannot have", key, value)
		return
	}
	fmt.Fprintf(&c.lines, "%s = \"%s\"\n", key, value)
}

func (c *config) fail(format string, args ...any) {
	c.wrong = errors.Join(c.wrong, fmt.Errorf(format, args...))
}

func (c *config) text() ([]byte, error) { return c.lines.Bytes(), c.wrong }

// orders are what the shim does to the process when LXC is through.
func (c *config) orders() []byte { return append(c.first.Bytes(), c.mounts.Bytes()...) }

// common is what is set for every process that lxc-start starts.
func (c *config) common(p *specs.Process, groups, monitor string) {
	c.set("lxc.console.path", "none")
	c.set("lxc.tty.max", "0")
	c.set("lxc.monitor.signal.pdeath", "0")
	c.set("lxc.keyring.session", "0")
	c.set("lxc.apparmor.profile", "unconfined") // as with a runtime; else that of lxc-start would stay
	c.set("lxc.cgroup.dir.container", groups)
	c.set("lxc.cgroup.dir.monitor", monitor)
	c.set("lxc.init.cwd", p.Cwd)
	c.set("lxc.init.uid", strconv.FormatUint(uint64(p.User.UID), 10))
	c.set("lxc.init.gid", strconv.FormatUint(uint64(p.User.GID), 10))
	if groups := p.User.AdditionalGids; len(groups) > 0 {
		c.set("lxc.init.groups", strings.Trim(strings.ReplaceAll(fmt.Sprint(groups), " ", ","), "[]"))
	}
	for _, v := range p.Env {
		if strings.Contains(v, "=") { // else LXC gives its own variable of that name
			c.set("lxc.environment", v)
		}
	}
}

// rights are the capabilities of a process and its limits. LXC can take rights away
// for good; root has what is left.
func (c *config) rights(p *specs.Process) {
	caps := p.Capabilities
	switch {
	case p.User.UID != 0 && len(caps.Ambient) > 0:
		c.fail("capabilities for a user other than root, %s, which LXC cannot give", strings.Join(caps.Ambient, ", "))
	case p.User.UID == 0 && !same(caps.Effective, caps.Bounding):
		c.fail("effective capabilities of root that are not its bounding ones, which LXC cannot give")
	}
	c.set("lxc.cap.keep", "none")
	for _, name := range caps.Bounding {
		c.set("lxc.cap.keep", strings.ToLower(strings.TrimPrefix(name, "CAP_")))
	}
	if p.NoNewPrivileges {
		c.set("lxc.no_new_privs", "1")
	}
	if p.OOMScoreAdj != nil {
		c.set("lxc.proc.oom_score_adj", strconv.Itoa(*p.OOMScoreAdj))
	}
	for _, r := range p.Rlimits {
		what, ok := launcher.RlimitNumber(r.Type)
		if !ok {
			c.fail("a resource limit %s", r.Type)
		}
		// Not by LXC: what it does itself would have to keep within it.
		fmt.Fprintf(&c.first, "limit %d %d %d\n", what, r.Soft, r.Hard)
	}
}

func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// kinds are LXC's names of namespaces.
var kinds = map[specs.LinuxNamespaceType]string{
	specs.MountNamespace: "mnt", specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc", specs.NetworkNamespace: "net",
	specs.UTSNamespace: "uts", specs.CgroupNamespace: "cgroup",
}

// namespaces makes those that have no path and joins the others.
func (c *config) namespaces(s *specs.Spec) {
	var fresh []string
	for _, n := range s.Linux.Namespaces {
		kind, ok := kinds[n.Type]
		switch {
		case !ok:
			c.fail("a namespace of type %s", n.Type)
		case n.Path == "":
			fresh = append(fresh, kind)
		default:
			c.set("lxc.namespace.share."+kind, n.Path)
		}
	}
	c.set("lxc.namespace.clone", strings.Join(fresh, " "))
	if s.Hostname != "" && slices.Contains(fresh, "uts") { // else it would be the machine's
		c.set("lxc.uts.name", s.Hostname)
	}
}

// share joins the namespaces of a container that runs, and makes none.
func (c *config) share(in *inside) {
	keep := []string{"user", "time"}
	for _, kind := range slices.Sorted(maps.Values(kinds)) {
		if path := in.path(kind); path != "" {
			c.set("lxc.namespace.share."+kind, path)
		} else {
			keep = append(keep, kind)
		}
	}
	c.set("lxc.namespace.keep", strings.Join(keep, " "))
	c.set("lxc.autodev", "0")
	c.set("lxc.pty.max", "0")
	if in.path("pts") != "" { // LXC takes one away, since it has made none
		c.mount(specs.Mount{Source: "/dev/pts", Destination: "/dev/pts", Type: "bind", Options: []string{"bind"}})
	}
}

// join has a process be in the groups of a container.
func (c *config) join(m oci.Machine, groups string) {
	for _, dir := range m.Hierarchies {
		file := filepath.Join(dir, groups, oci.Leaf, "cgroup.procs")
		if _, err := os.Stat(file); err != nil {
			file = filepath.Join(dir, groups, "cgroup.procs")
		}
		if _, err := os.Stat(file); err == nil {
			fmt.Fprintf(&c.first, "group %s\n", file)
		}
	}
}

// keyOf returns LXC's key for a setting of a control group.
func keyOf(s oci.Setting, unified bool) string {
	if unified {
		return "lxc.cgroup2." + s.File
	}
	return "lxc.cgroup." + s.File
}
