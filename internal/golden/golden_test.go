package golden

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	if got := find("/told"); got != "/told" {
		t.Errorf("find(told) = %q", got)
	}
	root := t.TempDir()
	pkg := filepath.Join(root, "checkout", "internal", "x")
	samples := filepath.Join(root, "shared", "golden")
	for _, dir := range []string{pkg, samples} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(pkg)
	if got := find(""); got != samples {
		t.Errorf("find = %q, want %q", got, samples)
	}
}

func TestRead(t *testing.T) {
	t.Setenv("MESETA_GOLDEN", t.TempDir())
	if err := os.WriteFile(Path(t, "one.txt"), []byte("sample"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := string(Read(t, "one.txt")); got != "sample" {
		t.Errorf("Read = %q", got)
	}
}
