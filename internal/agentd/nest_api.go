package agentd

import (
	"context"
	"net/http"
	"syscall"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// A boxCall is a call about a container that is answered with a status alone.
type boxCall func(n *nest, call *agentpb.Call) (status int, err error)

var boxCalls = map[agentpb.Call_Type]boxCall{
	agentpb.Call_LAUNCH_NESTED_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		c := call.GetLaunchNestedContainer()
		return n.serveLaunch(c.GetContainerId(), wish{command: c.GetCommand(), container: c.GetContainer()})
	},
	agentpb.Call_LAUNCH_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		c := call.GetLaunchContainer()
		may := allowance(resources.Trusted(c.GetResources()), c.GetLimits())
		return n.serveLaunch(c.GetContainerId(), wish{command: c.GetCommand(), container: c.GetContainer(), may: may})
	},
	agentpb.Call_KILL_NESTED_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		c := call.GetKillNestedContainer()
		return n.serveKill(c.GetContainerId(), c.Signal)
	},
	agentpb.Call_KILL_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		c := call.GetKillContainer()
		return n.serveKill(c.GetContainerId(), c.Signal)
	},
	agentpb.Call_REMOVE_NESTED_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		return http.StatusOK, n.remove(dotted(call.GetRemoveNestedContainer().GetContainerId()))
	},
	agentpb.Call_REMOVE_CONTAINER: func(n *nest, call *agentpb.Call) (int, error) {
		return http.StatusOK, n.remove(dotted(call.GetRemoveContainer().GetContainerId()))
	},
}

// serveBox answers a call about a container, if it is one.
func (s *Server) serveBox(w http.ResponseWriter, call *agentpb.Call) (served bool, err error) {
	do, ok := boxCalls[call.GetType()]
	if !ok {
		return false, nil
	}
	status, err := do(s.nest, call)
	if err == nil {
		httpd.Empty(w, status)
	}
	return true, err
}

func (n *nest) serveLaunch(id *mesos.ContainerID, want wish) (int, error) {
	if err := launchable(want); err != nil {
		return 0, err
	}
	fresh, err := n.launch(dotted(id), want)
	if err == nil && !fresh {
		return http.StatusAccepted, nil
	}
	return http.StatusOK, err
}

// launchable refuses what containers launched by calls cannot have.
func launchable(want wish) error {
	switch c := want.container; {
	case c != nil && c.GetType() == mesos.ContainerInfo_DOCKER:
		return refusal.Invalidf("The provided ContainerInfo is not supported: a container in another is of type MESOS")
	case want.session && c.GetMesos().GetImage() != nil:
		return refusal.Invalidf("The provided ContainerInfo is not supported: a session is in the root of the container that it is in")
	}
	return nil
}

func (n *nest) serveKill(id *mesos.ContainerID, signal *int32) (int, error) {
	sig := syscall.SIGKILL
	if signal != nil {
		sig = syscall.Signal(*signal)
	}
	return http.StatusOK, n.kill(dotted(id), sig)
}

// dotted returns the id of the wire's form.
func dotted(id *mesos.ContainerID) ids.ContainerID {
	if id.GetParent() == nil {
		return ids.ContainerID(id.GetValue())
	}
	return dotted(id.GetParent()).Child(id.GetValue())
}

func (v *view) waitNestedContainer(ctx context.Context, call *agentpb.Call) (*agentpb.Response, error) {
	b, err := v.server.nest.wait(ctx, dotted(call.GetWaitNestedContainer().GetContainerId()))
	if err != nil {
		return nil, err
	}
	out := &agentpb.Response_WaitNestedContainer{ExitStatus: b.exitStatus()}
	if l := b.limited; l != nil {
		out.State, out.Reason, out.Message = mesos.TaskState_TASK_FAILED.Enum(), &l.Reason, &l.Message
		out.Limitation = &mesos.TaskResourceLimitation{Resources: l.Resources}
	}
	return &agentpb.Response{WaitNestedContainer: out}, nil
}

func (v *view) waitContainer(ctx context.Context, call *agentpb.Call) (*agentpb.Response, error) {
	b, err := v.server.nest.wait(ctx, dotted(call.GetWaitContainer().GetContainerId()))
	if err != nil {
		return nil, err
	}
	out := &agentpb.Response_WaitContainer{ExitStatus: b.exitStatus()}
	if l := b.limited; l != nil {
		out.State, out.Reason, out.Message = mesos.TaskState_TASK_FAILED.Enum(), &l.Reason, &l.Message
		out.Limitation = &mesos.TaskResourceLimitation{Resources: l.Resources}
	}
	return &agentpb.Response{WaitContainer: out}, nil
}

// exitStatus returns the raw wait status of a box that is over, nil if nobody
// knows it.
func (b *box) exitStatus() *int32 {
	if !b.known {
		return nil
	}
	status := int32(b.status)
	return &status
}
