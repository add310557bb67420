package agentd

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// TestRemoveGoesOn: what cannot be removed holds up nothing else, and is counted
// (MESOS-8608).
func TestRemoveGoesOn(t *testing.T) {
	dir := t.TempDir()
	s := &Server{log: slog.New(slog.DiscardHandler)}
	var paths []string
	for _, name := range []string{"first", "second", "third"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(path, "deep"), 0o755); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	paths[1] += "/." // no system removes that, not even for root
	s.remove(paths)
	for name, want := range map[string]error{"first": fs.ErrNotExist, "second": nil, "third": fs.ErrNotExist} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if removed, not := s.removed.Load(), s.unremoved.Load(); removed != 2 || not != 1 {
		t.Errorf("%d are removed and %d are not", removed, not)
	}
}
