package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/image"
)

// dockerFlags are what makes containers, and how a Docker Engine does.
type dockerFlags struct {
	Containerizers []string
	docker.Config
}

func (f *dockerFlags) define(set *flags.Set) {
	set.Strings(&f.Containerizers, "containerizers", []string{"mesos"}, "What makes containers, a list: mesos stands for the agent itself, docker for a Docker Engine, which makes those of the type DOCKER.")
	set.String(&f.Socket, "docker_socket", "/var/run/docker.sock", "Where the Docker Engine listens: a path, or a URL such as tcp://host:2375.")
	set.Duration(&f.RemoveDelay, "docker_remove_delay", 6*time.Hour, "How long the Docker Engine's containers stay after their end.")
	set.Bool(&f.KillOrphans, "docker_kill_orphans", true, "Kill containers with an agent's name (mesos-ID) that the agent does not know. Turn it off where several agents share a Docker Engine.")
	set.Duration(&f.StopTimeout, "docker_stop_timeout", 0, "How long a container of the Docker Engine's that is killed gets to end by itself, beyond its task's kill policy.")
	set.Path(&f.Mapped, "sandbox_directory", "/mnt/mesos/sandbox", "Where the sandbox is in containers with a root of their own.")
}

// open returns the Docker Engine, nil if there is to be none.
func (f *dockerFlags) open(images *imageFlags, log *slog.Logger) (*docker.Engine, error) {
	for _, c := range f.Containerizers {
		if c != "mesos" && c != "docker" {
			return nil, fmt.Errorf("--containerizers: %s is unknown: want mesos, docker, or both", c)
		}
	}
	if len(f.Containerizers) == 0 {
		return nil, errors.New("--containerizers: want mesos, docker, or both")
	}
	if !slices.Contains(f.Containerizers, "docker") {
		return nil, nil //nolint:nilnil // none is an answer
	}
	auth, err := images.auth()
	if err != nil {
		return nil, err
	}
	cfg := f.Config
	cfg.Log = log
	if cfg.Auth, err = image.EngineAuth(auth); err != nil {
		return nil, fmt.Errorf("--docker_config: %w", err)
	}
	engine, err := docker.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := engine.Check(context.Background()); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	return engine, nil
}

// only says whether no other containers are to be made.
func (f *dockerFlags) only() bool { return !slices.Contains(f.Containerizers, "mesos") }
