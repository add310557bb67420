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

// nestedAllowance returns what a container in another may use: all that the other may,
// unless it is to have limits of its own.
func nestedAllowance(own launcher.Resources, c *mesos.ContainerInfo) launcher.Resources {
	own.Shared = c.GetLinuxInfo().GetShareCgroups() || own == launcher.Resources{}
	return own
}

// update sets what a container may use and see. Volumes, and what a pod may use, are
// there when it returns: a task that has them is told to begin next. The Docker Engine
// may take its time for the rest, in which only the last of several updates counts.
func (c *container) update(a agent.Update) {
	c.setDisk(a.Resources)
	if err := c.limitDisks(); err != nil {
		c.failUpdate(err)
	}
	c.setVolumes(a.Resources)
	c.setPorts(a.Resources)
	c.latest.Store(&a)
	process, started := c.s.processes.Load(c.id())
	if !started {
		return // over, or will be told when it has
	}
	if c.spec.Builtin == agent.PodBuiltin {
		c.allowNow(process.(launcher.Process), &a)
		return
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
			c.allowNow(process.(launcher.Process), a)
		}
		if c.allowed.CompareAndSwap(a, nil) {
			return
		}
	}
}

func (c *container) allowNow(process launcher.Process, a *agent.Update) {
	if err := process.Update(allowance(a.Resources, a.Limits)); err != nil {
		c.s.log.Warn("cannot update what a container may use", attr("container", c.id()), attrErr(err))
	}
}

// started makes a container's process known, and tells it what was said meanwhile.
func (c *container) started(process launcher.Process) {
	c.s.running(c.id(), process)
	if a := c.latest.Load(); a != nil {
		c.allowNow(process, a)
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
