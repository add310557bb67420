package containerizer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

// Run runs one more command in a container that runs: where its processes are, as
// their user, in their folder. env is that of the container, and the command's own
// comes on top. What the command writes goes to the container's stderr. It returns
// the raw wait status. When ctx is done first the command is killed, and the error
// is ctx's cause. name is not that of another that runs there.
func (c *Containerizer) Run(ctx context.Context, spec *Spec, name string, command *mesos.CommandInfo, env []string) (status int, err error) {
	stderr, err := output(spec, "stderr")
	if err != nil {
		return 0, err
	}
	defer stderr.Close()
	if spec.Docker != nil {
		env = nil // the Engine knows that of the container
	}
	if env, err = WithSecrets(with(env, command), command); err != nil {
		return 0, err
	}
	if spec.Docker != nil {
		code, err := c.cfg.Docker.Run(ctx, string(spec.ID), command, env, stderr)
		return code << 8, err
	}
	run := *spec
	run.ID = spec.ID.Child(name)
	process, err := c.exec(spec, &run, command, env, stderr)
	if err != nil {
		return 0, errors.Join(err, c.Cleanup(run.ID))
	}
	killed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { killed <- process.Kill() })
	status, err = process.Wait()
	if !stop() {
		err = errors.Join(context.Cause(ctx), <-killed)
	}
	return status, errors.Join(err, c.Cleanup(run.ID))
}

func (c *Containerizer) exec(spec, run *Spec, command *mesos.CommandInfo, env []string, out *os.File) (launcher.Process, error) {
	who, err := c.user(run)
	if err != nil {
		return nil, err
	}
	runtime := c.runtimeDir(run.ID)
	if err := os.MkdirAll(runtime, 0o755); err != nil {
		return nil, fmt.Errorf("make the runtime folder: %w", err)
	}
	launch := &launcher.Spec{
		ID: string(run.ID), Env: env, Dir: run.Sandbox, User: who, Tethered: true,
		Stdout: out, Stderr: out, Status: filepath.Join(runtime, "status"),
	}
	launch.Path, launch.Args = argv(command)
	if err := c.beInRoot(spec, launch); err != nil {
		return nil, err
	}
	launch.Env = withPath(launch.Env)
	return c.launcher.Exec(string(spec.ID), launch)
}

// with returns an environment with the variables of a command on top.
func with(env []string, command *mesos.CommandInfo) []string {
	var own []string
	for _, v := range command.GetEnvironment().GetVariables() {
		if v.GetType() == mesos.Environment_Variable_VALUE {
			own = append(own, v.GetName()+"="+v.GetValue())
		}
	}
	return overlaid(slices.Clone(env), own)
}

// Environment returns that which a process of a container was started with.
func Environment(p launcher.Process) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p.First()))
	if err != nil {
		return nil, fmt.Errorf("look up the container's environment: %w", err)
	}
	return strings.FieldsFunc(string(text), func(r rune) bool { return r == 0 }), nil
}

// Note adds a line to a container's stderr, for its owner to read.
func (c *Containerizer) Note(spec *Spec, line string) error {
	stderr, err := output(spec, "stderr")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stderr, line)
	return errors.Join(err, stderr.Close())
}
