package agent

import (
	"path"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// What a command task costs beside its own resources, outside the master's
// accounts.
const (
	commandExecutorCPUs = 0.1
	commandExecutorMem  = 32 // MB
)

// killMargin is what the agent grants a command executor beyond its task's
// grace: a second to notice the end, and one to report it.
const killMargin = 2 * time.Second

// longest number of characters of a command in an executor's name, and what
// remains of a longer one.
const (
	maxCommandName   = 15
	shortCommandName = 12
)

// commandExecutor returns the executor that Mesos's agent would run for a
// command task. It is named on endpoints and on disk; what runs is the task.
func (a *Agent) commandExecutor(f *mesos.FrameworkInfo, t *mesos.TaskInfo) *mesos.ExecutorInfo {
	c := t.GetCommand()
	value := path.Join(a.cfg.LauncherDir, "mesos-executor")
	x := &mesos.ExecutorInfo{
		ExecutorId:  &mesos.ExecutorID{Value: t.GetTaskId().Value},
		FrameworkId: f.GetId(),
		Name:        new("Command Executor (Task: " + t.GetTaskId().GetValue() + ") " + commandName(c)),
		Source:      t.GetTaskId().Value,
		Container:   t.GetContainer(),
		Labels:      t.GetLabels(),
		Discovery:   t.GetDiscovery(),
		Command: &mesos.CommandInfo{
			Shell: new(false), Value: &value,
			Arguments:   []string{"mesos-executor", "--launcher_dir=" + a.cfg.LauncherDir},
			Uris:        c.GetUris(),
			Environment: c.GetEnvironment(),
			User:        c.User,
		},
		Resources: []*mesos.Resource{overhead("cpus", commandExecutorCPUs, t), overhead("mem", commandExecutorMem, t)},
	}
	if g := t.GetKillPolicy().GetGracePeriod(); g != nil {
		x.ShutdownGracePeriod = &mesos.DurationInfo{Nanoseconds: new(g.GetNanoseconds() + int64(killMargin))}
	}
	return x
}

// overhead returns a resource of the command executor, in its task's role.
func overhead(name string, v float64, t *mesos.TaskInfo) *mesos.Resource {
	r := &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &v}}
	if len(t.GetResources()) > 0 {
		r.AllocationInfo = t.GetResources()[0].GetAllocationInfo()
	}
	return r
}

// commandName shows a command in the name of its executor, shortened.
func commandName(c *mesos.CommandInfo) string {
	switch {
	case c.GetShell() && c.Value == nil:
		return "(Command: NO COMMAND)"
	case c.GetShell():
		return "(Command: sh -c '" + shortened(c.GetValue()) + "')"
	case c.Value == nil:
		return "(Command: NO EXECUTABLE)"
	}
	return "(Command: [" + shortened(c.GetValue()+", "+strings.Join(c.GetArguments(), ", ")) + "])"
}

func shortened(s string) string {
	if len(s) <= maxCommandName {
		return s
	}
	return strings.ToValidUTF8(s[:shortCommandName], "") + "..."
}
