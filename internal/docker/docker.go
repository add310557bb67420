// Package docker runs containers by a Docker Engine, over the Engine's own API:
// tasks whose ContainerInfo has the type DOCKER.
//
//	Pull ── Launch | Adopt ── Process.Wait ── Release
//
// A container is named mesos-ID. It belongs to the Engine and lives on when the
// agent does not; an agent that comes back finds it by its name. What it writes is
// copied into the sandbox by the agent, from where it was left off. Containers that
// have ended stay for a while, for people to look at, and then are removed.
//
// The Engine may hang. Every request but those that wait for something to happen
// ends after a while, and a container is killed by its process when the Engine
// does not answer.
package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/launcher"
)

// namePrefix begins the names of containers that agents make.
const namePrefix = "mesos-"

// patience is how long the Engine may take to answer what it can answer at once.
const patience = 30 * time.Second

// Config is what an engine needs.
type Config struct {
	Socket string // --docker_socket: a path, or a URL
	// RemoveDelay is --docker_remove_delay: how long a container stays after its end.
	RemoveDelay time.Duration
	// StopTimeout is --docker_stop_timeout: how long a container that is to be
	// killed gets to end by itself.
	StopTimeout time.Duration
	// KillOrphans is --docker_kill_orphans: end what bears a name of ours and is not
	// known.
	KillOrphans bool
	// Mapped is --sandbox_directory: where the sandbox is inside.
	Mapped string
	// CFS is --cgroups_enable_cfs: CPUs asked for are the most that is given.
	CFS bool
	// Auth returns what proves to an image's registry who we are, as the Engine
	// takes it; "" for nobody. nil: nobody ever.
	Auth func(image string) string
	// DNS is --default_container_dns of Docker's networks.
	DNS DNS
	Log *slog.Logger
}

// Engine is a Docker Engine. It may be used by many goroutines.
type Engine struct {
	cfg      Config
	api      *client.Client
	patience time.Duration
	pulls    httpd.Timing // how long it took until images were there
}

// Metrics adds what an agent tells of its Docker Engine.
func (e *Engine) Metrics(to map[string]float64) {
	e.pulls.Metrics("containerizer/docker/image_pull_ms", to)
}

// Spec is what to launch.
type Spec struct {
	ID        string
	Container *mesos.ContainerInfo
	Command   *mesos.CommandInfo
	Env       []string // NAME=VALUE
	Sandbox   string   // absolute, on the host
	Resources []*mesos.Resource
	Limits    map[string]*mesos.Value_Scalar
	Mounts    []Mount // beside the container's own volumes
	// Stdout and Stderr receive what the container writes. They are closed when it
	// has ended, or by a Launch that fails.
	Stdout, Stderr io.WriteCloser
}

// Mount is a folder of the host that a container sees below its sandbox.
type Mount struct {
	Host, At string
	ReadOnly bool
}

// New returns an engine. The Engine need not be there yet.
func New(cfg Config) (*Engine, error) {
	host := cfg.Socket
	if !strings.Contains(host, "://") {
		host = "unix://" + host
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		return nil, fmt.Errorf("--docker_socket=%s: %w", cfg.Socket, err)
	}
	return &Engine{cfg: cfg, api: api, patience: patience}, nil
}

// Check says whether the Engine is there.
func (e *Engine) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	if _, err := e.api.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return fmt.Errorf("no Docker Engine answers (start it, or name its socket with --docker_socket): %w", err)
	}
	return nil
}

// Close frees the connections.
func (e *Engine) Close() error { return e.api.Close() }

func name(id string) string { return namePrefix + id }

// Pull gets the image of a container if it is not there, or in any case if the
// container asks for it. What there is to tell goes to log.
func (e *Engine) Pull(ctx context.Context, info *mesos.ContainerInfo, log io.Writer) error {
	begin := time.Now()
	err := e.pull(ctx, info, log)
	if err == nil {
		e.pulls.Add(time.Since(begin))
	}
	return err
}

func (e *Engine) pull(ctx context.Context, info *mesos.ContainerInfo, log io.Writer) error {
	image := info.GetDocker().GetImage()
	if !info.GetDocker().GetForcePullImage() {
		_, err := e.api.ImageInspect(ctx, image)
		if err == nil || !errdefs.IsNotFound(err) {
			return wrap(err, "look for image '%s'", image)
		}
	}
	fmt.Fprintf(log, "Pulling image '%s'\n", image)
	var auth string
	if e.cfg.Auth != nil {
		auth = e.cfg.Auth(image)
	}
	pull, err := e.api.ImagePull(ctx, withTag(image), client.ImagePullOptions{RegistryAuth: auth})
	if err == nil {
		err = pull.Wait(ctx)
	}
	return wrap(err, "pull image '%s'", image)
}

// withTag names the one image that is meant: the API takes no tag for all of them.
func withTag(image string) string {
	last := image[strings.LastIndex(image, "/")+1:]
	if strings.ContainsAny(last, ":@") {
		return image
	}
	return image + ":latest"
}

// Launch starts a container whose image is there.
func (e *Engine) Launch(spec *Spec) (*Process, error) {
	p, err := e.launch(spec)
	if err != nil {
		return nil, errors.Join(err, spec.Stdout.Close(), spec.Stderr.Close())
	}
	return p, nil
}

func (e *Engine) launch(spec *Spec) (*Process, error) {
	options, err := e.options(spec)
	if err != nil {
		return nil, fmt.Errorf("Failed to create docker run options: %w", err) //nolint:staticcheck // as Mesos words it
	}
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	if _, err := e.api.ContainerCreate(ctx, *options); err != nil {
		return nil, fmt.Errorf("create container %s: %w", options.Name, err)
	}
	if _, err := e.api.ContainerStart(ctx, options.Name, client.ContainerStartOptions{}); err != nil {
		return nil, errors.Join(fmt.Errorf("start container %s: %w", options.Name, err), e.remove(options.Name))
	}
	found, raw, err := e.inspectRaw(spec.ID)
	if err != nil {
		return nil, err
	}
	p := e.process(spec.ID, found, &output{stdout: spec.Stdout, stderr: spec.Stderr})
	p.inspected = printed(found, raw, Secrets(spec.Command))
	return p, nil
}

// Adopt finds a container again that an earlier agent launched: it may have ended
// meanwhile. It fails with [launcher.ErrGone] if there is none of that name. Written
// is how much of what it wrote has been copied already, secrets are the names of
// variables whose values nobody is told.
func (e *Engine) Adopt(id string, secrets []string, stdout, stderr io.WriteCloser, written [2]int64) (*Process, error) {
	found, raw, err := e.inspectRaw(id)
	if err != nil {
		return nil, errors.Join(err, stdout.Close(), stderr.Close())
	}
	p := e.process(id, found, &output{stdout: stdout, stderr: stderr, skip: written})
	p.inspected = printed(found, raw, secrets)
	return p, nil
}

// PID returns the first process of a container, 0 if it has ended, and whether
// there is such a container.
func (e *Engine) PID(id string) (pid int, ok bool) {
	found, err := e.inspect(id)
	if err != nil {
		return 0, false
	}
	return found.State.Pid, true
}

func (e *Engine) inspect(id string) (*container.InspectResponse, error) {
	found, _, err := e.inspectRaw(id)
	return found, err
}

func (e *Engine) inspectRaw(id string) (found *container.InspectResponse, raw []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	answer, err := e.api.ContainerInspect(ctx, name(id), client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		return nil, nil, fmt.Errorf("container %s: %w", name(id), launcher.ErrGone)
	case err != nil:
		return nil, nil, fmt.Errorf("inspect container %s: %w", name(id), err)
	case answer.Container.State == nil:
		return nil, nil, fmt.Errorf("inspect container %s: the Engine tells no state", name(id))
	}
	return &answer.Container, answer.Raw, nil
}

// Release sees to it that a container that has ended is removed, by and by.
func (e *Engine) Release(id string) error {
	e.removeAfter(name(id), e.cfg.RemoveDelay)
	return nil
}

func (e *Engine) removeAfter(name string, delay time.Duration) {
	time.AfterFunc(delay, func() {
		if err := e.remove(name); err != nil {
			e.cfg.Log.Warn("cannot remove a container", slog.String("name", name), slog.Any("error", err))
		}
	})
}

func (e *Engine) remove(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	_, err := e.api.ContainerRemove(ctx, name, client.ContainerRemoveOptions{RemoveVolumes: true, Force: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove container %s: %w", name, err)
	}
	return nil
}

// Recover looks after what earlier lives have left: containers that have ended are
// removed when their time comes, and those that run and are not known are killed,
// if that is wanted.
func (e *Engine) Recover(known func(id string) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	all, err := e.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("name", "^/"+namePrefix)})
	if err != nil {
		return fmt.Errorf("look for containers: %w", err)
	}
	var failed error
	for _, c := range all.Items {
		id := idOf(c.Names)
		if id == "" || known(id) {
			continue
		}
		failed = errors.Join(failed, e.recoverOne(id))
	}
	return failed
}

// idOf returns the id in a container's name, "" for one that is not ours.
func idOf(names []string) string {
	for _, n := range names {
		if id, ok := strings.CutPrefix(strings.TrimPrefix(n, "/"), namePrefix); ok {
			return id
		}
	}
	return ""
}

func (e *Engine) recoverOne(id string) error {
	found, err := e.inspect(id)
	switch {
	case errors.Is(err, launcher.ErrGone):
		return nil
	case err != nil:
		return err
	case found.State.Running && !e.cfg.KillOrphans:
		return nil
	case found.State.Running:
		e.cfg.Log.Info("killing a container that is not known", slog.String("name", name(id)))
		return e.killAndRemove(id)
	}
	ended, err := time.Parse(time.RFC3339Nano, found.State.FinishedAt)
	if err != nil {
		ended = time.Now()
	}
	e.removeAfter(name(id), max(0, time.Until(ended.Add(e.cfg.RemoveDelay))))
	return nil
}

func (e *Engine) killAndRemove(id string) error {
	if err := e.kill(id, "SIGKILL"); err != nil {
		return err
	}
	e.removeAfter(name(id), e.cfg.RemoveDelay)
	return nil
}

// End kills a container that nobody else looks after any more, if it is there, and sees
// to it that it is removed.
func (e *Engine) End(id string) error {
	if _, err := e.inspect(id); err != nil {
		return ignoreGone(err)
	}
	return e.killAndRemove(id)
}

func (e *Engine) kill(id, signal string) error {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	_, err := e.api.ContainerKill(ctx, name(id), client.ContainerKillOptions{Signal: signal})
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil // it has ended
	}
	return wrap(err, "kill container %s", name(id))
}

func (e *Engine) stats(id string) (*container.StatsResponse, error) {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	answer, err := e.api.ContainerStats(ctx, name(id), client.ContainerStatsOptions{})
	if err != nil {
		return nil, wrap(err, "measure container %s", name(id))
	}
	defer answer.Body.Close()
	out := new(container.StatsResponse)
	return out, wrap(json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(out), "measure container %s", name(id))
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
