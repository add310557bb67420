package docker

import (
	"context"
	"errors"
	"io"
	"syscall"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Run runs a command in a container that runs, and returns its exit code. What it
// writes goes to out, and env comes on top of the container's. When ctx is done first it is killed.
func (e *Engine) Run(ctx context.Context, id string, command *mesos.CommandInfo, env []string, out io.Writer) (code int, err error) {
	options := client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: execArgs(command), Env: env, User: command.GetUser()}
	brief, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	made, err := e.api.ExecCreate(brief, name(id), options)
	if err != nil {
		return 0, wrap(err, "run a command in container %s", name(id))
	}
	attached, err := e.api.ExecAttach(brief, made.ID, client.ExecAttachOptions{})
	if err != nil {
		return 0, wrap(err, "run a command in container %s", name(id))
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, func() {
		e.killExec(id, made.ID)
		attached.Close()
	})
	_, err = stdcopy.StdCopy(out, out, attached.Reader)
	stop()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, wrap(err, "follow a command in container %s", name(id))
	}
	last, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	end, err := e.api.ExecInspect(last, made.ID, client.ExecInspectOptions{})
	if err == nil && end.Running {
		err = errors.New("it has closed its output and runs on")
	}
	return end.ExitCode, wrap(err, "follow a command in container %s", name(id))
}

// execArgs returns the program with its arguments, as `docker exec` takes them: the
// arguments do not begin with the program's name.
func execArgs(c *mesos.CommandInfo) []string {
	if c.GetShell() {
		return []string{"sh", "-c", c.GetValue()}
	}
	var args []string
	if c.Value != nil {
		args = append(args, c.GetValue())
	}
	return append(args, c.GetArguments()...)
}

// killExec kills a command past the Engine, which has no way to.
func (e *Engine) killExec(id, exec string) {
	ctx, cancel := context.WithTimeout(context.Background(), e.patience)
	defer cancel()
	found, err := e.inspect(id)
	if err != nil {
		return // so is the container
	}
	running, err := e.api.ExecInspect(ctx, exec, client.ExecInspectOptions{})
	if err == nil && running.PID > 0 && isOf(running.PID, found.ID) {
		_ = syscall.Kill(running.PID, syscall.SIGKILL) // it may have ended
	}
}
