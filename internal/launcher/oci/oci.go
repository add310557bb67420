// Package oci launches containers that are described as the Open Container
// Initiative does, through an OCI runtime: crun, runc, or one that takes their
// commands; or through another [Starter].
//
// The starter only starts a container. While the container runs there is no process
// of the starter's: it runs below the same shim as those of package posix, which
// keeps its raw wait status, survives the agent, and costs less than a megabyte:
//
//	agent ── meseta-shim ─┬─ init of the pid namespace, which only reaps
//	                      └─ sh -c … ── whatever the task starts
//
// What isolates a container is in isolators.go: functions from what is asked for
// to the specification that the starter gets.
package oci

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Launcher starts containers of a starter. It may be used by many goroutines.
type Launcher struct {
	*posix.Launcher // of shims

	cfg     Config
	cgroups cgroups
	classes *classes
	running sync.Map // containers by id, *process
}

// Config is what all containers of a launcher share.
type Config struct {
	Starter Starter
	Dir     string // of bundles; as lasting as the machine's boot
	Drop    string // mount that no container keeps a copy of: that of network namespaces; "" for none
	Options
}

// Starter is who starts containers. It may be used by many goroutines.
type Starter interface {
	// Name is that of the program, for people.
	Name() string
	// Run returns the command that starts the container of a bundle. Its
	// specification is s, and config.json in the bundle.
	Run(id, bundle string, s *specs.Spec) (*Command, error)
	// Exec returns the command that starts one more process in a container that runs,
	// as p says. bundle is the process's own folder.
	Exec(id, bundle string, p *specs.Process, in Running) (*Command, error)
	// Failure returns why a command has started nothing.
	Failure(bundle string) error
	// Forget removes what the starter itself remembers of a container that has ended.
	Forget(ctx context.Context, id string) error
}

// Running is a container that runs: its id, its folder and its specification.
type Running struct {
	ID, Bundle string
	Spec       *specs.Spec
}

// Command is how something is started.
type Command struct {
	Path string       // of the program
	Args []string     // its name first
	Env  []string     // beside a PATH
	How  posix.Bundle // what the shim is to do for it; its folder goes without saying
	// Started is called when it has started, or has not.
	Started func() error
}

// defaultTimeout is that of Options.DestroyTimeout, and bounds what a runtime may
// take for other things.
const defaultTimeout = time.Minute

// New returns a launcher on the machine it runs on.
func New(cfg Config) (*Launcher, error) {
	if err := errors.Join(checkIsolation(cfg.Isolation, cfg.Machine), cfg.checkUsers()); err != nil {
		return nil, err
	}
	shims, err := posix.New()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "bundles"), 0o711); err != nil {
		return nil, fmt.Errorf("make the folder of bundles: %w", err)
	}
	l := &Launcher{Launcher: shims, cfg: cfg, cgroups: cgroups{machine: cfg.Machine, root: cfg.CgroupRoot, systemd: cfg.Systemd}}
	l.classes = newClasses(cfg.NetCls, l.cgroups)
	return l, nil
}

// Fork implements [launcher.Launcher].
func (l *Launcher) Fork(spec *launcher.Spec) (launcher.Process, error) {
	bundle := l.bundle(spec.ID)
	config, err := Build(spec, bundle, &l.cfg.Options)
	users := l.cfg.has("namespaces/user")
	if err == nil && spec.Rootfs != "" {
		err = checkRoot(spec.Rootfs)
	}
	if err == nil && users {
		err = keepFlags(config)
	}
	if err != nil {
		return nil, fmt.Errorf("specify container %s: %w", spec.ID, err)
	}
	limits := l.cgroups.place(spec.ID, config)
	shared, err := linkBoth(bundle, spec.Mounts)
	inside := users && spec.Network != nil
	if inside {
		startInside(config, bundle)
	}
	if err := errors.Join(err, makeBundle(bundle, config), l.linkNetwork(bundle, spec.Network)); err != nil {
		return nil, fmt.Errorf("make the bundle of container %s: %w", spec.ID, err)
	}
	if users {
		if err := l.shift(spec, bundle); err != nil {
			return nil, errors.Join(err, l.Release(spec.ID))
		}
	}
	if err := l.cgroups.enter(spec.ID, limits); err != nil {
		return nil, errors.Join(fmt.Errorf("make the groups of container %s: %w", spec.ID, err), l.Release(spec.ID))
	}
	if err := l.classify(spec); err != nil {
		return nil, errors.Join(err, l.Release(spec.ID))
	}
	leave, err := l.enterParent(spec.ID, bundle)
	if err != nil {
		return nil, errors.Join(err, l.Release(spec.ID))
	}
	defer leave()
	command, err := l.cfg.Starter.Run(spec.ID, bundle, config)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("specify container %s to %s: %w", spec.ID, l.cfg.Starter.Name(), err), l.Release(spec.ID))
	}
	how := &command.How
	share(how, spec, config)
	how.UserIDs, how.HostRoot = users, spec.Rootfs == ""
	how.Network, how.Inside, how.Both, how.Drop = spec.Network != nil && !inside, inside, shared, l.cfg.Drop != ""
	return l.start(spec, bundle, spec.ID, command)
}

// checkRoot refuses a root of an image with a link where a runtime makes something:
// runc makes links in /dev, and would follow that out of the root.
func checkRoot(root string) error {
	for _, name := range []string{"dev", "proc", "sys"} {
		info, err := os.Lstat(filepath.Join(root, name))
		if err == nil && !info.IsDir() {
			return fmt.Errorf("/%s in the image is no folder", name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Exec implements [launcher.Launcher].
func (l *Launcher) Exec(container string, spec *launcher.Spec) (launcher.Process, error) {
	bundle := l.bundle(spec.ID)
	if err := os.MkdirAll(bundle, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of process %s: %w", spec.ID, err)
	}
	outer, err := readConfig(l.bundle(container))
	if err != nil {
		return nil, fmt.Errorf("enter container %s: %w", container, err)
	}
	command, err := l.cfg.Starter.Exec(spec.ID, bundle, processLike(outer.Process, spec), Running{container, l.bundle(container), outer})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("specify process %s to %s: %w", spec.ID, l.cfg.Starter.Name(), err), l.Release(spec.ID))
	}
	if len(outer.Linux.UIDMappings) > 0 {
		network, err := os.Readlink(filepath.Join(l.bundle(container), "net"))
		if err == nil {
			err = os.Symlink(network, filepath.Join(bundle, "net"))
			command.How.Inside = true
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			if command.Started != nil {
				err = errors.Join(err, command.Started())
			}
			return nil, errors.Join(fmt.Errorf("enter the network of container %s: %w", container, err), l.Release(spec.ID))
		}
	}
	return l.start(spec, bundle, container, command)
}

// start has a shim start something. container is the one whose cgroups count.
func (l *Launcher) start(spec *launcher.Spec, bundle, container string, command *Command) (launcher.Process, error) {
	shim := *spec
	shim.User, shim.Rlimits, shim.Env, shim.Dir = nil, nil, append([]string{"PATH=" + os.Getenv("PATH")}, command.Env...), bundle
	shim.Path, shim.Args = command.Path, command.Args
	how := command.How
	how.Dir = bundle
	process, err := l.ForkBundle(&shim, how)
	if err != nil {
		err = fmt.Errorf("%s: %w", l.cfg.Starter.Name(), errors.Join(err, l.cfg.Starter.Failure(bundle)))
	}
	if command.Started != nil {
		err = errors.Join(err, command.Started())
	}
	if err != nil {
		return nil, errors.Join(err, l.end(process), l.Release(spec.ID))
	}
	return l.watch(process, spec.ID, container), nil
}

// end ends what has started after all.
func (l *Launcher) end(p *posix.Process) error {
	if p == nil {
		return nil
	}
	killed := p.Kill()
	_, err := p.Wait()
	return errors.Join(killed, err)
}

// Adopt implements [launcher.Launcher].
func (l *Launcher) Adopt(id string, pid int, status string) (launcher.Process, error) {
	adopted, err := l.Launcher.Adopt(id, pid, status)
	if err != nil {
		return nil, err
	}
	if _, foreign := adopted.(*posix.Foreign); foreign {
		return adopted, nil // in no groups and no namespaces of ours
	}
	return l.watch(adopted, id, id), nil
}

// Release implements [launcher.Launcher].
func (l *Launcher) Release(id string) error {
	bundle := l.bundle(id)
	if _, err := os.Stat(bundle); errors.Is(err, os.ErrNotExist) {
		l.classes.leave(l.cgroups.of(id))
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(l.cfg.DestroyTimeout, defaultTimeout))
	defer cancel()
	if err := l.cfg.Starter.Forget(ctx, id); err != nil {
		return fmt.Errorf("%s cannot forget container %s: %w", l.cfg.Starter.Name(), id, err)
	}
	if err := l.cgroups.remove(ctx, id); err != nil {
		return fmt.Errorf("remove the cgroups of container %s: %w", id, err)
	}
	l.classes.leave(l.cgroups.of(id))
	return os.RemoveAll(bundle)
}

func (l *Launcher) bundle(id string) string { return filepath.Join(l.cfg.Dir, "bundles", id) }

// makeBundle makes the folder that the shim and the runtime work in.
func makeBundle(dir string, config *specs.Spec) error {
	for _, sub := range []string{"void", "rootfs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o711); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pidns"), nil, 0o600); err != nil {
		return err
	}
	if ipc, ok := namespace(config, specs.IPCNamespace); ok && ipc.Path != "" {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "shm"), 0o711), os.WriteFile(ipc.Path, nil, 0o600)); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(dir, "config.json"), config)
}

// linkNetwork tells the shim of what is to be mounted, and what not.
func (l *Launcher) linkNetwork(bundle string, network *launcher.Network) error {
	var failed error
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(bundle, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			failed = errors.Join(failed, err)
		}
	}
	if l.cfg.Drop != "" {
		link(l.cfg.Drop, "drop")
	}
	if network != nil {
		link(network.Namespace, "net")
		failed = errors.Join(failed, os.WriteFile(filepath.Join(bundle, "netns"), nil, 0o600))
	}
	return failed
}

// linkBoth tells the shim of the mounts that go both ways, and reports whether
// there are some.
func linkBoth(bundle string, mounts []launcher.Mount) (some bool, err error) {
	n := 0
	for _, m := range mounts {
		if !m.Both {
			continue
		}
		info, err := os.Stat(m.Source)
		if err != nil {
			return false, err
		}
		at := both(bundle, n)
		if info.IsDir() {
			err = os.MkdirAll(at, 0o711)
		} else if err = os.MkdirAll(bundle, 0o711); err == nil {
			err = os.WriteFile(at, nil, 0o600)
		}
		if err == nil {
			err = os.Symlink(m.Source, at+".from")
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return false, err
		}
		n++
	}
	return n > 0, nil
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

func readConfig(bundle string) (*specs.Spec, error) {
	text, err := os.ReadFile(filepath.Join(bundle, "config.json"))
	if err != nil {
		return nil, err
	}
	config := &specs.Spec{}
	return config, json.Unmarshal(text, config)
}
