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
	shares := max(uint64(sharesPerCPU*r.CPUs), minShares)
	out := &specs.LinuxCPU{Shares: &shares}
	limit := r.CPULimit
	if limit == 0 && cfs {
		limit = r.CPUs
	}
	if limit == 0 || math.IsInf(limit, 1) {
		return out
	}
	quota, every := max(int64(limit*period), minQuota), uint64(period)
	out.Quota, out.Period = &quota, &every
	return out
}

// memory sets what is given as the soft limit, and the limit as the hard one. A
// container that may burst is the first to go when the machine has no memory left.
func memory(c *container, s *specs.Spec) error {
	s.Linux.Resources.Memory = memoryOf(c.Resources, c.options.LimitSwap)
	if c.Resources.MemLimit > c.Resources.Mem {
		s.Process.OOMScoreAdj = new(oomScoreAdj(uint64(*s.Linux.Resources.Memory.Reservation), c.options.Machine.Memory))
	}
	return nil
}

func memoryOf(r launcher.Resources, swap bool) *specs.LinuxMemory {
	soft := max(int64(r.Mem*(1<<20)), minMemory)
	hard := soft
	switch {
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

// pidNamespace gives a container processes of its own only; its first is not the
// namespace's init, see package posix.
func pidNamespace(c *container, s *specs.Spec) error {
	if !c.Container.GetLinuxInfo().GetSharePidNamespace() {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.PIDNamespace, Path: filepath.Join(c.bundle, "pidns")})
	}
	return nil
}

// ipcNamespace gives a container System V objects, message queues and a /dev/shm
// of its own, unless it is to share those of the machine.
func ipcNamespace(c *container, s *specs.Spec) error {
	linux := c.Container.GetLinuxInfo()
	if linux.GetIpcMode() == mesos.LinuxInfo_SHARE_PARENT {
		if linux.GetShmSize() != 0 {
			return errors.New("the size of /dev/shm can only be set with a private IPC mode")
		}
		return nil
	}
	options := []string{"nosuid", "noexec", "nodev", "mode=1777"}
	if size := cmp.Or(uint64(linux.GetShmSize())<<20, c.options.ShmSize); size > 0 {
		options = append(options, "size="+strconv.FormatUint(size, 10))
	}
	for i, m := range s.Mounts {
		if m.Destination == "/dev/shm" {
			s.Mounts[i] = specs.Mount{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: options}
		}
	}
	s.Mounts = append(s.Mounts, specs.Mount{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}})
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.IPCNamespace})
	return nil
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
