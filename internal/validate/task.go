package validate

import (
	"maps"
	"math"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// Task refuses a task of a LAUNCH that cannot be launched for the framework on
// the agent out of what is left of the offers. The first rule that is broken,
// in Mesos's order, is told. Its resources and those of its executor must say
// which role they are allocated to.
func Task(t *mesos.TaskInfo, f *Framework, a *Agent, offered resources.Resources) error {
	return first(
		func() error { return task(t, f, a) },
		func() error { return taskExecutor(t, f, a, offered) },
		func() error {
			if shares, _ := sharesCgroups(t.GetContainer()); !shares {
				return refusal.Invalidf("Only tasks in a task group may have 'share_cgroups' set to 'false'")
			}
			return nil
		},
	)
}

// task is what is asked of any task, apart from its executor.
func task(t *mesos.TaskInfo, f *Framework, a *Agent) error {
	return first(
		func() error { return ids.Validate(ids.TaskID(t.GetTaskId().GetValue())) },
		func() error { return uniqueTask(t, f) },
		func() error { return taskAgent(t, a) },
		func() error { return taskTimes(t) },
		func() error { return taskChecks(t) },
		func() error { return taskResources(t) },
		func() error { return within("Task's `CommandInfo` is invalid", CommandInfo(t.GetCommand())) },
		func() error { return within("Task's `ContainerInfo` is invalid", ContainerInfo(t.GetContainer())) },
		func() error { return taskLimits(t, a) },
	)
}

func uniqueTask(t *mesos.TaskInfo, f *Framework) error {
	id := t.GetTaskId().GetValue()
	switch f.Task(ids.TaskID(id)) {
	case ActiveTask:
		return refusal.Invalidf("Task has duplicate ID: %s", id)
	case UnreachableTask:
		return refusal.Invalidf("Task reuses the ID of an unreachable task: %s", id)
	default:
		return nil
	}
}

func taskAgent(t *mesos.TaskInfo, a *Agent) error {
	if id := t.GetAgentId().GetValue(); id != string(a.ID) {
		return refusal.Invalidf("Task uses invalid agent %s while agent %s is expected", id, a.ID)
	}
	return nil
}

func taskTimes(t *mesos.TaskInfo) error {
	if t.GetKillPolicy().GetGracePeriod().GetNanoseconds() < 0 {
		return refusal.Invalidf("Task's 'kill_policy.grace_period' must be non-negative")
	}
	if t.GetMaxCompletionTime().GetNanoseconds() < 0 {
		return refusal.Invalidf("Task's `max_completion_time` must be non-negative")
	}
	return nil
}

func taskChecks(t *mesos.TaskInfo) error {
	if t.Check != nil {
		if err := CheckInfo(t.Check); err != nil {
			return within("Task uses invalid check", err)
		}
	}
	if t.HealthCheck != nil {
		return within("Task uses invalid health check", HealthCheck(t.HealthCheck))
	}
	return nil
}

func taskResources(t *mesos.TaskInfo) error {
	if len(t.GetResources()) == 0 {
		return refusal.Invalidf("Task uses no resources")
	}
	if err := Resources(t.GetResources()); err != nil {
		return within("Task uses invalid resources", err)
	}
	rs := resources.Trusted(t.GetResources())
	if err := uniquePersistence(rs); err != nil {
		return within("Task uses duplicate persistence ID", err)
	}
	if err := oneAllocation(rs); err != nil {
		return within("Invalid task resources", err)
	}
	return within("Task mixes revocable and non-revocable resources", oneRevocability(rs))
}

func taskLimits(t *mesos.TaskInfo, a *Agent) error {
	limits := t.GetLimits()
	if len(limits) == 0 {
		return nil
	}
	if !a.Capabilities.TaskResourceLimits {
		return refusal.Invalidf("Agent is not capable of handling task resource limits")
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		if name != "cpus" && name != "mem" {
			return refusal.Invalidf("Only cpus and mem may be included in a task's resource limits")
		}
	}
	rs := resources.Trusted(t.GetResources())
	if err := taskLimit(limits["cpus"], rs.Scalar("cpus"), "CPU", "cpu"); err != nil {
		return err
	}
	return taskLimit(limits["mem"], rs.Scalar("mem"), "memory", "memory")
}

// taskLimit refuses a limit, if there is one, below what is requested.
func taskLimit(limit *mesos.Value_Scalar, request resources.Amount, title, name string) error {
	switch v := limit.GetValue(); {
	case limit == nil:
		return nil
	case request == 0:
		return refusal.Invalidf("When a %s limit is specified, a %s request must also be specified", title, title)
	case !math.IsInf(v, 1) && resources.FromFloat(v) < request:
		return refusal.Invalidf("The %s limit must be greater than or equal to the %s request", name, name)
	}
	return nil
}

// taskExecutor is what is asked of the executor of a task, and of both
// together.
func taskExecutor(t *mesos.TaskInfo, f *Framework, a *Agent, offered resources.Resources) error {
	if (t.Executor == nil) == (t.Command == nil) {
		return refusal.Invalidf("Task should have at least one (but not both) of CommandInfo or" +
			" ExecutorInfo present")
	}
	needed := resources.Trusted(t.GetResources())
	if t.Executor != nil {
		if err := executorOn(t.Executor, f, a); err != nil {
			return err
		}
		if err := customExecutor(t.Executor); err != nil {
			return err
		}
	}
	if err := taskWithExecutor(t); err != nil {
		return err
	}
	if t.Executor != nil && existing(a, t.Executor) == nil {
		needed = needed.Add(resources.Trusted(t.Executor.GetResources()))
	}
	if !offered.Contains(needed) {
		return refusal.Invalidf("Total resources %s required by task and its executor is more than available %s",
			needed, offered)
	}
	return nil
}

// customExecutor is what is asked of an executor that launches single tasks.
func customExecutor(e *mesos.ExecutorInfo) error {
	if e.Type != nil && e.GetType() != mesos.ExecutorInfo_CUSTOM {
		return refusal.Invalidf("'ExecutorInfo.type' must be 'CUSTOM'")
	}
	if e.Command == nil {
		return refusal.Invalidf("'ExecutorInfo.command' must be set")
	}
	if rs := resources.Trusted(e.GetResources()); rs.Any(resources.Resource.IsShared) {
		return refusal.Invalidf("Executor resources %s should not contain any shared resources", rs)
	}
	return ownCgroups(e)
}

// ownCgroups refuses an executor that would be in the control groups of a
// parent: it has none.
func ownCgroups(e *mesos.ExecutorInfo) error {
	if shares, told := sharesCgroups(e.GetContainer()); told && shares {
		return refusal.Invalidf("The 'share_cgroups' field cannot be set to 'true' on executor containers")
	}
	return nil
}

// taskWithExecutor is what is asked of the resources of a task and its executor
// together.
func taskWithExecutor(t *mesos.TaskInfo) error {
	own, executor := resources.Trusted(t.GetResources()), resources.Trusted(t.GetExecutor().GetResources())
	total := own.Add(executor)
	if err := sound(total); err != nil {
		return within("Task and its executor use invalid resources", err)
	}
	if overlap(own, executor) {
		return refusal.Invalidf("There are overlapping resources in the task resources %s and executor resources %s",
			own, executor)
	}
	if err := uniquePersistence(total); err != nil {
		return within("Task and its executor use duplicate persistence ID", err)
	}
	return within("Task and its executor mix revocable and non-revocable resources", oneRevocability(total))
}
