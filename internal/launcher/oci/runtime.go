package oci

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/go-runc"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher/posix"
)

// Runtime is an OCI runtime that was found.
type Runtime struct {
	Path    string
	Version string // what it says of itself, one line
	State   string // folder of what it remembers; as lasting as the machine's boot
	// Systemd has it ask systemd for control groups, see [Systemd].
	Systemd bool
	// HideUnified keeps control groups of version 2 from it, see [Machine.Hybrid].
	HideUnified bool

	sealed *os.File // the program, as it was found
	about  string   // all that it says of itself
}

// Name implements [Starter]: "crun" for /usr/bin/crun.
func (r *Runtime) Name() string { return filepath.Base(r.Path) }

// Run implements [Starter].
func (r *Runtime) Run(id, bundle string, s *specs.Spec) (*Command, error) {
	return r.command(bundle, s.Process, "run", "--detach", "--no-new-keyring", "--bundle", bundle, "--pid-file", filepath.Join(bundle, "pid"), id), nil
}

// Exec implements [Starter].
func (r *Runtime) Exec(_, bundle string, p *specs.Process, in Running) (*Command, error) {
	file := filepath.Join(bundle, "process.json")
	if err := writeJSON(file, p); err != nil {
		return nil, err
	}
	return r.command(bundle, p, "exec", "--detach", "--pid-file", filepath.Join(bundle, "pid"), "--process", file, in.ID), nil
}

func (r *Runtime) command(bundle string, p *specs.Process, args ...string) *Command {
	if p.Terminal {
		args = slices.Insert(args, 1, "--console-socket", "console") // in the bundle: the shim listens there
	}
	all := []string{r.Path, "--root", r.State, "--log", filepath.Join(bundle, "log"), "--log-format", "json"}
	if r.Systemd {
		all = append(all, systemdOption)
	}
	all = append(all, args...)
	program := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), r.sealed.Fd())
	return &Command{Path: program, Args: all, How: posix.Bundle{HideUnified: r.HideUnified}}
}

// Failure implements [Starter]: it is what the runtime has written to its log last.
func (r *Runtime) Failure(bundle string) error {
	text, err := os.ReadFile(filepath.Join(bundle, "log"))
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

// Forget implements [Starter]. A folder is all that crun and runc know of a container
// that has ended: to have them remove it takes as long as a launch.
func (r *Runtime) Forget(ctx context.Context, id string) error {
	state := filepath.Join(r.State, id)
	if _, err := os.Stat(state); err == nil && !slices.Contains(known, r.Name()) {
		return r.commands().Delete(ctx, id, &runc.DeleteOpts{Force: true})
	}
	return os.RemoveAll(state)
}

func (r *Runtime) commands() *runc.Runc {
	return &runc.Runc{Command: r.Path, Root: r.State, LogFormat: runc.JSON, SystemdCgroup: r.Systemd}
}

// known are the runtimes that are looked for, the faster ones first.
var known = []string{"crun", "runc"}

// FindRuntime finds the runtime of that name or path, or of any name when it is
// empty, and asks it for its version.
func FindRuntime(ctx context.Context, name string) (*Runtime, error) {
	names := known
	if name != "" {
		names = []string{name}
	}
	for _, n := range names {
		path, err := exec.LookPath(n)
		if err != nil {
			continue
		}
		text, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return nil, fmt.Errorf("ask %s for its version: %w", path, err)
		}
		line, _, _ := strings.Cut(string(text), "\n")
		sealed, err := seal(path)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return &Runtime{Path: path, Version: line, sealed: sealed, about: string(text)}, nil
	}
	return nil, fmt.Errorf("no OCI runtime: looked for %s in PATH; install one, or name it by --oci_runtime",
		strings.Join(names, ", "))
}

const systemdOption = "--systemd-cgroup"

// UseSystemd has the runtime ask systemd for control groups, if it can.
func (r *Runtime) UseSystemd(ctx context.Context) error {
	help, err := exec.CommandContext(ctx, r.Path, "--help").CombinedOutput()
	if err != nil {
		return fmt.Errorf("ask %s for its options: %w", r.Path, err)
	}
	without := strings.Contains(r.about, "\n+") && !strings.Contains(r.about, "+SYSTEMD") // crun's list of what it was built with
	if without || !strings.Contains(string(help), systemdOption) {
		return fmt.Errorf("%s does not know systemd (%s); name another runtime by --oci_runtime, or use --cgroup_driver=cgroupfs", r.Path, systemdOption)
	}
	r.Systemd = true
	return nil
}

// seal returns a copy of a program in memory that nobody can change. Runtimes make
// one of themselves whenever they start, lest a container overwrites them through
// /proc, unless they are one.
func seal(path string) (*os.File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate(filepath.Base(path), unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), path)
	_, err = file.Write(text)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
