package oci_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// TestVolumes mounts a folder of the machine into containers: to be written, to be
// read only, with device files, and with what is mounted below it later, which
// nothing that the container does comes back from.
func TestVolumes(t *testing.T) {
	work := t.TempDir()
	onKernel(t, func(m *testMachine) {
		source := m.t.TempDir()
		if err := os.WriteFile(filepath.Join(source, "file"), []byte("there"), 0o644); err != nil {
			t.Fatal(err)
		}
		at := func(mount launcher.Mount) func(*launcher.Spec) {
			return func(s *launcher.Spec) {
				mount.Target = filepath.Join(s.Dir, "volume")
				if err := os.Mkdir(mount.Target, 0o755); err != nil {
					t.Fatal(err)
				}
				s.Mounts = []launcher.Mount{mount}
			}
		}
		m.prints("cat volume/file && echo new >volume/made", "there", at(launcher.Mount{Source: source, Host: true}))
		if text, err := os.ReadFile(filepath.Join(source, "made")); string(text) != "new\n" {
			t.Errorf("it has written %q, %v", text, err)
		}
		m.prints("cat volume/file", "there", at(launcher.Mount{Source: source, Host: true, ReadOnly: true}))
		for _, host := range []bool{true, false} {
			m.fails("echo x >volume/file", at(launcher.Mount{Source: source, Host: host, ReadOnly: true}))
		}
		m.prints("echo x >volume/null && echo ok", "ok", at(launcher.Mount{Source: "/dev", Host: true}))
		m.fails("echo x >volume/null", at(launcher.Mount{Source: "/dev"}))
		arrives(m, source, at)
	}, func(c *oci.Config) { c.Hidden = []string{work} })
}

// arrives mounts something below a volume while a container runs.
func arrives(m *testMachine, source string, at func(launcher.Mount) func(*launcher.Spec)) {
	m.t.Helper()
	shared := filepath.Join(source, "shared")
	for _, step := range []error{
		os.Mkdir(shared, 0o755),
		syscall.Mount("none", shared, "tmpfs", 0, ""), syscall.Mount("", shared, "", syscall.MS_SHARED, ""),
	} {
		if step != nil {
			m.t.Fatal(step)
		}
	}
	late := filepath.Join(shared, "late")
	m.t.Cleanup(func() {
		_ = syscall.Unmount(late, 0) // it may not have come to be
		if err := syscall.Unmount(shared, 0); err != nil {
			m.t.Error(err)
		}
	})
	p, spec := m.fork("echo up >ready; until [ -e volume/late/file ]; do sleep 0.05; done", at(launcher.Mount{Source: shared, Host: true}))
	if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
		m.t.Fatal(err)
	}
	for _, step := range []error{
		os.Mkdir(late, 0o755), syscall.Mount("none", late, "tmpfs", 0, ""), os.WriteFile(filepath.Join(late, "file"), nil, 0o644),
	} {
		if step != nil {
			m.t.Fatal(step)
		}
	}
	if status, err := p.Wait(); status != 0 || err != nil { // it ends when the mount has arrived
		m.t.Errorf("wait status %#x, %v", status, err)
	}
}

// TestBothWays: what a container mounts below a volume of that kind is on the
// machine too, and nothing else of its mounts is; what the machine mounts arrives.
func TestBothWays(t *testing.T) {
	onRuntimes(t, func(m *testMachine) {
		source := m.t.TempDir()
		for _, step := range []error{
			syscall.Mount("none", source, "tmpfs", 0, ""), syscall.Mount("", source, "", syscall.MS_SHARED, ""),
			os.Mkdir(filepath.Join(source, "folder"), 0o755),
		} {
			if step != nil {
				m.t.Fatal(step)
			}
		}
		m.t.Cleanup(func() {
			for _, below := range []string{"folder/made", "folder/late", ""} {
				if err := syscall.Unmount(filepath.Join(source, below), 0); err != nil {
					m.t.Errorf("%s: %v", below, err)
				}
			}
		})
		p, spec := m.fork("mkdir volume/made && mount -t tmpfs none volume/made && echo seen >volume/made/file; echo up >ready; until [ -e volume/late/file ]; do sleep 0.05; done",
			func(s *launcher.Spec) {
				target := filepath.Join(s.Dir, "volume")
				if err := os.Mkdir(target, 0o755); err != nil {
					m.t.Fatal(err)
				}
				s.Container = oci.Linux(&mesos.LinuxInfo{EffectiveCapabilities: oci.Caps(mesos.CapabilityInfo_SYS_ADMIN, mesos.CapabilityInfo_DAC_OVERRIDE)})
				s.Mounts = []launcher.Mount{{Source: filepath.Join(source, "folder"), Target: target, Host: true, Both: true}}
			})
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			m.t.Fatal(err)
		}
		if text, err := os.ReadFile(filepath.Join(source, "folder/made/file")); string(text) != "seen\n" {
			m.t.Errorf("the machine sees %q, %v", text, err)
		}
		if all := mountsBelow(m.t, filepath.Dir(source)); len(all) != 2 { // the source, and what was made in it
			m.t.Errorf("mounts on the machine: %q", all)
		}
		late := filepath.Join(source, "folder/late")
		for _, step := range []error{os.Mkdir(late, 0o755), syscall.Mount("none", late, "tmpfs", 0, ""), os.WriteFile(filepath.Join(late, "file"), nil, 0o644)} {
			if step != nil {
				m.t.Fatal(step)
			}
		}
		if status, err := p.Wait(); status != 0 || err != nil { // it ends when the mount has arrived
			m.t.Errorf("wait status %#x, %v", status, err)
		}
	}, nil)
}

// mountsBelow returns the machine's mounts below a folder of the test's: there are
// others that come and go.
func mountsBelow(t *testing.T, dir string) (found []string) {
	t.Helper()
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, dir+"/") {
			found = append(found, line)
		}
	}
	return found
}

// TestHiddenInVolumes: what no container sees, none sees in a volume with a folder
// above either.
func TestHiddenInVolumes(t *testing.T) {
	top := t.TempDir()
	hidden := filepath.Join(top, "agent/work")
	if err := os.MkdirAll(hidden, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(hidden, "secret"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	onKernel(t, func(m *testMachine) {
		for _, source := range []string{top, filepath.Join(top, "agent"), hidden} {
			below, err := filepath.Rel(source, hidden)
			if err != nil {
				t.Fatal(err)
			}
			m.prints("ls -A volume/"+below+"; echo seen", "seen", func(s *launcher.Spec) {
				target := filepath.Join(s.Dir, "volume")
				if err := os.Mkdir(target, 0o755); err != nil {
					t.Fatal(err)
				}
				s.Mounts = []launcher.Mount{{Source: source, Target: target, Host: true, ReadOnly: true}}
			})
		}
	}, func(c *oci.Config) { c.Hidden = []string{hidden} })
}
