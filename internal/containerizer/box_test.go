package containerizer

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBoxes: what is remembered comes back with the ids that it was remembered
// under, until it is forgotten.
func TestBoxes(t *testing.T) {
	t.Parallel()
	c, err := New(Config{RuntimeDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	outer := Box{ID: "alone", Sandbox: filepath.Join(t.TempDir(), "alone"), User: "nobody"}
	inner := Box{ID: "alone.in", Sandbox: filepath.Join(outer.Sandbox, "containers/in"), Within: outer.Sandbox}
	for _, box := range []Box{outer, inner} {
		if err := c.Remember(box); err != nil {
			t.Fatal(err)
		}
	}
	boxes, err := c.Boxes()
	if err != nil || len(boxes) != 2 || boxes[0] != outer || boxes[1] != inner {
		t.Errorf("remembered %+v (%v)", boxes, err)
	}
	if err := c.Discard(outer); err != nil {
		t.Fatal(err)
	}
	if boxes, err := c.Boxes(); err != nil || len(boxes) != 0 {
		t.Errorf("discarded, and yet %+v (%v)", boxes, err)
	}
}

// TestDiscardWithin: a link in the place of a sandbox's parent does not make the
// agent delete what it leads to.
func TestDiscardWithin(t *testing.T) {
	t.Parallel()
	c, err := New(Config{RuntimeDir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sandbox, outside := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(outside, "in"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(sandbox, "containers")); err != nil {
		t.Fatal(err)
	}
	box := Box{ID: "alone.in", Sandbox: filepath.Join(sandbox, "containers/in"), Within: sandbox}
	if err := c.Discard(box); err == nil {
		t.Error("discarded through a link")
	}
	if _, err := os.Stat(filepath.Join(outside, "in")); err != nil {
		t.Error(err)
	}
}
