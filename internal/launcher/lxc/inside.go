package lxc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher/oci"
)

// inside is a hold on a container that runs: on its namespaces and on the folder of
// its terminals, whatever becomes of its processes and their pids.
type inside struct {
	files map[string]*os.File // by LXC's names of namespaces, and pts
}

// enter takes hold of a container. An open folder of a process stays that process's:
// when its groups are the container's in the end, so is all that was opened before.
func enter(in oci.Running) (*inside, error) {
	text, err := os.ReadFile(filepath.Join(in.Bundle, "pid"))
	if err != nil {
		return nil, fmt.Errorf("find its first process: %w", err)
	}
	process, err := os.Open(filepath.Join("/proc", strings.TrimSpace(string(text))))
	if err != nil {
		return nil, fmt.Errorf("find its first process: %w", err)
	}
	defer process.Close()
	hold := &inside{files: map[string]*os.File{}}
	if err := hold.open(process, in.Spec); err != nil {
		return nil, errors.Join(fmt.Errorf("enter it: %w", err), hold.Close())
	}
	return hold, nil
}

func (i *inside) open(process *os.File, s *specs.Spec) error {
	for _, n := range s.Linux.Namespaces {
		if n.Type == specs.CgroupNamespace {
			continue // every process has one of its own
		}
		f, err := openAt(process, "ns/"+kinds[n.Type], unix.OpenHow{})
		if err != nil {
			return err
		}
		i.files[kinds[n.Type]] = f
	}
	if err := i.openTerminals(process); err != nil {
		return err
	}
	groups, err := openAt(process, "cgroup", unix.OpenHow{})
	if err != nil {
		return err
	}
	defer groups.Close()
	text, err := io.ReadAll(groups)
	group := ":" + s.Linux.CgroupsPath
	if err == nil && !bytes.Contains(text, []byte(group+"\n")) && !bytes.Contains(text, []byte(group+"/"+oci.Leaf+"\n")) {
		err = errors.New("its first process has ended")
	}
	return err
}

// openTerminals follows no link that leads out of the container.
func (i *inside) openTerminals(process *os.File) error {
	root, err := openAt(process, "root", unix.OpenHow{Flags: unix.O_PATH})
	if err != nil {
		return err
	}
	defer root.Close()
	pts, err := openAt(root, "dev/pts", unix.OpenHow{Flags: unix.O_DIRECTORY, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOENT) {
		return nil // a process with a terminal finds none
	}
	i.files["pts"] = pts
	return err
}

func openAt(dir *os.File, name string, how unix.OpenHow) (*os.File, error) {
	how.Flags |= unix.O_CLOEXEC
	fd, err := unix.Openat2(int(dir.Fd()), name, &how)
	if err != nil {
		return nil, fmt.Errorf("open %s/%s: %w", dir.Name(), name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// path returns where others find what is held, "" if it is not.
func (i *inside) path(name string) string {
	f := i.files[name]
	if f == nil {
		return ""
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())
}

// Close lets go.
func (i *inside) Close() error {
	var err error
	for _, f := range i.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}
