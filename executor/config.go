package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/meseta-project/meseta/internal/client"
	"github.com/meseta-project/meseta/internal/flags"
)

// Config says who the executor is and where its agent.
type Config struct {
	// Agent is the agent's address, host:port or a URL.
	Agent string
	// Path of the executor API at the agent; "" is /api/v1/executor.
	Path string
	// Socket is the path of the agent's Unix socket; "" connects to Agent.
	Socket string
	// FrameworkID and ExecutorID are the ids that the agent knows the executor
	// by.
	FrameworkID, ExecutorID string
	// Directory is the sandbox.
	Directory string
	// Checkpoint is whether the framework checkpoints. If it does not, losing
	// the agent ends the executor.
	Checkpoint bool
	// RecoveryTimeout is how long to try to reach an agent that was lost; 0 is
	// Mesos's 15 minutes.
	RecoveryTimeout time.Duration
	// SubscriptionBackoffMax is the longest wait between two attempts; 0 is
	// Mesos's two seconds.
	SubscriptionBackoffMax time.Duration
	// ShutdownGracePeriod is how long after SHUTDOWN the agent kills the
	// executor; 0 is Mesos's five seconds.
	ShutdownGracePeriod time.Duration
	// Token authenticates the executor (Bearer).
	Token string
	// JSON uses JSON on the wire in place of protocol buffers.
	JSON bool
	// Transport carries the requests; nil is one of the client's own.
	Transport http.RoundTripper
	// Log is told of lost connections; nil discards.
	Log *slog.Logger
}

// FromEnvironment reads what the agent tells an executor that it starts, in
// MESOS_ variables. It removes MESOS_EXECUTOR_AUTHENTICATION_TOKEN, so that
// tasks do not inherit it.
func FromEnvironment() (Config, error) {
	cfg := Config{
		Agent: os.Getenv("MESOS_AGENT_ENDPOINT"), Socket: os.Getenv("MESOS_DOMAIN_SOCKET"),
		FrameworkID: os.Getenv("MESOS_FRAMEWORK_ID"), ExecutorID: os.Getenv("MESOS_EXECUTOR_ID"),
		Directory: os.Getenv("MESOS_DIRECTORY"), Checkpoint: os.Getenv("MESOS_CHECKPOINT") == "1",
		Token: os.Getenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN"),
	}
	if id, address, ok := strings.Cut(os.Getenv("MESOS_SLAVE_PID"), "@"); ok {
		cfg.Agent, cfg.Path = address, "/"+id+"/api/v1/executor"
	}
	os.Unsetenv("MESOS_EXECUTOR_AUTHENTICATION_TOKEN")
	if cfg.Agent == "" {
		return Config{}, errors.New("executor: MESOS_AGENT_ENDPOINT is not set: an agent must start this program")
	}
	for name, d := range map[string]*time.Duration{
		"MESOS_RECOVERY_TIMEOUT":               &cfg.RecoveryTimeout,
		"MESOS_SUBSCRIPTION_BACKOFF_MAX":       &cfg.SubscriptionBackoffMax,
		"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": &cfg.ShutdownGracePeriod,
	} {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		var err error
		if *d, err = flags.ParseDuration(text); err != nil {
			return Config{}, fmt.Errorf("executor: %s: %w", name, err)
		}
	}
	return cfg, nil
}

// complete returns cfg with its defaults filled in.
func (cfg Config) complete() (Config, error) {
	if cfg.FrameworkID == "" || cfg.ExecutorID == "" {
		return cfg, errors.New("executor: no FrameworkID or ExecutorID")
	}
	if cfg.Path == "" {
		cfg.Path = "/api/v1/executor"
	}
	if cfg.RecoveryTimeout <= 0 {
		cfg.RecoveryTimeout = 15 * time.Minute
	}
	if cfg.SubscriptionBackoffMax <= 0 {
		cfg.SubscriptionBackoffMax = 2 * time.Second
	}
	if cfg.ShutdownGracePeriod <= 0 {
		cfg.ShutdownGracePeriod = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Socket != "" && cfg.Transport == nil {
		cfg.Transport = throughSocket(cfg.Socket)
	}
	return cfg, nil
}

// throughSocket returns a transport that takes every connection to a Unix
// socket.
func throughSocket(path string) http.RoundTripper {
	transport := client.NewTransport()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", path)
	}
	return transport
}
