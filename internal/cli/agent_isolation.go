package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agentd"
	"github.com/meseta-project/meseta/internal/docker/volume"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/lxc"
	"github.com/meseta-project/meseta/internal/launcher/oci"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/internal/xfs"
)

// isolationFlags are how an agent keeps containers apart.
type isolationFlags struct {
	Launcher, Isolation, Runtime, Hierarchy string
	Driver                                  string
	systemd                                 systemdFlags
	Options                                 oci.Options
	Shm                                     flags.Bytes
	effective, bounding                     *mesos.CapabilityInfo
	devices                                 *mesos.DeviceWhitelist
	Quota                                   agentd.SandboxQuota
	Ports                                   portFlags
	makeHostPaths                           string
	headroom                                flags.Bytes
	projects                                string
	netPrimary, netSecondary, userIDs       string
	volumeDir                               string
	giveVolumes                             bool
}

// dockerVolume is the isolator of volumes of Docker's plugins.
const dockerVolume = "docker/volume"

// measured are the isolators that plain processes have.
var measured = []string{
	"posix/cpu", "posix/mem", "process", "posix/rlimits", "filesystem/posix", "environment_secret", "disk/du", "posix/disk", "disk/xfs",
}

func (f *isolationFlags) define(set *flags.Set) {
	set.Choice(&f.Launcher, "launcher", "posix", []string{"posix", "oci", "linux", "lxc"}, "How processes are launched: posix is a process tree of its own, without privileges; oci is a container of an OCI runtime, lxc one of LXC, and both need root. linux is another name for oci.")
	set.String(&f.Isolation, "isolation", "posix/cpu,posix/mem", "What keeps tasks apart, a list. With posix/cpu and posix/mem their use is measured and not limited. Most others are for --launcher=oci, which they imply, and lxc: see docs/operator/containers.md. With these launchers and without this there is a default.")
	set.String(&f.Runtime, "oci_runtime", "", "The OCI runtime, a name or a path. By default crun, or else runc, whichever is in PATH.").Optional()
	set.Path(&f.Hierarchy, "cgroups_hierarchy", "/sys/fs/cgroup", "Where control groups are mounted.")
	set.String(&f.Options.CgroupRoot, "cgroups_root", "mesos", "Folder, in each hierarchy of control groups, of those of containers.")
	set.Choice(&f.Driver, "cgroup_driver", "cgroupfs", []string{"cgroupfs", "systemd"}, "Who makes the control groups of containers: cgroupfs is the OCI runtime and the agent; systemd is systemd, asked by them, where it is the machine's first process. Needs --launcher=oci; --cgroups_root is the name of a slice then.")
	set.Bool(&f.Options.CFS, "cgroups_enable_cfs", false, "Let containers use no more CPU than they were given, also where there is some to spare.")
	set.Bool(&f.Options.LimitSwap, "cgroups_limit_swap", false, "Count swap as memory.")
	set.Count(&f.Options.PidsMax, "cgroups_pids_max", 4096, "How many processes and threads a container can have, with the isolator cgroups/pids; 0 for any number.")
	set.Duration(&f.Options.DestroyTimeout, "cgroups_destroy_timeout", time.Minute, "How long a container that was killed may take until its control groups are gone. After that its end counts as failed, and what is left of it is for the operator.")
	set.Bytes(&f.Shm, "default_container_shm_size", 0, "Size of /dev/shm of containers that ask for none, with the isolator namespaces/ipc; 0: half the memory.")
	set.Bool(&f.Options.PrivatePIDs, "disallow_sharing_agent_pid_namespace", false, "Refuse containers of executors that ask to share the machine's processes, and those that stand alone, with the isolator namespaces/pid.")
	set.Bool(&f.Options.PrivateIPC, "disallow_sharing_agent_ipc_namespace", false, "Refuse such containers that ask to share the machine's System V objects, message queues and /dev/shm, with the isolator namespaces/ipc.")
	set.Bool(&f.Quota.Enforce, "enforce_container_disk_quota", false, "Hold containers to the disk that they were given: with the isolator disk/du end those whose sandboxes or volumes take more, with disk/xfs let them find the disk full.")
	set.Duration(&f.Quota.Every, "container_disk_watch_interval", 15*time.Second, "How often sandboxes and volumes are measured, or looked up for --xfs_kill_containers.")
	set.String(&f.projects, "xfs_project_range", "[5000-10000]", "The projects of XFS that sandboxes and persistent volumes have, with the isolator disk/xfs; one for each.")
	set.Bool(&f.Quota.Kill, "xfs_kill_containers", false, "End containers that pass the disk that they were given, with the isolator disk/xfs and --enforce_container_disk_quota, in place of having them find the disk full.")
	set.Bytes(&f.headroom, "xfs_quota_headroom", 10<<20, "How much more than they were given such containers can write before the disk is full for them.")
	f.Ports.define(set)
	set.String(&f.makeHostPaths, "host_path_volume_force_creation", "", "Folders, with colons between, below which folders that volumes of type HOST_PATH ask for are made when they are missing.").Optional()
	set.Path(&f.volumeDir, "docker_volume_checkpoint_dir", "/var/run/mesos/isolators/docker/volume", "Folder for what is remembered of volumes of Docker's plugins that containers use, with the isolator docker/volume. Each agent on a machine needs its own.")
	set.Bool(&f.giveVolumes, "docker_volume_chown", false, "Make the user of a container the owner of its volumes of Docker's plugins, of what is at their top only.")
	set.String(&f.userIDs, "user_namespace_ids", "1879048192-1879113727", "With the isolator namespaces/user, the first and the last of the machine's user and group ids that those of containers are: root the first, and so on.")
	set.String(&f.netPrimary, "cgroups_net_cls_primary_handle", "", "The upper 16 bits of the class that a container's packets are in, as 0xAAAA, with the isolator cgroups/net_cls. Without, it gives no classes.").Optional()
	set.String(&f.netSecondary, "cgroups_net_cls_secondary_handles", "", "The first and the last of the lower 16 bits, one for each container, as 0x1,0xffff; 0x1,0xffff by default.").Optional()
	set.JSON(decodeInto(&f.effective), "effective_capabilities", `Capabilities of containers that ask for none, with the isolator linux/capabilities, as JSON: {"capabilities": ["NET_RAW"]}.`)
	set.JSON(decodeInto(&f.bounding), "bounding_capabilities", "The most capabilities that containers can ask for, likewise.")
	set.JSON(decodeInto(&f.devices), "allowed_devices", `Devices that containers may use beside the usual ones, as JSON: {"allowed_devices": [{"device": {"path": "/dev/fuse"}, "access": {"read": true, "write": true}}]}.`)
	set.Path(&f.Options.SeccompDir, "seccomp_config_dir", "", "Folder of seccomp profiles, in Docker's format.").Optional()
	set.String(&f.Options.SeccompProfile, "seccomp_profile_name", "", "Profile of containers that name none, with the isolator linux/seccomp.").Optional()
}

// decodeInto returns a decoder of JSON into a message that it makes.
func decodeInto[T any, M interface {
	*T
	proto.Message
}](to *M) func([]byte) error {
	return func(text []byte) error {
		*to = new(T)
		return wire.UnmarshalJSON(text, *to)
	}
}

// open returns the launcher, nil for plain processes. hidden are the agent's own
// folders, drop the mount that no container is to keep.
func (f *isolationFlags) open(set *flags.Set, dir, drop string, hidden []string, log *slog.Logger) (launcher.Launcher, error) {
	if err := oci.CheckNames(f.Isolation); err != nil {
		return nil, fmt.Errorf("--isolation: %w", err)
	}
	if f.Driver == "systemd" && (f.Launcher == "lxc" || f.Launcher == "posix" && (f.plain() || set.Loaded("launcher"))) {
		return nil, errors.New("--cgroup_driver=systemd needs --launcher=oci: lxc makes control groups itself, posix has none")
	}
	if f.plain() && f.Launcher == "posix" {
		return nil, nil //nolint:nilnil // none is a launcher too
	}
	if f.Launcher == "posix" && set.Loaded("launcher") {
		return nil, fmt.Errorf("--isolation=%s needs --launcher=oci or lxc", f.Isolation)
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("--launcher=oci and lxc need root; start the agent as root, or with --launcher=posix --isolation=%s", strings.Join(measured[:2], ","))
	}
	options, err := f.options(set, hidden)
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, map[bool]string{true: "lxc", false: "oci"}[f.Launcher == "lxc"])
	starter, err := f.starter(dir, options, log)
	if err != nil {
		return nil, err
	}
	return oci.New(oci.Config{Starter: starter, Dir: dir, Drop: drop, Options: options})
}

// starter returns who starts containers, and logs that.
func (f *isolationFlags) starter(dir string, o oci.Options, log *slog.Logger) (oci.Starter, error) {
	driver := f.Driver
	if o.Systemd != nil {
		driver += " " + o.Systemd.Version
	}
	found := func(path, version string) {
		log.Info("containers are isolated", slog.String("runtime", path), slog.String("version", version),
			slog.String("machine", o.Machine.Allows()), slog.String("cgroup_driver", driver), slog.String("isolation", strings.Join(o.Isolation, ",")))
	}
	if f.Launcher == "lxc" {
		if slices.Contains(o.Isolation, "namespaces/user") || o.NetCls != nil {
			return nil, errors.New("namespaces/user and classes of packets need --launcher=oci")
		}
		tools, err := lxc.Find(context.Background())
		if err != nil {
			return nil, err
		}
		found(tools.Path, tools.Version)
		return tools, tools.Use(dir, o.Machine, o.CgroupRoot)
	}
	runtime, err := oci.FindRuntime(context.Background(), f.Runtime)
	if err != nil {
		return nil, err
	}
	if o.Systemd != nil {
		if err := runtime.UseSystemd(context.Background()); err != nil {
			return nil, fmt.Errorf("--cgroup_driver=systemd: %w", err)
		}
	}
	found(runtime.Path, runtime.Version)
	runtime.State, runtime.HideUnified = filepath.Join(dir, "state"), o.Machine.Hybrid
	return runtime, nil
}

// openVolumes returns the volumes of Docker's plugins, nil without the isolator for them.
func (f *isolationFlags) openVolumes(log *slog.Logger) (*volume.Volumes, error) {
	if !f.has(dockerVolume) {
		return nil, nil //nolint:nilnil // none is as good
	}
	v, err := volume.Open(volume.Config{Dir: f.volumeDir, Log: log})
	if err != nil {
		return nil, fmt.Errorf("--docker_volume_checkpoint_dir: %w", err)
	}
	return v, nil
}

// makeBelow returns the folders below which those of volumes may be made.
func (f *isolationFlags) makeBelow() []string {
	return strings.FieldsFunc(f.makeHostPaths, func(r rune) bool { return r == ':' })
}

// has reports whether the list has an isolator.
func (f *isolationFlags) has(name string) bool {
	return slices.Contains(strings.Split(strings.ReplaceAll(f.Isolation, " ", ""), ","), name)
}

// plain reports whether all isolators are those of plain processes.
func (f *isolationFlags) plain() bool {
	for name := range strings.SplitSeq(f.Isolation, ",") {
		if !slices.Contains(measured, strings.TrimSpace(name)) {
			return false
		}
	}
	return true
}

// quota returns how containers are held to their disk, which needs an isolator and, but
// for counting, a flag. Volumes may be on disks of their own among the resources.
func (f *isolationFlags) quota(workDir string, has []*mesos.Resource) (agentd.SandboxQuota, error) {
	q := f.Quota
	q.Measure = f.has("disk/du") || f.has("posix/disk")
	if !f.has("disk/xfs") {
		return q, nil
	}
	if q.Measure {
		return q, errors.New("--isolation: disk/xfs and disk/du exclude each other")
	}
	ids, err := xfs.ParseRange(f.projects)
	if err != nil {
		return q, fmt.Errorf("--xfs_project_range: %w", err)
	}
	disks := []string{workDir}
	for _, r := range has {
		if root := r.GetDisk().GetSource().GetPath().GetRoot(); root != "" {
			disks = append(disks, under(workDir, root))
		}
	}
	written, err := folders(disks)
	if err != nil {
		return q, err
	}
	q.Headroom = uint64(f.headroom)
	projects, err := xfs.Open(disks, ids, written)
	if err != nil {
		return q, fmt.Errorf("--isolation=disk/xfs: %w", err)
	}
	q.Projects = projects
	return q, nil
}

// under returns p, which is below dir unless it is absolute.
func under(dir, p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(dir, p)
}

// folders returns the sandboxes and volumes that there are on disks, the first of which
// is the work directory's.
func folders(disks []string) ([]string, error) {
	folders, err := filepath.Glob(filepath.Join(disks[0], "slaves/*/frameworks/*/executors/*/runs/*"))
	if err != nil {
		return nil, err
	}
	folders = slices.DeleteFunc(folders, func(path string) bool { return filepath.Base(path) == "latest" })
	for _, disk := range disks {
		volumes, err := filepath.Glob(filepath.Join(disk, "volumes/roles/*/*"))
		if err != nil {
			return nil, err
		}
		folders = append(folders, volumes...)
	}
	return folders, nil
}

// limits reports whether containers can be held to limits of their own.
func (f *isolationFlags) limits(set *flags.Set) bool {
	return strings.Contains(f.Isolation, "cgroups") || f.Launcher != "posix" && !set.Loaded("isolation")
}

// openSystemd finds who is to make control groups.
func (f *isolationFlags) openSystemd() (*oci.Systemd, error) {
	if !f.systemd.Enable {
		return nil, errors.New("--no-systemd_enable_support excludes it")
	}
	if strings.Trim(filepath.Clean(f.Options.CgroupRoot), "./") == "" {
		return nil, fmt.Errorf("--cgroups_root=%s names no slice", f.Options.CgroupRoot)
	}
	ctx, cancel := context.WithTimeout(context.Background(), systemdPatience)
	defer cancel()
	return oci.FindSystemd(ctx, f.systemd.Dir)
}

func (f *isolationFlags) options(set *flags.Set, hidden []string) (oci.Options, error) {
	o := f.Options
	var err error
	if o.Machine, err = oci.LookAround(f.Hierarchy); err != nil {
		return o, err
	}
	o.Isolation = oci.DefaultIsolation
	if set.Loaded("isolation") {
		if o.Isolation, err = oci.Isolators(f.Isolation, o.Machine); err != nil {
			return o, fmt.Errorf("--isolation: %w", err)
		}
	}
	if f.Driver == "systemd" {
		if o.Systemd, err = f.openSystemd(); err != nil {
			return o, fmt.Errorf("--cgroup_driver=systemd: %w", err)
		}
	}
	if o.Devices, err = oci.DevicesOf(f.devices); err != nil {
		return o, fmt.Errorf("--allowed_devices: %w", err)
	}
	if o.UserIDs, err = oci.ParseUserIDs(f.userIDs); err != nil {
		return o, fmt.Errorf("--user_namespace_ids: %w", err)
	}
	if o.NetCls, err = oci.ParseNetCls(f.netPrimary, f.netSecondary); err != nil {
		return o, err
	}
	o.Effective, o.Bounding, o.ShmSize = oci.CapabilityNames(f.effective), oci.CapabilityNames(f.bounding), uint64(f.Shm)
	o.Hidden = slices.DeleteFunc(hidden, func(dir string) bool {
		_, err := os.Stat(dir)
		return errors.Is(err, os.ErrNotExist)
	})
	return o, nil
}
