package containerizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/meseta-project/meseta/internal/launcher"
)

// A Volume is a folder that a container sees below its sandbox.
type Volume struct {
	Path   string // absolute
	At     string // relative to the sandbox
	Shared bool   // it stays whose it is; else the container's user becomes its owner
	// ReadOnly is kept by launchers that isolate; a plain process may write all the
	// same, as with Mesos.
	ReadOnly bool
}

// AddVolumes lets a container see volumes, by links in its sandbox. A task may
// write there: no link of its own making leads out of the sandbox, and what is in
// a volume's place already is an error.
func (c *Containerizer) AddVolumes(spec *Spec, volumes []Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	who, err := c.user(spec)
	if err != nil {
		return err
	}
	if spec.Docker != nil { // the Engine mounts them
		return giveVolumes(volumes, who)
	}
	sandbox, err := os.OpenRoot(spec.Sandbox)
	if err != nil {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	defer sandbox.Close()
	for _, v := range volumes {
		if c.cfg.Launcher != nil && path.IsAbs(v.At) {
			err = ownVolume(spec, v, who) // mounted there, without a link
		} else {
			err = addVolume(sandbox, v, who)
		}
		if err != nil {
			return fmt.Errorf("put volume %s into the sandbox at %q: %w", v.Path, v.At, err)
		}
	}
	return nil
}

func addVolume(sandbox *os.Root, v Volume, who *launcher.User) error {
	if path.IsAbs(v.At) {
		return errors.New("without an image a volume can only be below the sandbox: give a relative container_path")
	}
	if err := makeParents(sandbox, path.Dir(path.Clean(v.At)), who); err != nil {
		return err
	}
	if err := giveVolume(v, who); err != nil {
		return err
	}
	err := sandbox.Symlink(v.Path, v.At)
	if errors.Is(err, fs.ErrExist) && isLink(sandbox, v) {
		return nil // an earlier life of the agent put it there
	}
	return err
}

// ownVolume makes ready a volume that is mounted outside of the sandbox: on the
// machine's own root only where there is something.
func ownVolume(spec *Spec, v Volume, who *launcher.User) error {
	if err := within(v.At); err != nil {
		return err
	}
	if _, err := os.Stat(v.At); err != nil && imageOf(spec) == nil {
		return fmt.Errorf("Absolute container path '%s' does not exist", v.At) //nolint:staticcheck // as Mesos words it
	}
	return giveVolume(v, who)
}

func giveVolumes(volumes []Volume, who *launcher.User) error {
	for _, v := range volumes {
		if err := giveVolume(v, who); err != nil {
			return fmt.Errorf("give volume %s to the user: %w", v.Path, err)
		}
	}
	return nil
}

// giveVolume makes a container's user the owner of its volume.
func giveVolume(v Volume, who *launcher.User) error {
	if who == nil || v.Shared {
		return nil
	}
	return os.Lchown(v.Path, int(who.UID), int(who.GID))
}

// makeParents makes the folders on the way to a volume, which belong to the
// container's user.
func makeParents(sandbox *os.Root, dir string, who *launcher.User) error {
	if dir == "." {
		return nil
	}
	if err := makeParents(sandbox, path.Dir(dir), who); err != nil {
		return err
	}
	err := sandbox.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil || who == nil {
		return err
	}
	return sandbox.Lchown(dir, int(who.UID), int(who.GID))
}

// RemoveVolumes takes the links away again; what is in the volumes stays. What a
// task has put in their place is left alone.
func (c *Containerizer) RemoveVolumes(spec *Spec, volumes []Volume) error {
	if len(volumes) == 0 {
		return nil
	}
	sandbox, err := os.OpenRoot(spec.Sandbox)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	defer sandbox.Close()
	var all error
	for _, v := range volumes {
		if isLink(sandbox, v) {
			all = errors.Join(all, sandbox.Remove(v.At))
		}
	}
	return all
}

func isLink(sandbox *os.Root, v Volume) bool {
	to, err := sandbox.Readlink(v.At)
	return err == nil && to == v.Path
}

// mounts are those of volumes in containers that do not see the agent's folders:
// where the links in the sandbox lead to, or else where they are to be seen.
func mounts(volumes []Volume) []launcher.Mount {
	all := make([]launcher.Mount, 0, len(volumes))
	for _, v := range volumes {
		m := launcher.Mount{Source: v.Path, Target: v.Path, ReadOnly: v.ReadOnly}
		if path.IsAbs(v.At) {
			m.Target = v.At
		}
		all = append(all, m)
	}
	return all
}
