package agent

import (
	"path"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// A Volume is the folder of a persistent volume, and where containers that have
// it see it.
type Volume struct {
	Path  string // absolute
	Mount bool   // it is a whole disk, mounted there: it is emptied, not removed
	At    string // container_path; of a posix container below its sandbox
	// Shared volumes have no owner: several containers, perhaps of several users,
	// see them at once.
	Shared   bool
	ReadOnly bool // the volume's mode is RO
}

// Volumes returns the persistent volumes among resources of an agent that works
// in workDir.
func Volumes(workDir string, rs []*mesos.Resource) []Volume {
	var all []Volume
	for r := range resources.Trusted(rs).PersistentVolumes().All() {
		all = append(all, volumeOf(workDir, r))
	}
	return all
}

func volumeOf(workDir string, r resources.Resource) Volume {
	v := Volume{At: r.Disk().GetVolume().GetContainerPath(), Shared: r.IsShared(), ReadOnly: r.Disk().GetVolume().GetMode() == mesos.Volume_RO}
	source := r.Disk().GetSource()
	switch {
	case source.GetType() == mesos.Resource_DiskInfo_Source_MOUNT && source.GetMount().GetRoot() != "":
		v.Path, v.Mount = under(workDir, source.GetMount().GetRoot()), true
	case source.GetPath().GetRoot() != "":
		v.Path = VolumePath(under(workDir, source.GetPath().GetRoot()), r.Role(), r.PersistenceID())
	default:
		v.Path = VolumePath(workDir, r.Role(), r.PersistenceID())
	}
	return v
}

// under returns p, which is below dir unless it is absolute.
func under(dir, p string) string {
	if path.IsAbs(p) {
		return p
	}
	return path.Join(dir, p)
}

// VolumePath returns the folder of a persistent volume on the disk mounted at
// root. A role's slashes, which folders cannot have, become spaces.
func VolumePath(root, role, id string) string {
	return path.Join(root, "volumes", "roles", strings.ReplaceAll(role, "/", " "), id)
}
