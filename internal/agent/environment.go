package agent

import (
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/resources"
)

// spec returns how to make the container of a run that begins with an order.
func (a *Agent) spec(x *executor, o order) *ContainerSpec {
	s := a.baseSpec(x)
	all := x.used
	s.Resources, s.Limits = all.Proto(), x.limits()
	if !x.generated {
		return s
	}
	t := o.tasks[0]
	s.Task, s.Command = t, t.GetCommand()
	s.addRole(t)
	return s
}

// addRole adds to the environment to which role the task's resources are allocated.
func (s *ContainerSpec) addRole(t *mesos.TaskInfo) {
	role := Variable{"MESOS_ALLOCATION_ROLE", ""}
	if len(t.GetResources()) > 0 {
		role.Value = t.GetResources()[0].GetAllocationInfo().GetRole()
	}
	s.Environment = merge(s.Environment, []Variable{role})
}

// baseSpec returns what is known of a run's container without its tasks.
func (a *Agent) baseSpec(x *executor) *ContainerSpec {
	s := &ContainerSpec{
		Run: x.run, Builtin: x.builtin, Framework: x.framework.info, Executor: x.info,
		Sandbox: x.sandbox, MetaDir: a.layout.Meta().Sandbox(x.run),
		URIs:          x.info.GetCommand().GetUris(),
		Environment:   a.environment(x),
		Container:     x.info.GetContainer(),
		ShutdownGrace: a.grace(x.info),
		Checkpoint:    x.checkpoint(),
	}
	if s.Container == nil {
		s.Container = a.cfg.DefaultContainer
	}
	if x.builtin == Custom {
		s.Command = x.info.GetCommand()
	}
	if a.cfg.SwitchUser {
		s.User = or(x.info.GetCommand().GetUser(), x.framework.info.GetUser())
	}
	return s
}

// environment returns the environment of an executor, which that of a command
// executor's task begins with. Nothing of the agent's own is in it.
func (a *Agent) environment(x *executor) []Variable {
	flag := func(b bool) string { return strconv.Itoa(map[bool]int{true: 1}[b]) }
	env := []Variable{
		{"LIBPROCESS_PORT", "0"},
		{"MESOS_AGENT_ENDPOINT", a.cfg.PID.Address()},
		{"MESOS_CHECKPOINT", flag(x.checkpoint())},
		{"MESOS_DIRECTORY", x.sandbox},
		{"MESOS_EXECUTOR_ID", string(x.run.Executor)},
		{"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", durationText(a.grace(x.info))},
		{"MESOS_FRAMEWORK_ID", string(x.run.Framework)},
		{"MESOS_HTTP_COMMAND_EXECUTOR", "0"},
		{"MESOS_SANDBOX", x.sandbox},
		{"MESOS_SLAVE_ID", string(a.id())},
		{"MESOS_SLAVE_PID", string(a.cfg.PID)},
	}
	if x.checkpoint() {
		env = append(env, Variable{"MESOS_RECOVERY_TIMEOUT", durationText(a.cfg.RecoveryTimeout)},
			Variable{"MESOS_SUBSCRIPTION_BACKOFF_MAX", durationText(a.cfg.ExecutorReregistration)})
	}
	return merge(a.cfg.Environment, env, variables(x.info.GetCommand().GetEnvironment()))
}

// variables returns the plain variables of an environment; secrets are not for
// us to read.
func variables(e *mesos.Environment) []Variable {
	var out []Variable
	for _, v := range e.GetVariables() {
		if v.GetType() == mesos.Environment_Variable_VALUE {
			out = append(out, Variable{v.GetName(), v.GetValue()})
		}
	}
	return out
}

// merge returns all the variables, sorted by name; of those of the same name the
// last counts.
func merge(lists ...[]Variable) []Variable {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	out := all[:0]
	for i, v := range all {
		if i+1 == len(all) || all[i+1].Name != v.Name {
			out = append(out, v)
		}
	}
	return out
}

// durationUnits are those in which Mesos writes durations.
var durationUnits = [...]struct {
	unit time.Duration
	name string
}{
	{7 * 24 * time.Hour, "weeks"},
	{24 * time.Hour, "days"},
	{time.Hour, "hrs"},
	{time.Minute, "mins"},
	{time.Second, "secs"},
	{time.Millisecond, "ms"},
	{time.Microsecond, "us"},
	{time.Nanosecond, "ns"},
}

// durationText writes a duration as Mesos does: in the largest unit of which it
// is at least one, as "15mins" or "1.5secs".
func durationText(d time.Duration) string {
	for _, u := range durationUnits {
		if d.Abs() >= u.unit {
			return strconv.FormatFloat(float64(d)/float64(u.unit), 'g', 15, 64) + u.name
		}
	}
	return "0ns"
}

// limits returns what a run may use at most, of those resources that any of its
// tasks has a limit for: the sum of the limits, where a task without one counts
// with its request. nil if no task has limits.
func (x *executor) limits() map[string]*mesos.Value_Scalar {
	if x.limited == 0 {
		return nil
	}
	var out map[string]*mesos.Value_Scalar
	for _, name := range [...]string{"cpus", "mem"} {
		if sum, limited := x.limit(name); limited {
			if out == nil {
				out = map[string]*mesos.Value_Scalar{}
			}
			out[name] = &mesos.Value_Scalar{Value: &sum}
		}
	}
	return out
}

func (x *executor) limit(name string) (sum float64, limited bool) {
	sum = resources.Trusted(x.info.GetResources()).Scalar(name).Float64()
	for _, t := range x.tasks {
		if t.phase == TaskTerminated {
			continue
		}
		if l := t.limits[name]; l != nil {
			sum, limited = sum+l.GetValue(), true
			continue
		}
		sum += resources.Trusted(t.row.GetResources()).Scalar(name).Float64()
	}
	return sum, limited
}
