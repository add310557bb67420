// Package secret knows where in Mesos's messages secrets are: it takes them out for
// what is shown or written down, and tells their values to who needs them.
//
// What is returned shares all with what is given but for what is taken out; without
// a secret in it, it is what was given.
package secret

import (
	"errors"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// ErrForgotten says that a secret has no value, as when it was taken out. The words
// are Mesos's.
var ErrForgotten = errors.New("Secret has no value") //nolint:staticcheck // as Mesos words it

// Value resolves a secret as Mesos's default resolver does: those that are told by
// value, no others.
func Value(s *mesos.Secret) ([]byte, error) {
	switch {
	case s.GetReference() != nil:
		return nil, errors.New("Default secret resolver cannot resolve references") //nolint:staticcheck // as Mesos words it
	case s.GetValue() == nil:
		return nil, ErrForgotten
	}
	return s.GetValue().GetData(), nil
}

// without returns a secret whose value is not in it any more. What it is called by
// reference is no secret.
func without(s *mesos.Secret) *mesos.Secret {
	return &mesos.Secret{Type: s.Type, Reference: s.Reference}
}

func held(s *mesos.Secret) bool { return s.GetValue() != nil }

// WithoutInCommand takes the secrets out of a command's environment.
func WithoutInCommand(c *mesos.CommandInfo) *mesos.CommandInfo {
	found := false
	for _, v := range c.GetEnvironment().GetVariables() {
		found = found || held(v.GetSecret())
	}
	if !found {
		return c
	}
	c = c.CloneVT()
	for _, v := range c.Environment.Variables {
		if held(v.Secret) {
			v.Secret = without(v.Secret)
		}
	}
	return c
}

// WithoutInContainer takes the secrets out of a container's volumes.
func WithoutInContainer(c *mesos.ContainerInfo) *mesos.ContainerInfo {
	found := false
	for _, v := range c.GetVolumes() {
		found = found || held(v.GetSource().GetSecret())
	}
	if !found {
		return c
	}
	c = c.CloneVT()
	for _, v := range c.Volumes {
		if held(v.GetSource().GetSecret()) {
			v.Source.Secret = without(v.Source.Secret)
		}
	}
	return c
}

// WithoutInHealthCheck takes the secrets out of a health check's command.
func WithoutInHealthCheck(h *mesos.HealthCheck) *mesos.HealthCheck {
	command := WithoutInCommand(h.GetCommand())
	if command == h.GetCommand() {
		return h
	}
	h = h.CloneVT()
	h.Command = command
	return h
}

// WithoutInCheck takes the secrets out of a check's command.
func WithoutInCheck(c *mesos.CheckInfo) *mesos.CheckInfo {
	command := WithoutInCommand(c.GetCommand().GetCommand())
	if command == c.GetCommand().GetCommand() {
		return c
	}
	c = c.CloneVT()
	c.Command.Command = command
	return c
}

// WithoutInExecutor takes the secrets out of an executor's command and container.
func WithoutInExecutor(e *mesos.ExecutorInfo) *mesos.ExecutorInfo {
	command, container := WithoutInCommand(e.GetCommand()), WithoutInContainer(e.GetContainer())
	if command == e.GetCommand() && container == e.GetContainer() {
		return e
	}
	e = e.CloneVT()
	e.Command, e.Container = command, container
	return e
}

// WithoutInTask takes the secrets out of all that a task has.
func WithoutInTask(t *mesos.TaskInfo) *mesos.TaskInfo {
	if t == nil {
		return nil
	}
	out := &mesos.TaskInfo{
		Name: t.Name, TaskId: t.TaskId, AgentId: t.AgentId, Resources: t.Resources,
		Executor: WithoutInExecutor(t.Executor), Command: WithoutInCommand(t.Command), Container: WithoutInContainer(t.Container),
		HealthCheck: WithoutInHealthCheck(t.HealthCheck), Check: WithoutInCheck(t.Check), KillPolicy: t.KillPolicy, Data: t.Data,
		Labels: t.Labels, Discovery: t.Discovery, MaxCompletionTime: t.MaxCompletionTime, Limits: t.Limits,
	}
	if out.Executor == t.Executor && out.Command == t.Command && out.Container == t.Container &&
		out.HealthCheck == t.HealthCheck && out.Check == t.Check {
		return t
	}
	return out
}
