package posix

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/launcher"
)

// Process is a running container: the tree below one shim.
type Process struct {
	id     string
	pid    int
	pidfd  *os.File // in the runtime's poller: waiting costs a goroutine, not a thread
	status string
	child  bool // ours to reap; else an earlier agent's
}

func newProcess(id string, pid, pidfd int, status string, child bool) (*Process, error) {
	if err := unix.SetNonblock(pidfd, true); err != nil {
		unix.Close(pidfd)
		return nil, fmt.Errorf("watch container %s: %w", id, err)
	}
	return &Process{id: id, pid: pid, pidfd: os.NewFile(uintptr(pidfd), "pidfd"), status: status, child: child}, nil
}

// PID returns the pid of the shim, which is what an agent checkpoints.
func (p *Process) PID() int { return p.pid }

// First returns the pid of the task's own process, 0 when it has ended: the eldest
// of the shim's children. Those that come to it later are orphans.
func (p *Process) First() int {
	if all := children(p.pid); len(all) > 0 {
		return all[0]
	}
	return 0
}

// Wait blocks until the whole tree has ended and returns the raw wait status of
// its first process. It is called once. Killing the shim counts as a kill.
func (p *Process) Wait() (status int, err error) {
	defer p.pidfd.Close()
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("wait for container %s: %w", p.id, err)
	}
	shim := syscall.WaitStatus(syscall.SIGKILL)
	if err := raw.Read(func(fd uintptr) bool { return p.ended(int(fd), &shim) }); err != nil {
		return 0, fmt.Errorf("wait for container %s: %w", p.id, err)
	}
	if status, ok := ReadStatus(p.status); ok {
		return status, nil
	}
	return int(shim), nil
}

// ended reports whether the shim has ended, and reaps it if it is ours.
func (p *Process) ended(fd int, shim *syscall.WaitStatus) bool {
	if !p.child {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return ready > 0 && err == nil
	}
	for {
		switch pid, err := syscall.Wait4(p.pid, shim, syscall.WNOHANG, nil); {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return true
		default:
			return pid == p.pid
		}
	}
}

// Signal sends sig to every process of the tree but the shim.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := SignalBelow(p.pid, sig); err != nil {
		return fmt.Errorf("container %s: %w", p.id, err)
	}
	return nil
}

// SignalBelow sends sig to all that descends from a process.
func SignalBelow(pid int, sig syscall.Signal) error {
	var last error
	for _, pid := range descendants(pid) {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			last = fmt.Errorf("send %v to process %d: %w", sig, pid, err)
		}
	}
	return last
}

// killPasses bounds how often Kill looks for processes that were forked while
// it killed the others; the shim kills what is left.
const killPasses = 8

// Kill kills the tree. The shim ends by itself when its task has; one that still
// waits for somebody to take the last of the output does so for a moment only.
func (p *Process) Kill() error {
	for range killPasses {
		tree := descendants(p.pid)
		if len(tree) == 0 {
			return p.hurry()
		}
		// Stopped first, parents before children, so that nobody can fork away.
		for _, pid := range tree {
			_ = syscall.Kill(pid, syscall.SIGSTOP) // may have ended by itself
		}
		if err := p.Signal(syscall.SIGKILL); err != nil {
			return err
		}
	}
	return nil
}

// hurry tells a shim that has written down how its task has ended that somebody
// waits for it. It is not killed: others may be hearing the last of the output.
func (p *Process) hurry() error {
	if _, over := ReadStatus(p.status); !over {
		return nil
	}
	raw, err := p.pidfd.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.PidfdSendSignal(int(fd), syscall.SIGUSR1, nil, 0) }) // may have ended by itself
	}
	return nil
}

// Update does nothing: plain processes are not held to anything.
func (p *Process) Update(launcher.Resources) error { return nil }

// Limitation returns nil, for the same reason.
func (p *Process) Limitation() *launcher.Limitation { return nil }
