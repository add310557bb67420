package validate

import (
	"slices"
	"strconv"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// The least that the executor of a task group must have.
const (
	minCPUs = resources.Unit / 100
	minMem  = 32 * resources.Unit // megabytes
)

// TaskGroup refuses a LAUNCH_GROUP that cannot be launched, as Task does: all
// of it, if any of its tasks cannot.
func TaskGroup(
	group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo, f *Framework, a *Agent, offered resources.Resources,
) error {
	seen := map[string]bool{}
	for _, t := range group.GetTasks() {
		id := t.GetTaskId().GetValue()
		if err := groupTask(t, f, a); err != nil {
			return refusal.Invalidf("Task '%s' is invalid: %s", id, err)
		}
		// Mesos does not look for this, and ends when it launches the second.
		if seen[id] {
			return refusal.Invalidf("Task '%s' is invalid: Task has duplicate ID: %s", id, id)
		}
		seen[id] = true
	}
	return first(
		func() error { return executorOn(e, f, a) },
		func() error { return groupExecutor(group, e) },
		func() error { return executorMinimum(e) },
		func() error { return groupResources(group, e) },
		func() error { return groupFits(group, e, a, offered) },
		func() error { return ownCgroups(e) },
		func() error { return groupCgroups(group, e, a) },
	)
}

func groupTask(t *mesos.TaskInfo, f *Framework, a *Agent) error {
	if err := task(t, f, a); err != nil {
		return err
	}
	container := t.GetContainer()
	shares, _ := sharesCgroups(container)
	switch check := t.GetHealthCheck().GetType(); {
	case t.Executor == nil:
		return refusal.Invalidf("'TaskInfo.executor' must be set")
	case len(container.GetNetworkInfos()) > 0 &&
		(check == mesos.HealthCheck_HTTP || check == mesos.HealthCheck_TCP):
		return refusal.Invalidf("HTTP and TCP health checks are not supported for" +
			" nested containers not joining parent's network")
	case container != nil && container.GetType() == mesos.ContainerInfo_DOCKER:
		return refusal.Invalidf("Docker ContainerInfo is not supported on the task")
	case len(t.GetLimits()) > 0 && shares:
		return refusal.Invalidf("Resource limits may only be set for tasks within a task group when" +
			" the 'share_cgroups' field is set to 'false'.")
	}
	return nil
}

func groupExecutor(group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo) error {
	switch {
	case e.Type == nil:
		return refusal.Invalidf("'ExecutorInfo.type' must be set")
	case e.GetType() == mesos.ExecutorInfo_UNKNOWN:
		return refusal.Invalidf("Unknown executor type")
	case e.Container != nil && e.Container.GetType() == mesos.ContainerInfo_DOCKER:
		return refusal.Invalidf("Docker ContainerInfo is not supported on the executor")
	}
	for _, t := range group.GetTasks() {
		if t.Executor != nil && !sameExecutors(t.Executor, e) {
			return refusal.Invalidf("The `ExecutorInfo` of task '%s' is different from executor '%s'",
				t.GetTaskId().GetValue(), e.GetExecutorId().GetValue())
		}
	}
	return nil
}

func executorMinimum(e *mesos.ExecutorInfo) error {
	rs, id := resources.Trusted(e.GetResources()), e.GetExecutorId().GetValue()
	if cpus := rs.Scalar("cpus"); cpus < minCPUs {
		return refusal.Invalidf("Executor '%s' uses less CPUs (%s) than the minimum required (%s)",
			id, orNone(cpus, cpus.String()), minCPUs)
	}
	if mem := rs.Scalar("mem"); mem < minMem {
		return refusal.Invalidf("Executor '%s' uses less memory (%s) than the minimum required (%s)",
			id, orNone(mem, megabytes(mem)), megabytes(minMem))
	}
	if rs.Scalar("disk") == 0 {
		return refusal.Invalidf("Executor '%s' uses no disk", id)
	}
	return nil
}

func orNone(a resources.Amount, text string) string {
	if a == 0 {
		return "None"
	}
	return text
}

// megabytes prints whole megabytes in the largest unit without a fraction.
func megabytes(a resources.Amount) string {
	n, unit := int64(a/resources.Unit), 0
	if n == 0 {
		return "0B"
	}
	for ; unit < 2 && n%1024 == 0; unit++ {
		n /= 1024
	}
	return strconv.FormatInt(n, 10) + []string{"MB", "GB", "TB"}[unit]
}

// parts returns what each of the tasks uses.
func parts(group *mesos.TaskGroupInfo) []resources.Resources {
	all := make([]resources.Resources, 0, len(group.GetTasks()))
	for _, t := range group.GetTasks() {
		all = append(all, resources.Trusted(t.GetResources()))
	}
	return all
}

func groupResources(group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo) error {
	executor, tasks := resources.Trusted(e.GetResources()), parts(group)
	all := slices.Concat(tasks, []resources.Resources{executor})
	total := resources.Sum(all...)
	if err := uniquePersistence(total); err != nil {
		return within("Task group and executor use duplicate persistence ID", err)
	}
	if err := oneRevocability(total); err != nil {
		return within("Task group and executor mix revocable and non-revocable resources", err)
	}
	if overlap(all...) {
		return refusal.Invalidf("There are overlapping resources in the task group's task resources %s"+
			" and/or executor resources %s", list(tasks), executor)
	}
	return nil
}

// list prints resources as Mesos prints lists.
func list(rs []resources.Resources) string {
	texts := make([]string, 0, len(rs))
	for _, r := range rs {
		texts = append(texts, r.String())
	}
	return "[ " + strings.Join(texts, ", ") + " ]"
}

func groupFits(group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo, a *Agent, offered resources.Resources) error {
	needed := resources.Sum(parts(group)...)
	if existing(a, e) == nil {
		needed = needed.Add(resources.Trusted(e.GetResources()))
	}
	if !offered.Contains(needed) {
		return refusal.Invalidf("Total resources %s required by task group and its executor are more than available %s",
			needed, offered)
	}
	return nil
}

// groupCgroups refuses tasks of which some are in their executor's control
// groups and some are not, in the group or together with those that the
// executor already has.
func groupCgroups(group *mesos.TaskGroupInfo, e *mesos.ExecutorInfo, a *Agent) error {
	if len(group.GetTasks()) == 0 {
		return nil
	}
	shares, _ := sharesCgroups(group.GetTasks()[0].GetContainer())
	differs := func(c *mesos.ContainerInfo) bool {
		other, _ := sharesCgroups(c)
		return other != shares
	}
	err := refusal.Invalidf("If set, the value of 'share_cgroups' must be the same for all" +
		" tasks in each task group and under a single executor")
	for _, t := range group.GetTasks() {
		if differs(t.GetContainer()) {
			return err
		}
	}
	if existing(a, e) == nil {
		return nil
	}
	for c := range a.Containers(ids.ExecutorID(e.GetExecutorId().GetValue())) {
		if differs(c) {
			return err
		}
	}
	return nil
}
