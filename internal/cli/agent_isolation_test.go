package cli

import (
	"log/slog"
	"strings"
	"testing"
)

// Without root, and without an OCI runtime, isolators of plain processes do.
func TestIsolation(t *testing.T) {
	for _, test := range []struct{ isolation, launcher, want string }{ // want "plain": plain processes; else an error
		{"posix/cpu,posix/mem", "posix", "plain"},
		{"posix/cpu, posix/rlimits,environment_secret,filesystem/posix,disk/du", "posix", "plain"},
		{"filesystem/linux,docker/runtime", "posix", "needs --launcher=oci or lxc"},
		{"posix/cpu,volume/csi", "posix", "is not built here: mount such volumes"},
		{"gpu/nvidia", "linux", "is not built here"},
		{"posix/cpus", "oci", "unknown isolator"},
	} {
		f := newAgentFlags()
		if _, err := f.Set.Parse([]string{"--isolation=" + test.isolation, "--launcher=" + test.launcher, "--master=x:1", "--work_dir=/x"}, nil); err != nil {
			t.Fatal(err)
		}
		l, err := f.Isolation.open(f.Set, t.TempDir(), "", nil, slog.New(slog.DiscardHandler))
		switch {
		case test.want == "plain" && (l != nil || err != nil):
			t.Errorf("%s: %v, %v", test.isolation, l, err)
		case test.want != "plain" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", test.isolation, err, test.want)
		}
	}
}

// TestCgroupDriver: systemd makes control groups for who can let it, where it is.
func TestCgroupDriver(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+t.TempDir()+"/none")
	for _, test := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--launcher=posix"}, "needs --launcher=oci"},
		{nil, "needs --launcher=oci"},
		{[]string{"--launcher=posix", "--isolation=cgroups/cpu"}, "needs --launcher=oci"},
		{[]string{"--launcher=lxc"}, "needs --launcher=oci"},
	} {
		f := newAgentFlags()
		if _, err := f.Set.Parse(append(test.flags, "--cgroup_driver=systemd", "--master=x:1", "--work_dir=/x"), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Isolation.open(f.Set, t.TempDir(), "", nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.flags, err, test.want)
		}
	}
	for _, test := range []struct {
		systemd systemdFlags
		root    string
		want    string
	}{
		{systemdFlags{false, t.TempDir()}, "mesos", "--no-systemd_enable_support"},
		{systemdFlags{true, "/no/such"}, "mesos", "has not started this machine"},
		{systemdFlags{true, t.TempDir()}, "mesos", "install and start it (Debian's package dbus)"},
		{systemdFlags{true, t.TempDir()}, "/", "names no slice"},
	} {
		f := &isolationFlags{systemd: test.systemd}
		f.Options.CgroupRoot = test.root
		if _, err := f.openSystemd(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test, err, test.want)
		}
	}
}
