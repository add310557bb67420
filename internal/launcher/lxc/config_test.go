package lxc

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// tools are some that need no LXC.
func tools(t *testing.T) *Tools {
	t.Helper()
	return &Tools{Path: "/usr/bin/lxc-start", dir: t.TempDir(), init: "/init", root: "mesos"}
}

// run translates a container and returns LXC's configuration and the orders.
func run(t *testing.T, tools *Tools, c *launcher.Spec, o *oci.Options, change func(*specs.Spec)) (config, orders string, err error) {
	t.Helper()
	bundle := t.TempDir()
	s, err := oci.Build(c, bundle, o)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	if _, err := tools.Run("c", bundle, s); err != nil {
		return "", "", err
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(bundle, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return read("config"), read("orders"), nil
}

func TestConfiguration(t *testing.T) {
	source := filepath.Join(t.TempDir(), "with blank")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &launcher.Spec{
		ID: "c", Path: "/bin/sh", Args: []string{"sh"}, Env: []string{"A= b 'c'\" ", "NONE"}, Dir: "/tmp", User: &launcher.User{UID: 7, GID: 8, Groups: []uint32{9, 10}},
		Resources: launcher.Resources{CPUs: 2, Mem: 64}, Network: &launcher.Network{Hostname: "box"},
		Mounts: []launcher.Mount{{Source: source, Target: "/mnt", ReadOnly: true}},
	}
	config, orders, err := run(t, tools(t), c, &oci.Options{
		Machine: oci.Machine{Capabilities: 3}, Isolation: []string{"cgroups/cpu", "cgroups/mem", "cgroups/pids", "cgroups/devices", "linux/nnp"},
		CgroupRoot: "mesos", PidsMax: 5,
	}, func(s *specs.Spec) {
		s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 5, Hard: 1<<64 - 1}}
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(config, "\n")
	for _, want := range []string{
		`lxc.environment = "A= b 'c'" "`, `lxc.init.uid = "7"`, `lxc.init.gid = "8"`, `lxc.init.groups = "9,10"`, `lxc.init.cwd = "/tmp"`,
		`lxc.cap.keep = "none"`, `lxc.cap.keep = "chown"`, `lxc.no_new_privs = "1"`, `lxc.uts.name = "box"`, `lxc.namespace.clone = "mnt uts"`,
		`lxc.cgroup.cpu.shares = "2048"`, `lxc.cgroup.memory.limit_in_bytes = "67108864"`, `lxc.cgroup.pids.max = "5"`,
		`lxc.cgroup.devices.deny = "a *:* rwm"`, `lxc.cgroup.devices.allow = "c 1:3 rwm"`, `lxc.cgroup.devices.allow = "c *:* m"`,
		`lxc.cgroup.dir.container = "mesos/c"`, `lxc.cgroup.dir.monitor = "mesos/c.lxc"`,
		`lxc.mount.entry = "` + strings.ReplaceAll(source, " ", `\040`) + ` mnt none rbind,rprivate,nosuid,nodev,ro 0 0"`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%s is not in\n%s", want, config)
		}
	}
	for _, want := range []string{"limit 7 5 18446744073709551615\n", "mount 7 /mnt\n"} {
		if !strings.Contains(orders, want) {
			t.Errorf("%q is not in\n%s", want, orders)
		}
	}
	if strings.Contains(config, "NONE") {
		t.Error("a variable of the agent's would be passed on")
	}
}

// A hostname without a namespace for it would be the machine's.
func TestHostnameIsNotTheMachines(t *testing.T) {
	config, _, err := run(t, tools(t), &launcher.Spec{Dir: "/tmp"}, &oci.Options{}, func(s *specs.Spec) { s.Hostname = "evil" })
	if err != nil || strings.Contains(config, "uts") {
		t.Errorf("%v: %s", err, config)
	}
}

func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*specs.Spec){
		"a line break in lxc.environment":  func(s *specs.Spec) { s.Process.Env = []string{"A=b\nlxc.hook.pre-start = /evil"} },
		"a line break in lxc.mount.entry":  func(s *specs.Spec) { s.Mounts[0].Options = []string{"x\nlxc.cap.keep="} },
		"a user other than root, CAP_KILL": func(s *specs.Spec) { s.Process.User.UID = 5; s.Process.Capabilities.Ambient = []string{"CAP_KILL"} },
		"not its bounding ones":            func(s *specs.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_KILL"} },
		"a namespace of type user": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "user"})
		},
		"a resource limit RLIMIT_OTHER": func(s *specs.Spec) { s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_OTHER"}} },
		"no action like SCMP_ACT_LOG":   func(s *specs.Spec) { s.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActLog} },
		"no such file": func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{Type: "bind", Source: "/no/such", Destination: "/mnt"})
		},
	} {
		if _, _, err := run(t, tools(t), &launcher.Spec{Dir: "/tmp"}, &oci.Options{}, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	none := tools(t)
	none.init = ""
	c := &launcher.Spec{Dir: "/tmp", Board: &launcher.Board{Terminal: true}}
	if _, _, err := run(t, none, c, &oci.Options{}, nil); err == nil || !strings.Contains(err.Error(), "init.lxc.static") {
		t.Errorf("a terminal without an init: %v", err)
	}
}

func TestPolicy(t *testing.T) {
	errno := uint(2)
	got, err := policy(&specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: &errno,
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "write"}, Action: specs.ActAllow},
			{Names: []string{"never"}, Action: specs.ActErrno, ErrnoRet: &errno},
			{Names: []string{"kill"}, Action: specs.ActErrno},
			{Names: []string{"clone"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
				{Index: 0, Value: 15, ValueTwo: 3, Op: specs.OpMaskedEqual}, {Index: 1, Value: 4, Op: specs.OpNotEqual},
			}},
		},
	})
	want := "2\nallowlist errno 2\n[all]\nread allow\nwrite allow\nkill errno 1\nclone allow [0,3,SCMP_CMP_MASKED_EQ,15] [1,4,SCMP_CMP_NE]\n"
	if err != nil || string(got) != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
}

func TestFailure(t *testing.T) {
	bundle := t.TempDir()
	text := "lxc-start c 20261128091950.970 ERROR    conf - ../src/lxc/conf.c:turn_into_dependent_mounts:3955 - Invalid argument - noise\n" +
		"lxc-start c 20261128091950.971 ERROR    start - ../src/lxc/start.c:start:2197 - No such file or directory - Failed to exec \"/no\"\n" +
		"lxc-start c 20261128091950.972 ERROR    sync - ../src/lxc/sync.c:sync_wait:34 - An error occurred in another process\n"
	if err := os.WriteFile(filepath.Join(bundle, "log"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tools(t).Failure(bundle).Error(); got != `No such file or directory - Failed to exec "/no"` {
		t.Error(got)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := Find(t.Context()); err == nil || !strings.Contains(err.Error(), "install Debian's package lxc") {
		t.Errorf("without LXC: %v", err)
	}
	for version, want := range map[string]string{"4.0.6": "version 5.0 or a later one is needed", "5.0.2": "", "6.0.4": "", "what": "of version what"} {
		if err := os.WriteFile(filepath.Join(dir, "lxc-start"), []byte("#!/bin/sh\necho "+version+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		found, err := Find(t.Context())
		switch {
		case want == "" && (err != nil || found.Version != version):
			t.Errorf("version %s: %v", version, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("version %s: %v", version, err)
		}
	}
}
