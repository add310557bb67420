package containerizer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/docker/volume"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
)

// driven reports whether a volume is a Docker plugin's.
func driven(v *mesos.Volume) bool {
	return v.GetSource().GetType() == mesos.Volume_Source_DOCKER_VOLUME && v.HostPath == nil && v.Image == nil
}

// driven returns a mount whose source is not known yet: plugins are asked when all else
// that a container wants is there.
func (m *mounter) driven(v *mesos.Volume) (launcher.Mount, error) {
	out := launcher.Mount{Host: true, ReadOnly: v.GetMode() == mesos.Volume_RO}
	if m.c.cfg.Volumes == nil {
		return out, errors.New("this agent has no Docker volumes: start it with docker/volume in --isolation")
	}
	at := v.GetContainerPath()
	if path.IsAbs(at) && imageOf(m.spec) == nil {
		if _, err := os.Stat(at); err != nil {
			return out, fmt.Errorf("Absolute container path '%s' does not exist", at) //nolint:staticcheck // as Mesos words it
		}
	}
	var err error
	out.Target, err = m.target(at, true)
	return out, err
}

// mountDriven has plugins mount the volumes of theirs.
func (m *mounter) mountDriven(ctx context.Context, volumes []*mesos.Volume) error {
	var wanted []*mesos.Volume_Source_DockerVolume
	var mounts []*launcher.Mount
	for i, v := range volumes {
		if driven(v) {
			wanted = append(wanted, v.GetSource().GetDockerVolume())
			mounts = append(mounts, &m.spec.mounts[i])
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	if err := volume.Check(m.spec.ID, wanted); err != nil {
		return err
	}
	m.spec.waits("Mounting Docker volumes")
	defer m.spec.waits("")
	at, err := m.c.cfg.Volumes.Mount(ctx, m.spec.ID, wanted)
	if err != nil {
		return err
	}
	for i, at := range at {
		if mounts[i].Source, err = m.mounted(at); err != nil {
			return fmt.Errorf("Docker volume '%s' of plugin '%s': %w", wanted[i].GetName(), wanted[i].GetDriver(), err) //nolint:staticcheck // a name
		}
	}
	return nil
}

// mounted returns the path, with no link in it, of what a plugin has mounted. It is
// none of the agent's own, whatever the plugin says.
func (m *mounter) mounted(p string) (string, error) {
	at, err := filepath.EvalSymlinks(p)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(at)
	switch {
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("'%s' is no folder", p)
	case at == "/":
		return "", fmt.Errorf("'%s' leads to '/'", p)
	case slices.ContainsFunc(m.c.cfg.Own, func(own string) bool { return isBelow(at, own) }):
		return "", fmt.Errorf("'%s' is the agent's own, and no container's to see", p)
	}
	if m.who != nil && m.c.cfg.GiveVolume {
		err = os.Lchown(at, int(m.who.UID), int(m.who.GID))
	}
	return at, err
}

// unmount has plugins unmount what no other container uses.
func (c *Containerizer) unmount(id ids.ContainerID) error {
	if c.cfg.Volumes == nil {
		return nil
	}
	return c.cfg.Volumes.Release(id)
}
