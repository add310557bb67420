package containerizer

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/meseta-project/meseta/internal/launcher"
)

// Modes of what a container writes, as Mesos sets them: others may not look
// into a sandbox.
const (
	sandboxMode = 0o750
	outputMode  = 0o644
)

// makeSandbox makes the folder, its parents, and the output files in it.
func makeSandbox(path string, owner *launcher.User) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(path, sandboxMode); err != nil && !os.IsExist(err) {
		return err
	}
	for _, name := range []string{"stdout", "stderr"} {
		f, err := appendTo(path, name)
		if err != nil {
			return err
		}
		err = give(f, owner)
		f.Close()
		if err != nil {
			return err
		}
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return give(dir, owner)
}

func give(f *os.File, owner *launcher.User) error {
	if owner == nil {
		return nil
	}
	return f.Chown(int(owner.UID), int(owner.GID))
}

// appendTo opens an output file in the sandbox. A task owns the folder and may
// have put a link or a pipe there: neither is followed or waited for.
func appendTo(sandbox, name string) (*os.File, error) {
	path := filepath.Join(sandbox, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, outputMode)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's %s: %w", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
