package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// underSystemd is added to the name of a runtime where systemd makes control groups.
const underSystemd = "-systemd"

// withSystemd adds runtimes that have systemd make control groups, where it has started
// the machine: test/kernel has such a one.
func withSystemd(flags map[string][]string) map[string][]string {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		for _, runtime := range []string{"crun", "runc"} {
			flags[runtime+underSystemd] = append([]string{"--cgroup_driver=systemd"}, flags[runtime]...)
		}
	}
	return flags
}

// slice returns the name of the slice of all containers, "" if systemd makes no groups.
func (c *containers) slice() string {
	if !strings.HasSuffix(c.root, underSystemd) {
		return ""
	}
	return strings.ReplaceAll(c.root, "-", "_")
}

// group returns where in a hierarchy the group of a container is.
func (c *containers) group(id string) string {
	if s := c.slice(); s != "" {
		return filepath.Join(s+".slice", s+"-"+strings.ReplaceAll(id, "-", "_")+".slice")
	}
	return filepath.Join(c.root, id)
}

// units returns what systemd has of containers.
func (c *containers) units() (string, error) {
	s := c.slice()
	if s == "" {
		return "", nil
	}
	out, err := exec.Command("systemctl", "list-units", "--all", "--plain", "--no-legend", s+"-*").CombinedOutput()
	return string(out), err
}

// stopSlice ends the slice of all containers, which is there without one too.
func (c *containers) stopSlice(t *testing.T) {
	s := c.slice()
	if s == "" {
		return
	}
	if out, err := exec.Command("systemctl", "stop", s+".slice").CombinedOutput(); err != nil {
		t.Errorf("stop the slice: %v: %s", err, out)
	}
}
