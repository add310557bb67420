package oci_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// busyboxRoot returns the root of an image with nothing but busybox.
func busyboxRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	tool, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal(err) // of Debian's busybox-static
	}
	for _, step := range []error{os.Mkdir(filepath.Join(root, "bin"), 0o755), os.WriteFile(filepath.Join(root, "bin/sh"), tool, 0o755), os.Mkdir(filepath.Join(root, "box"), 0o755)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	return root
}

// TestLeakedDescriptors is runc's CVE-2024-21626: an image whose working directory
// is a file that the runtime, or the shim, has open in the machine's root. Either
// the container does not start, or what it is in leads nowhere.
func TestLeakedDescriptors(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("the machine's"), 0o644); err != nil {
		t.Fatal(err)
	}
	onRuntimes(t, func(m *testMachine) {
		root := busyboxRoot(m.t)
		for fd := 3; fd < 16; fd++ {
			dir := m.t.TempDir()
			out, err := os.Create(filepath.Join(dir, "out"))
			if err != nil {
				t.Fatal(err)
			}
			spec := &launcher.Spec{
				ID: "fd" + strconv.Itoa(fd), Path: "/bin/sh", Env: []string{"PATH=/bin"}, Dir: dir, Stdout: out, Stderr: out, Status: filepath.Join(dir, "status"),
				Rootfs: root, WorkDir: fmt.Sprintf("/proc/self/fd/%d", fd), Resources: launcher.Resources{CPUs: 1, Mem: 64},
				Args: []string{"sh", "-c", "for up in . .. ../.. ../../.. ../../../.. ../../../../.. ../../../../../..; do cat $up" + outside + "; done; echo looked"},
			}
			if p, err := m.Fork(spec); err == nil {
				if _, err := p.Wait(); err != nil {
					t.Error(err)
				}
			}
			out.Close()
			if err := m.Release(spec.ID); err != nil {
				t.Error(err)
			}
			if text, err := os.ReadFile(out.Name()); err != nil || strings.Contains(string(text), "the machine's") {
				t.Errorf("descriptor %d leads out: %q, %v", fd, text, err)
			}
		}
	}, nil)
}

// TestHostileRoot is of what runtimes were led astray by in images: a /dev, a /proc
// or a mount point that is a link out of the root (runc's CVE-2019-19921, 2021-30465,
// 2025-31133 and its like). What they mount stays in the root, or the container does
// not start.
func TestHostileRoot(t *testing.T) {
	onRuntimes(t, func(m *testMachine) {
		for _, place := range []string{"dev", "proc", "sys", "box", "volume"} {
			target := m.t.TempDir()
			root := busyboxRoot(m.t)
			link := filepath.Join(root, place)
			_ = os.Remove(link) // the folder that is there
			if err := os.Symlink(strings.Repeat("../", 12)+target, link); err != nil {
				t.Fatal(err)
			}
			dir := m.t.TempDir()
			spec := &launcher.Spec{
				ID: "link-" + place, Path: "/bin/sh", Args: []string{"sh", "-c", "echo x >/" + place + "/made; true"}, Env: []string{"PATH=/bin"}, Dir: dir,
				Status: filepath.Join(dir, "status"), Rootfs: root, WorkDir: "/", Resources: launcher.Resources{CPUs: 1, Mem: 64},
				Mounts: []launcher.Mount{{Source: dir, Target: "/box"}, {Source: m.t.TempDir(), Target: "/volume"}},
			}
			if p, err := m.Fork(spec); err == nil {
				if _, err := p.Wait(); err != nil {
					t.Error(err)
				}
			}
			if err := m.Release(spec.ID); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
				m.t.Errorf("/%s: %v was made outside, %v", place, left, err)
			}
			if left := mountsBelow(m.t, filepath.Dir(target)); len(left) > 0 {
				m.t.Errorf("/%s: mounts on the machine: %q", place, left)
			}
		}
	}, nil)
}

// TestSealed: nobody can change the program that the runtime is started from.
func TestSealed(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("text"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := oci.Seal(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	again, err := os.OpenFile(at, os.O_RDWR, 0)
	if err == nil {
		_, err = again.Write([]byte("x"))
		again.Close()
	}
	if err == nil || os.Truncate(at, 0) == nil {
		t.Error("it can be written")
	}
	if text, err := os.ReadFile(at); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
}
