package checkpoint

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	readOnly   = os.O_RDONLY
	writeFresh = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	writeAtEnd = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	readWrite  = os.O_RDWR
)

// OS is the operating system's file system.
type OS struct{}

// OpenFile is [os.OpenFile].
func (OS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err // a nil *os.File must not become a File that is not nil
	}
	return osFile{f}, nil
}

// osFile begins to write to the disk at once what is written to it. Syncing several
// files then takes the file system one transaction: else each gets its place on the
// disk only when it is synced, in a transaction after that of the one before.
type osFile struct{ *os.File }

// Write implements [io.Writer].
func (f osFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if err == nil {
		_ = unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE) // Sync sees to it, and tells if it fails
	}
	return n, err
}

// Mkdir is [os.Mkdir].
func (OS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// Rename is [os.Rename].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Symlink is [os.Symlink].
func (OS) Symlink(target, link string) error { return os.Symlink(target, link) }

// Readlink is [os.Readlink].
func (OS) Readlink(link string) (string, error) { return os.Readlink(link) }

// ReadDir is [os.ReadDir].
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Remove is [os.Remove].
func (OS) Remove(name string) error { return os.Remove(name) }
