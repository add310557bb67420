// Package oci launches containers through an OCI runtime: crun, runc, or one
// that takes their commands.
//
// The runtime only starts a container and removes it. While the container runs
// there is no process of the runtime's: it runs below the same shim as those of
// package posix, which keeps its raw wait status, survives the agent, and costs
// less than a megabyte:
//
//	agent ── meseta-shim ─┬─ init of the pid namespace, which only reaps
//	                      └─ sh -c … ── whatever the task starts
//
// What isolates a container is in isolators.go: functions from what is asked for
// to the specification that the runtime gets.
package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/go-runc"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Launcher starts containers of an OCI runtime. It may be used by many goroutines.
type Launcher struct {
	*posix.Launcher // of shims

	cfg     Config
	runtime runc.Runc
	cgroups cgroups
	classes *classes
	sealed  *os.File // the runtime's program
}

// Config is what all containers of a launcher share.
type Config struct {
	Runtime Runtime
	Dir     string // of bundles and of what the runtime remembers; as lasting as the machine's boot
	Drop    string // mount that no container keeps a copy of: that of network namespaces; "" for none
	Options
}

// releaseTimeout bounds how long the removal of a container may take, as
// --cgroups_destroy_timeout does.
const releaseTimeout = time.Minute

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
	l := &Launcher{Launcher: shims, cfg: cfg, cgroups: cgroups{machine: cfg.Machine, root: cfg.CgroupRoot}}
	if l.sealed, err = seal(cfg.Runtime.Path); err != nil {
		return nil, fmt.Errorf("read %s: %w", cfg.Runtime.Path, err)
	}
	l.classes = newClasses(cfg.NetCls, l.cgroups)
	l.runtime = runc.Runc{Command: cfg.Runtime.Path, Root: filepath.Join(cfg.Dir, "state"), LogFormat: runc.JSON}
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
	shared, err := linkBoth(bundle, spec.Mounts)
	if err := errors.Join(err, makeBundle(bundle, config), l.linkNetwork(bundle, spec.Network)); err != nil {
		return nil, fmt.Errorf("make the bundle of container %s: %w", spec.ID, err)
	}
	if users {
		if err := l.shift(spec, bundle); err != nil {
			return nil, errors.Join(err, l.Release(spec.ID))
		}
	}
	if err := l.classify(spec.ID); err != nil {
		return nil, errors.Join(fmt.Errorf("give container %s a class: %w", spec.ID, err), l.Release(spec.ID))
	}
	return l.start(spec, posix.Bundle{
		Dir: bundle, PrivatePIDs: privatePIDs(config), UserIDs: users, HostRoot: spec.Rootfs == "", Network: spec.Network != nil, Both: shared, Drop: l.cfg.Drop != "",
	}, spec.ID, "run", "--detach", "--no-new-keyring", "--bundle", bundle, "--pid-file", filepath.Join(bundle, "pid"), spec.ID)
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
	file := filepath.Join(bundle, "process.json")
	if err := writeJSON(file, processLike(outer.Process, spec)); err != nil {
		return nil, fmt.Errorf("specify process %s: %w", spec.ID, err)
	}
	return l.start(spec, posix.Bundle{Dir: bundle}, container,
		"exec", "--detach", "--pid-file", filepath.Join(bundle, "pid"), "--process", file, container)
}

// start has a shim start the runtime. container is the one whose cgroups count.
func (l *Launcher) start(spec *launcher.Spec, b posix.Bundle, container string, args ...string) (launcher.Process, error) {
	b.HideUnified = l.cfg.Machine.Hybrid
	log := filepath.Join(b.Dir, "log")
	shim := *spec
	shim.User, shim.Env, shim.Dir = nil, []string{"PATH=" + os.Getenv("PATH")}, b.Dir
	shim.Path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), l.sealed.Fd())
	if spec.Board != nil && spec.Board.Terminal {
		args = slices.Insert(args, 1, "--console-socket", "console") // in the bundle: the shim listens there
	}
	shim.Args = append([]string{l.cfg.Runtime.Path, "--root", l.runtime.Root, "--log", log, "--log-format", "json"}, args...)
	process, err := l.ForkBundle(&shim, b)
	if err != nil {
		err = fmt.Errorf("%s: %w", l.cfg.Runtime.Name(), errors.Join(err, lastError(log)))
		return nil, errors.Join(err, l.Release(spec.ID))
	}
	return l.watch(process, spec.ID, container), nil
}

// Adopt implements [launcher.Launcher].
func (l *Launcher) Adopt(id string, pid int, status string) (launcher.Process, error) {
	adopted, err := l.Launcher.Adopt(id, pid, status)
	if err != nil {
		return nil, err
	}
	return l.watch(adopted, id, id), nil
}

// Release implements [launcher.Launcher].
func (l *Launcher) Release(id string) error {
	bundle := l.bundle(id)
	if _, err := os.Stat(bundle); errors.Is(err, os.ErrNotExist) {
		l.classes.leave(id)
		return nil
	}
	state := filepath.Join(l.runtime.Root, id)
	if _, err := os.Stat(state); err == nil && !slices.Contains(known, l.cfg.Runtime.Name()) {
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		if err := l.runtime.Delete(ctx, id, &runc.DeleteOpts{Force: true}); err != nil {
			return fmt.Errorf("%s cannot delete container %s: %w", l.cfg.Runtime.Name(), id, err)
		}
	}
	if err := l.cgroups.remove(id); err != nil {
		return fmt.Errorf("remove the cgroups of container %s: %w", id, err)
	}
	l.classes.leave(id)
	// With the groups, that folder is all that crun and runc know of a container that
	// has ended: to have them remove it takes as long as a launch.
	return errors.Join(os.RemoveAll(state), os.RemoveAll(bundle))
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

// lastError returns what a runtime has written to its log last, the reason why it
// failed.
func lastError(log string) error {
	text, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var entry struct {
		Msg string `json:"msg"`
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &entry); err != nil {
		return errors.New(lines[len(lines)-1])
	}
	return errors.New(entry.Msg)
}
