package containerizer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// addMounts finds what the volumes in a container's ContainerInfo come from, and
// makes the places in the sandbox where it is to see them. A plain process sees
// no other files than the machine, so it can have none.
func (c *Containerizer) addMounts(ctx context.Context, spec *Spec) error {
	volumes := spec.Container.GetVolumes()
	if spec.Docker != nil || len(volumes) == 0 { // the Engine has its own
		return nil
	}
	if c.cfg.Launcher == nil {
		return errors.New("Volumes in ContainerInfo is not supported: this agent starts plain processes; start it with --launcher=oci or lxc") //nolint:staticcheck // begins as Mesos words it
	}
	who, err := c.user(spec)
	if err != nil {
		return err
	}
	m := &mounter{c: c, spec: spec, who: who}
	if m.sandbox, err = openSandbox(spec); err != nil {
		return fmt.Errorf("open the sandbox: %w", err)
	}
	defer m.sandbox.Close()
	for i, v := range volumes {
		mount, err := m.mount(ctx, i, v)
		if err != nil {
			return fmt.Errorf("volume '%s': %w", v.GetContainerPath(), err)
		}
		spec.mounts = append(spec.mounts, mount)
	}
	if err := apart(spec.mounts); err != nil {
		return err
	}
	return m.mountDriven(ctx, volumes)
}

// apart refuses volumes in one whose mounts go both ways: they would be mounted on
// the machine too.
func apart(mounts []launcher.Mount) error {
	for _, outer := range mounts {
		for _, m := range mounts {
			if outer.Both && m.Target != outer.Target && isBelow(m.Target, outer.Target) {
				return fmt.Errorf("volume '%s' is in '%s', which has bidirectional mount propagation", m.Target, outer.Target)
			}
		}
	}
	return nil
}

// shareable refuses what cannot have mounts that go both ways: what is in a mount
// that is not shared, and folders above the agent's own, which are hidden by mounts.
func (c *Containerizer) shareable(asked, source string) error {
	for _, own := range c.cfg.Own {
		if isBelow(own, source) {
			return fmt.Errorf("Cannot setup bidirectional mount propagation for host path '%s' because the agent's own '%s' is below it", asked, own) //nolint:staticcheck // begins as Mesos words it
		}
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if !sharedAt(string(text), source) {
		return fmt.Errorf("Cannot setup bidirectional mount propagation for host path '%s' because it is not under a shared mount", asked) //nolint:staticcheck // as Mesos words it
	}
	return nil
}

// sharedAt reports whether a path with no link in it is in a mount that is shared,
// as mountinfo tells: the last of those with the longest path that leads there.
func sharedAt(mountinfo, p string) bool {
	longest, shared := -1, false
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 7 {
			continue
		}
		at := unescape(fields[4])
		if len(at) < longest || !isBelow(p, at) {
			continue
		}
		longest, shared = len(at), false
		for _, option := range fields[6:] {
			if option == "-" {
				break
			}
			shared = shared || strings.HasPrefix(option, "shared:")
		}
	}
	return shared
}

// unescape undoes the kernel's way of writing blanks in paths.
func unescape(p string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(p)
}

// mounter finds the volumes of one container.
type mounter struct {
	c       *Containerizer
	spec    *Spec
	who     *launcher.User
	sandbox *os.Root
}

func (m *mounter) mount(ctx context.Context, i int, v *mesos.Volume) (launcher.Mount, error) {
	if err := within(v.GetContainerPath()); err != nil {
		return launcher.Mount{}, fmt.Errorf("container_path: %w", err)
	}
	if driven(v) {
		return m.driven(v)
	}
	out, err := m.source(ctx, i, v)
	if err != nil {
		return out, err
	}
	out.ReadOnly = v.GetMode() == mesos.Volume_RO
	folder := false // as is a secret
	if v.GetSource().GetType() != mesos.Volume_Source_SECRET {
		info, err := os.Stat(out.Source)
		if err != nil {
			return out, err
		}
		folder = info.IsDir()
	}
	out.Target, err = m.target(v.GetContainerPath(), folder)
	return out, err
}

// within refuses paths that lead nowhere or upwards.
func within(p string) error {
	switch {
	case path.Clean("/"+p) == "/":
		return fmt.Errorf("'%s' names no place of its own", p)
	case slices.Contains(strings.Split(p, "/"), ".."):
		return fmt.Errorf("'%s' contains '..'", p)
	}
	return nil
}

// source returns a mount whose source is set.
func (m *mounter) source(ctx context.Context, i int, v *mesos.Volume) (out launcher.Mount, err error) {
	s := v.GetSource()
	switch {
	case v.Image != nil:
		out.Source, err = m.image(ctx, i, v.GetImage())
	case v.HostPath != nil && !path.IsAbs(v.GetHostPath()):
		out.Source, err = m.own(v, v.GetHostPath())
	case v.HostPath != nil:
		out.Host = true
		out.Source, err = m.host(v.GetHostPath())
	case s.GetType() == mesos.Volume_Source_HOST_PATH:
		out.Host = true
		out.Both = s.GetHostPath().GetMountPropagation().GetMode() == mesos.MountPropagation_BIDIRECTIONAL
		if out.Source, err = m.host(s.GetHostPath().GetPath()); err == nil && out.Both {
			err = m.c.shareable(s.GetHostPath().GetPath(), out.Source)
		}
	case s.GetType() == mesos.Volume_Source_SANDBOX_PATH:
		out.Source, err = m.sandboxPath(v, s.GetSandboxPath())
	case s.GetType() == mesos.Volume_Source_SECRET:
		out.Source, err = m.secret(i, v)
	default:
		return out, fmt.Errorf("volumes of type %s are not supported by this agent", s.GetType())
	}
	return out, err
}

// host returns a path of the machine with no link in it.
func (m *mounter) host(p string) (string, error) {
	if !path.IsAbs(p) {
		return "", fmt.Errorf("Path '%s' in HOST_PATH volume is not absolute", p) //nolint:staticcheck // as Mesos words it
	}
	if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
		if err := m.c.makeHostPath(p); err != nil {
			return "", err
		}
	}
	at, err := filepath.EvalSymlinks(p)
	if err != nil {
		return "", err
	}
	for _, own := range m.c.cfg.Own {
		if isBelow(at, own) {
			return "", fmt.Errorf("'%s' is the agent's own, and no container's to see", p)
		}
	}
	return at, nil
}

// isBelow reports whether a clean path is a folder or leads into it.
func isBelow(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// makeHostPath makes a folder that is asked for and missing, if it may be made: no
// link leads out of the folder below which it may.
func (c *Containerizer) makeHostPath(p string) error {
	if len(c.cfg.MakeBelow) == 0 {
		return fmt.Errorf("Path '%s' in HOST_PATH volume does not exist", p) //nolint:staticcheck // as Mesos words it
	}
	clean := path.Clean(p)
	for _, base := range c.cfg.MakeBelow {
		base = path.Clean(base)
		if !path.IsAbs(base) || !isBelow(clean, base) {
			continue
		}
		if err := os.MkdirAll(base, 0o755); err != nil {
			return fmt.Errorf("Failed to create the host path at '%s': %w", p, err) //nolint:staticcheck // as Mesos words it
		}
		root, err := os.OpenRoot(base)
		if err != nil {
			return err
		}
		defer root.Close()
		if err := root.MkdirAll("."+strings.TrimPrefix(clean, base), 0o755); err != nil {
			return fmt.Errorf("Failed to create the host path at '%s': %w", p, err) //nolint:staticcheck // as Mesos words it
		}
		return nil
	}
	return fmt.Errorf("Path '%s' in HOST_PATH volume does not exist and is not whitelisted for creation: see --host_path_volume_force_creation", p) //nolint:staticcheck // as Mesos words it
}

func (m *mounter) sandboxPath(v *mesos.Volume, s *mesos.Volume_Source_SandboxPath) (string, error) {
	switch {
	case path.IsAbs(s.GetPath()):
		return "", fmt.Errorf("Path '%s' in SANDBOX_PATH volume is absolute", s.GetPath()) //nolint:staticcheck // as Mesos words it
	case s.GetType() == mesos.Volume_Source_SandboxPath_SELF:
		return m.own(v, s.GetPath())
	case s.GetType() != mesos.Volume_Source_SandboxPath_PARENT:
		return "", errors.New("Unknown SANDBOX_PATH volume type") //nolint:staticcheck // as Mesos words it
	case !m.spec.ID.Nested():
		return "", errors.New("SANDBOX_PATH volume PARENT type only works for nested container")
	}
	// The folder above containers/ID.
	parent := *m.spec
	parent.Sandbox = filepath.Dir(filepath.Dir(m.spec.Sandbox))
	sandbox, err := openSandbox(&parent)
	if err != nil {
		return "", fmt.Errorf("Failed to locate the sandbox for the parent container: %w", err) //nolint:staticcheck // as Mesos words it
	}
	defer sandbox.Close()
	return m.in(sandbox, parent.Sandbox, s.GetPath())
}

// own returns a path in the container's own sandbox.
func (m *mounter) own(v *mesos.Volume, p string) (string, error) {
	if !path.IsAbs(v.GetContainerPath()) {
		return "", errors.New("'container_path' is relative for SANDBOX_PATH volume SELF type")
	}
	return m.in(m.sandbox, m.spec.Sandbox, p)
}

// in returns the path, with no link in it, of what is at p in a sandbox, which is
// made as a folder of the user's if it is missing. Nothing in the sandbox leads out.
func (m *mounter) in(sandbox *os.Root, dir, p string) (string, error) {
	if err := within(p); err != nil {
		return "", err
	}
	p = path.Clean(p)
	_, err := sandbox.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeParents(sandbox, p, m.who)
	}
	if err != nil {
		return "", fmt.Errorf("find '%s' in the sandbox: %w", p, err)
	}
	at, err := filepath.EvalSymlinks(filepath.Join(dir, p))
	if err != nil {
		return "", err
	}
	top, err := filepath.EvalSymlinks(dir)
	if err == nil && !isBelow(at, top) {
		err = fmt.Errorf("'%s' leads out of the sandbox", p)
	}
	return at, err
}

// target returns where in its root a container is to see a folder, or a file. What is missing
// on the way in a root of its own the runtime makes; on the machine nothing is made
// but in the sandbox.
func (m *mounter) target(p string, folder bool) (string, error) {
	image := imageOf(m.spec) != nil
	switch {
	case path.IsAbs(p) && image:
		return path.Clean(p), nil
	case path.IsAbs(p):
		at, err := filepath.EvalSymlinks(p)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("Mount point '%s' is an absolute path. It must exist if the container shares the host filesystem", p) //nolint:staticcheck // as Mesos words it
		}
		return at, err
	}
	if err := m.mountPoint(path.Clean(p), folder); err != nil {
		return "", fmt.Errorf("Failed to create the mount point at '%s': %w", p, err) //nolint:staticcheck // as Mesos words it
	}
	if image {
		return path.Join(m.c.cfg.Mapped, p), nil
	}
	return path.Join(m.spec.Sandbox, p), nil
}

// mountPoint makes a folder, or a file, in the sandbox for something to be mounted
// on. A link there is an error: the runtime would follow it.
func (m *mounter) mountPoint(p string, folder bool) error {
	err := makeParents(m.sandbox, path.Dir(p), m.who)
	if err != nil {
		return err
	}
	if folder {
		err = m.sandbox.Mkdir(p, 0o755)
	} else {
		var f *os.File
		if f, err = m.sandbox.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for at := p; at != "."; at = path.Dir(at) {
		there, err := m.sandbox.Lstat(at)
		if err != nil {
			return err
		}
		if there.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("'%s' is a link", at)
		}
	}
	return nil
}

// image provisions an image for a volume, and returns its root.
func (m *mounter) image(ctx context.Context, i int, wanted *mesos.Image) (string, error) {
	root, err := m.c.provisionImage(ctx, m.spec, fmt.Sprintf("volume-%d", i), wanted)
	if err != nil {
		return "", err
	}
	return root.Path, nil
}
