package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/leader"
)

// agentFlags are what operators set of an agent, under Mesos's names.
type agentFlags struct {
	Set *flags.Set
	networkFlags

	Master, WorkDir, RuntimeDir, LauncherDir string
	Resources, DefaultRole, Attributes       string
	Recover, Reconfiguration                 string
	Strict                                   bool
	Domain                                   *mesos.DomainInfo // where the agent is, or nil
	DiskWatch, FetcherStall, Heartbeat       time.Duration
	SessionTimeout                           time.Duration
	FetcherCacheDir, FrameworksHome          string
	FetcherCacheSize                         flags.Bytes
	Isolation                                isolationFlags
	CNI                                      cniFlags
	Systemd                                  systemdFlags
	DefaultContainer                         *mesos.ContainerInfo

	Agent          agent.Config
	Images         imageFlags
	Docker         dockerFlags
	Logger         loggerFlags
	Authentication agentAuthenticationFlags
}

func newAgentFlags() *agentFlags {
	f := &agentFlags{Set: flags.New("MESOS_")}
	f.network(f.Set, 5051)
	f.place()
	f.inventory()
	f.executors()
	f.Images.define(f.Set)
	f.recovery()
	f.files()
	f.authentication()
	return f
}

func (f *agentFlags) place() {
	f.Set.Group("Agent")
	f.Set.String(&f.Master, "master", "", "The masters: host:port,…, zk://[user:password@]host:port,…/path or etcd://[user:password@]host:port,…/prefix, or file:// and a file with that.").Required()
	f.Set.Duration(&f.SessionTimeout, "zk_session_timeout", leader.DefaultSession, "How long ZooKeeper, or etcd, may not answer before the agent takes itself to be cut off.")
	f.Set.Path(&f.WorkDir, "work_dir", "", "Folder of sandboxes and of what the agent remembers. It must survive restarts.").Required()
	f.Set.Path(&f.RuntimeDir, "runtime_dir", defaultRuntimeDir(), "Folder of what is known of running containers. It need not survive a reboot.")
	f.Set.Path(&f.LauncherDir, "launcher_dir", "/usr/libexec/mesos", "Named in the executors that are made up for command tasks, as Mesos does; nothing is looked up there.")
	f.Set.Duration(&f.Agent.RegistrationBackoff, "registration_backoff_factor", time.Second, "The first registration waits for a random part of this; later ones for twice as long each time, up to 1mins.")
}

func (f *agentFlags) inventory() {
	f.Set.Group("What the agent offers")
	f.Set.String(&f.Resources, "resources", "", "Resources, as name(role):value;… or as JSON. What is not named is found out: cpus, mem, disk, ports.").Optional()
	f.Set.String(&f.DefaultRole, "default_role", "*", "Role that resources are reserved for which --resources does not give one.")
	f.Set.String(&f.Attributes, "attributes", "", "Attributes, as name:value;…").Optional()
	domainFlag(f.Set, &f.Domain, "Where the agent is, as JSON: "+domainExample+". Masters without a domain do not let it in.")
}

func (f *agentFlags) executors() {
	f.Set.Group("Executors and tasks")
	f.Isolation.define(f.Set)
	f.CNI.define(f.Set)
	f.Set.JSON(f.container, "default_container_info", `ContainerInfo of executors, and of tasks without an executor, that have none, as JSON: {"type": "MESOS", "volumes": [{"host_path": ".private/tmp", "container_path": "/tmp", "mode": "RW"}]}.`)
	f.Systemd.define(f.Set)
	f.Docker.define(f.Set)
	f.Logger.define(f.Set)
	f.Set.Bool(&f.Agent.SwitchUser, "switch_user", true, "Run tasks as the user that their framework names, if the agent may. Without, all run as the agent's user.")
	f.Set.Duration(&f.Agent.ExecutorRegistrationTimeout, "executor_registration_timeout", time.Minute, "How long an executor has to subscribe.")
	f.Set.Duration(&f.Agent.ExecutorReregistration, "executor_reregistration_timeout", 2*time.Second, "How long executors have to come back after the agent was restarted. At most 15secs.").
		Check(f.inTime)
	f.Set.Duration(&f.Agent.ExecutorReregistrationRetry, "executor_reregistration_retry_interval", 0, "How often, within that time, executors on libprocess drivers are asked again to come back. By default they are asked once.").
		Optional().Check(f.retryAboveZero)
	f.Set.Duration(&f.Agent.ExecutorShutdownGrace, "executor_shutdown_grace_period", 5*time.Second, "How long an executor has to end once told to.")
	f.Set.Duration(&f.Heartbeat, "http_heartbeat_interval", 30*time.Second, "How often those who have attached to a container get a heartbeat.")
	f.Set.JSON(f.environment, "executor_environment_variables", `Environment of all executors, as JSON: {"NAME": "value"}.`)
}

// maxReregistration is the longest that executors may be waited for, in Mesos and
// here: for so long the master hears nothing of what runs.
const maxReregistration = 15 * time.Second

func (f *agentFlags) inTime() error {
	if f.Agent.ExecutorReregistration > maxReregistration {
		return errors.New("at most " + flags.FormatDuration(maxReregistration))
	}
	return nil
}

func (f *agentFlags) retryAboveZero() error {
	if f.Set.Loaded("executor_reregistration_retry_interval") && f.Agent.ExecutorReregistrationRetry <= 0 {
		return errors.New("must be more than 0")
	}
	return nil
}

func (f *agentFlags) recovery() {
	f.Set.Group("Recovery")
	f.Set.Choice(&f.Recover, "recover", "reconnect", []string{"reconnect", "cleanup"}, "What to do with the executors of an earlier life: reconnect them, or end them and stop.")
	f.Set.Duration(&f.Agent.RecoveryTimeout, "recovery_timeout", 15*time.Minute, "How long executors wait for the agent to come back before they end.")
	f.Set.Choice(&f.Reconfiguration, "reconfiguration_policy", "equal", []string{"equal", "additive"}, "Which changes of configuration are allowed over a restart: none, or such that only add.")
	f.Set.Bool(&f.Strict, "strict", true, "Refuse to start when what is remembered cannot all be read. Without, what cannot be read is left out.")
}

func (f *agentFlags) files() {
	f.Set.Group("Files")
	f.Set.Duration(&f.Agent.GCDelay, "gc_delay", 7*24*time.Hour, "How long sandboxes stay after their executors, at most.")
	f.Set.Float(&f.Agent.DiskHeadroom, "gc_disk_headroom", 0.1, "Part of the disk to keep free: the less there is, the sooner sandboxes go.")
	f.Set.Duration(&f.DiskWatch, "disk_watch_interval", time.Minute, "How often the disk is measured.")
	f.Set.Count(&f.Agent.MaxCompletedExecutors, "max_completed_executors_per_framework", 150, "How many executors that are over are remembered of each framework.")
	f.Set.Path(&f.FetcherCacheDir, "fetcher_cache_dir", "/tmp/mesos/fetch", "Folder of fetched files that are used again. It is emptied at start.")
	f.Set.Bytes(&f.FetcherCacheSize, "fetcher_cache_size", 2*flags.Gigabyte, "Size of that folder, at most.")
	f.Set.Duration(&f.FetcherStall, "fetcher_stall_timeout", time.Minute, "A download that makes no headway for so long has failed.")
	f.Set.Path(&f.FrameworksHome, "frameworks_home", "", "Folder in which relative URIs begin.")
}

// container decodes a ContainerInfo. A wrong one would show in every task only.
func (f *agentFlags) container(data []byte) error {
	if err := decodeInto(&f.DefaultContainer)(data); err != nil {
		return err
	}
	return validate.ContainerInfo(f.DefaultContainer)
}

func (f *agentFlags) environment(data []byte) error {
	vars := map[string]string{}
	if err := json.Unmarshal(data, &vars); err != nil {
		return fmt.Errorf("is not a JSON object of strings: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		f.Agent.Environment = append(f.Agent.Environment, agent.Variable{Name: name, Value: vars[name]})
	}
	return nil
}
