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
func makeSandbox(spec *Spec, owner *launcher.User) error {
	dir, err := makeFolder(spec)
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, name := range []string{"stdout", "stderr"} {
		f, err := appendTo(dir, name)
		if err != nil {
			return err
		}
		err = give(f, owner)
		f.Close()
		if err != nil {
			return err
		}
	}
	folder, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	return give(folder, owner)
}

// makeFolder makes the sandbox's folder, if it is missing, and opens it.
func makeFolder(spec *Spec) (*os.Root, error) {
	if spec.Within == "" {
		if err := os.MkdirAll(filepath.Dir(spec.Sandbox), 0o755); err != nil {
			return nil, err
		}
		if err := os.Mkdir(spec.Sandbox, sandboxMode); err != nil && !os.IsExist(err) {
			return nil, err
		}
		return os.OpenRoot(spec.Sandbox)
	}
	within, err := os.OpenRoot(spec.Within)
	if err != nil {
		return nil, err
	}
	defer within.Close()
	path, err := filepath.Rel(spec.Within, spec.Sandbox)
	if err != nil {
		return nil, err
	}
	if err := within.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := within.Mkdir(path, sandboxMode); err != nil && !os.IsExist(err) {
		return nil, err
	}
	return within.OpenRoot(path)
}

// openSandbox opens the folder of a prepared container.
func openSandbox(spec *Spec) (*os.Root, error) {
	if spec.Within == "" {
		return os.OpenRoot(spec.Sandbox)
	}
	within, err := os.OpenRoot(spec.Within)
	if err != nil {
		return nil, err
	}
	defer within.Close()
	path, err := filepath.Rel(spec.Within, spec.Sandbox)
	if err != nil {
		return nil, err
	}
	return within.OpenRoot(path)
}

// output opens an output file of a prepared container.
func output(spec *Spec, name string) (*os.File, error) {
	dir, err := openSandbox(spec)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox: %w", err)
	}
	defer dir.Close()
	return appendTo(dir, name)
}

func give(f *os.File, owner *launcher.User) error {
	if owner == nil {
		return nil
	}
	return f.Chown(int(owner.UID), int(owner.GID))
}

// appendTo opens an output file in the sandbox. A task owns the folder and may
// have put a link or a pipe there: neither is followed or waited for.
func appendTo(sandbox *os.Root, name string) (*os.File, error) {
	f, err := sandbox.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, outputMode)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox's %s: %w", name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", filepath.Join(sandbox.Name(), name))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
