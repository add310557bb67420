package fetcher

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// kinds of archives, by the end of their names, longer ends first.
var kinds = []struct {
	suffix string
	unpack func(*unpacking) error
}{
	{".tar.gz", (*unpacking).tarGzip},
	{".tgz", (*unpacking).tarGzip},
	{".tar.bz2", (*unpacking).tarBzip2},
	{".tbz2", (*unpacking).tarBzip2},
	{".tar.xz", (*unpacking).tarXz},
	{".txz", (*unpacking).tarXz},
	{".tar", (*unpacking).tar},
	{".zip", (*unpacking).zip},
	{".gz", (*unpacking).gzip},
}

// unpacking is one archive on its way into a folder.
type unpacking struct {
	root *os.Root
	file *os.File
	name string // of the archive
	dir  string // below root
}

// isArchive says whether a name is one of an archive that we unpack.
func isArchive(name string) bool {
	for _, k := range kinds {
		if strings.HasSuffix(name, k.suffix) {
			return true
		}
	}
	return false
}

// extract unpacks a file on the agent's disk whose name is another's.
func extract(root *os.Root, file, name, dir string, log io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(root, f, name, dir, log)
}

// extractFrom unpacks a file that is below root itself.
func extractFrom(root *os.Root, file, name, dir string, log io.Writer) error {
	f, err := root.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return unpack(root, f, name, dir, log)
}

func unpack(root *os.Root, f *os.File, name, dir string, log io.Writer) error {
	for _, k := range kinds {
		if strings.HasSuffix(name, k.suffix) {
			if err := k.unpack(&unpacking{root: root, file: f, name: name, dir: dir}); err != nil {
				return fmt.Errorf("unpack %s: %w", path.Base(name), err)
			}
			fmt.Fprintf(log, "Extracted '%s' into '%s'\n", name, filepath.Join(root.Name(), dir))
			return nil
		}
	}
	return nil
}

func (u *unpacking) tar() error { return u.entries(u.file) }

func (u *unpacking) tarGzip() error {
	in, err := gzip.NewReader(u.file)
	if err != nil {
		return err
	}
	return u.entries(in)
}

func (u *unpacking) tarBzip2() error { return u.entries(bzip2.NewReader(u.file)) }

func (u *unpacking) tarXz() error {
	in, err := xz.NewReader(u.file)
	if err != nil {
		return err
	}
	return u.entries(in)
}

func (u *unpacking) gzip() error {
	in, err := gzip.NewReader(u.file)
	if err != nil {
		return err
	}
	return u.write(strings.TrimSuffix(path.Base(u.name), ".gz"), 0o644, in)
}

// entries unpacks a tar stream. Only files, folders and links are made; a
// folder's mode and anybody's setuid bit are not.
func (u *unpacking) entries(in io.Reader) error {
	archive := tar.NewReader(in)
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.entry(head, archive); err != nil {
			return fmt.Errorf("entry %q: %w", head.Name, err)
		}
	}
}

func (u *unpacking) entry(head *tar.Header, content io.Reader) error {
	switch head.Typeflag {
	case tar.TypeReg:
		return u.write(head.Name, os.FileMode(head.Mode)&os.ModePerm, content)
	case tar.TypeDir:
		return u.root.MkdirAll(u.below(head.Name), 0o755)
	case tar.TypeSymlink:
		return u.link(head.Name, func(at string) error { return u.root.Symlink(head.Linkname, at) })
	case tar.TypeLink:
		return u.link(head.Name, func(at string) error { return u.root.Link(u.below(head.Linkname), at) })
	case tar.TypeXGlobalHeader:
		return nil
	}
	return fmt.Errorf("type %q is not one to be unpacked", head.Typeflag)
}

func (u *unpacking) zip() error {
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	archive, err := zip.NewReader(u.file, info.Size())
	if err != nil {
		return err
	}
	for _, f := range archive.File {
		if err := u.zipEntry(f); err != nil {
			return fmt.Errorf("entry %q: %w", f.Name, err)
		}
	}
	return nil
}

func (u *unpacking) zipEntry(f *zip.File) error {
	if f.Mode().IsDir() {
		return u.root.MkdirAll(u.below(f.Name), 0o755)
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if f.Mode()&os.ModeSymlink == 0 {
		return u.write(f.Name, f.Mode().Perm(), in)
	}
	target, err := io.ReadAll(io.LimitReader(in, 4096))
	if err != nil {
		return err
	}
	return u.link(f.Name, func(at string) error { return u.root.Symlink(string(target), at) })
}

// below returns where an entry goes. Names that leave the folder are refused by
// the root, or land inside it.
func (u *unpacking) below(name string) string {
	return filepath.Join(u.dir, filepath.Join("/", name))
}

func (u *unpacking) write(name string, mode os.FileMode, content io.Reader) (err error) {
	return u.link(name, func(at string) (err error) {
		out, err := u.root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
		if _, err := io.Copy(out, content); err != nil {
			return err
		}
		return out.Chmod(mode)
	})
}

// link makes something at a place whose folders it makes too, where it replaces
// what was there.
func (u *unpacking) link(name string, create func(at string) error) error {
	at := u.below(name)
	if err := u.root.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if err := u.root.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return create(at)
}
