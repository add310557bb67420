package module

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meseta-project/meseta/allocation"
	"github.com/meseta-project/meseta/allocation/module"
)

const (
	// startTimeout is how long a process has to say which protocol it speaks.
	startTimeout = 5 * time.Second
	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

// A Module is the program of an allocation module, and its process while there
// is one. Rank and Close may be called by several goroutines; they wait for each
// other.
type Module struct {
	command []string
	log     *slog.Logger

	mu      sync.Mutex
	process *plugin.Client
	cmd     *exec.Cmd // of process
	client  *module.Client
	failed  time.Time     // when a process could not be started, or was ended
	backoff time.Duration // until the next one is
}

// Open starts a module, the program and its arguments. It fails if there is no
// such program, or one that is no module or speaks another version of the
// protocol.
func Open(command []string, log *slog.Logger) (*Module, error) {
	m := &Module{command: command, log: log}
	if err := m.start(); err != nil {
		return nil, err
	}
	return m, nil
}

// Close ends the process.
func (m *Module) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	return nil
}

// Rank asks the process, and starts another one first if there is none. One that
// does not answer before ctx is done is ended.
func (m *Module) Rank(ctx context.Context, d allocation.Demand) (allocation.Ranking, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.restart(); err != nil {
		return allocation.Ranking{}, err
	}
	answer, err := m.client.Rank(ctx, d)
	switch {
	case m.process.Exited() || status.Code(err) == codes.Unavailable:
		m.end()
		return answer, errors.Join(errors.New("the allocation module has died"), err)
	case ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded: // its own end may notice first
		m.end()
		return answer, errors.Join(errors.New("the allocation module does not answer; its process is ended"), err)
	case err == nil:
		m.backoff = 0
	}
	return answer, err
}

// restart starts a process if there is none and it is time to.
func (m *Module) restart() error {
	if m.process != nil {
		return nil
	}
	if wait := time.Until(m.failed.Add(m.backoff)); wait > 0 {
		return fmt.Errorf("the allocation module has died; it is started again in %v", wait.Round(time.Second))
	}
	m.log.Info("starting the allocation module again", slog.String("program", m.command[0]))
	return m.start()
}

func (m *Module) start() error {
	cmd := m.newCmd()
	process := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  module.Handshake(),
		Plugins:          plugin.PluginSet{module.Name: &module.Plugin{}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true, // the master's variables, which may be secret, are not the module's business
		StartTimeout:     startTimeout,
		Logger:           newLogger(m.log),
	})
	client, err := dispense(process)
	if err != nil {
		kill(process, cmd)
		m.note()
		return m.explain(err)
	}
	m.process, m.cmd, m.client = process, cmd, client
	return nil
}

func (m *Module) newCmd() *exec.Cmd {
	cmd := exec.Command(m.command[0], m.command[1:]...) //nolint:noctx // it is ended by process.Kill
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

func dispense(process *plugin.Client) (*module.Client, error) {
	protocol, err := process.Client()
	if err != nil {
		return nil, err
	}
	client, err := protocol.Dispense(module.Name)
	if err != nil {
		return nil, err
	}
	return client.(*module.Client), nil
}

// end ends the process, and has the next one wait a little longer.
func (m *Module) end() {
	if m.process != nil {
		kill(m.process, m.cmd)
		m.process, m.cmd, m.client = nil, nil, nil
		m.note()
	}
}

// killTimeout is how long what is left of a process is waited for.
const killTimeout = 2 * time.Second

// kill ends a process at once: it has nothing to finish, and one that is stopped
// would never do as it is asked. What go-plugin then cleans up is waited for
// a while only.
func kill(process *plugin.Client, cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = cmd.Process.Kill() // it may be over
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		process.Kill()
	}()
	select {
	case <-over:
	case <-time.After(killTimeout):
	}
}

// note notes that a process is over.
func (m *Module) note() {
	m.failed = time.Now()
	m.backoff = min(max(2*m.backoff, firstBackoff), maxBackoff)
}

// explain says what to do about a process that cannot be started.
func (m *Module) explain(err error) error {
	program := m.command[0]
	switch text := err.Error(); {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("there is no allocation module %s: name the program by its whole path: %w", program, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the allocation module %s may not be run: %w", program, err)
	case strings.Contains(text, "ncompatible API version") || strings.Contains(text, "ncompatible core API version"):
		return fmt.Errorf("the allocation module %s speaks another version of the protocol than this master's, %d: build it with the package allocation/module of this release: %w", program, module.Version, err)
	default:
		return fmt.Errorf("%s is no allocation module, which a program is that calls module.Serve: %w", program, err)
	}
}
