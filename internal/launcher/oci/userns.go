package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher"
)

// UserIDs are the ids on the machine of the users and groups of containers in user
// namespaces: First is their root, and so on. All containers have the same.
type UserIDs struct{ First, Count uint32 }

// minIDs is how many ids a container needs for those that images use, with nobody.
const minIDs = 65536

// ParseUserIDs reads --user_namespace_ids, FIRST-LAST.
func ParseUserIDs(text string) (UserIDs, error) {
	first, last, ok := strings.Cut(text, "-")
	a, err := strconv.ParseUint(first, 10, 32)
	b, err2 := strconv.ParseUint(last, 10, 32)
	switch {
	case !ok || err != nil || err2 != nil || a > b:
		return UserIDs{}, fmt.Errorf("%q is no range of ids; say the first and the last, as 1879048192-1879113727", text)
	case a < minIDs || b-a+1 < minIDs || b == 1<<32-1:
		return UserIDs{}, fmt.Errorf("%q: it takes %d ids or more, above those that the machine's own users have", text, minIDs)
	}
	return UserIDs{First: uint32(a), Count: uint32(b - a + 1)}, nil
}

// checkUsers refuses options that user namespaces are not possible with.
func (o *Options) checkUsers() error {
	switch {
	case !o.has("namespaces/user"):
		return nil
	case o.UserIDs.Count == 0:
		return errors.New("the isolator namespaces/user needs --user_namespace_ids")
	case !o.has("namespaces/pid"):
		return errors.New("the isolator namespaces/user needs namespaces/pid")
	}
	return nil
}

// userNamespace makes a container's root nobody on the machine. What it sees of the
// machine's files belongs to nobody that it knows, but for what is its own.
func userNamespace(c *container, s *specs.Spec) error {
	ids := c.options.UserIDs
	if c.Container.GetLinuxInfo().GetSharePidNamespace() {
		return errors.New("a container in a user namespace cannot share the machine's pid namespace")
	}
	if slices.ContainsFunc(c.Mounts, func(m launcher.Mount) bool { return m.Both }) {
		return errors.New("what a container in a user namespace mounts stays in it: bidirectional mount propagation is not possible")
	}
	maps := []specs.LinuxIDMapping{{ContainerID: 0, HostID: ids.First, Size: ids.Count}}
	s.Linux.UIDMappings, s.Linux.GIDMappings = maps, slices.Clone(maps)
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace, Path: filepath.Join(c.bundle, "userns")})
	return nil
}

// inUserNamespace is what of a specification has to change once all else is in it:
// of what is mounted elsewhere nothing can be shown without what is mounted below,
// and a network that is not its own is no reason to see the machine's devices.
func inUserNamespace(s *specs.Spec) {
	if len(s.Linux.UIDMappings) == 0 {
		return
	}
	for i, m := range s.Mounts {
		switch {
		case m.Destination == "/sys":
			s.Mounts[i] = specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "nosuid", "noexec", "nodev", "ro"}}
		case slices.Contains(m.Options, "bind"):
			s.Mounts[i].Options = append([]string{"rbind"}, slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "bind" })...)
		}
	}
	s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/sys/fs/cgroup")
}

// startInside has a container be in the network that its runtime is started in, and
// see that in /sys. A runtime that is in a user namespace already cannot enter a
// network that is not owned by it, and runc before 1.2 is.
func startInside(s *specs.Spec, bundle string) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.NetworkNamespace })
	for i, m := range s.Mounts {
		if m.Destination == "/sys" {
			s.Mounts[i].Source = filepath.Join(bundle, "sys")
		}
	}
}

// keepFlags has mounts keep what those have that they are made of: in a user namespace
// nobody may take it away, and runc does not know what there is.
func keepFlags(s *specs.Spec) error {
	for i, m := range s.Mounts {
		if m.Type != "bind" {
			continue
		}
		var at unix.Statfs_t
		if err := unix.Statfs(m.Source, &at); err != nil {
			return &os.PathError{Op: "statfs", Path: m.Source, Err: err}
		}
		for name, flag := range map[string]int64{"nosuid": unix.ST_NOSUID, "nodev": unix.ST_NODEV, "noexec": unix.ST_NOEXEC, "ro": unix.ST_RDONLY} {
			if at.Flags&flag != 0 && !slices.Contains(m.Options, name) {
				s.Mounts[i].Options = append(slices.Clone(s.Mounts[i].Options), name)
			}
		}
	}
	return nil
}

// shift gives a container in a user namespace what is to be its own: its sandbox,
// its root if that is an image's, and what is mounted of neither the machine's.
func (l *Launcher) shift(spec *launcher.Spec, bundle string) error {
	ids := l.cfg.UserIDs
	line := fmt.Sprintf("0 %d %d\n", ids.First, ids.Count)
	failed := errors.Join(os.WriteFile(filepath.Join(bundle, "ids"), []byte(line), 0o600), os.WriteFile(filepath.Join(bundle, "userns"), nil, 0o600))
	if spec.Network != nil {
		failed = errors.Join(failed, os.Mkdir(filepath.Join(bundle, "sys"), 0o755))
	}
	trees := map[string]bool{spec.Dir: false}
	if spec.Rootfs != "" {
		trees[spec.Rootfs] = true
	}
	for _, m := range spec.Mounts {
		if !m.Host && !m.ReadOnly {
			trees[m.Source] = false
		}
	}
	for dir, linked := range trees {
		if err := ids.give(dir, linked); err != nil {
			failed = errors.Join(failed, fmt.Errorf("give %s to its user namespace: %w", dir, err))
		}
	}
	return failed
}

// give gives a tree the ids that those of the machine with the same numbers are in
// the namespace. Files with several names are left alone unless linked: another of
// the names may be somebody else's.
func (ids UserIDs) give(dir string, linked bool) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		root, err := os.OpenRoot(filepath.Dir(dir))
		if err != nil {
			return err
		}
		defer root.Close()
		return ids.giveOne(root, filepath.Base(dir), info, linked)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := root.Lstat(path)
		if err != nil {
			return err
		}
		return ids.giveOne(root, path, info, linked)
	})
}

func (ids UserIDs) giveOne(root *os.Root, path string, info fs.FileInfo, linked bool) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() && st.Nlink > 1 && !linked {
		return nil
	}
	uid, gid := ids.outside(st.Uid), ids.outside(st.Gid)
	if uid == st.Uid && gid == st.Gid {
		return nil
	}
	if err := root.Lchown(path, int(uid), int(gid)); err != nil {
		return err
	}
	if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) == 0 || !info.Mode().IsRegular() {
		return nil
	}
	return root.Chmod(path, info.Mode()) // the kernel has taken it away
}

// outside returns what an id of the namespace is on the machine. One that is of the
// namespace's on the machine is left.
func (ids UserIDs) outside(id uint32) uint32 {
	if id < ids.Count && id < ids.First {
		return ids.First + id
	}
	return id
}
