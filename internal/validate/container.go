package validate

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// ContainerInfo refuses invalid volumes, and Docker containers without or with
// forbidden Docker settings.
func ContainerInfo(c *mesos.ContainerInfo) error {
	for _, v := range c.GetVolumes() {
		if err := Volume(v); err != nil {
			return refusal.Invalidf("Invalid volume: %s", err)
		}
	}
	if c == nil || c.GetType() != mesos.ContainerInfo_DOCKER {
		return nil
	}
	if c.GetDocker() == nil {
		return refusal.Invalidf("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo")
	}
	// The agent names Docker containers itself, to find them again.
	for _, p := range c.GetDocker().GetParameters() {
		if p.GetKey() == "name" {
			return refusal.Invalidf("Parameter in DockerInfo must not be 'name'")
		}
	}
	return nil
}

// Volume refuses a volume that comes from nowhere or from several places.
func Volume(v *mesos.Volume) error {
	sources := 0
	for _, set := range []bool{v.HostPath != nil, v.Image != nil, v.Source != nil} {
		if set {
			sources++
		}
	}
	if sources != 1 {
		return refusal.Invalidf("Only one of them should be set: 'host_path', 'image' and 'source'")
	}
	if v.Source != nil {
		return volumeSource(v.Source)
	}
	return nil
}

func volumeSource(s *mesos.Volume_Source) error {
	missing := func(field, typ string) error {
		return refusal.Invalidf("'source.%s' is not set for %s volume", field, typ)
	}
	switch s.GetType() {
	case mesos.Volume_Source_DOCKER_VOLUME:
		if s.DockerVolume == nil {
			return missing("docker_volume", "DOCKER_VOLUME")
		}
	case mesos.Volume_Source_HOST_PATH:
		if s.HostPath == nil {
			return missing("host_path", "HOST_PATH")
		}
	case mesos.Volume_Source_SANDBOX_PATH:
		if s.SandboxPath == nil {
			return missing("sandbox_path", "SANDBOX_PATH")
		}
	case mesos.Volume_Source_SECRET:
		if s.Secret == nil {
			return missing("secret", "SECRET")
		}
	case mesos.Volume_Source_CSI_VOLUME:
		if s.CsiVolume == nil {
			return missing("csi_volume", "CSI")
		}
		if s.CsiVolume.StaticProvisioning == nil {
			return missing("csi_volume.static_provisioning", "CSI")
		}
	default:
		return refusal.Invalidf("'source.type' is unknown")
	}
	return nil
}

// sharesCgroups reports whether a container is in its parent's control groups,
// and whether it says itself: if it does not, it is.
func sharesCgroups(c *mesos.ContainerInfo) (shares, told bool) {
	return c.GetLinuxInfo().GetShareCgroups(), c.GetLinuxInfo() != nil && c.GetLinuxInfo().ShareCgroups != nil
}
