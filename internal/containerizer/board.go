package containerizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Line is a connection to a container that somebody has attached to.
type Line = posix.Line

// Errors of [Containerizer.Attach], in Mesos's words.
var (
	ErrNoBoard = errors.New("I/O switchboard server was disabled for this container")
	ErrCrowded = posix.ErrCrowded
)

// Attach connects to a container that has a terminal, or is a session.
func (c *Containerizer) Attach(id ids.ContainerID, wants posix.Wants) (*Line, error) {
	if c.dockerOf(id) != nil {
		return nil, errors.New("Unsupported")
	}
	line, err := posix.DialBoard(c.runtimeDir(id), wants)
	if errors.Is(err, posix.ErrNoBoard) {
		return nil, ErrNoBoard
	}
	return line, err
}

// surroundings are what a session has of the container that it is in. They are kept
// in the container's runtime folder.
type surroundings struct {
	Container string   `json:"container"` // whose namespaces it enters
	Dir       string   `json:"dir"`       // as it is named inside
	User      string   `json:"user,omitempty"`
	Env       []string `json:"env"`
}

const surroundingsFile = "surroundings.json"

// surround keeps what sessions in a container need of it; within is the one that it
// is in itself, if it is a session.
func (c *Containerizer) surround(spec *Spec, within string, launch *launcher.Spec) error {
	dir := cmp.Or(launch.WorkDir, launch.Dir)
	text, err := json.Marshal(surroundings{cmp.Or(within, string(spec.ID)), dir, spec.User, launch.Env})
	if err == nil {
		err = os.WriteFile(filepath.Join(c.runtimeDir(spec.ID), surroundingsFile), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep what sessions need: %w", err)
	}
	return nil
}

// enter makes a process a session in a container. It begins where the container
// does, with its environment and, unless another is named, as its user. In a
// container without a process of its own, that of a pod, it has nothing to enter.
func (c *Containerizer) enter(spec *Spec, launch *launcher.Spec) (container string, err error) {
	text, err := os.ReadFile(filepath.Join(c.runtimeDir(spec.Session), surroundingsFile))
	if errors.Is(err, os.ErrNotExist) {
		launch.Env = append(launch.Env, "MESOS_SANDBOX="+spec.Sandbox)
		return "", nil
	}
	var in surroundings
	if err == nil {
		err = json.Unmarshal(text, &in)
	}
	if err != nil {
		return "", fmt.Errorf("find out about container %s: %w", spec.Session, err)
	}
	launch.Dir, launch.Env = in.Dir, overlaid(in.Env, launch.Env)
	return in.Container, nil
}

// overlaid returns an environment in which those of more take precedence.
func overlaid(env, more []string) []string {
	set := map[string]bool{}
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	env = slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return set[name]
	})
	return append(env, more...)
}

// SessionUser returns as whom a session in a container runs by default.
func (c *Containerizer) SessionUser(id ids.ContainerID) (name string, known bool) {
	text, err := os.ReadFile(filepath.Join(c.runtimeDir(id), surroundingsFile))
	var in surroundings
	if err != nil || json.Unmarshal(text, &in) != nil {
		return "", false
	}
	return in.User, true
}

// board returns what is to be between a container and its files, or nil. The
// caller closes what is in it.
func (c *Containerizer) board(spec *Spec, command *mesos.CommandInfo) (*launcher.Board, error) {
	b := &launcher.Board{Terminal: spec.Container.GetTtyInfo() != nil, Held: spec.Session != ""}
	attachable := b.Terminal || b.Held
	if c.cfg.Logger != nil {
		logger, err := c.cfg.Logger.of(command)
		if err != nil {
			return nil, fmt.Errorf("Failed to load container logger settings: %w", err) //nolint:staticcheck // Mesos's words
		}
		b.Stdout, b.Stderr = logger.Stdout, logger.Stderr
		if b.Sandbox, err = sandboxFolder(spec); err != nil {
			return nil, err
		}
	}
	if !attachable && c.cfg.Logger == nil {
		return nil, nil
	}
	if attachable {
		var err error
		if b.Socket, err = posix.ListenBoard(c.runtimeDir(spec.ID)); err != nil {
			closeBoard(b)
			return nil, err
		}
	}
	return b, nil
}

// sandboxFolder opens the folder of a prepared container.
func sandboxFolder(spec *Spec) (*os.File, error) {
	root, err := openSandbox(spec)
	if err != nil {
		return nil, fmt.Errorf("open the sandbox: %w", err)
	}
	defer root.Close()
	return root.Open(".")
}

// closeBoard closes what the shim has of its own by now.
func closeBoard(b *launcher.Board) {
	if b == nil {
		return
	}
	for _, f := range []*os.File{b.Socket, b.Sandbox} {
		if f != nil {
			f.Close()
		}
	}
}
