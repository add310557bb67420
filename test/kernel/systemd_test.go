package kernel

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestUnderSystemd: in a machine that Debian's systemd has started, it makes the control
// groups of containers.
func TestUnderSystemd(t *testing.T) {
	if os.Getenv("MESETA_INSIDE") != "" {
		t.Skip("this is the machine")
	}
	for _, test := range []struct {
		name, options string
		tests         [][]string
	}{
		{"v2", "", [][]string{
			{launchers, "-test.run=^Test(MemoryHog|Update|Devices|PodIsHeldToItsMemory|NothingLeftOfPod|Reload)$/^crun-systemd"},
			{launchers, "-test.run=^TestReload$/^runc-systemd"},
			{whole, "-test.run=^TestPodGrows$/^crun-systemd"},
		}},
		{"v1", "systemd.unified_cgroup_hierarchy=0", [][]string{
			{launchers, "-test.run=^Test(MemoryHog|Update|TaskLimits|Reload)$/^crun-systemd"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := needMachine(t)
			root, err := cluster.Root()
			if err != nil {
				t.Fatal(err)
			}
			m.systemd, m.options = filepath.Join(root, "bin/systemd"), test.options
			if _, err := os.Stat(m.systemd); err != nil {
				cluster.Unavailable(t, "make prepare: no systemd: %v", err)
			}
			m.test(t, test.tests)
		})
	}
}
