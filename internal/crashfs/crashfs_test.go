package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"testing"
)

func put(t *testing.T, f *FS, name, text string, sync bool) {
	t.Helper()
	h, err := f.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := h.Sync(); err != nil {
			t.Fatal(err)
		}
	}
}

func get(f *FS, name string) string {
	h, err := f.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "missing"
	}
	b, _ := io.ReadAll(h)
	return string(b)
}

func syncDir(t *testing.T, f *FS, name string) {
	t.Helper()
	h, err := f.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Sync(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatSurvives looks at all that chance makes of a file whose name, whose
// contents, both or neither are durable.
func TestWhatSurvives(t *testing.T) {
	f := New()
	if err := f.Mkdir("/d", 0o755); err != nil {
		t.Fatal(err)
	}
	syncDir(t, f, "/")
	put(t, f, "/d/both", "ab", true)
	put(t, f, "/d/name", "ab", false)
	syncDir(t, f, "/d")
	put(t, f, "/d/both", "cd", false)
	put(t, f, "/d/contents", "ab", true)
	if err := f.Rename("/d/both", "/d/renamed"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seed := range uint64(300) {
		g := f.Restart(rand.New(rand.NewPCG(seed, 1)))
		seen["name:"+get(g, "/d/name")] = true
		seen["contents:"+get(g, "/d/contents")] = true
		seen["both:"+get(g, "/d/both")+"/"+get(g, "/d/renamed")] = true
	}
	for _, want := range []string{
		"name:", "name:a", "name:ab", "contents:missing", "contents:ab",
		"both:ab/missing", "both:missing/ab", "both:abc/missing", "both:missing/missing", "both:abcd/abcd",
	} {
		if !seen[want] {
			t.Errorf("%q was never seen", want)
		}
	}
	for _, never := range []string{"name:missing", "contents:", "both:missing/a"} {
		if seen[never] {
			t.Errorf("%q was seen", never)
		}
	}
}

func TestFailAfter(t *testing.T) {
	f := New()
	f.FailAfter(2)
	if err := f.Mkdir("/a", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.Mkdir("/a", 0o755); !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	if err := f.Symlink("/a", "/l"); err != nil {
		t.Fatal(err)
	}
	if err := f.Remove("/l"); !errors.Is(err, ErrCrashed) {
		t.Errorf("the third change: %v", err)
	}
	if _, err := f.ReadDir("/"); !errors.Is(err, ErrCrashed) {
		t.Errorf("reading without power: %v", err)
	}
	if f.Ops() != 2 {
		t.Errorf("%d operations, want 2", f.Ops())
	}
}
