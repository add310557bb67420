package kernel

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

const agents = "./test/e2e"

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
			{launchers, "-test.run=^Test(MemoryHog|Update|Devices|PodIsHeldToItsMemory|OwnLimitInPod|NothingLeftOfPod|Reload)$/^crun-systemd"},
			{launchers, "-test.run=^TestSuite$/^crun-systemd/^(exec|adopt|an_end_while_nobody_looked|kill_takes_daemons_too)$"},
			{launchers, "-test.run=^Test(Update|Devices|Reload)$/^runc-systemd"},
			{agents, "-test.run=^TestPodGrows$/^crun-systemd"},
		}},
		{"v1", "systemd.unified_cgroup_hierarchy=0", [][]string{
			{launchers, "-test.run=^Test(MemoryHog|Update|TaskLimits|Devices|OwnLimitInPod)$/^crun-systemd"},
			{launchers, "-test.run=^Test(Update|Reload)$/^runc-systemd"},
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
			if m.accel == "kvm" {
				test.tests = [][]string{{launchers, "-test.run=/-systemd$"}, {agents, "-test.run=^TestPod/-systemd$"}}
			}
			m.test(t, test.tests)
		})
	}
}
