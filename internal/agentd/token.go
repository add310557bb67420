package agentd

import (
	"context"
	"net/http"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// tokenVariable is the variable in which an executor finds its token.
const tokenVariable = "MESOS_EXECUTOR_AUTHENTICATION_TOKEN" //nolint:gosec // a name

// withToken gives a custom executor's environment its token, whatever else it has
// by that name. The executors within the agent need none.
func (c *container) withToken(env []string) ([]string, error) {
	key := c.s.cfg.Authentication.ExecutorKey
	if key == nil || c.spec.Builtin != agent.Custom {
		return env, nil
	}
	run := c.spec.Run
	token, err := key.Sign(authn.Claims{"fid": string(run.Framework), "eid": string(run.Executor), "cid": string(run.Container)})
	if err != nil {
		return nil, err
	}
	kept := env[:0]
	for _, v := range env {
		if !strings.HasPrefix(v, tokenVariable+"=") {
			kept = append(kept, v)
		}
	}
	return append(kept, tokenVariable+"="+token), nil
}

// executorCaller returns who makes a call of an executor's, nil if that is not asked.
func executorCaller(r *http.Request) *agent.Caller {
	who := authn.By(r.Context())
	if who == nil {
		return nil
	}
	return &agent.Caller{Name: who.String(), Claims: who.Claims}
}

// permit refuses what the holder of an executor's token asks for beyond its own
// container and those in it.
func permit(ctx context.Context, call *agentpb.Call) error {
	who := authn.By(ctx)
	if who == nil || who.Claims == nil {
		return nil
	}
	own, about := ids.ContainerID(who.Claims["cid"]), containerOf(call)
	if own == "" || about == nil || dotted(about).Root() != own {
		return refusal.Forbiddenf("An executor's token is good for calls about its own container and those in it")
	}
	return nil
}

// containerOf returns the container that a call is about, nil if it is about none.
func containerOf(call *agentpb.Call) *mesos.ContainerID {
	switch call.GetType() {
	case agentpb.Call_LAUNCH_NESTED_CONTAINER:
		return call.GetLaunchNestedContainer().GetContainerId()
	case agentpb.Call_LAUNCH_NESTED_CONTAINER_SESSION:
		return call.GetLaunchNestedContainerSession().GetContainerId()
	case agentpb.Call_WAIT_NESTED_CONTAINER:
		return call.GetWaitNestedContainer().GetContainerId()
	case agentpb.Call_KILL_NESTED_CONTAINER:
		return call.GetKillNestedContainer().GetContainerId()
	case agentpb.Call_REMOVE_NESTED_CONTAINER:
		return call.GetRemoveNestedContainer().GetContainerId()
	case agentpb.Call_LAUNCH_CONTAINER:
		return call.GetLaunchContainer().GetContainerId()
	case agentpb.Call_WAIT_CONTAINER:
		return call.GetWaitContainer().GetContainerId()
	case agentpb.Call_KILL_CONTAINER:
		return call.GetKillContainer().GetContainerId()
	case agentpb.Call_REMOVE_CONTAINER:
		return call.GetRemoveContainer().GetContainerId()
	case agentpb.Call_ATTACH_CONTAINER_INPUT:
		return call.GetAttachContainerInput().GetContainerId()
	case agentpb.Call_ATTACH_CONTAINER_OUTPUT:
		return call.GetAttachContainerOutput().GetContainerId()
	default:
		return nil
	}
}
