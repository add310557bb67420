package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestUnits: what units are called, and where their groups are.
func TestUnits(t *testing.T) {
	for _, test := range []struct{ root, id, unit, path string }{
		{"mesos", "4f-5e", "mesos-4f_5e", "mesos.slice/mesos-4f_5e.slice"},
		{"/mesos/", "a.b-c", "mesos-a-b_c", "mesos.slice/mesos-a.slice/mesos-a-b_c.slice"},
		{"of/two-parts", "a", "of-two_parts-a", "of.slice/of-two_parts.slice/of-two_parts-a.slice"},
		{"mesos", "a_b:c@d", `mesos-a\x5fb\x3ac\x40d`, `mesos.slice/mesos-a\x5fb\x3ac\x40d.slice`},
		{"mesos", "", "mesos", "mesos.slice"},
	} {
		unit := unitOf(test.root, test.id)
		if path := slicePath(unit); unit != test.unit || path != test.path {
			t.Errorf("%s in %s: unit %s, group %s; want %s, %s", test.id, test.root, unit, path, test.unit, test.path)
		}
	}
}

// TestPlace: a container's limits are not its runtime's to set but those of its slice.
func TestPlace(t *testing.T) {
	limits := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20)), Reservation: new(int64(32 << 20)), Swap: new(int64(-1))},
		CPU:    &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(33_333)), Period: new(uint64(100_000))},
		Pids:   &specs.LinuxPids{Limit: new(int64(0))},
	}
	s := &specs.Spec{Linux: &specs.Linux{Resources: limits}}
	g := cgroups{root: "of/two", systemd: &Systemd{}}
	if got := g.place("a.b", s); got != limits || s.Linux.Resources.Memory != nil || s.Linux.Resources.CPU != nil || *s.Linux.Resources.Pids.Limit != mostPids {
		t.Errorf("the runtime sets %+v, systemd %+v", s.Linux.Resources, got)
	}
	if want := "of-two-a-b.slice:of:two-a-b"; s.Linux.CgroupsPath != want || g.own("a.b")[0] != g.of("a.b")+"/of-two-a-b.scope" {
		t.Errorf("groups are %s and %s", s.Linux.CgroupsPath, g.own("a.b"))
	}
	for unified, want := range map[bool]string{
		true:  "CPUWeight=20 CPUQuotaPerSecUSec=340000 MemoryLow=33554432 MemoryMax=67108864 MemorySwapMax=18446744073709551615 TasksMax=0",
		false: "CPUShares=512 CPUQuotaPerSecUSec=340000 MemoryLimit=67108864 TasksMax=0",
	} {
		var got []string
		for _, p := range properties(Settings(limits, unified)) {
			got = append(got, fmt.Sprintf("%s=%v", p.Name, p.Value.Value()))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("version 2 %t: %s; want %s", unified, text, want)
		}
	}
}

// TestUseSystemd: a runtime says whether it knows systemd.
func TestUseSystemd(t *testing.T) {
	for _, test := range []struct {
		version, help string
		knows         bool
	}{
		{"crun version 1\nspec: 1.0.0\n+SYSTEMD +SECCOMP", "  --systemd-cgroup", true},
		{"crun version 1\nspec: 1.0.0\n+SECCOMP", "  --systemd-cgroup", false}, // built without
		{"runc version 1", "  --systemd-cgroup", true},
		{"other version 1", "  --root", false},
	} {
		path := filepath.Join(t.TempDir(), "runtime")
		script := fmt.Sprintf("#!/bin/sh\ncase $1 in --version) echo '%s' ;; --help) echo '%s' ;; esac\n", test.version, test.help)
		if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		runtime, err := FindRuntime(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if err := runtime.UseSystemd(t.Context()); runtime.Systemd != test.knows || test.knows == (err != nil) || err != nil && !strings.Contains(err.Error(), "--oci_runtime") {
			t.Errorf("%s: %t, %v", test.version, runtime.Systemd, err)
		}
	}
}
