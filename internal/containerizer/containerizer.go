// Package containerizer makes containers and unmakes them: sandbox, files to
// fetch, processes, the folder of what is known of them at run time.
//
// A container's life, each step called by the one goroutine that owns it:
//
//	Prepare ── Start | Adopt ── Process.Wait ── Cleanup
//
// What differs between kinds of containers is behind the launcher; this
// package is the part that they share.
package containerizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/cni"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/docker/volume"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/image"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// DefaultPath is the PATH of a container whose environment names none; nothing
// of the agent's own environment is passed on.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Spec says what a container is made of.
type Spec struct {
	ID      ids.ContainerID
	Sandbox string // absolute; made if it is missing
	// Within is the folder above the sandbox that belongs to another container,
	// whose user may put links in it at any time: none leads out of it. "" when
	// all above the sandbox is the agent's.
	Within string
	User   string // owns the sandbox and runs the processes; "": the agent's own
	URIs   []*mesos.CommandInfo_URI
	// Volumes are to be seen below the sandbox, before anything is fetched.
	Volumes []Volume
	// Tethered kills the container when the agent's process ends: it is for
	// frameworks that do not checkpoint.
	Tethered bool
	// Session is the container that this one is a session in: a process in all that
	// isolates the other, as its user and in its folder. "": it is no session.
	Session   ids.ContainerID
	Container *mesos.ContainerInfo // the isolation asked for, or nil
	Resources launcher.Resources
	// Progress is told of what Prepare waits for, and "" when it waits no more, by
	// other goroutines; nil: nobody is.
	Progress func(text string)
	// mounts are those of the container's own volumes, found by Prepare.
	mounts  []launcher.Mount
	secrets []secretFile
	// Docker says what the Docker Engine is asked for; nil: the container is not
	// the Engine's. Of its fields those are set that no other here stands for.
	Docker *docker.Spec
}

// Fetcher brings files into a sandbox, with no more rights than the user has.
// What it has to say goes to log.
type Fetcher interface {
	Fetch(ctx context.Context, sandbox, user string, uris []*mesos.CommandInfo_URI, log io.Writer) error
}

// Config is what all containers of an agent share.
type Config struct {
	RuntimeDir string            // holds containers/ID/{pid,status}; made when the first container is
	Launcher   launcher.Launcher // nil: plain processes
	SwitchUser bool              // run as Spec.User; else as the agent's own user, whatever is asked
	Docker     *docker.Engine    // nil: there is none
	DockerOnly bool              // make no other containers
	Images     *image.Store      // nil: there are none
	Networks   *cni.Networks     // nil: there are none
	Volumes    *volume.Volumes   // of Docker's plugins; nil: there are none
	GiveVolume bool              // --docker_volume_chown: such a volume becomes the user's
	Mapped     string            // --sandbox_directory: where the sandbox is in a root of its own
	Own        []string          // the agent's folders, which are no volume's source
	MakeBelow  []string          // --host_path_volume_force_creation
	Logger     *Logger           // nil: stdout and stderr grow without bound
	Rlimits    bool              // plain processes have the limits of resources that they ask for
}

// Containerizer makes containers of plain processes. It is safe for concurrent
// use on different containers.
type Containerizer struct {
	cfg      Config
	launcher launcher.Launcher
	fetcher  Fetcher
	// engineNetworks are those of the Docker Engine's containers, by id.
	engineNetworks sync.Map // of []*mesos.NetworkInfo
}

// New returns a containerizer over its launcher.
func New(cfg Config, fetcher Fetcher) (*Containerizer, error) {
	if cfg.Launcher != nil {
		return &Containerizer{cfg: cfg, launcher: cfg.Launcher, fetcher: fetcher}, nil
	}
	trees, err := posix.New()
	if err != nil {
		return nil, err
	}
	return &Containerizer{cfg: cfg, launcher: trees, fetcher: fetcher}, nil
}

// Prepare makes the sandbox, with empty stdout and stderr, and fetches the URIs.
// ctx ends a fetch that nobody waits for any more.
func (c *Containerizer) Prepare(ctx context.Context, spec *Spec) error {
	if err := c.unsupported(spec); err != nil {
		return err
	}
	who, err := c.user(spec)
	if err != nil {
		return err
	}
	if err := makeSandbox(spec, who); err != nil {
		return fmt.Errorf("make the sandbox: %w", err)
	}
	if err := c.AddVolumes(spec, spec.Volumes); err != nil {
		return err
	}
	if err := c.addMounts(ctx, spec); err != nil {
		return err
	}
	if err := c.fetch(ctx, spec); err != nil {
		return err
	}
	if spec.Docker != nil {
		return c.pullDocker(ctx, spec)
	}
	if err := c.provision(ctx, spec); err != nil {
		return err
	}
	return c.attach(spec)
}

func (c *Containerizer) fetch(ctx context.Context, spec *Spec) error {
	if len(spec.URIs) == 0 {
		return nil
	}
	log, err := output(spec, "stderr")
	if err != nil {
		return err
	}
	defer log.Close()
	if !c.cfg.SwitchUser {
		return c.fetcher.Fetch(ctx, spec.Sandbox, "", spec.URIs, log)
	}
	return c.fetcher.Fetch(ctx, spec.Sandbox, spec.User, spec.URIs, log)
}

// Class returns the class that the packets of a prepared container will be in, 0 for
// none.
func (c *Containerizer) Class(spec *Spec) (uint32, error) {
	l, ok := c.launcher.(interface {
		Class(id string) (uint32, error)
	})
	if !ok || spec.Docker != nil {
		return 0, nil
	}
	return l.Class(string(spec.ID))
}

// Start runs a command in a prepared container. env is complete but for PATH,
// which is added if it is missing.
func (c *Containerizer) Start(spec *Spec, command *mesos.CommandInfo, env []string) (launcher.Process, error) {
	env, err := WithSecrets(env, command)
	if err != nil {
		return nil, err
	}
	if spec.Docker != nil {
		return c.startDocker(spec, command, env)
	}
	who, err := c.user(spec)
	if err != nil {
		return nil, err
	}
	runtime := c.runtimeDir(spec.ID)
	if err := os.MkdirAll(runtime, 0o755); err != nil {
		return nil, fmt.Errorf("make the runtime folder: %w", err)
	}
	stdout, err := output(spec, "stdout")
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := output(spec, "stderr")
	if err != nil {
		return nil, err
	}
	defer stderr.Close()

	launch := &launcher.Spec{
		ID: string(spec.ID), Env: env, Dir: spec.Sandbox,
		User: who, Tethered: spec.Tethered, Stdout: stdout, Stderr: stderr, Status: filepath.Join(runtime, "status"),
		Container: spec.Container, Resources: spec.Resources, Mounts: mounts(spec.Volumes),
	}
	if c.cfg.Rlimits {
		if launch.Rlimits, err = launcher.Rlimits(spec.Container.GetRlimitInfo()); err != nil {
			return nil, err
		}
	}
	if err := c.inRoot(spec, command, launch); err != nil {
		return nil, err
	}
	c.inNetwork(spec, launch)
	launch.Mounts = append(launch.Mounts, spec.mounts...)
	done, err := c.writeSecrets(spec, who)
	if err != nil {
		return nil, err
	}
	process, err := c.fork(spec, command, launch)
	dropped := done()
	if err != nil {
		return nil, errors.Join(err, dropped)
	}
	if dropped != nil {
		return process, errors.Join(dropped, process.Kill())
	}
	return process, c.rememberPID(spec, process)
}

// rememberPID is for the agent's next life. A container that it would not find is killed.
func (c *Containerizer) rememberPID(spec *Spec, process launcher.Process) error {
	if err := os.WriteFile(filepath.Join(c.runtimeDir(spec.ID), "pid"), strconv.AppendInt(nil, int64(process.PID()), 10), 0o600); err != nil {
		return errors.Join(fmt.Errorf("remember the container's pid: %w", err), process.Kill())
	}
	return nil
}

// Hold starts a prepared container that others are to be in, and no program. There is no
// process where containers share nothing.
func (c *Containerizer) Hold(spec *Spec) (launcher.Process, error) {
	holder, ok := c.launcher.(launcher.Holder)
	if !ok {
		return nil, nil //nolint:nilnil // none is as good
	}
	runtime := c.runtimeDir(spec.ID)
	if err := os.MkdirAll(runtime, 0o755); err != nil {
		return nil, fmt.Errorf("make the runtime folder: %w", err)
	}
	process, err := holder.Hold(&launcher.Spec{
		ID: string(spec.ID), Dir: spec.Sandbox, Tethered: spec.Tethered, Status: filepath.Join(runtime, "status"),
		Container: spec.Container, Resources: spec.Resources,
	})
	if err != nil {
		return nil, err
	}
	return process, c.rememberPID(spec, process)
}

// fork starts the first process of a container, or a session in another.
func (c *Containerizer) fork(spec *Spec, command *mesos.CommandInfo, launch *launcher.Spec) (launcher.Process, error) {
	within := ""
	if spec.Session != "" {
		var err error
		if within, err = c.enter(spec, launch); err != nil {
			return nil, err
		}
	}
	launch.Env = withPath(launch.Env)
	if err := c.surround(spec, within, launch); err != nil {
		return nil, err
	}
	var err error
	if launch.Board, err = c.board(spec, command); err != nil {
		return nil, err
	}
	defer closeBoard(launch.Board)
	if within != "" {
		return c.launcher.Exec(within, launch)
	}
	return c.launcher.Fork(launch)
}

// Adopt takes up a container that an earlier life of the agent started. When
// its processes have ended meanwhile it fails with [launcher.ErrGone]; [Status]
// then tells how they ended.
func (c *Containerizer) Adopt(id ids.ContainerID, pid int) (launcher.Process, error) {
	if record := c.dockerOf(id); record != nil {
		return c.adoptDocker(id, record)
	}
	return c.launcher.Adopt(string(id), pid, filepath.Join(c.runtimeDir(id), "status"))
}

// End kills a container by what its runtime folder says of it, waits for its end
// and forgets it, with those nested in it. One that has ended, or that nothing is
// known of, is forgotten.
func (c *Containerizer) End(id ids.ContainerID) error {
	for _, nested := range c.Nested(id) {
		if err := c.End(nested); err != nil {
			return err
		}
	}
	if pid, ok := c.PID(id); ok {
		if err := c.endProcess(id, pid); err != nil && !errors.Is(err, launcher.ErrGone) {
			return err
		}
	}
	return c.Cleanup(id)
}

func (c *Containerizer) endProcess(id ids.ContainerID, pid int) error {
	process, err := c.Adopt(id, pid)
	if err != nil {
		return err
	}
	if err := process.Kill(); err != nil {
		return err
	}
	_, err = process.Wait()
	return err
}

// Nested returns the containers within a container that something is known of.
func (c *Containerizer) Nested(id ids.ContainerID) []ids.ContainerID {
	entries, err := os.ReadDir(filepath.Join(c.runtimeDir(id), "containers"))
	if err != nil {
		return nil // there are none
	}
	all := make([]ids.ContainerID, 0, len(entries))
	for _, e := range entries {
		all = append(all, id+"."+ids.ContainerID(e.Name()))
	}
	return all
}

// Status returns the raw wait status of a container that has ended, if known.
func (c *Containerizer) Status(id ids.ContainerID) (status int, known bool) {
	return posix.ReadStatus(filepath.Join(c.runtimeDir(id), "status"))
}

// Cleanup forgets a container that has ended, and those nested in it. Its sandbox
// stays.
func (c *Containerizer) Cleanup(id ids.ContainerID) error {
	for _, nested := range c.Nested(id) {
		if err := c.Cleanup(nested); err != nil {
			return err
		}
	}
	if err := c.Release(id); err != nil {
		return err // what is known of it is needed to try again
	}
	return os.RemoveAll(c.runtimeDir(id))
}

// Release removes what a container that has ended leaves outside of its folders.
// The status of a nested one is known until its root is cleaned up.
func (c *Containerizer) Release(id ids.ContainerID) error {
	if c.dockerOf(id) != nil {
		c.engineNetworks.Delete(id)
		return c.cfg.Docker.Release(string(id))
	}
	if err := dropSecrets(filepath.Join(c.runtimeDir(id), "secrets")); err != nil {
		return err
	}
	if err := c.launcher.Release(string(id)); err != nil {
		return err
	}
	return errors.Join(c.destroyRoot(id), c.detach(id), c.unmount(id))
}

// runtimeDir returns containers/PARENT/containers/CHILD for PARENT.CHILD.
func (c *Containerizer) runtimeDir(id ids.ContainerID) string {
	path := c.cfg.RuntimeDir
	for part := range strings.SplitSeq(string(id), ".") {
		path = filepath.Join(path, "containers", part)
	}
	return path
}

// user returns the identity to switch to, or nil to stay the agent's own.
func (c *Containerizer) user(spec *Spec) (*launcher.User, error) {
	if !c.cfg.SwitchUser || spec.User == "" {
		return nil, nil
	}
	account, err := user.Lookup(spec.User)
	if err != nil {
		return nil, fmt.Errorf("look up user %q (make it known on this agent, or start the agent with --no-switch_user): %w", spec.User, err)
	}
	uid, err := parseID(account.Uid)
	if err != nil {
		return nil, err
	}
	if int(uid) == os.Getuid() {
		return nil, nil
	}
	return identity(account, uid)
}

func identity(account *user.User, uid uint32) (*launcher.User, error) {
	gid, err := parseID(account.Gid)
	if err != nil {
		return nil, err
	}
	groups, err := account.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("look up the groups of user %q: %w", account.Username, err)
	}
	who := &launcher.User{UID: uid, GID: gid}
	for _, g := range groups {
		id, err := parseID(g)
		if err != nil {
			return nil, err
		}
		who.Groups = append(who.Groups, id)
	}
	return who, nil
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("user or group number %q: %w", text, err)
	}
	return uint32(id), nil
}

// argv returns the program and its arguments. With a shell the value is a
// script; without, it is the program and the arguments are all of argv.
func argv(command *mesos.CommandInfo) (path string, args []string) {
	if command.GetShell() {
		return "sh", []string{"sh", "-c", command.GetValue()}
	}
	if len(command.GetArguments()) == 0 {
		return command.GetValue(), []string{command.GetValue()}
	}
	return command.GetValue(), command.GetArguments()
}

func withPath(env []string) []string {
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		return env
	}
	return append(slices.Clip(env), "PATH="+DefaultPath)
}

// PID returns the process of a container that was started here, if one was and
// the container was not cleaned up since. It may be long gone.
func (c *Containerizer) PID(id ids.ContainerID) (int, bool) {
	if _, err := os.Stat(c.runtimeDir(id)); err != nil {
		return 0, false
	}
	// An agent may have died before it wrote the file, or in the middle of that.
	text, err := os.ReadFile(filepath.Join(c.runtimeDir(id), "pid"))
	if pid, wrong := strconv.Atoi(string(text)); err == nil && wrong == nil && pid > 0 {
		return pid, true
	}
	if c.dockerOf(id) != nil {
		return c.cfg.Docker.PID(string(id))
	}
	return posix.Find(string(id))
}

// Foreign reports whether a container was launched by an agent of Apache Mesos's:
// its process runs and is none of ours, or that agent's own file is beside what is
// known of it.
func (c *Containerizer) Foreign(id ids.ContainerID, pid int) bool {
	if posix.IsForeign(pid, string(id)) {
		return true
	}
	_, err := os.Stat(filepath.Join(c.runtimeDir(id), "config"))
	return err == nil
}

// LaunchedAt returns when a container was launched, if it is known here.
func (c *Containerizer) LaunchedAt(id ids.ContainerID) (time.Time, bool) {
	info, err := os.Stat(filepath.Join(c.runtimeDir(id), "pid"))
	if err != nil {
		return time.Time{}, false
	}
	return info.ModTime(), true
}

// Known returns the containers that something is known of, nested ones left
// out: those that an earlier life of the agent has not cleaned up after.
func (c *Containerizer) Known() ([]ids.ContainerID, error) {
	entries, err := os.ReadDir(filepath.Join(c.cfg.RuntimeDir, "containers"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look for containers: %w", err)
	}
	known := make([]ids.ContainerID, 0, len(entries))
	for _, e := range entries {
		known = append(known, ids.ContainerID(e.Name()))
	}
	return known, nil
}
