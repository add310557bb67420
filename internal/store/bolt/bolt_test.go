package bolt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/masterd/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, true, func(t *testing.T) func() storetest.Store {
		path := filepath.Join(t.TempDir(), "registry")
		return func() storetest.Store {
			s, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a registry ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "--work_dir") {
		t.Errorf("got %v, want a refusal with a way out", err)
	}
}
