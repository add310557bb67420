package api

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerated generates the Go code anew and compares it with what is here.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generators")
	}
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "buf", "generate", "-o", out)
	cmd.Dir = ".."
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("buf generate: %v\n%s", err, text)
	}
	want, got := goFiles(t, filepath.Join(out, "api")), goFiles(t, ".")
	for name, text := range want {
		if !bytes.Equal(got[name], text) {
			t.Errorf("%s is not what its .proto makes: run make generate", name)
		}
	}
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s has no .proto", name)
		}
	}
}

// goFiles returns the generated files below dir.
func goFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".pb.go") {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		files[name], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no generated code in %s", dir)
	}
	return files
}
