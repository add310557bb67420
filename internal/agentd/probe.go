package agentd

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/health"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/probe"
	"github.com/meseta-project/meseta/internal/secret"
)

// prober makes the probes of one task, where the task runs. Several may be under
// way at a time.
type prober struct {
	s       *Server
	spec    *containerizer.Spec
	env     []string // of the task
	process launcher.Process
	life    context.Context //nolint:containedctx // it is the task's life, not a call's
	end     context.CancelFunc
}

// newProber returns that of a task that runs, until end or until its container is
// to be destroyed. command is the task's, nil if nobody remembers it; then its
// process tells its variables.
func (c *container) newProber(spec *containerizer.Spec, env []string, command *mesos.CommandInfo, process launcher.Process) *prober {
	var err error
	if command == nil {
		env, err = containerizer.Environment(process)
	} else {
		env, err = containerizer.WithSecrets(env, command)
	}
	if err != nil {
		c.s.log.Debug("probes of a task do without its variables", attr("container", spec.ID), attrErr(err))
	}
	c.volumes.Lock() // of the container's own, which may change; probes need none
	own := *spec
	own.Volumes = nil
	c.volumes.Unlock()
	p := &prober{s: c.s, spec: &own, env: env, process: process}
	p.life, p.end = context.WithCancel(c.ended)
	return p
}

// run makes a probe, and tells the task's owner in the sandbox if it has failed. A
// result that comes of the task's end is none.
func (p *prober) run(r probe.Request) probe.Result {
	result := probe.Result{Kind: r.Kind}
	ctx, cancel := p.life, context.CancelFunc(func() {})
	if r.Timeout > 0 {
		ctx, cancel = context.WithTimeoutCause(p.life, r.Timeout, timeoutError(r.Timeout))
	}
	defer cancel()
	status, err := p.look(ctx, &r)
	switch {
	case p.life.Err() != nil, errors.Is(err, secret.ErrForgotten): // the latter by an agent that was restarted
		return result
	case ctx.Err() != nil: // whatever the error is, this is why
		result.Failure = context.Cause(ctx).Error()
	case err != nil:
		result.Failure = err.Error()
	default:
		status.Type = r.Type.Enum()
		result.Status = status
	}
	if why := probe.Explain(result); why != "" && (r.Kind == probe.Health || result.Status == nil) {
		if err := p.s.containerizer.Note(p.spec, r.Name()+" failed: "+why); err != nil {
			p.s.log.Debug("cannot tell in a sandbox that a probe has failed", attr("container", p.spec.ID), attrErr(err))
		}
	}
	return result
}

// timeoutError is why a probe is given up.
type timeoutError time.Duration

func (t timeoutError) Error() string { return "Timed out after " + time.Duration(t).String() }

func (p *prober) look(ctx context.Context, r *probe.Request) (*mesos.CheckStatusInfo, error) {
	if r.Command != nil {
		return p.runCommand(ctx, r.Command)
	}
	network, err := health.NetworkOf(p.process.First())
	if err != nil {
		return nil, fmt.Errorf("find the container's network: %w", err)
	}
	if r.Address != "" {
		err := health.Connect(ctx, network, r.Address)
		return &mesos.CheckStatusInfo{Tcp: &mesos.CheckStatusInfo_Tcp{Succeeded: new(err == nil)}}, nil
	}
	code, err := health.Get(ctx, network, r.URL)
	return &mesos.CheckStatusInfo{Http: &mesos.CheckStatusInfo_Http{StatusCode: new(uint32(code))}}, err
}

func (p *prober) runCommand(ctx context.Context, command *mesos.CommandInfo) (*mesos.CheckStatusInfo, error) {
	spec := *p.spec
	if user := command.GetUser(); user != "" && spec.User != "" {
		spec.User = user
	}
	raw, err := p.s.containerizer.Run(ctx, &spec, "check-"+ids.NewUUID(p.s.random()).String(), command, p.env)
	if err != nil {
		return nil, err
	}
	status := syscall.WaitStatus(raw)
	if !status.Exited() {
		return nil, fmt.Errorf("Command terminated with signal %s", status.Signal()) //nolint:staticcheck // it is read as a line of its own
	}
	return &mesos.CheckStatusInfo{Command: &mesos.CheckStatusInfo_Command{ExitCode: new(int32(status.ExitStatus()))}}, nil
}
