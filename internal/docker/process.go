package docker

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"syscall"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/meseta-project/meseta/internal/launcher"
)

// retry is how long to wait before the Engine is asked again that did not answer.
const retry = time.Second

// Process is a container of the Engine's.
type Process struct {
	e    *Engine
	id   string
	full string // the Engine's own id
	pid  int
	done chan struct{} // closed when what it wrote is copied

	found     *container.InspectResponse // as it was launched, or found again
	inspected []byte                     // see Inspected
}

func (e *Engine) process(id string, found *container.InspectResponse, out *output) *Process {
	p := &Process{e: e, id: id, full: found.ID, pid: found.State.Pid, done: make(chan struct{}), found: found}
	go func() {
		defer close(p.done)
		p.copyOutput(out)
	}()
	return p
}

// PID implements launcher.Process: the container's first process.
func (p *Process) PID() int { return p.pid }

// First implements launcher.Process.
func (p *Process) First() int {
	if p.pid > 0 && isOf(p.pid, p.full) {
		return p.pid
	}
	return 0
}

// Wait implements launcher.Process. An Engine that is restarted meanwhile is waited
// for.
func (p *Process) Wait() (status int, err error) {
	code, err := p.wait()
	<-p.done
	return code << 8, err
}

func (p *Process) wait() (code int, err error) {
	for {
		code, err := p.waitOnce()
		if err == nil {
			return code, nil
		}
		found, err := p.e.inspect(p.id)
		switch {
		case errors.Is(err, launcher.ErrGone):
			return 0, err
		case err == nil && !found.State.Running:
			return found.State.ExitCode, nil
		}
		time.Sleep(retry)
	}
}

func (p *Process) waitOnce() (code int, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wait := p.e.api.ContainerWait(ctx, name(p.id), client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case end := <-wait.Result:
		if end.Error != nil {
			return 0, errors.New(end.Error.Message)
		}
		return int(end.StatusCode), nil
	case err := <-wait.Error:
		return 0, err
	}
}

// Signal implements launcher.Process: the container's first process gets it, which
// is what the Engine knows.
func (p *Process) Signal(sig syscall.Signal) error {
	return p.e.kill(p.id, signalName(sig))
}

func signalName(sig syscall.Signal) string {
	switch sig {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGKILL:
		return "SIGKILL"
	default:
		return strconv.Itoa(int(sig))
	}
}

// Kill implements launcher.Process. When the Engine does not do it, the process is
// killed past it.
func (p *Process) Kill() error {
	err := p.stop()
	if err == nil {
		return nil
	}
	p.e.cfg.Log.Warn("the Docker Engine does not kill a container", slog.String("name", name(p.id)), slog.Any("error", err))
	if p.pid <= 0 || !isOf(p.pid, p.full) {
		return err
	}
	if killed := syscall.Kill(p.pid, syscall.SIGKILL); killed != nil && !errors.Is(killed, syscall.ESRCH) {
		return errors.Join(err, killed)
	}
	return nil
}

func (p *Process) stop() error {
	if p.e.cfg.StopTimeout <= 0 {
		return p.e.kill(p.id, "SIGKILL")
	}
	seconds := int((p.e.cfg.StopTimeout + time.Second - 1) / time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), p.e.cfg.StopTimeout+p.e.patience)
	defer cancel()
	_, err := p.e.api.ContainerStop(ctx, name(p.id), client.ContainerStopOptions{Timeout: &seconds})
	return wrap(err, "stop container %s", name(p.id))
}

// Update implements launcher.Process. Memory is only ever added, as with Mesos:
// a container must not be killed because another task of its executor has ended.
func (p *Process) Update(may launcher.Resources) error {
	found, err := p.e.inspect(p.id)
	if err != nil || !found.State.Running {
		return ignoreGone(err)
	}
	r := allow(may, p.e.cfg.CFS)
	if had := found.HostConfig; had != nil && r.Memory > 0 && r.Memory <= had.Memory {
		r.Memory = 0
	}
	if r.Memory > 0 {
		r.MemorySwap = 2 * r.Memory // as the Engine sets it by itself
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.e.patience)
	defer cancel()
	_, err = p.e.api.ContainerUpdate(ctx, name(p.id), client.ContainerUpdateOptions{Resources: &r})
	return wrap(err, "update container %s", name(p.id))
}

func ignoreGone(err error) error {
	if errors.Is(err, launcher.ErrGone) {
		return nil
	}
	return err
}

// Limitation implements launcher.Process: the Engine's containers are not killed
// for limits but by the kernel, and that shows as their exit status.
func (p *Process) Limitation() *launcher.Limitation { return nil }
