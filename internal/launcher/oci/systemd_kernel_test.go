package oci_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

// onSystemd is onRuntimes where systemd makes groups.
func onSystemd(t *testing.T, test func(m *testMachine)) {
	t.Helper()
	all := slices.DeleteFunc(slices.Clone(runtimes), func(name string) bool { return !strings.HasSuffix(name, underSystemd) })
	if len(all) == 0 {
		t.Skip("systemd has not started this machine; test/kernel has one that it has")
	}
	skip.UnlessRoot(t)
	on(t, all, test, nil)
}

func systemctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("systemctl %s: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestReload: systemd knows what a container may use, and does not set it otherwise when
// it looks at its units again.
func TestReload(t *testing.T) {
	onSystemd(t, func(m *testMachine) {
		p, spec := m.fork("exec sleep 1000", nil)
		defer m.end(p)
		inner, _ := m.fork("exec sleep 1000", in(spec.ID, func(s *launcher.Spec) { s.Resources = launcher.Resources{CPUs: 0.5, Mem: 48} }))
		defer m.end(inner)
		if err := p.Update(launcher.Resources{CPUs: 2, Mem: 128}); err != nil {
			t.Fatal(err)
		}
		systemctl(t, "daemon-reload")
		if limit, within := m.MemoryLimit(spec.ID), m.MemoryLimit(spec.ID+".k2"); limit != 128<<20 || within != 48<<20 {
			t.Errorf("%d bytes, and %d for the one in it", limit, within)
		}
		unit := strings.ReplaceAll(m.Config().CgroupRoot, "-", "_") + "-" + spec.ID
		for _, name := range []string{unit + ".slice", unit + ".scope", unit + "-k2.slice", unit + "-k2.scope"} {
			if state := systemctl(t, "show", "--property=ActiveState", "--value", name); state != "active" {
				t.Errorf("%s is %s", name, state)
			}
		}
		if text := ofProcess(t, p.First(), "cgroup"); !strings.Contains(text, "/"+unit+".slice/"+unit+".scope\n") {
			t.Errorf("it is in %s", text)
		}
		m.prints("echo on", "on", in(spec.ID, nil))
	})
}
