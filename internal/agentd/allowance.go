package agentd

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/resources"
)

// allowance returns what a container with these resources may use.
func allowance(given resources.Resources, limits map[string]*mesos.Value_Scalar) launcher.Resources {
	return launcher.Resources{
		CPUs: given.Scalar("cpus").Float64(), CPULimit: limits["cpus"].GetValue(),
		Mem: given.Scalar("mem").Float64(), MemLimit: limits["mem"].GetValue(),
	}
}

// taskAllowance returns what the container of a pod's task may use. Unless it is
// not to share the pod's limits, it may take all that the pod has.
func taskAllowance(pod launcher.Resources, task *mesos.TaskInfo) launcher.Resources {
	own := allowance(resources.Trusted(task.GetResources()), task.GetLimits())
	if !task.GetContainer().GetLinuxInfo().GetShareCgroups() {
		return own
	}
	own.MemLimit = max(own.Mem, own.MemLimit, pod.Mem, pod.MemLimit)
	own.CPULimit = pod.CPULimit
	return own
}

// update sets what a container may use and see. Volumes are there when it
// returns: a task that has them is told to begin next. A runtime may take its
// time for the rest, in which only the last of several updates counts.
func (c *container) update(a agent.Update) {
	c.setDisk(a.Resources)
	if err := c.limitDisks(); err != nil {
		c.failUpdate(err)
	}
	c.setVolumes(a.Resources)
	c.setPorts(a.Resources)
	if _, started := c.s.processes.Load(c.id()); !started {
		return // of a built-in executor, or over
	}
	if c.allowed.Swap(&a) == nil {
		c.s.spawn(c.allow)
	}
}

// allow tells the container's process what it may use, until that is what was
// said last.
func (c *container) allow() {
	for {
		a := c.allowed.Load()
		if process, ok := c.s.processes.Load(c.id()); ok {
			if err := process.(launcher.Process).Update(allowance(a.Resources, a.Limits)); err != nil {
				c.s.log.Warn("cannot update what a container may use", attr("container", c.id()), attrErr(err))
			}
		}
		if c.allowed.CompareAndSwap(a, nil) {
			return
		}
	}
}

// limitation returns a launcher's limitation as the core knows it.
func limitation(l *launcher.Limitation) *agent.Limitation {
	if l == nil {
		return nil
	}
	out := &agent.Limitation{Reason: l.Reason, Message: l.Message}
	switch {
	case l.Ranges != nil:
		out.Resources = []*mesos.Resource{{Name: &l.Resource, Type: mesos.Value_RANGES.Enum(), Ranges: l.Ranges}}
	case l.Resource != "":
		out.Resources = []*mesos.Resource{{
			Name: &l.Resource, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &l.Amount}, Role: new("*"), Disk: l.Disk,
		}}
	}
	return out
}
