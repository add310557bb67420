package oci

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// container is what an isolator knows of the container that it isolates.
type container struct {
	*launcher.Spec
	options *Options
	bundle  string
}

// isolator is one by Mesos's name: it changes the specification of a container.
type isolator struct {
	v1, v2 string // the controller that it needs, "" for none
	apply  func(*container, *specs.Spec) error
}

// isolators are those that this launcher has.
var isolators = map[string]isolator{
	"cgroups/cpu":         {"cpu", "cpu", cpu},
	"cgroups/mem":         {"memory", "memory", memory},
	"cgroups/pids":        {"pids", "pids", pids},
	"cgroups/devices":     {"devices", "devices", devices},
	"cgroups/cpuset":      {"cpuset", "cpuset", nothing},
	"cgroups/blkio":       {"blkio", "io", nothing},
	"cgroups/hugetlb":     {"hugetlb", "hugetlb", nothing},
	"cgroups/net_cls":     {"net_cls", "net_cls", nothing}, // see netcls.go; version 2 has none
	"namespaces/pid":      {"", "", pidNamespace},
	"namespaces/user":     {"", "", userNamespace},
	"namespaces/ipc":      {"", "", ipcNamespace},
	"linux/capabilities":  {"", "", capabilities},
	"linux/nnp":           {"", "", noNewPrivileges},
	"linux/seccomp":       {"", "", seccomp},
	"linux/devices":       {"", "", linuxDevices},
	"posix/rlimits":       {"", "", rlimits},
	"docker/runtime":      {"", "", nothing}, // an image's command, variables and folder are always taken
	"appc/runtime":        {"", "", nothing}, // a list may have it; an agent has no images of that kind
	"filesystem/linux":    {"", "", nothing}, // there always is a mount namespace
	"filesystem/posix":    {"", "", nothing},
	"volume/host_path":    {"", "", nothing}, // there are volumes, whatever the list says
	"volume/sandbox_path": {"", "", nothing},
	"volume/image":        {"", "", nothing},
	"volume/secret":       {"", "", nothing},
	"environment_secret":  {"", "", nothing},
	"docker/volume":       {"", "", nothing}, // plugins are asked before there is a container
	"disk/du":             {"", "", nothing}, // the agent measures sandboxes
	"posix/disk":          {"", "", nothing}, // its older name
	"disk/xfs":            {"", "", nothing}, // the file system counts
	"network/cni":         {"", "", nothing}, // networks are made before the container
	"network/ports":       {"", "", nothing}, // the agent looks at sockets
	"posix/cpu":           {"", "", nothing}, // measured, in any case
	"posix/mem":           {"", "", nothing},
}

// DefaultIsolation is that of an agent that was not told another.
var DefaultIsolation = []string{
	"cgroups/cpu", "cgroups/mem", "cgroups/pids", "cgroups/devices", "namespaces/pid", "namespaces/ipc", "linux/capabilities", "posix/rlimits",
}

// Isolators returns the isolators of a value of --isolation, with those that a
// word stands for in its place.
func Isolators(text string, m Machine) ([]string, error) {
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case "process":
			names = append(names, "posix/cpu", "posix/mem")
		case "cgroups":
			names = append(names, "cgroups/cpu", "cgroups/mem")
		case "cgroups/all":
			for _, n := range isolatorNames() {
				if strings.HasPrefix(n, "cgroups/") && missingController(n, m) == "" {
					names = append(names, n)
				}
			}
		default:
			names = append(names, name)
		}
	}
	return names, checkIsolation(names, m)
}

// checkIsolation refuses isolators that there are not, or that the machine has
// not what they need for.
func checkIsolation(names []string, m Machine) error {
	for _, name := range names {
		if _, ok := isolators[name]; !ok {
			return unknown(name)
		}
		if c := missingController(name, m); c != "" && m.Unified && c == "net_cls" {
			return fmt.Errorf("isolator %s needs control groups of version 1; with those of version 2 let the firewall match containers by their group (iptables -m cgroup --path, nft socket cgroupv2)", name)
		} else if c != "" {
			return fmt.Errorf("isolator %s needs the cgroup controller %s, which this kernel has not mounted below %s", name, c, m.Mount)
		}
	}
	return nil
}

func isolatorNames() []string { return slices.Sorted(maps.Keys(isolators)) }

func missingController(name string, m Machine) string {
	controller := isolators[name].v1
	if m.Unified {
		controller = isolators[name].v2
	}
	if controller == "" || m.Controllers[controller] != "" {
		return ""
	}
	return controller
}

// nothing is for isolators that need nothing in the specification: their cgroups
// are made for every container, and are what they measure.
func nothing(*container, *specs.Spec) error { return nil }

// Mesos's numbers.
const (
	sharesPerCPU = 1024
	minShares    = 2
	period       = 100_000 // microseconds
	minQuota     = 1_000
	minMemory    = 32 << 20
)

// cpu gives shares in proportion and, with a limit, no more than a quota.
func cpu(c *container, s *specs.Spec) error {
	s.Linux.Resources.CPU = cpuOf(c.Resources, c.options.CFS)
	return nil
}

func cpuOf(r launcher.Resources, cfs bool) *specs.LinuxCPU {
	if r.Shared && r.CPUs == 0 {
		return nil
	}
	shares := max(uint64(sharesPerCPU*r.CPUs), minShares)
	out := &specs.LinuxCPU{Shares: &shares}
	limit := r.CPULimit
	if limit == 0 && cfs {
		limit = r.CPUs
	}
	if limit == 0 || math.IsInf(limit, 1) || r.Shared {
		return out
	}
	quota, every := max(int64(math.Round(limit*period)), minQuota), uint64(period)
	out.Quota, out.Period = &quota, &every
	return out
}

// memory sets what is given as the soft limit, and the limit as the hard one. A
// container that may burst is the first to go when the machine has no memory left.
func memory(c *container, s *specs.Spec) error {
	s.Linux.Resources.Memory = memoryOf(c.Resources, c.options.LimitSwap)
	if !c.Resources.Shared && c.Resources.MemLimit > c.Resources.Mem {
		s.Process.OOMScoreAdj = new(oomScoreAdj(uint64(*s.Linux.Resources.Memory.Reservation), c.options.Machine.Memory))
	}
	return nil
}

func memoryOf(r launcher.Resources, swap bool) *specs.LinuxMemory {
	if r.Shared && r.Mem == 0 {
		return nil
	}
	soft := max(int64(r.Mem*(1<<20)), minMemory)
	hard := soft
	switch {
	case r.Shared:
		return &specs.LinuxMemory{Reservation: &soft}
	case math.IsInf(r.MemLimit, 1):
		hard = -1
	case r.MemLimit != 0:
		hard = max(int64(r.MemLimit)<<20, minMemory)
	}
	out := &specs.LinuxMemory{Reservation: &soft, Limit: &hard}
	if swap {
		out.Swap = &hard
	}
	return out
}

// oomScoreAdj is such that a container that uses more than it was given has the
// highest score there is.
func oomScoreAdj(soft, total uint64) int {
	if total == 0 || soft >= total {
		return 1
	}
	return min(max(1000-int(1000*soft/total), 2), 999)
}

// pids bounds processes and threads.
func pids(c *container, s *specs.Spec) error {
	if c.options.PidsMax > 0 {
		s.Linux.Resources.Pids = &specs.LinuxPids{Limit: new(int64(c.options.PidsMax))}
	}
	return nil
}

// sharesPIDs reports whether a container sees the processes of the one that it is in,
// or of the machine, as its own.
func sharesPIDs(c *launcher.Spec) bool { return c.Container.GetLinuxInfo().GetSharePidNamespace() }

// pidNamespace gives a container processes of its own only, or those of the container
// that it is in; its first is not the namespace's init, see package posix.
func pidNamespace(c *container, s *specs.Spec) error {
	switch {
	case !sharesPIDs(c.Spec) || nested(c.ID):
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: filepath.Join(c.bundle, "pidns")})
	case c.options.PrivatePIDs:
		return errors.New("Sharing agent pid namespace with top-level container is not allowed") //nolint:staticcheck // Mesos's words
	}
	return nil
}

// ipcNamespace gives a container System V objects, message queues and a /dev/shm
// of its own, or those of the container that it is in, or of the machine. What is in
// a user namespace can enter none of another.
func ipcNamespace(c *container, s *specs.Spec) error {
	linux := c.Container.GetLinuxInfo()
	mode := linux.GetIpcMode()
	share, users := mode == mesos.LinuxInfo_SHARE_PARENT, c.options.has("namespaces/user")
	switch {
	case linux != nil && linux.ShmSize != nil && mode != mesos.LinuxInfo_PRIVATE:
		return errors.New("Only support specifying the size of /dev/shm when the IPC mode is `PRIVATE`") //nolint:staticcheck // Mesos's words
	case linux != nil && linux.IpcMode != nil && mode == mesos.LinuxInfo_UNKNOWN:
		return errors.New("Unknown IPC mode") //nolint:staticcheck // Mesos's words
	case share && !nested(c.ID) && c.options.PrivateIPC:
		return errors.New("Sharing agent IPC namespace with top-level container is not allowed") //nolint:staticcheck // Mesos's words
	case share && !nested(c.ID):
		return nil
	case share && users:
		return errors.New("a container in a user namespace cannot share another's IPC namespace")
	case nested(c.ID) && mode != mesos.LinuxInfo_PRIVATE && !users:
		parentsIPC(c, s)
		return nil
	}
	options := []string{"nosuid", "noexec", "nodev", "mode=1777"}
	if size := cmp.Or(uint64(linux.GetShmSize())<<20, c.options.ShmSize); size > 0 {
		options = append(options, "size="+strconv.FormatUint(size, 10))
	}
	inIPC(s, specs.LinuxNamespace{Type: specs.IPCNamespace}, specs.Mount{Type: "tmpfs", Source: "shm", Options: options})
	return nil
}

// parentsIPC is what the shim takes of the container that one is in.
func parentsIPC(c *container, s *specs.Spec) {
	inIPC(s, specs.LinuxNamespace{Type: specs.IPCNamespace, Path: filepath.Join(c.bundle, "ipcns")},
		specs.Mount{Type: "bind", Source: filepath.Join(c.bundle, "shm"), Options: []string{"bind", "nosuid", "noexec", "nodev"}})
}

// inIPC puts a container into an IPC namespace, with what is to be at /dev/shm.
func inIPC(s *specs.Spec, n specs.LinuxNamespace, shm specs.Mount) {
	shm.Destination = "/dev/shm"
	for i, m := range s.Mounts {
		if m.Destination == shm.Destination {
			s.Mounts[i] = shm
		}
	}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}})
	s.Linux.Namespaces = append(s.Linux.Namespaces, n)
}

// noNewPrivileges keeps programs from gaining rights, as by setuid.
func noNewPrivileges(_ *container, s *specs.Spec) error {
	s.Process.NoNewPrivileges = true
	return nil
}

// rlimits sets the limits that a container asks for.
func rlimits(c *container, s *specs.Spec) error {
	limits, err := launcher.Rlimits(c.Container.GetRlimitInfo())
	for _, r := range limits {
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: r.Name, Hard: r.Hard, Soft: r.Soft})
	}
	return err
}

// update returns what changes with a container's resources.
func update(isolation []string, r launcher.Resources, o *Options) *specs.LinuxResources {
	out := &specs.LinuxResources{}
	if slices.Contains(isolation, "cgroups/cpu") {
		out.CPU = cpuOf(r, o.CFS)
	}
	if slices.Contains(isolation, "cgroups/mem") {
		out.Memory = memoryOf(r, o.LimitSwap)
	}
	return out
}
