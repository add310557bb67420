package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// groupsWithin is the folder, in the group of a container, of the groups of those in it: the
// limits of the one are for all of them.
const groupsWithin = "mesos"

// Leaf is the group of a container's own processes, once there are others in it, where
// only groups without groups below may have processes.
const Leaf = "leaf"

// groupOf returns the group of a container: ROOT/PARENT/mesos/CHILD for PARENT.CHILD.
func groupOf(root, id string) string {
	return filepath.Join(root, strings.ReplaceAll(id, ".", "/"+groupsWithin+"/"))
}

// of returns the group of a container, in each hierarchy.
func (g cgroups) of(id string) string {
	if g.systemd != nil {
		return slicePath(unitOf(g.root, id))
	}
	return groupOf(g.root, id)
}

// top returns the group that those of all containers are in.
func (g cgroups) top() string {
	if g.systemd != nil {
		return slicePath(unitOf(g.root, ""))
	}
	return g.root
}

// own returns the groups, in each hierarchy, that processes of a container's own are in.
func (g cgroups) own(id string) []string {
	group := g.of(id)
	if g.systemd != nil {
		return []string{filepath.Join(group, unitOf(g.root, id)+scope)}
	}
	return []string{group, filepath.Join(group, Leaf)}
}

// nested reports whether a container is in another.
func nested(id string) bool { return strings.Contains(id, ".") }

// parentOf returns the container that one is in, if it is in another.
func parentOf(id string) (parent string, ok bool) {
	i := strings.LastIndexByte(id, '.')
	if i < 0 {
		return "", false
	}
	return id[:i], true
}

// processesIn counts those of a container's group, and of the groups in it.
func processesIn(dir string) int {
	n := len(processesOf(dir))
	inner, err := os.ReadDir(dir)
	if err != nil {
		return n // it is gone
	}
	for _, entry := range inner {
		if entry.IsDir() {
			n += processesIn(filepath.Join(dir, entry.Name()))
		}
	}
	return n
}

func processesOf(dir string) []string {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil // there is no such group
	}
	return strings.Fields(string(text))
}

// endStrays kills what is left of a container whose first process has ended: in a pid
// namespace that it shares, what that has left behind is not the shim's any more.
func (g cgroups) endStrays(id string) {
	for _, root := range g.machine.Hierarchies {
		for _, group := range g.own(id) {
			killGroup(filepath.Join(root, group))
		}
	}
}

// make makes the groups of a container that no runtime makes, with limits.
func (g cgroups) make(id string, r *specs.LinuxResources) error {
	limits := Settings(&specs.LinuxResources{CPU: r.CPU, Memory: r.Memory, Pids: r.Pids}, g.machine.Unified)
	var err error
	if g.systemd != nil {
		ctx, cancel := context.WithTimeout(context.Background(), defaultTimeout)
		defer cancel()
		err = g.systemd.start(ctx, unitOf(g.root, id)+slice, limits)
	} else {
		err = g.makeAll(g.of(id))
	}
	if err != nil {
		return err
	}
	for _, s := range limits {
		if g.machine.Controllers[s.Controller] == "" {
			continue
		}
		if err := writeGroup(filepath.Join(g.dir(s.Controller, id), s.File), s.Value); err != nil {
			return fmt.Errorf("set %s to %s: %w", s.File, s.Value, err)
		}
	}
	return nil
}

// makeAll makes a group in every hierarchy.
func (g cgroups) makeAll(path string) error {
	for _, root := range g.machine.Hierarchies {
		if err := g.makeBelow(root, path); err != nil {
			return err
		}
	}
	return nil
}

// makeBelow makes a group and those that it is in.
func (g cgroups) makeBelow(root, path string) error {
	at := root
	for part := range strings.SplitSeq(filepath.Clean(path), "/") {
		above := at
		at = filepath.Join(at, part)
		if g.machine.Unified {
			g.enable(above)
		}
		if err := os.Mkdir(at, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := g.inherit(root, above, at); err != nil {
			return err
		}
	}
	return nil
}

// enable has the groups below one be controlled by all that there is.
func (g cgroups) enable(dir string) {
	for name, at := range g.machine.Controllers {
		if at == g.machine.Mount && name != "devices" && name != "freezer" {
			_ = writeGroup(filepath.Join(dir, "cgroup.subtree_control"), "+"+name) // what cannot be is not missed until it is set
		}
	}
}

// inherit gives a group of version 1 what such a group has not of itself: the CPUs and
// memory of the one above, and with old kernels that it counts what those below use.
func (g cgroups) inherit(root, above, at string) error {
	switch {
	case g.machine.Unified:
	case root == g.machine.Controllers["memory"]:
		_ = writeGroup(filepath.Join(at, "memory.use_hierarchy"), "1") // newer ones always do
	case root == g.machine.Controllers["cpuset"]:
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := copyMissing(filepath.Join(above, file), filepath.Join(at, file)); err != nil {
				return err
			}
		}
		return writeGroup(filepath.Join(at, "cgroup.clone_children"), "1") // for LXC does not see to it
	}
	return nil
}

// copyMissing copies a setting that there is none of yet.
func copyMissing(from, to string) error {
	now, err := os.ReadFile(to)
	if err != nil || strings.TrimSpace(string(now)) != "" {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeGroup(to, string(text))
}

// splitTries bounds how often processes are looked for that were forked while the
// others were moved.
const splitTries = 100

// split makes room in a container's group for groups of containers in it. With version 2
// its own processes go to a group below first, where systemd always has them.
func (g cgroups) split(id string) error {
	if g.systemd != nil {
		return nil
	}
	if g.machine.Unified {
		if err := g.moveToLeaf(filepath.Join(g.machine.Mount, g.of(id))); err != nil {
			return err
		}
	}
	return g.makeAll(filepath.Join(g.of(id), groupsWithin))
}

func (g cgroups) moveToLeaf(dir string) error {
	if len(processesOf(dir)) == 0 {
		return nil
	}
	own := filepath.Join(dir, Leaf)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for range splitTries {
		processes := processesOf(dir)
		if len(processes) == 0 {
			return nil
		}
		for _, pid := range processes {
			if err := writeGroup(filepath.Join(own, "cgroup.procs"), pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		time.Sleep(firstPause)
	}
	return fmt.Errorf("processes in %s multiply faster than they can be moved", dir)
}
