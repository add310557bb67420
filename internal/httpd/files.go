package httpd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/internal/refusal"
)

const (
	// maxRead is the most, in bytes, that one read returns: 16 pages.
	maxRead = 16 * 4096
	// maxEntries is the most entries that a listing has.
	maxEntries = 100_000
)

// Files gives access to directories and files under virtual paths, such as
// sandboxes under /frameworks/…/runs/latest. No link and no ".." leads out of
// what is attached: paths are walked by os.Root, also while they change. It
// is safe for use by several goroutines.
type Files struct {
	mu       sync.RWMutex
	attached map[string]attachment // by virtual path, without a slash at the end

	users, groups names
}

type attachment struct {
	real  string
	allow func(principal string) error // nil for everybody
}

// FileInfo is what is known of one file: Mesos's FileInfo.
type FileInfo struct {
	Path  string // virtual
	Mode  fs.FileMode
	Nlink uint64
	UID   string // a name, or a number without one
	GID   string
	Size  int64     // bytes
	MTime time.Time // whole seconds
}

// Attach gives access to the file or directory at path under a virtual path,
// to the principals that allow returns nil for (nil is everybody), replacing
// what was there. Links in path itself are followed now, once; that it does
// not exist is an error.
func (f *Files) Attach(virtual, path string, allow func(principal string) error) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("attaching %s: %w", virtual, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attached == nil {
		f.attached = map[string]attachment{}
	}
	f.attached[strings.TrimSuffix(virtual, "/")] = attachment{path, allow}
	return nil
}

// Detach ends the access to a virtual path.
func (f *Files) Detach(virtual string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.attached, strings.TrimSuffix(virtual, "/"))
}

// Forget ends the access to all that lies at or below real paths, before those
// are deleted.
func (f *Files) Forget(paths []string) {
	gone := map[string]bool{}
	for _, p := range paths {
		if target, err := filepath.EvalSymlinks(p); err == nil {
			p = target
		}
		gone[p] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for virtual, a := range f.attached {
		for p := a.real; p != "/" && p != "."; p = path.Dir(p) {
			if gone[p] {
				delete(f.attached, virtual)
				break
			}
		}
	}
}

// Attached returns the real path of each virtual one.
func (f *Files) Attached() map[string]string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make(map[string]string, len(f.attached))
	for virtual, a := range f.attached {
		all[virtual] = a.real
	}
	return all
}

// find returns the attachment whose virtual path is the longest above name,
// and what is left of it.
func (f *Files) find(name string) (a attachment, rest string, ok bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	name = strings.TrimSuffix(name, "/")
	for virtual := name; ; {
		if a, ok := f.attached[virtual]; ok {
			return a, strings.TrimPrefix(name[len(virtual):], "/"), true
		}
		i := strings.LastIndexByte(virtual, '/')
		if i < 0 {
			return attachment{}, "", false
		}
		virtual = virtual[:i]
	}
}

// resolve finds what a principal names. The refusals are Mesos's: NotFound
// without a text, and what the attachment says.
func (f *Files) resolve(name, principal string) (base, rest string, err error) {
	a, rest, ok := f.find(name)
	if !ok {
		return "", "", refusal.NotFoundf("")
	}
	if a.allow != nil {
		if err := a.allow(principal); err != nil {
			return "", "", err
		}
	}
	return a.real, rest, nil
}

// open opens what a principal names.
func (f *Files) open(name, principal string) (*os.File, error) {
	base, rest, err := f.resolve(name, principal)
	if err != nil {
		return nil, err
	}
	file, err := openBelow(base, rest)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, refusal.NotFoundf("")
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("opening a file: %w", err)
	}
	return nil, refusal.Invalidf("'%s' is inaccessible.\n", name) // it leads outside, or is a socket
}

// openBelow opens rest below the directory base, or base itself if there is
// no rest. It does not wait for the other end of a pipe.
func openBelow(base, rest string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	if rest == "" {
		return os.OpenFile(base, flags, 0)
	}
	if info, err := os.Stat(base); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(rest, flags, 0)
}

// List returns what a directory contains, sorted by name, links as what they
// lead to unless that is outside. Of a file, as in Mesos, it is nothing. A
// listing ends after 100,000 entries.
func (f *Files) List(name, principal string) ([]FileInfo, error) {
	dir, err := f.open(name, principal)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(maxEntries)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("listing a directory: %w", err)
	}
	base, rest, err := f.resolve(name, principal)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, fmt.Errorf("listing a directory: %w", err)
	}
	defer root.Close()
	list := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := root.Stat(path.Join(rest, e.Name()))
		if err != nil {
			info, err = e.Info()
		}
		if err == nil { // else it has gone meanwhile
			list = append(list, f.describe(path.Join(name, e.Name()), info))
		}
	}
	slices.SortFunc(list, func(a, b FileInfo) int { return cmp.Compare(a.Path, b.Path) })
	return list, nil
}

// Read returns the size of a file and up to length of its bytes from offset
// on, but never more than 64 KiB; a negative length is as many as there are.
func (f *Files) Read(name string, offset, length int64, principal string) (size int64, data []byte, err error) {
	file, err := f.open(name, principal)
	if err != nil {
		return 0, nil, err
	}
	defer file.Close()
	info, err := regular(file, "read")
	if err != nil {
		return 0, nil, err
	}
	if length < 0 {
		length = maxRead
	}
	length = min(length, maxRead, info.Size()-offset)
	if offset < 0 || length <= 0 {
		return info.Size(), []byte{}, nil // not nil: the answer's field is required
	}
	data = make([]byte, length)
	n, err := file.ReadAt(data, offset)
	if err != nil && !errors.Is(err, io.EOF) { // it may have shrunk
		return 0, nil, err
	}
	return info.Size(), data[:n], nil
}

// regular refuses what is no file of bytes.
func regular(file *os.File, verb string) (fs.FileInfo, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, refusal.Invalidf("Cannot %s a directory.\n", verb)
	case !info.Mode().IsRegular():
		return nil, refusal.Invalidf("Cannot %s what is not a regular file.\n", verb)
	}
	return info, nil
}

func (f *Files) describe(virtual string, info fs.FileInfo) FileInfo {
	d := FileInfo{Path: virtual, Mode: info.Mode(), Nlink: 1, Size: info.Size(), MTime: info.ModTime().Truncate(time.Second)}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		d.Nlink = uint64(stat.Nlink) //nolint:unconvert // narrower on other machines
		d.UID, d.GID = f.users.get(stat.Uid, userName), f.groups.get(stat.Gid, groupName)
	}
	return d
}

// A names remembers the names of users or groups, whose look-up may leave the
// machine.
type names struct {
	mu   sync.Mutex
	name map[uint32]string
}

func (n *names) get(id uint32, lookup func(string) (string, error)) string {
	const most = 1000
	n.mu.Lock()
	defer n.mu.Unlock()
	if name, ok := n.name[id]; ok {
		return name
	}
	name, err := lookup(strconv.FormatUint(uint64(id), 10))
	if err != nil {
		name = strconv.FormatUint(uint64(id), 10)
	}
	if n.name == nil || len(n.name) >= most {
		n.name = map[uint32]string{}
	}
	n.name[id] = name
	return name
}

func userName(id string) (string, error) {
	u, err := user.LookupId(id)
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

func groupName(id string) (string, error) {
	g, err := user.LookupGroupId(id)
	if err != nil {
		return "", err
	}
	return g.Name, nil
}

// Permissions returns the file's kind and permissions as ls prints them.
func (f FileInfo) Permissions() string {
	b := []byte("-rwxrwxrwx")
	switch f.Mode.Type() {
	default: // a regular file
	case fs.ModeDir:
		b[0] = 'd'
	case fs.ModeSymlink:
		b[0] = 'l'
	case fs.ModeNamedPipe:
		b[0] = 'p'
	case fs.ModeSocket:
		b[0] = 's'
	case fs.ModeDevice:
		b[0] = 'b'
	case fs.ModeDevice | fs.ModeCharDevice:
		b[0] = 'c'
	}
	for i := range 9 {
		if f.Mode&(1<<(8-i)) == 0 {
			b[i+1] = '-'
		}
	}
	return string(b)
}
