package agent

import (
	"log/slog"
	"math/rand/v2"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// Config is how the agent was started. Durations that are 0 mean Mesos's
// defaults, in brackets.
type Config struct {
	// Info is the agent as configured: host name, port, resources (in the form
	// with a reservations list), attributes, domain. It has no ID.
	Info *mesos.AgentInfo
	// PID is the agent's own address, "slave(1)@ip:port".
	PID ids.UPID
	// Version is the Mesos version reported to masters.
	Version string
	// BootID is the kernel's boot_id; "" if there is none.
	BootID string
	// WorkDir is the root of sandboxes and records, absolute.
	WorkDir string
	// LauncherDir is where Mesos would have its executors (--launcher_dir); it
	// is named in the executors that the agent makes up.
	LauncherDir string
	// SwitchUser runs tasks as their own users (--switch_user); else all are the
	// agent's.
	SwitchUser bool
	// DefaultContainer is that of executors, and of tasks without one, that name none
	// (--default_container_info); nil for none. It is told to nobody.
	DefaultContainer *mesos.ContainerInfo
	// Limits says that the containerizer can hold tasks to CPU and memory limits
	// other than their requests.
	Limits bool
	// Cleanup ends all that an earlier life left running (--recover=cleanup) and
	// then stops.
	Cleanup bool
	// Additive lets a restarted agent announce more than before
	// (--reconfiguration_policy=additive); else nothing may differ.
	Additive bool
	// Environment is what every executor's environment begins with
	// (--executor_environment_variables, LIBPROCESS_IP).
	Environment []Variable
	// Authenticate says that the shell has a credential to show the master
	// (--credential).
	Authenticate bool

	AuthenticationBackoff       time.Duration // --authentication_backoff_factor [1s]
	AuthenticationTimeoutMin    time.Duration // [5s]
	AuthenticationTimeoutMax    time.Duration // [1m]
	RegistrationBackoff         time.Duration // --registration_backoff_factor [1s]
	ExecutorRegistrationTimeout time.Duration // [1m]
	ExecutorReregistration      time.Duration // --executor_reregistration_timeout [2s]
	ExecutorReregistrationRetry time.Duration // --executor_reregistration_retry_interval [0: drivers are asked once]
	ExecutorShutdownGrace       time.Duration // --executor_shutdown_grace_period [5s]
	RecoveryTimeout             time.Duration // [15m], told to executors
	GCDelay                     time.Duration // [1 week]
	DiskHeadroom                float64       // --gc_disk_headroom [0.1]

	MaxCompletedFrameworks int // [50]
	MaxCompletedExecutors  int // per framework [150]
	MaxCompletedTasks      int // per executor [200]
}

// Deps is what the agent needs of the world: nothing but chance and a log.
type Deps struct {
	Rand *rand.Rand
	Log  *slog.Logger
}

// withDefaults returns c with Mesos's defaults where nothing is said.
func (c Config) withDefaults() Config {
	c.AuthenticationBackoff = or(c.AuthenticationBackoff, time.Second)
	c.AuthenticationTimeoutMin = or(c.AuthenticationTimeoutMin, authenticationTimeoutMin)
	c.AuthenticationTimeoutMax = or(c.AuthenticationTimeoutMax, authenticationTimeoutMax)
	c.RegistrationBackoff = or(c.RegistrationBackoff, time.Second)
	c.ExecutorRegistrationTimeout = or(c.ExecutorRegistrationTimeout, time.Minute)
	c.ExecutorReregistration = or(c.ExecutorReregistration, 2*time.Second)
	c.ExecutorShutdownGrace = or(c.ExecutorShutdownGrace, 5*time.Second)
	c.RecoveryTimeout = or(c.RecoveryTimeout, 15*time.Minute)
	c.GCDelay = or(c.GCDelay, 7*24*time.Hour)
	c.DiskHeadroom = or(c.DiskHeadroom, 0.1)
	c.MaxCompletedFrameworks = or(c.MaxCompletedFrameworks, 50)
	c.MaxCompletedExecutors = or(c.MaxCompletedExecutors, 150)
	c.MaxCompletedTasks = or(c.MaxCompletedTasks, 200)
	return c
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
