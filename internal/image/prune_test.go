package image

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// kept returns the names of images and the number of layers in the store.
func (w *world) kept() (string, int) {
	w.t.Helper()
	var names []string
	files, _ := filepath.Glob(w.store.path("images", "*.json"))
	for _, f := range files {
		var m Manifest
		if err := readJSON(f, &m); err != nil {
			w.t.Error(err)
		}
		names = append(names, m.Name)
	}
	sort.Strings(names)
	layers, _ := filepath.Glob(w.store.path("layers", layerPrefix+"*"))
	return strings.Join(names, " "), len(layers)
}

func TestPrune(t *testing.T) {
	w := newWorld(t, nil)
	for _, ref := range []string{"used", "kept", "idle"} {
		w.push(ref, small(t, ref))
		w.must(ids.ContainerID("c-"+ref), ref)
	}
	foreign := w.store.path("layers", strings.Repeat("a", 64)) // a Mesos agent's
	if err := os.Mkdir(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, id := range []ids.ContainerID{"c-kept", "c-idle"} {
		if err := w.store.Destroy(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.store.Prune([]*mesos.Image{docker("kept"), docker("never-seen")}); err != nil {
		t.Fatal(err)
	}
	if names, layers := w.kept(); names != "kept used" || layers != 3 {
		t.Errorf("kept %s, %d layers", names, layers)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	if got := tree(t, w.store.containerDir("c-used")+"/rootfs"); got != "base same\nfile used\n" {
		t.Errorf("the container that runs has %q", got)
	}
	w.must("c-idle", "idle")
	if err := w.store.Prune([]*mesos.Image{docker("")}); err == nil {
		t.Error("a name that is none was taken")
	}
	if left, _ := filepath.Glob(w.store.path("staging", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// What a pull is about to use stays.
func TestPruneWhilePulling(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", small(t, "a"))
	w.must("c1", "a")
	if err := w.store.Destroy("c1"); err != nil {
		t.Fatal(err)
	}
	ref, _ := parseReference("a")
	_, unpin, err := w.store.get(t.Context(), ref, &Request{Image: docker("a")})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if _, layers := w.kept(); layers != 2 {
		t.Errorf("%d layers are left", layers)
	}
	unpin()
	if err := w.store.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if names, layers := w.kept(); names != "" || layers != 0 {
		t.Errorf("%s, %d layers are left", names, layers)
	}
}

// An agent that died leaves halves of layers, and roots of containers that ended
// while nobody looked.
func TestRecover(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", small(t, "a"))
	for _, id := range []ids.ContainerID{"alive", "alive.task", "dead"} {
		w.must(id, "a")
	}
	half := w.store.path("staging", "layer-1")
	if err := os.Mkdir(half, 0o700); err != nil {
		t.Fatal(err)
	}
	w.open()
	if err := w.store.Recover(func(id ids.ContainerID) bool { return id.Root() == "alive" }); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{half: false, w.store.containerDir("dead"): false, w.store.containerDir("alive"): true, w.store.containerDir("alive.task"): true} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), w.store.containerDir("dead")) {
		t.Error("a mount is left", err)
	}
	if err := w.store.Destroy("never-seen"); err != nil {
		t.Error(err)
	}
}

// A record whose layers are gone, or that is cut short, is as good as none.
func TestDamagedStore(t *testing.T) {
	w := newWorld(t, nil)
	w.push("a", small(t, "a"))
	w.must("c1", "a")
	for i, damage := range []func() error{
		func() error { return os.RemoveAll(w.store.path("layers")) },
		func() error { return os.WriteFile(w.store.imageFile("a"), []byte("{"), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		w.open()
		if got := tree(t, w.must(ids.ContainerID("d"+string(rune('0'+i))), "a").Path); got != "base same\nfile a\n" {
			t.Errorf("got %q", got)
		}
	}
	if used, err := w.store.Usage(); err != nil || used <= 0 || used > 1 {
		t.Errorf("usage %f, %v", used, err)
	}
}
