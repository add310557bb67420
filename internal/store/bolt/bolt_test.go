package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

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

// TestNewerFormat: what a newer Meseta may have written is left alone.
func TestNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stateBucket).Put(formatKey, []byte("2")) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "--work_dir") {
			t.Errorf("got %v, want a refusal with a way out", err)
		}
	}
}
