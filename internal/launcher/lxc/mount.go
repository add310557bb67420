package lxc

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// root writes what a container sees of files. LXC follows no links in the path of
// what it mounts on, so they are followed here, within the root; and what is missing
// in a root of the container's own is made here.
func (c *config) root(s *specs.Spec, bundle, init string) error {
	c.set("lxc.rootfs.path", "dir:"+s.Root.Path)
	c.set("lxc.autodev", "1")
	c.set("lxc.autodev.tmpfs.size", "67108864")
	c.set("lxc.pty.max", map[bool]string{true: "0", false: "1024"}[s.Process.Terminal])
	places, err := openPlaces(s, s.Root.Path == filepath.Join(bundle, "rootfs"))
	if err != nil {
		return err
	}
	defer places.Close()
	mounts := slices.Clone(s.Mounts)
	for _, d := range s.Linux.Devices {
		mounts = append(mounts, specs.Mount{Source: d.Path, Destination: d.Path, Type: "bind", Options: []string{"bind"}})
	}
	for _, m := range mounts {
		if m.Destination == "/dev" || m.Destination == "/dev/pts" {
			continue // LXC makes them
		}
		if m, err = places.put(m); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.Source, m.Destination, err)
		}
		c.mount(m)
	}
	c.mount(specs.Mount{Source: init, Destination: initDir, Type: "bind", Options: []string{"bind", "ro", "nosuid", "create=dir"}})
	for _, path := range s.Linux.MaskedPaths {
		c.mask(path)
	}
	for _, path := range slices.DeleteFunc(slices.Clone(s.Linux.ReadonlyPaths), missing) {
		c.mount(specs.Mount{Source: strings.TrimPrefix(path, "/"), Destination: path, Type: "bind", Options: []string{"rbind", "ro", "relative"}})
	}
	_, _, err = places.find(s.Process.Cwd, true)
	return err
}

// mask hides a file or folder of /proc or /sys that this machine has.
func (c *config) mask(path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		c.mount(specs.Mount{Source: "tmpfs", Destination: path, Type: "tmpfs", Options: []string{"ro", "size=0k"}})
	default:
		c.mount(specs.Mount{Source: "/dev/null", Destination: path, Type: "bind", Options: []string{"bind"}})
	}
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return err != nil
}

// flags are those of a mount that LXC leaves out where it binds something that has
// none of them. The shim adds them.
var flags = map[string]uintptr{"ro": syscall.MS_RDONLY, "nosuid": syscall.MS_NOSUID, "nodev": syscall.MS_NODEV, "noexec": syscall.MS_NOEXEC}

// mount writes a mount as a line of fstab.
func (c *config) mount(m specs.Mount) {
	kind, restrict := m.Type, uintptr(0)
	if kind == "bind" {
		kind = "none"
		for _, o := range m.Options {
			restrict |= flags[o]
		}
		if slices.Contains(m.Options, "rshared") {
			c.fail("a volume %s whose mounts go both ways", m.Destination)
		}
	}
	if restrict != 0 {
		fmt.Fprintf(&c.mounts, "mount %d %s\n", restrict, m.Destination)
	}
	c.set("lxc.mount.entry", strings.Join([]string{word(m.Source), word(strings.TrimPrefix(m.Destination, "/")), kind, word(strings.Join(m.Options, ",")), "0 0"}, " "))
}

// word returns a field of fstab.
func word(s string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "#", `\043`).Replace(s)
}

// places knows what is mounted where, and makes what is missing below.
type places struct {
	rootfs  string
	own     *os.Root // of a container that has one; nil: the machine's, where nothing is made
	mounted []place
}

type place struct {
	named, at string // as it was named, and without links
	empty     bool   // at first, so what LXC makes in there is safe to make
}

func openPlaces(s *specs.Spec, hostRoot bool) (*places, error) {
	p := &places{rootfs: "/", mounted: []place{{"/dev", "/dev", true}}}
	if hostRoot {
		return p, nil
	}
	var err error
	p.rootfs = s.Root.Path
	if p.own, err = os.OpenRoot(s.Root.Path); err == nil {
		err = p.own.MkdirAll("dev", 0o755)
	}
	return p, err
}

func (p *places) Close() error {
	if p.own == nil {
		return nil
	}
	return p.own.Close()
}

// put returns a mount with the place where it is to be in the end.
func (p *places) put(m specs.Mount) (specs.Mount, error) {
	folder := true
	if m.Type == "bind" {
		info, err := os.Stat(m.Source)
		if err != nil {
			return m, err
		}
		folder = info.IsDir()
	}
	at, empty, err := p.find(m.Destination, folder)
	if err != nil {
		return m, err
	}
	p.mounted = append(p.mounted, place{filepath.Clean(m.Destination), at, m.Type == "tmpfs"})
	m.Destination, m.Options = at, slices.Clone(m.Options)
	if empty {
		m.Options = append(m.Options, map[bool]string{true: "create=dir", false: "create=file"}[folder])
	}
	return m, nil
}

// find returns the path without links of what a container is to see at a path, and
// whether it is in something empty. In a root of the container's own it is made.
func (p *places) find(path string, folder bool) (at string, empty bool, err error) {
	path = filepath.Clean(path)
	for _, m := range slices.Backward(p.mounted) {
		if rest, ok := below(path, m.named); ok {
			return filepath.Join(m.at, rest), m.empty, nil
		}
	}
	if at, err = follow(p.rootfs, path); err != nil {
		return "", false, err
	}
	for _, m := range slices.Backward(p.mounted) {
		if _, ok := below(at, m.at); ok {
			return at, m.empty, nil
		}
	}
	if p.own == nil {
		return at, false, nil
	}
	return at, false, p.make(strings.TrimPrefix(at, "/"), folder)
}

func (p *places) make(path string, folder bool) error {
	if path == "" {
		return nil
	}
	if folder {
		return p.own.MkdirAll(path, 0o755)
	}
	if err := p.own.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := p.own.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func below(path, dir string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path+"/", strings.TrimSuffix(dir, "/")+"/")
	return strings.TrimSuffix(rest, "/"), ok
}

// linksMax is how many links the kernel follows in a path.
const linksMax = 40

// follow returns a path with no link in it, as one sees it who has root for a root.
// What is missing is taken for a folder.
func follow(root, path string) (string, error) {
	todo, at, links := strings.Split(path, "/"), "/", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		to, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			at = next // is no link, or is missing
			continue
		}
		if links++; links > linksMax {
			return "", fmt.Errorf("too many links in %s", path)
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		todo = append(strings.Split(to, "/"), todo...)
	}
	return at, nil
}
