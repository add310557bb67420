package oci_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// sh runs a command on the machine.
func sh(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", args, err, out)
	}
}

// A container is in the network namespace that it is given, sees the interfaces
// of that in /sys, and has a name; and it keeps no mount of others' namespaces.
func TestNetwork(t *testing.T) {
	onKernel(t, func(m *testMachine) {
		namespaces := m.Config().Drop
		// As package cni does: where the mount that it is in is shared, what is mounted in a
		// peer of that is there twice.
		sh(m.t, "mount", "--bind", namespaces, namespaces)
		sh(m.t, "mount", "--make-private", namespaces)
		sh(m.t, "mount", "--make-shared", namespaces)
		m.t.Cleanup(func() { sh(m.t, "umount", "-l", namespaces) })
		for _, name := range []string{"own", "other"} {
			file := filepath.Join(namespaces, name)
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				m.t.Fatal(err)
			}
			sh(m.t, "unshare", "--net="+file, "true")
		}
		m.prints("hostname; ls /sys/class/net; touch /sys/x 2>/dev/null || echo read-only; grep -c "+namespaces+" /proc/self/mountinfo",
			"web.example\nlo\nread-only\n0", func(s *launcher.Spec) {
				s.Network = &launcher.Network{Namespace: filepath.Join(namespaces, "own"), Hostname: "web.example"}
			})
		p, _ := m.fork("exec sleep 1000", nil)
		mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.PID()))
		if err != nil || strings.Contains(string(mounts), namespaces) {
			m.t.Errorf("the shim has others' namespaces mounted, or %v", err)
		}
		m.end(p)
	}, func(c *oci.Config) {
		c.Drop = t.TempDir()
	})
}
