package checkpoint

import (
	"io/fs"
	"os"
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
	return f, nil
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
