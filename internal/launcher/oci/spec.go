package oci

import (
	"cmp"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
)

// Options are what an operator sets for all containers, and what the machine has.
type Options struct {
	Machine    Machine
	Isolation  []string // names of isolators
	CgroupRoot string   // --cgroups_root: folder, in each hierarchy, of the containers'
	Systemd    *Systemd // --cgroup_driver=systemd: who makes control groups; nil: we, and who starts containers
	CFS        bool     // --cgroups_enable_cfs: what a container gets of the CPU is all that it gets
	LimitSwap  bool     // --cgroups_limit_swap
	PidsMax    int      // --cgroups_pids_max: 0 for no limit
	// DestroyTimeout is --cgroups_destroy_timeout: how long the removal of a container
	// may take; 0: a minute.
	DestroyTimeout time.Duration
	// Effective and Bounding are the capabilities of containers that ask for none,
	// and the most that those get which ask; nil: a modest set.
	Effective, Bounding []string
	SeccompDir          string // --seccomp_config_dir
	SeccompProfile      string // --seccomp_profile_name: "" for none by default
	Devices             []Device
	UserIDs             UserIDs // --user_namespace_ids, with the isolator namespaces/user
	NetCls              *NetCls // --cgroups_net_cls_…; nil: containers' packets are in no class of ours
	ShmSize             uint64  // --default_container_shm_size, bytes; 0: half the memory
	// PrivatePIDs and PrivateIPC keep containers from sharing those namespaces with the
	// machine: --disallow_sharing_agent_pid_namespace and …_ipc_namespace.
	PrivatePIDs, PrivateIPC bool
	Hidden                  []string // folders of the machine that containers do not see, but for their sandbox
}

// Build returns the specification of a container in a bundle. It looks at
// nothing but its arguments and the seccomp profile that they name.
func Build(c *launcher.Spec, bundle string, o *Options) (*specs.Spec, error) {
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: cmp.Or(c.Rootfs, filepath.Join(bundle, "rootfs"))},
		Process: firstProcess(c),
		Linux: &specs.Linux{
			CgroupsPath: filepath.Join("/", groupOf(o.CgroupRoot, c.ID)),
			Resources:   &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}},
			Namespaces:  []specs.LinuxNamespace{{Type: specs.MountNamespace}},
			MaskedPaths: slices.Clone(masked), ReadonlyPaths: slices.Clone(readOnly),
		},
	}
	s.Version = "1.0.2" // what the oldest runtimes take
	everything(o).apply(s.Process)
	if o.Machine.Unified {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	mounts(c, bundle, o, s)
	if c.Network != nil {
		network(c.Network, bundle, s)
	}
	for _, name := range o.Isolation {
		isolator, ok := isolators[name]
		if !ok {
			return nil, unknown(name)
		}
		if err := isolator.apply(&container{c, o, bundle}, s); err != nil {
			return nil, err
		}
	}
	inUserNamespace(s)
	return s, nil
}

// masked and readOnly are what of /proc and /sys tells of the machine, or changes
// it.
var (
	masked = []string{
		"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
		"/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	readOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// firstProcess returns the first process of a container.
func firstProcess(c *launcher.Spec) *specs.Process {
	p := &specs.Process{Args: c.Args, Env: c.Env, Cwd: cmp.Or(c.WorkDir, c.Dir), Capabilities: &specs.LinuxCapabilities{}}
	p.Terminal = c.Board != nil && c.Board.Terminal
	if len(p.Args) > 0 && c.Path != p.Args[0] {
		p.Args = append([]string{c.Path}, c.Args[1:]...) // a runtime takes its program from here
	}
	if u := c.User; u != nil {
		p.User = specs.User{UID: u.UID, GID: u.GID, AdditionalGids: u.Groups}
	}
	return p
}

// processLike returns a further process of a container: with rights no other than
// those of its first.
func processLike(first *specs.Process, c *launcher.Spec) *specs.Process {
	p := firstProcess(c)
	p.Capabilities, p.NoNewPrivileges, p.Rlimits = first.Capabilities, first.NoNewPrivileges, first.Rlimits
	p.OOMScoreAdj = first.OOMScoreAdj
	if c.User == nil {
		p.User = first.User
	}
	return p
}

// mounts are those of every container: a /dev of its own, /sys that cannot be
// written, and what the container was given. A folder that is hidden is empty
// but for the sandbox.
func mounts(c *launcher.Spec, bundle string, o *Options, s *specs.Spec) {
	s.Mounts = []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "bind", Source: "/dev/shm", Options: []string{"bind", "nosuid", "noexec", "nodev"}},
		// Bound, since the kernel refuses the same file system in the same place, and
		// without what is mounted below, which are the cgroups.
		{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"bind", "nosuid", "noexec", "nodev", "ro"}},
	}
	if !o.has("namespaces/pid") || sharesPIDs(c) && !nested(c.ID) {
		s.Mounts[0].Type, s.Mounts[0].Source, s.Mounts[0].Options = "bind", "/proc", []string{"bind", "nosuid", "noexec", "nodev"}
	}
	if c.Rootfs == "" {
		for _, dir := range o.Hidden {
			s.Mounts = append(s.Mounts, hidden(dir))
		}
		s.Mounts = append(s.Mounts, bind(launcher.Mount{Source: c.Dir, Target: c.Dir}))
	}
	n := 0
	for _, m := range c.Mounts {
		b := bind(m)
		if m.Both {
			b.Source = both(bundle, n)
			n++
		}
		s.Mounts = append(s.Mounts, b)
		if m.Host {
			s.Linux.RootfsPropagation = "rslave" // for what comes from outside to arrive
			o.hide(m, s)
		}
	}
	if n > 0 {
		s.Linux.RootfsPropagation = "rshared" // the rest has no peers outside
	}
}

// both returns where the shim puts the n-th of the mounts that go both ways.
func both(bundle string, n int) string { return filepath.Join(bundle, "both-"+strconv.Itoa(n)) }

// hide hides in a volume what containers do not see, where a folder above is its
// source.
func (o *Options) hide(m launcher.Mount, s *specs.Spec) {
	for _, dir := range o.Hidden {
		below, err := filepath.Rel(m.Source, dir)
		if err == nil && below != ".." && !strings.HasPrefix(below, "../") {
			s.Mounts = append(s.Mounts, hidden(filepath.Join(m.Target, below)))
		}
	}
}

func hidden(dir string) specs.Mount {
	return specs.Mount{Destination: dir, Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "nodev", "mode=755", "size=1024k"}}
}

// network gives a container a network namespace that the shim has put into its
// bundle, a host name, and a /sys that shows that network only.
func network(n *launcher.Network, bundle string, s *specs.Spec) {
	s.Hostname = n.Hostname
	s.Linux.Namespaces = append(s.Linux.Namespaces,
		specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: filepath.Join(bundle, "netns")}, specs.LinuxNamespace{Type: specs.UTSNamespace})
	for i, m := range s.Mounts {
		if m.Destination == "/sys" {
			s.Mounts[i] = specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}}
		}
	}
}

func (o *Options) has(isolator string) bool { return slices.Contains(o.Isolation, isolator) }

func bind(m launcher.Mount) specs.Mount {
	options := []string{"rbind", "rprivate", "nosuid", "nodev"}
	switch {
	case m.Both:
		options = []string{"rbind", "rshared"}
	case m.Host:
		options = []string{"rbind", "rslave"}
	}
	if m.ReadOnly {
		options = append(options, "ro")
	}
	return specs.Mount{Destination: m.Target, Type: "bind", Source: m.Source, Options: options}
}

// namespace returns a container's namespace of that type, if it is not the machine's.
func namespace(s *specs.Spec, kind specs.LinuxNamespaceType) (n specs.LinuxNamespace, ok bool) {
	i := slices.IndexFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == kind })
	if i < 0 {
		return n, false
	}
	return s.Linux.Namespaces[i], true
}
