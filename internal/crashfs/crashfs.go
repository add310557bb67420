// Package crashfs is a file system in memory that can lose power. It keeps
// apart what was written and what is durable: the contents of a file are when
// the file was synced, the names in a folder when the folder was. At a crash,
// what was not durable may be there, be there in part, or be gone, as chance
// decides, which is what real file systems promise.
//
// For tests. Names are absolute, with slashes.
package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"sync"
	"time"
)

// ErrCrashed is what every operation fails with once the power is gone.
var ErrCrashed = errors.New("crashfs: the power is gone")

// FS is a file system. It is safe for concurrent use.
type FS struct {
	mu   sync.Mutex
	root *node
	left int // operations that change something until the power goes; <0: never
	ops  int
}

// node is a file, a folder or a link.
type node struct {
	mode    fs.FileMode
	target  string           // of a link
	data    []byte           // of a file, as written
	durable []byte           // of a file, as synced
	names   map[string]*node // of a folder, as changed
	synced  map[string]*node // of a folder, as synced
}

func folder(perm fs.FileMode) *node {
	return &node{mode: fs.ModeDir | perm, names: map[string]*node{}, synced: map[string]*node{}}
}

// New returns an empty file system.
func New() *FS { return &FS{root: folder(0o755), left: -1} }

// FailAfter lets the power go before the n-th operation from now that changes
// something, counted from 0.
func (f *FS) FailAfter(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.ops = n, 0
}

// Ops returns how many operations have changed something since FailAfter, or
// the beginning.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// Restart returns the file system as it may be found when the power is back.
func (f *FS) Restart(r *rand.Rand) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &FS{root: f.root.restart(r, map[*node]*node{}), left: -1}
}

// restart returns what is left of a node. The same node is found the same under
// all of its names.
func (n *node) restart(r *rand.Rand, done map[*node]*node) *node {
	if m := done[n]; m != nil {
		return m
	}
	m := &node{mode: n.mode, target: n.target}
	done[n] = m
	if !n.mode.IsDir() {
		m.data = survivor(r, n.durable, n.data)
		m.durable = slices.Clone(m.data)
		return m
	}
	m.names = map[string]*node{}
	all := maps.Clone(n.synced)
	maps.Copy(all, n.names)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		kept := n.synced[name]
		if n.names[name] != kept && r.IntN(2) == 0 {
			kept = n.names[name]
		}
		if kept != nil {
			m.names[name] = kept.restart(r, done)
		}
	}
	m.synced = maps.Clone(m.names)
	return m
}

// survivor returns what is found of a file's contents: what was durable, what
// was written, or, of what was added at the end, a part.
func survivor(r *rand.Rand, durable, written []byte) []byte {
	switch r.IntN(3) {
	case 0:
		return slices.Clone(durable)
	case 1:
		return slices.Clone(written)
	}
	if len(written) < len(durable) {
		return slices.Clone(written[:r.IntN(len(written)+1)])
	}
	return slices.Clone(written[:len(durable)+r.IntN(len(written)-len(durable)+1)])
}

// change counts an operation that changes something. Called with the lock held.
func (f *FS) change() error {
	if f.left == 0 {
		return ErrCrashed
	}
	if f.left > 0 {
		f.left--
	}
	f.ops++
	return nil
}

// alive fails when the power is gone. Called with the lock held.
func (f *FS) alive() error {
	if f.left == 0 {
		return ErrCrashed
	}
	return nil
}

// find returns the node called name.
func (f *FS) find(name string) (*node, error) {
	n := f.root
	for _, part := range split(name) {
		if !n.mode.IsDir() {
			return nil, fs.ErrNotExist
		}
		next := n.names[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		n = next
	}
	return n, nil
}

// parent returns the folder that name is in, and its last part.
func (f *FS) parent(name string) (*node, string, error) {
	dir, err := f.find(path.Dir(path.Clean(name)))
	if err == nil && !dir.mode.IsDir() {
		err = fs.ErrNotExist
	}
	return dir, path.Base(path.Clean(name)), err
}

func split(name string) []string {
	var parts []string
	for name = path.Clean(name); name != "/" && name != "."; name = path.Dir(name) {
		parts = append(parts, path.Base(name))
	}
	slices.Reverse(parts)
	return parts
}

// OpenFile is like [os.OpenFile]; it does not follow links.
func (f *FS) OpenFile(name string, flag int, perm fs.FileMode) (*File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.alive(); err != nil {
		return nil, fail("open", name, err)
	}
	n, err := f.find(name)
	if errors.Is(err, fs.ErrNotExist) && flag&os.O_CREATE != 0 {
		n, err = f.create(name, perm)
	}
	if err == nil && flag&os.O_TRUNC != 0 && len(n.data) > 0 {
		if err = f.change(); err == nil {
			n.data = nil
		}
	}
	if err != nil {
		return nil, fail("open", name, err)
	}
	return &File{fs: f, node: n, name: name, atEnd: flag&os.O_APPEND != 0}, nil
}

func (f *FS) create(name string, perm fs.FileMode) (*node, error) {
	dir, base, err := f.parent(name)
	if err != nil {
		return nil, err
	}
	if err := f.change(); err != nil {
		return nil, err
	}
	n := &node{mode: perm}
	dir.names[base] = n
	return n, nil
}

// Mkdir is like [os.Mkdir].
func (f *FS) Mkdir(name string, perm fs.FileMode) error {
	return f.add("mkdir", name, func() *node { return folder(perm) })
}

// Symlink is like [os.Symlink].
func (f *FS) Symlink(target, link string) error {
	return f.add("symlink", link, func() *node { return &node{mode: fs.ModeSymlink | 0o777, target: target} })
}

// add puts a new node under a name that is free.
func (f *FS) add(op, name string, fresh func() *node) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.parent(name)
	if err == nil && dir.names[base] != nil {
		err = fs.ErrExist
	}
	if err == nil {
		err = f.change()
	}
	if err != nil {
		return fail(op, name, err)
	}
	dir.names[base] = fresh()
	return nil
}

// Rename is like [os.Rename].
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	src, old, err := f.parent(from)
	if err == nil && src.names[old] == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fail("rename", from, err)
	}
	dst, base, err := f.parent(to)
	if err == nil {
		err = f.change()
	}
	if err != nil {
		return fail("rename", to, err)
	}
	dst.names[base] = src.names[old]
	delete(src.names, old)
	return nil
}

// Readlink is like [os.Readlink].
func (f *FS) Readlink(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err == nil && n.mode&fs.ModeSymlink == 0 {
		err = fs.ErrInvalid
	}
	if err != nil {
		return "", fail("readlink", name, err)
	}
	return n.target, f.alive()
}

// Remove is like [os.Remove], of files and links.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	dir, base, err := f.parent(name)
	if err == nil && dir.names[base] == nil {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = f.change()
	}
	if err != nil {
		return fail("remove", name, err)
	}
	delete(dir.names, base)
	return nil
}

// ReadDir is like [os.ReadDir].
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.find(name)
	if err == nil {
		err = f.alive()
	}
	if err != nil {
		return nil, fail("readdir", name, err)
	}
	var out []fs.DirEntry
	for _, base := range slices.Sorted(maps.Keys(n.names)) {
		out = append(out, fs.FileInfoToDirEntry(info{base, n.names[base]}))
	}
	return out, nil
}

func fail(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// info is what is known of a node without opening it.
type info struct {
	name string
	node *node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.node.data)) }
func (i info) Mode() fs.FileMode  { return i.node.mode }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node.mode.IsDir() }
func (i info) Sys() any           { return nil }

// File is an open file or folder.
type File struct {
	fs    *FS
	node  *node
	name  string
	at    int
	atEnd bool
}

// Read reads on from where the file was read last.
func (f *File) Read(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.alive(); err != nil {
		return 0, fail("read", f.name, err)
	}
	if f.at >= len(f.node.data) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.at:])
	f.at += n
	return n, nil
}

// Write writes on from where the file was written last, or at its end.
func (f *File) Write(p []byte) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return 0, fail("write", f.name, err)
	}
	if f.atEnd {
		f.at = len(f.node.data)
	}
	f.node.data = append(f.node.data[:f.at:f.at], p...)
	f.at += len(p)
	return len(p), nil
}

// Sync makes the contents of a file, or the names in a folder, durable.
func (f *File) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return fail("sync", f.name, err)
	}
	if f.node.mode.IsDir() {
		f.node.synced = maps.Clone(f.node.names)
		return nil
	}
	f.node.durable = slices.Clone(f.node.data)
	return nil
}

// Truncate cuts the file.
func (f *File) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(); err != nil {
		return fail("truncate", f.name, err)
	}
	f.node.data = slices.Clone(f.node.data[:min(size, int64(len(f.node.data)))])
	return nil
}

// Close does nothing.
func (f *File) Close() error { return nil }
