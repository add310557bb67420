package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Files in a layer whose names begin so say what is not there any more.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// unpacker writes one layer's files below a folder, in the form in which overlay
// reads them. The tar file is hostile: every path is resolved by the kernel as if
// the folder were the root of the world, so links lead nowhere else.
type unpacker struct {
	root   int // the folder
	asRoot bool
	left   Limits
	// What a folder says of itself is set when everything in it is there.
	folders []*tar.Header
}

// unpack reads a tar file to its end.
func unpack(dir string, in io.Reader, limits Limits) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer unix.Close(root)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	u := &unpacker{root: root, asRoot: os.Geteuid() == 0, left: limits}
	if err := u.all(tar.NewReader(in)); err != nil {
		return err
	}
	for _, h := range u.folders {
		if err := u.folder(h); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
	_, err = io.Copy(io.Discard, in) // what is behind the end belongs to the digest too
	return err
}

func (u *unpacker) all(in *tar.Reader) error {
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if u.left.LayerFiles--; u.left.LayerFiles < 0 {
			return errTooLarge
		}
		if err := u.entry(h, in); err != nil {
			return fmt.Errorf("entry %q: %w", h.Name, err)
		}
	}
}

// clean returns a path without a slash before it, "" being the root.
func clean(name string) (string, error) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("it leads out of the layer")
		}
	}
	if strings.ContainsRune(name, 0) || len(name) >= unix.PathMax {
		return "", errors.New("it is no path")
	}
	return path.Clean("/" + name)[1:], nil
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	h.Name = name
	if h.Typeflag == tar.TypeDir {
		u.folders = append(u.folders, h)
	}
	if name == "" {
		return nil
	}
	parent, base, err := u.parent(name)
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	if strings.HasPrefix(base, whiteout) {
		return u.hide(parent, base)
	}
	if err := u.make(parent, base, h, content); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeLink, tar.TypeChar, tar.TypeBlock:
		return nil
	default:
		return u.describe(parent, base, h)
	}
}

// parent opens the folder that an entry is in, and makes it if need be.
func (u *unpacker) parent(name string) (fd int, base string, err error) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	fd, err = u.open(dir)
	if errors.Is(err, unix.ENOENT) {
		fd, err = u.makeFolders(dir)
	}
	return fd, base, err
}

func (u *unpacker) open(dir string) (int, error) {
	return unix.Openat2(u.root, orElse(dir, "."), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// makeFolders makes the folders that the tar file does not mention.
func (u *unpacker) makeFolders(dir string) (fd int, err error) {
	parent, base, err := u.parent(dir)
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, base, 0o755); err != nil {
		return -1, fmt.Errorf("make the folder it is in: %w", err)
	}
	return u.open(dir)
}

// make makes what an entry is, without saying what belongs to whom.
func (u *unpacker) make(parent int, base string, h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		return u.makeFolder(parent, base)
	case tar.TypeChar, tar.TypeBlock:
		return nil // containers get their devices from the agent; 0:0 would hide files
	}
	if err := u.clear(parent, base); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		return u.file(parent, base, h, content)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, parent, base)
	case tar.TypeLink:
		return u.link(parent, base, h.Linkname)
	case tar.TypeFifo:
		return unix.Mknodat(parent, base, unix.S_IFIFO|0o600, 0)
	default:
		return fmt.Errorf("its type %q is unknown", h.Typeflag)
	}
}

func (u *unpacker) makeFolder(parent int, base string) error {
	kind, hidden := u.look(parent, base)
	switch {
	case kind == unix.S_IFDIR:
		return nil
	case kind != 0:
		if err := u.clear(parent, base); err != nil {
			return err
		}
	}
	if err := unix.Mkdirat(parent, base, 0o700); err != nil {
		return err
	}
	if hidden { // the folder of that name below stays hidden
		return u.setOpaque(entryPath(parent, base))
	}
	return nil
}

// look returns the kind of file that is there, 0 for none, and whether it is what
// hides one below.
func (u *unpacker) look(parent int, base string) (kind uint32, hidden bool) {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return 0, false
	}
	return st.Mode & unix.S_IFMT, isWhiteout(&st)
}

func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

// clear removes what an entry replaces.
func (u *unpacker) clear(parent int, base string) error {
	err := unix.Unlinkat(parent, base, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EISDIR):
		return removeTree(entryPath(parent, base))
	default:
		return err
	}
}

func (u *unpacker) file(parent int, base string, h *tar.Header, content io.Reader) error {
	// A sparse file can say to be larger than all that the layer sends.
	if u.left.LayerBytes -= h.Size; u.left.LayerBytes < 0 {
		return errTooLarge
	}
	fd, err := unix.Openat(parent, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// link makes another name for a file of the same layer.
func (u *unpacker) link(parent int, base, target string) error {
	target, err := clean(target)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", target, err)
	}
	dir, name := path.Split(target)
	if name == "" {
		return errors.New("it is a hard link to the root")
	}
	from, err := u.open(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", target, err)
	}
	defer unix.Close(from)
	return unix.Linkat(from, name, parent, base, 0)
}

// hide notes that what the layers below have at a place is not there any more.
func (u *unpacker) hide(parent int, base string) error {
	if base == opaque {
		return u.setOpaque(entryPath(parent, "."))
	}
	name := strings.TrimPrefix(base, whiteout)
	switch {
	case strings.HasPrefix(name, whiteout):
		return nil // notes of aufs to itself
	case name == "" || name == "." || name == "..":
		return errors.New("it hides nothing that can be")
	}
	switch kind, _ := u.look(parent, name); kind {
	case 0:
		return unix.Mknodat(parent, name, unix.S_IFCHR, 0)
	case unix.S_IFDIR:
		return u.setOpaque(entryPath(parent, name))
	default:
		return nil // it is there anew
	}
}

func (u *unpacker) setOpaque(path string) error {
	return unix.Lsetxattr(path, opaqueName(u.asRoot), []byte("y"), 0)
}

// opaqueName returns the attribute by which a folder hides the one below. Only
// root may set the one that overlay looks at by default; the other does to copy.
func opaqueName(asRoot bool) string {
	if asRoot {
		return "trusted.overlay.opaque"
	}
	return "user.overlay.opaque"
}

// entryPath names a file for those calls that take no folder beside the name.
func entryPath(parent int, base string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", parent, base)
}

// folder sets what a folder says of itself, if it still is one.
func (u *unpacker) folder(h *tar.Header) error {
	parent, base := u.root, "."
	if h.Name != "" {
		var err error
		if parent, base, err = u.parent(h.Name); err != nil {
			return err
		}
		defer unix.Close(parent)
	}
	if kind, _ := u.look(parent, base); kind != unix.S_IFDIR {
		return nil
	}
	return u.describe(parent, base, h)
}

// describe sets owner, mode, attributes and time of what was made.
func (u *unpacker) describe(parent int, base string, h *tar.Header) error {
	if u.asRoot {
		if err := unix.Fchownat(parent, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	if h.Typeflag != tar.TypeSymlink {
		// After the owner, which would clear set-user-id; there is nobody to race with.
		if err := unix.Fchmodat(parent, base, uint32(h.Mode&0o7777), 0); err != nil {
			return err
		}
		if err := u.attributes(entryPath(parent, base), h); err != nil {
			return err
		}
	}
	at := unix.NsecToTimespec(timestamp(h.ModTime))
	return unix.UtimesNanoAt(parent, base, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// timestamp bounds a time to what the file systems take.
func timestamp(t time.Time) int64 {
	if t.Before(time.Unix(0, 0)) || t.After(time.Unix(1<<33, 0)) {
		return 0
	}
	return t.UnixNano()
}

const paxAttribute = "SCHILY.xattr."

// attributes sets the extended attributes that a layer may bring. Those of overlay
// itself would let a layer name files outside.
func (u *unpacker) attributes(path string, h *tar.Header) error {
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, paxAttribute)
		if !ok || !mayBring(name, u.asRoot) {
			continue
		}
		err := unix.Lsetxattr(path, name, []byte(value), 0)
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("set attribute %s: %w", name, err)
		}
	}
	return nil
}

func mayBring(attribute string, asRoot bool) bool {
	if attribute == "security.capability" {
		return asRoot
	}
	return strings.HasPrefix(attribute, "user.") && !strings.HasPrefix(attribute, "user.overlay.")
}

// openTree lets the owner write to all folders of a tree.
func openTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
}
