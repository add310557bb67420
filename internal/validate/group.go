package validate

import (
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

// A Group is a task group that is validated task by task, as there may be very
// many, and then as a whole.
type Group struct {
	executor  *mesos.ExecutorInfo
	framework *Framework
	agent     *Agent

	seen    map[string]bool
	parts   []resources.Resources // what each of the tasks uses
	used    resources.Resources   // what all use
	apart   resources.Quantities  // of numbers and items, if none is used twice
	other   *mesos.TaskInfo       // the first that has another executor
	cgroups cgroups
}

// cgroups tell whether tasks are in their executor's control groups.
type cgroups struct{ share, dont bool }

func (c *cgroups) add(container *mesos.ContainerInfo) {
	if shares, _ := sharesCgroups(container); shares {
		c.share = true
	} else {
		c.dont = true
	}
}

// NewGroup returns a group without tasks, of an executor, for the framework on the
// agent.
func NewGroup(e *mesos.ExecutorInfo, f *Framework, a *Agent) *Group {
	return &Group{executor: e, framework: f, agent: a, seen: map[string]bool{}}
}

// Add adds a task, and refuses the group if it cannot be launched.
func (g *Group) Add(t *mesos.TaskInfo) error {
	id := t.GetTaskId().GetValue()
	if err := groupTask(t, g.framework, g.agent); err != nil {
		return refusal.Invalidf("Task '%s' is invalid: %s", id, err)
	}
	// Mesos does not look for this, and ends when it launches the second.
	if g.seen[id] {
		return refusal.Invalidf("Task '%s' is invalid: Task has duplicate ID: %s", id, id)
	}
	g.seen[id] = true
	if g.other == nil && !sameExecutors(t.Executor, g.executor) {
		g.other = t
	}
	rs := resources.Trusted(t.GetResources())
	g.parts, g.used = append(g.parts, rs), g.used.Add(rs)
	g.apart = g.apart.Add(rs.NonScalars().Quantities())
	g.cgroups.add(t.GetContainer())
	return nil
}

// Has reports whether a task with an ID was added.
func (g *Group) Has(id string) bool { return g.seen[id] }

// Whole refuses the group, all of whose tasks were added, as Task does: all of it,
// if any of its tasks cannot be launched out of what is left of the offers.
func (g *Group) Whole(offered resources.Resources) error {
	e := g.executor
	return first(
		func() error { return executorOn(e, g.framework, g.agent) },
		g.ofExecutor,
		func() error { return executorMinimum(e) },
		g.usesResources,
		func() error { return g.fits(offered) },
		func() error { return ownCgroups(e) },
		g.agreesOnCgroups,
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

func (g *Group) ofExecutor() error {
	switch e := g.executor; {
	case e.Type == nil:
		return refusal.Invalidf("'ExecutorInfo.type' must be set")
	case e.GetType() == mesos.ExecutorInfo_UNKNOWN:
		return refusal.Invalidf("Unknown executor type")
	case e.Container != nil && e.Container.GetType() == mesos.ContainerInfo_DOCKER:
		return refusal.Invalidf("Docker ContainerInfo is not supported on the executor")
	case g.other != nil:
		return refusal.Invalidf("The `ExecutorInfo` of task '%s' is different from executor '%s'",
			g.other.GetTaskId().GetValue(), e.GetExecutorId().GetValue())
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

func (g *Group) usesResources() error {
	executor := resources.Trusted(g.executor.GetResources())
	total := g.used.Add(executor)
	if err := uniquePersistence(total); err != nil {
		return within("Task group and executor use duplicate persistence ID", err)
	}
	if err := oneRevocability(total); err != nil {
		return within("Task group and executor mix revocable and non-revocable resources", err)
	}
	if !total.NonScalars().Quantities().Equal(g.apart.Add(executor.NonScalars().Quantities())) {
		return refusal.Invalidf("There are overlapping resources in the task group's task resources %s"+
			" and/or executor resources %s", list(g.parts), executor)
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

func (g *Group) fits(offered resources.Resources) error {
	needed := g.used
	if existing(g.agent, g.executor) == nil {
		needed = needed.Add(resources.Trusted(g.executor.GetResources()))
	}
	if !offered.Contains(needed) {
		return refusal.Invalidf("Total resources %s required by task group and its executor are more than available %s",
			needed, offered)
	}
	return nil
}

// agreesOnCgroups refuses tasks of which some are in their executor's control
// groups and some are not, in the group or together with those that the executor
// already has.
func (g *Group) agreesOnCgroups() error {
	if len(g.parts) > 0 && existing(g.agent, g.executor) != nil {
		for c := range g.agent.Containers(ids.ExecutorID(g.executor.GetExecutorId().GetValue())) {
			if g.cgroups.add(c); g.cgroups.share && g.cgroups.dont {
				break
			}
		}
	}
	if g.cgroups.share && g.cgroups.dont {
		return refusal.Invalidf("If set, the value of 'share_cgroups' must be the same for all" +
			" tasks in each task group and under a single executor")
	}
	return nil
}
