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

// updateContainer holds a container to what its tasks may use now.
func (s *Server) updateContainer(a agent.Update) {
	process, ok := s.processes.Load(a.Container)
	if !ok {
		return // of a built-in executor, or over
	}
	if err := process.(launcher.Process).Update(allowance(a.Resources, a.Limits)); err != nil {
		s.log.Warn("cannot update what a container may use", attr("container", a.Container), attrErr(err))
	}
}

// limitation returns a launcher's limitation as the core knows it.
func limitation(l *launcher.Limitation) *agent.Limitation {
	if l == nil {
		return nil
	}
	return &agent.Limitation{Reason: l.Reason, Message: l.Message, Resources: []*mesos.Resource{{
		Name: &l.Resource, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &l.Amount}, Role: new("*"),
	}}}
}
