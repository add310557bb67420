// Package lxc has containers started by the tools of LXC, as Debian packages them.
//
// A container is described as for an OCI runtime, and that is translated to LXC's
// configuration (config.go): what keeps containers apart is decided in one place.
// What LXC has no word for is an error.
//
// lxc-start stays with what it has started, knows only part of how that ends, and
// starts it again when it ended by SIGHUP. So the shim ends it, which
// lxc.monitor.signal.pdeath allows, at the moment when the task's program begins.
// From then on a container is like any other of package oci. One more process in it
// is started by lxc-start as well: as a container that shares all namespaces and
// control groups of the first. (lxc-attach needs that the first lxc-start is there.)
package lxc

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/meseta-project/meseta/internal/launcher/oci"
	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Tools are LXC's on this machine. They implement [oci.Starter].
type Tools struct {
	Path    string // of lxc-start
	Version string

	dir     string // has the copy of init
	init    string // LXC's static init, "" if there is none
	machine oci.Machine
	root    string // --cgroups_root
	turns   turns
}

// oldest is the first version with lxc.init.groups.
const oldest = 5

// Find finds the tools and asks them for their version.
func Find(ctx context.Context) (*Tools, error) {
	path, err := exec.LookPath("lxc-start")
	if err != nil {
		return nil, errors.New("no LXC: looked for lxc-start in PATH; install Debian's package lxc")
	}
	text, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	t := &Tools{Path: path, Version: strings.TrimSpace(string(text))}
	major, _, _ := strings.Cut(t.Version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < oldest {
		return nil, fmt.Errorf("%s is of version %s; version %d.0 or a later one is needed", path, t.Version, oldest)
	}
	for _, place := range []string{"init.lxc.static", "/usr/sbin/init.lxc.static", "/sbin/init.lxc.static"} {
		if t.init, err = exec.LookPath(place); err == nil {
			break
		}
	}
	return t, nil
}

// initDir is where containers have LXC's init: a folder, since the init unmounts what
// it finds itself to be.
const initDir = "/dev/.lxc"

// Use sets a folder to work in and what containers are isolated by.
func (t *Tools) Use(dir string, machine oci.Machine, root string) error {
	t.dir, t.machine, t.root = dir, machine, root
	if err := os.MkdirAll(filepath.Join(dir, "init"), 0o711); err != nil {
		return fmt.Errorf("make the folder of LXC's init: %w", err)
	}
	if t.init == "" {
		return nil
	}
	return copyProgram(t.init, filepath.Join(dir, "init", "init"))
}

// copyProgram makes a copy that is never seen half written: containers of an earlier
// life of the agent may have the old one.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return os.Rename(to+".new", to)
}

// Name implements [oci.Starter].
func (t *Tools) Name() string { return "lxc-start" }

// Run implements [oci.Starter].
func (t *Tools) Run(id, bundle string, s *specs.Spec) (*oci.Command, error) {
	c := &config{}
	c.common(s.Process, strings.TrimPrefix(s.Linux.CgroupsPath, "/"), t.groups(id)+monitor)
	c.rights(s.Process)
	c.namespaces(s)
	if err := c.root(s, bundle, filepath.Join(t.dir, "init")); err != nil {
		return nil, err
	}
	for _, r := range oci.Settings(s.Linux.Resources, t.machine.Unified) {
		c.set(keyOf(r, t.machine.Unified), r.Value)
	}
	if s.Process.Terminal {
		if err := os.MkdirAll(filepath.Join(bundle, "pts"), 0o711); err != nil {
			return nil, err
		}
		for range 2 { // LXC takes one away, since it has made none
			c.mount(specs.Mount{Source: filepath.Join(bundle, "pts"), Destination: "/dev/pts", Type: "bind", Options: []string{"bind", "create=dir"}})
		}
		c.mount(specs.Mount{Source: filepath.Join(bundle, "pts/ptmx"), Destination: "/dev/ptmx", Type: "bind", Options: []string{"bind", "create=file"}})
	}
	if err := c.seccomp(s.Linux.Seccomp, bundle); err != nil {
		return nil, err
	}
	return t.command(id, bundle, s.Process, c, posix.Bundle{Terminals: s.Process.Terminal})
}

// Exec implements [oci.Starter].
func (t *Tools) Exec(id, bundle string, p *specs.Process, in oci.Running) (*oci.Command, error) {
	leave := t.turns.take(in.ID)
	command, err := t.exec(id, bundle, p, in)
	if err != nil {
		leave()
		return nil, err
	}
	started := command.Started
	command.Started = func() error {
		defer leave()
		return started()
	}
	return command, nil
}

// turns has one process at a time start in a container. Each adds a mount at /dev/pts
// and takes the uppermost away: when two did so at once, both of what is there could go
// with another's, and the container had no terminals any more.
type turns struct {
	mu sync.Mutex
	of map[string]*turn
}

type turn struct {
	mu    sync.Mutex
	users int // who have it or wait for it
}

func (t *turns) take(container string) (leave func()) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[string]*turn{}
	}
	mine := t.of[container]
	if mine == nil {
		mine = &turn{}
		t.of[container] = mine
	}
	mine.users++
	t.mu.Unlock()
	mine.mu.Lock()
	return func() {
		mine.mu.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.of, container)
		}
	}
}

func (t *Tools) exec(id, bundle string, p *specs.Process, in oci.Running) (*oci.Command, error) {
	inside, err := enter(in)
	if err != nil {
		return nil, err
	}
	c := &config{}
	c.common(p, t.groups(id), t.groups(id)+monitor)
	c.rights(p)
	c.share(inside)
	c.join(t.machine, in.Spec.Linux.CgroupsPath)
	err = c.seccomp(in.Spec.Linux.Seccomp, bundle)
	if err == nil && p.Terminal {
		err = link(inside.path("pts"), filepath.Join(bundle, "pts"))
	}
	if err != nil {
		return nil, errors.Join(err, inside.Close())
	}
	command, err := t.command(id, bundle, p, c, posix.Bundle{})
	if err != nil {
		return nil, errors.Join(err, inside.Close())
	}
	forget := command.Started
	command.Started = func() error {
		return errors.Join(inside.Close(), forget(), t.removeGroup(t.groups(id)))
	}
	return command, nil
}

// command writes a configuration and returns the command that uses it.
func (t *Tools) command(id, bundle string, p *specs.Process, c *config, how posix.Bundle) (*oci.Command, error) {
	c.set("lxc.log.file", filepath.Join(bundle, "log"))
	c.set("lxc.log.level", "ERROR")
	text, err := c.text()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(bundle, "config")
	if err := errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(filepath.Join(bundle, "orders"), c.orders(), 0o600)); err != nil {
		return nil, err
	}
	if p.Terminal && t.init == "" {
		return nil, errors.New("a terminal needs LXC's static init, init.lxc.static, which is missing")
	}
	args := []string{
		t.Path, "--foreground", "--close-all-fds", "--quiet", "--name", t.name(id), "--lxcpath", lxcpath, "--rcfile", file,
		"--logfile", "none", // but what the configuration says: with another one it would write to the task's stderr as well
		"--",
	}
	if p.Terminal { // which lxc-start makes nobody's own
		args = append(args, initDir+"/init", "--name", id, "--quiet", "--")
		if err := os.WriteFile(filepath.Join(bundle, oci.InitFile), nil, 0o600); err != nil {
			return nil, err
		}
	}
	how.Monitor = true
	return &oci.Command{
		Path: t.Path, Args: append(args, p.Args...), How: how, Env: []string{"LXC_MEMFD_REXEC=1"}, // or a container could reach and change the program (CVE-2019-5736)
		Started: func() error { return t.removeGroup(t.groups(id) + monitor) },
	}, nil
}

// monitor is what is added to the name of a container's group for lxc-start's own.
const monitor = ".lxc"

// lxcpath is where LXC would look for more than it is told, and finds nothing. It
// wants to see it from inside of a container too, where our folders are hidden.
const lxcpath = "/proc"

// name returns that of a container for LXC: others on this machine may call one alike.
func (t *Tools) name(id string) string {
	sum := fnv.New32a()
	fmt.Fprint(sum, t.dir)
	return fmt.Sprintf("%08x-%s", sum.Sum32(), id)
}

// groups are those that are there while something is started, beside the containers'.
func (t *Tools) groups(id string) string { return filepath.Join(t.root, id) }

// noise is what lxc-start takes for errors and is none.
var noise = []string{"turn_into_dependent_mounts"}

var logged = regexp.MustCompile(`(?m)ERROR +\S+ - \S+:(\w+):\d+ - (.*)$`)

// Failure implements [oci.Starter]: what lxc-start has complained of first is the
// reason for the rest.
func (t *Tools) Failure(bundle string) error {
	text, err := os.ReadFile(filepath.Join(bundle, "log"))
	if err != nil {
		return err
	}
	for _, m := range logged.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(noise, m[1]) {
			return errors.New(m[2])
		}
	}
	return errors.New("it did not say why; the task's standard error may")
}

// patience is how long lxc-start has to be gone when it has been ended.
const patience = time.Second

func (t *Tools) removeGroup(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return oci.RemoveGroup(ctx, t.machine, path)
}

// Forget implements [oci.Starter]: a start that was cut off leaves the group of
// lxc-start, and that of the process that it was to start in another container.
func (t *Tools) Forget(ctx context.Context, id string) error {
	return errors.Join(oci.RemoveGroup(ctx, t.machine, t.groups(id)+monitor), oci.RemoveGroup(ctx, t.machine, t.groups(id)))
}

func link(to, at string) error {
	if err := os.Symlink(to, at); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
