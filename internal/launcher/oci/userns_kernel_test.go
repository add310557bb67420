package oci_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// shifted has containers be in user namespaces.
func shifted(c *oci.Config) {
	c.Isolation = append(slices.Clip(c.Isolation), "namespaces/user")
	c.UserIDs = oci.UserIDs{First: 200000, Count: 65536}
}

// open lets everybody pass through the folders of a test, as through those that an
// agent makes.
func passable(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		for ; dir != "/"; dir = filepath.Dir(dir) {
			info, err := os.Stat(dir)
			if err == nil && info.Mode().Perm()&0o11 != 0o11 {
				err = os.Chmod(dir, info.Mode().Perm()|0o11)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUserNamespace: root in a container is nobody on the machine: neither its
// processes nor its files are root's, it can do nothing with root's, and its rights
// are none outside.
func TestUserNamespace(t *testing.T) {
	onRuntimes(t, func(m *testMachine) {
		outside := filepath.Join(m.t.TempDir(), "outside")
		if err := os.WriteFile(outside, []byte("root's"), 0o600); err != nil {
			t.Fatal(err)
		}
		passable(m.t, filepath.Dir(outside), m.Config().Dir)
		reachable := func(s *launcher.Spec) { passable(m.t, s.Dir) }
		m.prints("id -u; cat /proc/self/uid_map | tr -s ' '; touch mine && stat -c %u mine; grep CapEff /proc/self/status | cut -f2",
			"0\n 0 200000 65536\n0\n00000000a80425fb", reachable)
		var script strings.Builder
		for _, attempt := range []string{
			"cat " + outside, "echo x > " + outside, "rm " + outside, "chown 0 " + outside, "cat /etc/shadow", "echo x > /etc/passwd", "echo x >> /etc/made",
			"kill -9 1; [ ! -e /proc/1 ]", "echo x > /proc/sys/kernel/hostname", "mkdir /sys/fs/cgroup/x", "mknod disk b 7 0 && head -c1 disk",
			"mount --bind / /mnt", "nsenter -t 1 -U true", "hostname other", "dmesg", "chroot /proc/1/root true", "insmod x; [ $? -eq 0 ]",
		} {
			fmt.Fprintf(&script, "(%s) 2>/dev/null >&2 && echo 'possible: %s'\n", attempt, attempt)
		}
		m.prints(script.String()+"echo tried", "tried", reachable)
		p, spec := m.fork("touch file; chmod u+s file; echo up >ready; exec sleep 1000", reachable)
		if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{fmt.Sprintf("/proc/%d", p.First()), filepath.Join(spec.Dir, "file"), filepath.Join(spec.Dir, "out"), spec.Dir} {
			if uid := oci.OwnerOf(m.t, path); uid != 200000 {
				t.Errorf("%s is of user %d on the machine", path, uid)
			}
		}
		m.execs(spec.ID, "id -u; kill -0 1 && echo there", "0\nthere")
		m.end(p)
		nobody := func(s *launcher.Spec) {
			reachable(s)
			s.User = &launcher.User{UID: 65534, GID: 65534}
			if err := os.Chown(s.Dir, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		}
		m.prints("id -u; touch mine && stat -c %u mine", "65534\n65534", nobody)
	}, shifted)
}

// TestUserNamespaceOfAnImage: a root of its own belongs to the container's root, its
// setuid programs work in it, and the agent's folders are hidden as ever.
func TestUserNamespaceOfAnImage(t *testing.T) {
	onRuntimes(t, func(m *testMachine) {
		root := m.t.TempDir()
		tool, err := os.ReadFile("/bin/busybox")
		if err != nil {
			t.Fatal(err) // of Debian's busybox-static
		}
		for _, step := range []error{
			os.Mkdir(filepath.Join(root, "bin"), 0o755), os.WriteFile(filepath.Join(root, "bin/busybox"), tool, 0o755), os.Chmod(filepath.Join(root, "bin/busybox"), 0o755|os.ModeSetuid),
			os.Link(filepath.Join(root, "bin/busybox"), filepath.Join(root, "bin/sh")), os.Mkdir(filepath.Join(root, "box"), 0o755),
		} {
			if step != nil {
				t.Fatal(step)
			}
		}
		passable(m.t, root, m.Config().Dir)
		m.prints("busybox id -u; busybox stat -c %u:%a /bin/sh; busybox touch /made && busybox stat -c %u /made /box/out; busybox ls -A "+m.Config().Hidden[0],
			"0\n0:4755\n0\n0\nls: "+m.Config().Hidden[0]+": No such file or directory", func(s *launcher.Spec) {
				passable(m.t, s.Dir)
				s.Rootfs, s.WorkDir, s.Env = root, "/box", []string{"PATH=/bin"}
				s.Mounts = []launcher.Mount{{Source: s.Dir, Target: "/box"}}
			})
		m.prints("ls -A "+m.Config().Hidden[0]+"; echo seen", "seen", func(s *launcher.Spec) { passable(m.t, s.Dir) })
	}, func(c *oci.Config) {
		shifted(c)
		c.Hidden = []string{t.TempDir()}
		if err := os.WriteFile(filepath.Join(c.Hidden[0], "secret"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		passable(t, c.Hidden[0])
	})
}

// TestUserNamespaceMounts: what is mounted on the machine without devices, programs
// or setuid stays so in a user namespace, which may not take that away, and can be
// given to containers all the same.
func TestUserNamespaceMounts(t *testing.T) {
	onRuntimes(t, func(m *testMachine) {
		source := m.t.TempDir()
		for _, step := range []error{
			syscall.Mount("none", source, "tmpfs", syscall.MS_NOEXEC|syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOATIME, ""),
			os.WriteFile(filepath.Join(source, "file"), []byte("there"), 0o644),
		} {
			if step != nil {
				m.t.Fatal(step)
			}
		}
		m.t.Cleanup(func() {
			if err := syscall.Unmount(source, 0); err != nil {
				m.t.Error(err)
			}
		})
		passable(m.t, source, m.Config().Dir)
		for _, mount := range []launcher.Mount{{Source: source, ReadOnly: true}, {Source: source, Host: true, ReadOnly: true}, {Source: source + "/file", ReadOnly: true}, {Source: source}} {
			want := map[bool]string{true: "there\nread-only", false: "there\nwritten"}[mount.ReadOnly]
			m.prints("cat volume/file 2>/dev/null || cat volume; touch volume/file volume 2>/dev/null && echo; [ $? = 0 ] && echo written || printf '\nread-only'", want, func(s *launcher.Spec) {
				passable(m.t, s.Dir)
				mount.Target = filepath.Join(s.Dir, "volume")
				if strings.HasSuffix(mount.Source, "file") {
					if err := os.WriteFile(mount.Target, nil, 0o644); err != nil {
						m.t.Fatal(err)
					}
				}
				s.Mounts = []launcher.Mount{mount}
			})
		}
	}, shifted)
}

// execs checks what a further process of a container prints.
func (m *testMachine) execs(container, command, want string) {
	m.t.Helper()
	dir := m.t.TempDir()
	passable(m.t, dir)
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		m.t.Fatal(err)
	}
	defer out.Close()
	p, err := m.Exec(container, &launcher.Spec{
		ID: container + ".more", Path: "/bin/sh", Args: []string{"/bin/sh", "-c", command}, Env: []string{"PATH=/usr/bin:/bin"},
		Dir: "/", Stdout: out, Stderr: out, Status: filepath.Join(dir, "status"),
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		m.t.Error(err)
	}
	if err := m.Release(container + ".more"); err != nil {
		m.t.Error(err)
	}
	if text, err := os.ReadFile(out.Name()); err != nil || strings.TrimSpace(string(text)) != want {
		m.t.Errorf("%s printed %q, %v; want %q", command, text, err, want)
	}
}
