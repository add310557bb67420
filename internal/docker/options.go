package docker

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/resources"
)

// What containers get of CPU and memory, as Mesos sets it.
const (
	sharesPerCPU = 1024
	minShares    = 2
	cfsPeriod    = 100 * time.Millisecond
	minQuota     = time.Millisecond
	minMemory    = 32 << 20
)

// request is a container in the making: what docker run makes of its options.
type request struct {
	config  container.Config
	host    container.HostConfig
	network string
	at      network.EndpointSettings // what is asked of that network
	driver  string                   // of all volumes
}

// options returns what the Engine is asked for.
func (e *Engine) options(spec *Spec) (*client.ContainerCreateOptions, error) {
	if spec.Container.GetDocker() == nil {
		return nil, errors.New("No docker info found in container info") //nolint:staticcheck // as Mesos words it
	}
	r := &request{}
	r.config.Image = spec.Container.GetDocker().GetImage()
	r.host.Privileged = spec.Container.GetDocker().GetPrivileged()
	r.config.Env = append(slices.Clone(spec.Env), "MESOS_SANDBOX="+e.cfg.Mapped, "MESOS_CONTAINER_NAME="+name(spec.ID))
	may := allowance(spec)
	r.host.Resources, r.host.OomScoreAdj = allow(may, e.cfg.CFS), oomScoreAdj(may, totalMemory())
	for _, set := range []func() error{
		func() error { return r.command(spec.Command) },
		func() error { return r.networks(spec.Container) },
		func() error { return r.volumes(spec, e.cfg.Mapped) },
		func() error { return r.ports(spec) },
		func() error { return r.parameters(spec.Container.GetDocker().GetParameters()) },
	} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	r.defaultDNS(&e.cfg.DNS, spec.Container.GetDocker().GetNetwork())
	r.host.NetworkMode, r.host.VolumeDriver = container.NetworkMode(r.network), r.driver
	return &client.ContainerCreateOptions{Config: &r.config, HostConfig: &r.host, NetworkingConfig: r.networking(), Name: name(spec.ID)}, nil
}

// command sets what runs: a shell's script instead of the image's entrypoint, or
// the program and its arguments behind the entrypoint. Other than for Mesos's own
// containers, the arguments do not begin with the program's name.
func (r *request) command(c *mesos.CommandInfo) error {
	if c.GetShell() {
		if c == nil || c.Value == nil {
			return errors.New("Shell specified but no command value provided") //nolint:staticcheck // as Mesos words it
		}
		r.config.Entrypoint, r.config.Cmd = []string{"/bin/sh"}, []string{"-c", c.GetValue()}
		return nil
	}
	if c.Value != nil {
		r.config.Cmd = []string{c.GetValue()}
	}
	r.config.Cmd = append(r.config.Cmd, c.GetArguments()...)
	return nil
}

// allowance returns what a container may use, as its task was given it.
func allowance(spec *Spec) launcher.Resources {
	rs := resources.Trusted(spec.Resources)
	return launcher.Resources{
		CPUs: rs.Scalar("cpus").Float64(), CPULimit: spec.Limits["cpus"].GetValue(),
		Mem: rs.Scalar("mem").Float64(), MemLimit: spec.Limits["mem"].GetValue(),
	}
}

// allow returns what the Engine is told of CPU and memory.
func allow(may launcher.Resources, cfs bool) container.Resources {
	var r container.Resources
	if may.CPUs > 0 {
		r.CPUShares = max(int64(sharesPerCPU*may.CPUs), minShares)
	}
	limit := may.CPULimit
	if limit == 0 && cfs {
		limit = may.CPUs
	}
	if limit > 0 && !math.IsInf(limit, 1) {
		r.CPUPeriod = cfsPeriod.Microseconds()
		r.CPUQuota = max(int64(math.Round(limit*float64(cfsPeriod.Microseconds()))), minQuota.Microseconds())
	}
	bytes := func(mb float64) int64 { return max(int64(mb)<<20, minMemory) }
	switch {
	case may.MemLimit == 0 && may.Mem > 0:
		r.Memory = bytes(may.Mem)
	case may.MemLimit > 0:
		if !math.IsInf(may.MemLimit, 1) {
			r.Memory = bytes(may.MemLimit)
		}
		if may.Mem > 0 {
			r.MemoryReservation = bytes(may.Mem)
		}
	}
	return r
}

// oomScoreAdj is, for a container that may use more memory than it was given, such
// that it has the highest score there is when it does. 0: it may not.
func oomScoreAdj(may launcher.Resources, total uint64) int {
	if may.Mem <= 0 || may.MemLimit <= may.Mem || total == 0 {
		return 0
	}
	given := uint64(may.Mem) << 20
	return 1000 - int(min(1000*given/total, 1000))
}

// totalMemory is how much memory the machine has, 0 if it does not tell.
func totalMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return info.Totalram * uint64(info.Unit)
}

// networks sets which network the container is in.
func (r *request) networks(info *mesos.ContainerInfo) error {
	switch mode := info.GetDocker().GetNetwork(); mode {
	case mesos.ContainerInfo_DockerInfo_HOST:
		r.network = "host"
	case mesos.ContainerInfo_DockerInfo_BRIDGE:
		r.network = "bridge"
	case mesos.ContainerInfo_DockerInfo_NONE:
		r.network = "none"
	case mesos.ContainerInfo_DockerInfo_USER:
		switch of := info.GetNetworkInfos(); {
		case len(of) == 0:
			return errors.New("No network info found in container info") //nolint:staticcheck // as Mesos words it
		case len(of) > 1:
			return errors.New("Only a single network can be defined in Docker run") //nolint:staticcheck // as Mesos words it
		case of[0].GetName() == "":
			return errors.New("No network name found in network info") //nolint:staticcheck // as Mesos words it
		default:
			r.network = of[0].GetName()
		}
	}
	if info.Hostname != nil && r.network == "host" {
		return errors.New("Unable to set hostname with host network mode") //nolint:staticcheck // as Mesos words it
	}
	r.config.Hostname = info.GetHostname()
	return nil
}

// networking is what is asked of the network, nil if nothing is.
func (r *request) networking() *network.NetworkingConfig {
	if len(r.at.Aliases) == 0 && r.at.IPAMConfig == nil {
		return nil
	}
	return &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{r.network: &r.at}}
}

// volumes binds the volumes, and the sandbox.
func (r *request) volumes(spec *Spec, mapped string) error {
	for _, v := range spec.Container.GetVolumes() {
		source, err := r.source(v, spec.Sandbox, spec.Container.GetDocker().GetVolumeDriver() != "")
		if err != nil {
			return err
		}
		if source == "" {
			continue
		}
		target := v.GetContainerPath()
		if !path.IsAbs(target) {
			target = path.Join(mapped, target)
		}
		mode := strings.ToLower(v.GetMode().String())
		if strings.ContainsRune(source+target, ':') {
			return fmt.Errorf("volume %s at %s: Docker takes no path with a colon", source, target)
		}
		r.host.Binds = append(r.host.Binds, source+":"+target+":"+mode)
	}
	r.host.Binds = append(r.host.Binds, spec.Sandbox+":"+mapped)
	for _, m := range spec.Mounts {
		if !filepath.IsLocal(m.At) {
			return fmt.Errorf("the volume at '%s' is not below the sandbox: give a relative container_path", m.At)
		}
		bind := m.Host + ":" + path.Join(mapped, m.At)
		if m.ReadOnly {
			bind += ":ro"
		}
		r.host.Binds = append(r.host.Binds, bind)
	}
	return r.drive(spec.Container.GetDocker().GetVolumeDriver(), "Only one volume driver per task is supported")
}

// source returns where a volume comes from, "" for one that Docker has none of.
func (r *request) source(v *mesos.Volume, sandbox string, driven bool) (string, error) {
	switch {
	case v.HostPath != nil:
		host := v.GetHostPath()
		if !path.IsAbs(host) && !path.IsAbs(v.GetContainerPath()) {
			return "", fmt.Errorf("Both host_path '%s' and container_path '%s' of a volume are relative", host, v.GetContainerPath()) //nolint:staticcheck // as Mesos words it
		}
		if path.IsAbs(host) || driven {
			return host, nil
		}
		if !filepath.IsLocal(host) {
			return "", fmt.Errorf("host_path '%s' leads out of the sandbox", host)
		}
		return path.Join(sandbox, host), nil
	case v.GetSource() == nil:
		return "", errors.New("Host path or volume source is required") //nolint:staticcheck // as Mesos words it
	case v.GetSource().GetType() != mesos.Volume_Source_DOCKER_VOLUME:
		return "", nil
	}
	volume := v.GetSource().GetDockerVolume()
	return volume.GetName(), r.drive(volume.GetDriver(), "Only one volume driver is supported")
}

// drive names the driver of all volumes.
func (r *request) drive(driver, otherwise string) error {
	if driver == "" {
		return nil
	}
	if r.driver != "" && r.driver != driver {
		return errors.New(otherwise)
	}
	r.driver = driver
	return nil
}

// ports maps ports of the host, that the task was given, to the container's.
func (r *request) ports(spec *Spec) error {
	mappings := spec.Container.GetDocker().GetPortMappings()
	if len(mappings) == 0 {
		return nil
	}
	if r.network == "host" || r.network == "none" {
		return errors.New("Port mappings are only supported for bridge and user-defined networks") //nolint:staticcheck // as Mesos words it
	}
	for _, m := range mappings {
		if !holdsPort(spec.Resources, uint64(m.GetHostPort())) {
			return fmt.Errorf("Port [%d] not included in resources", m.GetHostPort()) //nolint:staticcheck // as Mesos words it
		}
		text := strconv.Itoa(int(m.GetContainerPort()))
		if m.Protocol != nil {
			text += "/" + strings.ToLower(m.GetProtocol())
		}
		if err := r.publish(text, strconv.Itoa(int(m.GetHostPort())), netip.Addr{}); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) publish(inside, outside string, at netip.Addr) error {
	port, err := network.ParsePort(inside)
	if err != nil {
		return fmt.Errorf("port %q: %w", inside, err)
	}
	if r.config.ExposedPorts == nil {
		r.config.ExposedPorts = network.PortSet{}
	}
	r.config.ExposedPorts[port] = struct{}{}
	if outside == "" {
		return nil
	}
	if r.host.PortBindings == nil {
		r.host.PortBindings = network.PortMap{}
	}
	r.host.PortBindings[port] = append(r.host.PortBindings[port], network.PortBinding{HostIP: at, HostPort: outside})
	return nil
}

func holdsPort(rs []*mesos.Resource, port uint64) bool {
	for _, r := range rs {
		if r.GetName() != "ports" {
			continue
		}
		for _, of := range r.GetRanges().GetRange() {
			if of.GetBegin() <= port && port <= of.GetEnd() {
				return true
			}
		}
	}
	return false
}
