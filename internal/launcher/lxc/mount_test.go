package lxc

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// tree makes folders, and links where there is a target, below a new folder.
func tree(t *testing.T, links map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for at, to := range links {
		path := filepath.Join(root, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestFollow: a link of an image leads nowhere but into the image.
func TestFollow(t *testing.T) {
	root := tree(t, map[string]string{
		"lib": "usr/lib", "abs": "/etc/deep", "up": "../../../../etc", "a/b": "../lib/x", "loop": "loop", "chain": "abs/../up",
	})
	for path, want := range map[string]string{
		"/lib/x": "/usr/lib/x", "/abs/file": "/etc/deep/file", "/up/passwd": "/etc/passwd", "/a/b/c": "/usr/lib/x/c",
		"/none/../lib": "/usr/lib", "/chain": "/etc/up", "/": "/",
	} {
		if got, err := follow(root, path); got != want || err != nil {
			t.Errorf("%s is %s, %v; want %s", path, got, err, want)
		}
	}
	if got, err := follow(root, "/loop/x"); err == nil {
		t.Errorf("a loop leads to %s", got)
	}
}

func TestPlaces(t *testing.T) {
	root := tree(t, map[string]string{"data": "/deep/down", "out": "/../../tmp/escape-of-image"})
	p, err := openPlaces(&specs.Spec{Root: &specs.Root{Path: root}}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		mount   specs.Mount
		at      string
		created string // by LXC
	}{
		{specs.Mount{Type: "bind", Source: "/tmp", Destination: "/data/x"}, "/deep/down/x", ""},
		{specs.Mount{Type: "bind", Source: file, Destination: "/etc/conf"}, "/etc/conf", ""},
		{specs.Mount{Type: "tmpfs", Source: "shm", Destination: "/dev/shm"}, "/dev/shm", "create=dir"},
		{specs.Mount{Type: "bind", Source: file, Destination: "/dev/fuse"}, "/dev/fuse", "create=file"},
		{specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: "/hidden"}, "/hidden", ""},
		{specs.Mount{Type: "bind", Source: "/tmp", Destination: "/hidden/box"}, "/hidden/box", "create=dir"},
		{specs.Mount{Type: "bind", Source: "/tmp", Destination: "/hidden/box/volume"}, "/hidden/box/volume", ""}, // its source has it
		{specs.Mount{Type: "bind", Source: "/tmp", Destination: "/out"}, "/tmp/escape-of-image", ""},
	} {
		got, err := p.put(step.mount)
		if err != nil {
			t.Fatal(err)
		}
		if got.Destination != step.at || step.created != "" != slices.Contains(got.Options, step.created) {
			t.Errorf("%s is at %s with %q", step.mount.Destination, got.Destination, got.Options)
		}
	}
	for name, folder := range map[string]bool{"deep/down/x": true, "etc/conf": false, "hidden": true, "dev": true, "tmp/escape-of-image": true} {
		if info, err := os.Lstat(filepath.Join(root, name)); err != nil || info.IsDir() != folder {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Lstat("/tmp/escape-of-image"); err == nil {
		t.Error("something was made outside of the image")
	}
}

// TestMountsBothWays: LXC is not asked for them.
func TestMountsBothWays(t *testing.T) {
	c := &config{}
	c.mount(specs.Mount{Source: "/a", Destination: "/b", Type: "bind", Options: []string{"rbind", "rshared"}})
	if _, err := c.text(); err == nil {
		t.Error("it is not refused")
	}
}
