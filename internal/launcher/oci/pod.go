package oci

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Hold implements [launcher.Holder]: it makes the groups of control that those of the
// containers in it are below, and has a shim hold the namespaces that they share.
func (l *Launcher) Hold(spec *launcher.Spec) (launcher.Process, error) {
	bundle := l.bundle(spec.ID)
	config, err := Build(spec, bundle, &l.cfg.Options)
	if err != nil {
		return nil, fmt.Errorf("specify container %s: %w", spec.ID, err)
	}
	limits := l.cgroups.place(spec.ID, config)
	if err := errors.Join(makeBundle(bundle, config), l.linkNetwork(bundle, nil)); err != nil {
		return nil, fmt.Errorf("make the bundle of container %s: %w", spec.ID, err)
	}
	err = l.classify(spec)
	if err == nil {
		err = l.cgroups.make(spec.ID, limits)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make the groups of container %s: %w", spec.ID, err), l.Release(spec.ID))
	}
	_, ownPIDs := namespace(config, specs.PIDNamespace)
	_, ownIPC := namespace(config, specs.IPCNamespace)
	share := !l.cfg.has("namespaces/user") // where nothing can be, see ipcNamespace
	shim := *spec
	shim.Dir, shim.User, shim.Path, shim.Args = bundle, nil, shmOptions(config), []string{"hold"}
	process, err := l.ForkBundle(&shim, posix.Bundle{
		Dir: bundle, Hold: true, PrivatePIDs: share && ownPIDs, HoldIPC: share && ownIPC, Drop: l.cfg.Drop != "",
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold container %s: %w", spec.ID, err), l.Release(spec.ID))
	}
	return l.watch(process, spec.ID, spec.ID), nil
}

// shmOptions are those of the /dev/shm of a container that has its own.
func shmOptions(s *specs.Spec) string {
	for _, m := range s.Mounts {
		if m.Destination == "/dev/shm" && m.Type == "tmpfs" {
			return strings.Join(slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return !strings.Contains(o, "=") }), ",")
		}
	}
	return ""
}

// enterParent has a bundle link to the first process of the container that another is
// to be in, and makes room in its groups. The link is good until leave is called.
func (l *Launcher) enterParent(id, bundle string) (leave func(), err error) {
	parent, ok := parentOf(id)
	if !ok {
		return func() {}, nil
	}
	hold, err := l.first(parent)
	if err != nil {
		return nil, fmt.Errorf("enter container %s: %w", parent, err)
	}
	if err := l.cgroups.split(parent); err != nil {
		return nil, errors.Join(fmt.Errorf("make room in container %s: %w", parent, err), hold.Close())
	}
	link := filepath.Join(bundle, "parent")
	if err := os.Symlink(fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), hold.Fd()), link); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	return func() { hold.Close() }, nil
}

// first opens the folder in /proc of the first process of a container that runs. It
// stays that process's, whoever gets its pid.
func (l *Launcher) first(id string) (*os.File, error) {
	p, ok := l.running.Load(id)
	if !ok {
		return nil, errors.New("it does not run")
	}
	pid := p.(*process).First()
	hold, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid)))
	if err != nil {
		return nil, err
	}
	if p.(*process).First() != pid || pid == 0 {
		return nil, errors.Join(errors.New("its first process has ended"), hold.Close())
	}
	return hold, nil
}

// share tells the shim which namespaces it makes, and which are of the container that
// this one is in.
func share(how *posix.Bundle, c *launcher.Spec, s *specs.Spec) {
	_, pids := namespace(s, specs.PIDNamespace)
	ipc, _ := namespace(s, specs.IPCNamespace)
	how.PrivatePIDs = pids && (!nested(c.ID) || !sharesPIDs(c))
	how.JoinPIDs = pids && nested(c.ID) && len(s.Linux.UIDMappings) == 0
	how.JoinIPC = ipc.Path != ""
}
