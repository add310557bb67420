package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/agentd"
	"github.com/meseta-project/meseta/internal/checkpoint"
	"github.com/meseta-project/meseta/internal/cni"
	"github.com/meseta-project/meseta/internal/docker/volume"
	"github.com/meseta-project/meseta/internal/fetcher"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/version"
	"github.com/meseta-project/meseta/leader"
	"github.com/meseta-project/meseta/resources"
)

// openAgent is an agent that is ready to run.
type openAgent struct {
	*agentd.Server
	address netip.AddrPort
}

func (a *openAgent) run(ctx context.Context) error { return a.Run(ctx) }

// open listens and looks at the machine.
func (f *agentFlags) open(log *logs) (*openAgent, error) {
	if err := f.folders(); err != nil {
		return nil, err
	}
	listener, err := f.listen()
	if err != nil {
		return nil, err
	}
	a, err := f.openOn(listener, log)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return a, nil
}

func (f *agentFlags) openOn(listener net.Listener, log *logs) (*openAgent, error) {
	at, err := f.advertised(listener)
	if err != nil {
		return nil, err
	}
	cfg, err := f.config(at)
	if err != nil {
		return nil, err
	}
	authentication, err := f.Authentication.load(log.Logger)
	if err != nil {
		return nil, err
	}
	cfg.Authenticate = authentication.Credential != nil
	found, err := leader.New(leader.Config{Where: f.Master, Session: f.SessionTimeout, Log: log.Logger})
	if err != nil {
		return nil, fmt.Errorf("--master: %w", err)
	}
	f.Systemd.check("/proc/self/cgroup", log.Logger)
	f.Isolation.systemd = f.Systemd
	f.Docker.CFS, f.Docker.DNS = f.Isolation.Options.CFS, f.CNI.DockerDNS
	engine, err := f.Docker.open(&f.Images, log.Logger)
	if err != nil {
		return nil, err
	}
	images, err := f.openImages(log.Logger)
	if err != nil {
		return nil, err
	}
	ports, err := f.portWatch(cfg.Info.GetResources())
	if err != nil {
		return nil, err
	}
	networks, err := f.openNetworks(log.Logger)
	if err != nil {
		return nil, err
	}
	own := f.own()
	containers, volumes, err := f.openLauncher(networks, own, log)
	if err != nil {
		return nil, err
	}
	quota, err := f.Isolation.quota(f.WorkDir, cfg.Info.GetResources())
	if err != nil {
		return nil, err
	}
	logger, err := f.Logger.open()
	if err != nil {
		return nil, err
	}
	server, err := agentd.New(agentd.Config{
		Agent: cfg, Logger: logger, Listener: listener, Detector: found, Launcher: containers, CFS: f.Isolation.Options.CFS, Rlimits: f.Isolation.has("posix/rlimits"),
		Disk: checkpoint.Open(checkpoint.OS{}, f.WorkDir),
		Fetcher: fetcher.New(fetcher.Config{
			CacheDir: f.FetcherCacheDir, CacheSize: int64(f.FetcherCacheSize), StallTimeout: f.FetcherStall,
			Home: f.FrameworksHome, Helper: []string{"/proc/self/exe", fetchCommand},
		}),
		Authentication: authentication,
		Docker:         engine, DockerOnly: f.Docker.only(),
		Networks: networks, NetworkMetrics: f.CNI.Metrics, Volumes: volumes, GiveVolume: f.Isolation.giveVolumes,
		Images: images, ImageGC: f.Images.GC, Mapped: f.Docker.Mapped, Own: unlinked(own), MakeBelow: f.Isolation.makeBelow(),
		Strict: f.Strict, RuntimeDir: f.RuntimeDir, DiskWatch: f.DiskWatch, Heartbeat: f.Heartbeat, SandboxQuota: quota, PortWatch: ports, Flags: shown(f.Set.Values()), Seed: seed,
		LogFile: log.File, LogDir: log.Dir, ExternalLogFile: log.External, Verbosity: log.Verbosity, Log: log.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &openAgent{server, at}, nil
}

// openLauncher returns who starts containers, and the volumes of Docker's plugins that
// these can have.
func (f *agentFlags) openLauncher(networks *cni.Networks, own []string, log *logs) (launcher.Launcher, *volume.Volumes, error) {
	volumes, err := f.Isolation.openVolumes(log.Logger)
	if err != nil {
		return nil, nil, err
	}
	l, err := f.Isolation.open(f.Set, f.RuntimeDir, networks.Root(), own, log.Logger)
	return l, volumes, err
}

// own returns the agent's folders, which containers do not see.
func (f *agentFlags) own() []string {
	dirs := []string{f.WorkDir, f.RuntimeDir, f.FetcherCacheDir}
	below := func(dir string) bool {
		rel, err := filepath.Rel(dir, f.Isolation.volumeDir)
		return err == nil && filepath.IsLocal(rel)
	}
	if f.Isolation.has(dockerVolume) && !slices.ContainsFunc(dirs, below) {
		dirs = append(dirs, f.Isolation.volumeDir)
	}
	return dirs
}

// unlinked returns paths without links, where there is something.
func unlinked(paths []string) []string {
	all := slices.Clone(paths)
	for i, path := range paths {
		if at, err := filepath.EvalSymlinks(path); err == nil {
			all[i] = at
		}
	}
	return all
}

// folders makes the paths absolute, and the work directory real.
func (f *agentFlags) folders() error {
	for _, path := range []*string{&f.WorkDir, &f.RuntimeDir, &f.FetcherCacheDir, &f.Isolation.volumeDir} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = abs
	}
	if err := os.MkdirAll(f.WorkDir, 0o755); err != nil {
		return fmt.Errorf("make the --work_dir: %w", err)
	}
	return nil
}

func (f *agentFlags) config(at netip.AddrPort) (agent.Config, error) {
	rs, err := f.resources()
	if err != nil {
		return agent.Config{}, fmt.Errorf("--resources: %w", err)
	}
	attributes, err := resources.ParseAttributes(f.Attributes)
	if err != nil {
		return agent.Config{}, fmt.Errorf("--attributes: %w", err)
	}
	host, port := f.hostname(at.Addr()), int32(at.Port())
	cfg := f.Agent
	checkpoint := true // Mesos's masters expect it of every agent
	cfg.Info = &mesos.AgentInfo{
		Hostname: &host, Port: &port, Resources: rs.Proto(), Attributes: attributes, Checkpoint: &checkpoint,
		Domain: f.Domain,
	}
	cfg.PID = ids.UPIDFor("slave(1)", at)
	cfg.Version = version.Mesos
	cfg.BootID = agentd.BootID()
	cfg.WorkDir, cfg.LauncherDir = f.WorkDir, f.LauncherDir
	cfg.SwitchUser = f.Agent.SwitchUser && os.Getuid() == 0
	cfg.Limits = f.Isolation.limits(f.Set)
	cfg.DefaultContainer = f.DefaultContainer
	cfg.Cleanup = f.Recover == "cleanup"
	cfg.Additive = f.Reconfiguration == "additive"
	cfg.Environment = append(cfg.Environment, agent.Variable{Name: "LIBPROCESS_IP", Value: at.Addr().String()})
	return cfg, nil
}

// resources returns what was given and, for each kind that was not, what the
// machine has.
func (f *agentFlags) resources() (resources.Resources, error) {
	given, err := resources.Parse(f.Resources, f.DefaultRole)
	if err != nil {
		return given, err
	}
	found := agentd.Detect(f.WorkDir)
	for _, kind := range []struct{ name, text string }{
		{"cpus", strconv.Itoa(found.CPUs)}, {"mem", strconv.FormatUint(found.MemMB, 10)}, {"disk", strconv.FormatUint(found.DiskMB, 10)}, {"ports", "[31000-32000]"},
	} {
		if named(f.Resources, given, kind.name) {
			continue
		}
		more, err := resources.Parse(kind.name+":"+kind.text, f.DefaultRole)
		if err != nil {
			return given, err
		}
		given = given.Add(more)
	}
	return given, nil
}

// named says whether a kind of resource was given, be it with nothing of it.
func named(text string, given resources.Resources, name string) bool {
	for r := range given.All() {
		if r.Name() == name {
			return true
		}
	}
	for part := range strings.SplitSeq(text, ";") {
		kind, _, _ := strings.Cut(part, ":")
		kind, _, _ = strings.Cut(kind, "(")
		if strings.TrimSpace(kind) == name {
			return true
		}
	}
	return false
}

// defaultRuntimeDir is Mesos's for root, and one of their own for others.
func defaultRuntimeDir() string {
	if os.Getuid() == 0 {
		return "/var/run/mesos"
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("mesos-%d", os.Getuid()), "runtime")
}
