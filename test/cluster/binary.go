package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Binary returns the path of the meseta binary under test. MESETA_BINARY names
// one to use as it is; otherwise it is built from this checkout, once per test
// process, with the race detector when MESETA_E2E_RACE is set.
func Binary(t TB) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("MESETA_BINARY"); path != "" {
		return path, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	name, args := "meseta", []string{"build"}
	if os.Getenv("MESETA_E2E_RACE") != "" {
		name, args = "meseta-race", append(args, "-race")
	}
	path := filepath.Join(root, "bin", name)
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	build := exec.Command("go", append(args, "-o", path, "./cmd/meseta")...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building meseta: %w\n%s", err, out)
	}
	return path, nil
})

// Root returns the top of the checkout: the nearest directory above the
// working directory that holds a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// lock holds an exclusive lock on the file at path until unlock is called, so
// that test packages running side by side build one thing once.
func lock(path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
