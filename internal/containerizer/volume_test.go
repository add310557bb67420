package containerizer

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/skip"
)

func volumes(t *testing.T, at ...string) []Volume {
	t.Helper()
	var all []Volume
	for _, a := range at {
		all = append(all, Volume{Path: t.TempDir(), At: a})
	}
	return all
}

// TestVolumes: a container sees its volumes at their paths, as long as it has
// them; what it has written there stays.
func TestVolumes(t *testing.T) {
	vs := volumes(t, "data", "deep/down/more")
	c, spec := prepared(t, func(s *Spec) { s.Volumes = vs })
	if status, _ := run(t, c, spec, shell("echo 1 > data/file && echo 2 > deep/down/more/file")); status != 0 {
		t.Errorf("status %d", status)
	}
	if err := c.AddVolumes(spec, vs); err != nil {
		t.Errorf("added twice: %v", err)
	}
	if err := c.RemoveVolumes(spec, vs); err != nil {
		t.Error(err)
	}
	for _, v := range vs {
		if _, err := os.Lstat(filepath.Join(spec.Sandbox, v.At)); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", v.At, err)
		}
		if _, err := os.Stat(filepath.Join(v.Path, "file")); err != nil {
			t.Error(err)
		}
	}
}

// TestDockerVolumes: what the Engine mounts is the user's, as the sandbox is.
func TestDockerVolumes(t *testing.T) {
	skip.UnlessRoot(t)
	c, spec := prepared(t, nil)
	spec.User, spec.Docker = "nobody", &docker.Spec{}
	vs := volumes(t, "data")
	if err := c.AddVolumes(spec, vs); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(vs[0].Path); err != nil || info.Sys().(*syscall.Stat_t).Uid != 65534 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Lstat(filepath.Join(spec.Sandbox, "data")); !os.IsNotExist(err) {
		t.Errorf("there is a link: %v", err)
	}
}

// TestVolumesStayInTheSandbox: neither the path of a volume nor what a task has
// put on the way leads out, and what is in a volume's place is not taken for it.
func TestVolumesStayInTheSandbox(t *testing.T) {
	outside := t.TempDir()
	c, spec := prepared(t, nil)
	for link, to := range map[string]string{"out": outside, "up": "..", "own": outside} {
		if err := os.Symlink(to, filepath.Join(spec.Sandbox, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"../data", "a/../../data", "/data", "out/data", "up/data", "own", "stdout", "stdout/data", ""} {
		vs := volumes(t, at)
		if err := c.AddVolumes(spec, vs); err == nil {
			t.Errorf("a volume was put at %q", at)
		}
		if err := c.RemoveVolumes(spec, vs); err != nil {
			t.Errorf("removing it: %v", err)
		}
	}
	for _, dir := range []string{outside, filepath.Dir(spec.Sandbox)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != filepath.Base(spec.Sandbox) {
				t.Errorf("%s was made in %s", e.Name(), dir)
			}
		}
	}
	if to, err := os.Readlink(filepath.Join(spec.Sandbox, "own")); err != nil || to != outside {
		t.Errorf("the task's own link is %q, %v", to, err)
	}
}
