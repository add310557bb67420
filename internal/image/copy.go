package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// copier copies the layers one over the other: it needs no privileges, and the
// space.
type copier struct{}

func (copier) name() string { return "copy" }

func (copier) provision(ctx context.Context, place string, layers []string) error {
	if err := os.Mkdir(place, 0o755); err != nil {
		return err
	}
	for _, layer := range layers {
		c := &layerCopy{ctx: ctx, from: layer, to: place, asRoot: os.Geteuid() == 0, links: map[uint64]string{}}
		if err := c.folder("."); err != nil {
			return fmt.Errorf("copy a layer: %w", err)
		}
	}
	return nil
}

// layerCopy copies one layer over a tree. Nobody else writes to either. Folders are
// entered only after it is sure that they are folders, so no link is followed.
type layerCopy struct {
	ctx      context.Context //nolint:containedctx // it is the copy's life
	from, to string
	asRoot   bool
	links    map[uint64]string // where files that have more names were copied to
}

func (c *layerCopy) folder(at string) error {
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	from, to := filepath.Join(c.from, at), filepath.Join(c.to, at)
	if isOpaque(from) {
		if err := removeTree(to); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(to); err == nil && !info.IsDir() {
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := c.entry(filepath.Join(at, e.Name()), e.IsDir()); err != nil {
			return err
		}
	}
	return c.describe(from, to)
}

func (c *layerCopy) entry(at string, folder bool) error {
	if folder {
		return c.folder(at)
	}
	from, to := filepath.Join(c.from, at), filepath.Join(c.to, at)
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	if err := removeTree(to); err != nil {
		return err
	}
	if isWhiteout(&st) {
		return nil
	}
	if known, ok := c.links[st.Ino]; ok {
		return os.Link(known, to)
	}
	if st.Nlink > 1 {
		c.links[st.Ino] = to
	}
	if err := c.file(from, to, &st); err != nil {
		return err
	}
	return c.describe(from, to)
}

func (c *layerCopy) file(from, to string, st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case unix.S_IFIFO:
		return unix.Mkfifo(to, 0o600)
	case unix.S_IFREG:
		return copyFile(from, to)
	default:
		return nil
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in) // shares the blocks where the file system can
	return errors.Join(err, out.Close())
}

func (c *layerCopy) describe(from, to string) error {
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return err
	}
	if c.asRoot {
		if err := os.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK {
		if err := errors.Join(unix.Chmod(to, st.Mode&0o7777), c.attributes(from, to)); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// attributesMax is what the kernel allows for the names of a file's attributes.
const attributesMax = 64 << 10

func (c *layerCopy) attributes(from, to string) error {
	names := make([]byte, attributesMax)
	n, err := unix.Llistxattr(from, names)
	if err != nil || n == 0 {
		return ignoreUnsupported(err)
	}
	value := make([]byte, attributesMax)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if !mayBring(name, c.asRoot) {
			continue
		}
		n, err := unix.Lgetxattr(from, name, value)
		if err != nil {
			return err
		}
		if err := ignoreUnsupported(unix.Lsetxattr(to, name, value[:n], 0)); err != nil {
			return err
		}
	}
	return nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

func isOpaque(dir string) bool {
	var value [1]byte
	for _, asRoot := range []bool{true, false} {
		if n, err := unix.Lgetxattr(dir, opaqueName(asRoot), value[:]); err == nil && n == 1 && value[0] == 'y' {
			return true
		}
	}
	return false
}
