// Package posix launches containers as plain process trees: no namespaces, no
// cgroups, no privileges needed.
//
// Every container is one tree of processes below a shim (shim.c). The shim
// outlives the agent, so the tree can be adopted by an agent that has been
// restarted, and it leaves the raw wait status of the container's first
// process in a file, so no exit is ever missed:
//
//	agent ── meseta-shim ── sh -c … ── whatever the task starts
//	           └ writes STATUS_PATH when sh has ended, then kills the rest
//
// A [Launcher] and its processes may be used by many goroutines.
package posix

import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher"
)

// shimName is the argv[0] under which this binary becomes a shim.
const shimName = "meseta-shim"

// User is that of all launchers.
type User = launcher.User

// Spec is that of all launchers.
type Spec = launcher.Spec

// Usage is that of all launchers.
type Usage = launcher.Usage

// ErrGone is that of all launchers.
var ErrGone = launcher.ErrGone

// Launcher starts and adopts process trees.
type Launcher struct {
	exe    string
	tether *os.File // the end that containers watch
	held   *os.File // the end that closes with this process
}

// New returns a launcher that re-executes the running binary as its shim. The
// binary may be replaced on disk while it runs. A process needs one launcher;
// what is tethered dies when the launcher is collected.
func New() (*Launcher, error) {
	tether, held, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make the tether of containers: %w", err)
	}
	return &Launcher{exe: "/proc/self/exe", tether: tether, held: held}, nil
}

// Fork starts a container. It returns once the task's process exists; that the program
// itself could not be started shows as exit status 1 and a line on stderr.
func (l *Launcher) Fork(spec *Spec) (launcher.Process, error) {
	process, err := l.fork(spec)
	if err != nil {
		return nil, err
	}
	return process, nil
}

// Bundle is a container that an OCI runtime is to start below a shim: the program
// of the spec is the runtime.
type Bundle struct {
	Dir         string // with pidns, a file, and the folders void and rootfs
	PrivatePIDs bool   // make Dir/pidns a new pid namespace, with an init
	// UserIDs makes Dir/userns, a file, a new user namespace that owns the new pid
	// namespace: as many ids from 0 as Dir/ids says, after the first of the machine's
	// that they are. It needs PrivatePIDs.
	UserIDs     bool
	HostRoot    bool // make Dir/rootfs the machine's own root
	HideUnified bool // hide /sys/fs/cgroup/unified, which crun takes offence at
	Network     bool // make Dir/netns, a file, the network namespace that Dir/net links to
	// Inside has the runtime start in the network namespace that Dir/net links to, and
	// makes Dir/sys, a folder if it is there, what it shows of the machine.
	Inside bool
	Both   bool // make Dir/both-N, for each N from 0 that there is, what Dir/both-N.from links to, in its peer group
	Drop   bool // take away the mount that Dir/drop links to, if there is one
	// Monitor says that the program stays, as LXC's does, and is to be ended when what
	// it has started executes a program. That is dealt with as Dir/orders says.
	Monitor   bool
	Terminals bool // make Dir/pts, a folder, an instance of devpts
	// Hold says that there is no program: what is made is held by an init, which is
	// what PrivatePIDs makes if that is set. With HoldIPC that is a System V IPC
	// namespace too, with a /dev/shm that is mounted with the options that the spec
	// names in place of the program.
	Hold, HoldIPC bool
	// Dir/parent links to the folder in /proc of a process. JoinPIDs makes Dir/pidns its
	// pid namespace, or with PrivatePIDs a new one in that. JoinIPC makes Dir/ipcns, a
	// file, its IPC namespace, and Dir/shm, a folder, its /dev/shm.
	JoinPIDs, JoinIPC bool
}

// ErrNotStarted says that a runtime has started nothing.
var ErrNotStarted = errors.New("the runtime started nothing")

// ForkBundle starts a container by a runtime that writes the pid of its first
// process to pid in the bundle's folder, and ends; or by a monitor, of which the
// shim does so. It fails with [ErrNotStarted] when nothing was started.
func (l *Launcher) ForkBundle(spec *Spec, b Bundle) (*Process, error) {
	process, started, err := l.start(spec, b)
	if err != nil {
		return nil, err
	}
	if started {
		return process, nil
	}
	if _, err := process.Wait(); err != nil {
		return nil, err
	}
	return nil, ErrNotStarted
}

func (l *Launcher) fork(spec *Spec) (*Process, error) {
	process, _, err := l.start(spec, Bundle{})
	return process, err
}

// start starts a shim, and tells whether it says that its container runs.
func (l *Launcher) start(spec *Spec, b Bundle) (p *Process, started bool, err error) {
	status, err := os.OpenFile(spec.Status, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("create the status file of container %s: %w", spec.ID, err)
	}
	defer status.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, false, fmt.Errorf("launch container %s: %w", spec.ID, err)
	}
	defer null.Close()

	env, err := environment(spec.Env)
	if err != nil {
		return nil, false, fmt.Errorf("launch container %s: %w", spec.ID, err)
	}
	defer env.Close()

	forked, forkedEnd, err := os.Pipe()
	if err != nil {
		return nil, false, fmt.Errorf("launch container %s: %w", spec.ID, err)
	}
	defer forked.Close()

	board := launcher.Board{}
	if spec.Board != nil {
		board = *spec.Board
	}
	pidfd := -1
	pid, err := syscall.ForkExec(l.exe, shimArgs(spec, b), &syscall.ProcAttr{
		Dir: spec.Dir,
		Files: []uintptr{
			fd(spec.Stdin, null), fd(spec.Stdout, null), fd(spec.Stderr, null),
			status.Fd(), env.Fd(), forkedEnd.Fd(), l.tether.Fd(), fd(board.Socket, null), fd(board.Sandbox, null),
		},
		Sys: &syscall.SysProcAttr{PidFD: &pidfd},
	})
	forkedEnd.Close()
	if err != nil {
		return nil, false, fmt.Errorf("start the shim of container %s in %s: %w", spec.ID, spec.Dir, err)
	}
	n, _ := forked.Read(make([]byte, 1)) // ends when the shim has forked, or is gone: Wait tells which
	p, err = newProcess(spec.ID, pid, pidfd, spec.Status, true)
	return p, n > 0, err
}

// Adopt finds a container again that an earlier agent launched, by the pid of
// its shim; or, of an agent of another kind, by that of its first process, as a
// [Foreign]. It fails with [ErrGone] if that has ended; [ReadStatus] then tells how.
func (l *Launcher) Adopt(id string, pid int, status string) (launcher.Process, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("adopt container %s, pid %d: %w", id, pid, errors.Join(ErrGone, err))
	}
	foreign := IsForeign(pid, id)
	if !foreign && !isShim(pid, id) {
		unix.Close(pidfd)
		return nil, fmt.Errorf("adopt container %s: pid %d is another process: %w", id, pid, ErrGone)
	}
	process, err := newProcess(id, pid, pidfd, status, false)
	switch {
	case err != nil:
		return nil, err
	case foreign:
		return &Foreign{Process: process}, nil
	}
	return process, nil
}

// Exec starts a process beside those of the container: there is nothing around
// them that it had to enter.
func (l *Launcher) Exec(_ string, spec *Spec) (launcher.Process, error) { return l.Fork(spec) }

// Release has nothing to do: a tree of processes leaves nothing.
func (l *Launcher) Release(string) error { return nil }

// ReadStatus returns the raw wait status that a shim left, and whether it did.
func ReadStatus(path string) (status int, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	status, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return status, err == nil
}

func fd(f, otherwise *os.File) uintptr {
	if f == nil {
		return otherwise.Fd()
	}
	return f.Fd()
}

// environment puts the task's variables where only the task's process reads
// them: the shim runs as root, and would obey an LD_PRELOAD in its own.
func environment(vars []string) (*os.File, error) {
	mem, err := unix.MemfdCreate("environment", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a memory file for the environment: %w", err)
	}
	f := os.NewFile(uintptr(mem), "environment")
	var text strings.Builder
	for _, v := range vars {
		text.WriteString(v)
		text.WriteByte(0)
	}
	if _, err := f.WriteAt([]byte(text.String()), 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write the environment: %w", err)
	}
	return f, nil
}

func shimArgs(spec *Spec, b Bundle) []string {
	args := []string{shimName, spec.ID, "-", "-", "-", "-", "-", "-", how(spec.Board), rlimits(spec.Rlimits), spec.Path}
	if u := spec.User; u != nil {
		args[2], args[3] = strconv.FormatUint(uint64(u.UID), 10), strconv.FormatUint(uint64(u.GID), 10)
		if len(u.Groups) > 0 {
			args[4] = strings.Trim(strings.ReplaceAll(fmt.Sprint(u.Groups), " ", ","), "[]")
		}
	}
	if spec.Tethered {
		args[5] = "tethered"
	}
	if b.Dir != "" {
		args[6], args[7] = b.Dir, b.how()
	}
	return append(args, spec.Args...)
}

func rlimits(limits []launcher.Rlimit) string {
	text := []byte("-")
	for _, l := range limits {
		text = fmt.Appendf(text, "%d:%d:%d,", l.Number, l.Soft, l.Hard)
	}
	return string(text)
}

func (b Bundle) how() string {
	how := []byte("-")
	for _, want := range []struct {
		letter byte
		set    bool
	}{
		{'p', b.PrivatePIDs},
		{'i', b.UserIDs},
		{'r', b.HostRoot},
		{'u', b.HideUnified},
		{'n', b.Network},
		{'e', b.Inside},
		{'b', b.Both},
		{'d', b.Drop},
		{'m', b.Monitor},
		{'t', b.Terminals},
		{'h', b.Hold},
		{'s', b.HoldIPC},
		{'P', b.JoinPIDs},
		{'I', b.JoinIPC},
	} {
		if want.set {
			how = append(how, want.letter)
		}
	}
	return string(how)
}

// Find returns the pid of a container's shim by looking at all processes, for
// when an agent died before it could write the pid down.
func Find(id string) (pid int, ok bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, false
	}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isShim(pid, id) {
			return pid, true
		}
	}
	return 0, false
}

// isShim guards against a pid that has been given to another process.
func isShim(pid int, id string) bool {
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.HasPrefix(string(cmdline), shimName+"\x00"+id+"\x00")
}
