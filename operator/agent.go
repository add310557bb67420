package operator

import (
	"context"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/client"
)

// An Agent is one agent. Any number of goroutines may use it. Each call takes at
// most 30 s and fails with a *StatusError if the agent refuses it.
type Agent struct {
	api *client.Client
}

// NewAgent returns the agent that cfg names. Nothing is sent yet.
func NewAgent(cfg Config) (*Agent, error) {
	api, err := cfg.client()
	if err != nil {
		return nil, err
	}
	return &Agent{api}, nil
}

// Call makes any call that is answered by one message, which is empty if the
// call has no answer.
func (a *Agent) Call(ctx context.Context, call *agentpb.Call) (*agentpb.Response, error) {
	response := &agentpb.Response{}
	if err := a.api.Do(ctx, call, nil, response); err != nil {
		return nil, err
	}
	return response, nil
}

func (a *Agent) get(ctx context.Context, kind agentpb.Call_Type) (*agentpb.Response, error) {
	return a.Call(ctx, &agentpb.Call{Type: kind.Enum()})
}

// Version returns the agent's version.
func (a *Agent) Version(ctx context.Context) (*mesos.VersionInfo, error) {
	r, err := a.get(ctx, agentpb.Call_GET_VERSION)
	return r.GetGetVersion().GetVersionInfo(), err
}

// Flags returns the flags that the agent was started with.
func (a *Agent) Flags(ctx context.Context) ([]*mesos.Flag, error) {
	r, err := a.get(ctx, agentpb.Call_GET_FLAGS)
	return r.GetGetFlags().GetFlags(), err
}

// Metrics returns the agent's counters and gauges by name.
func (a *Agent) Metrics(ctx context.Context) (map[string]float64, error) {
	r, err := a.get(ctx, agentpb.Call_GET_METRICS)
	return metrics(r.GetGetMetrics().GetMetrics()), err
}

// State returns frameworks, executors and tasks at one moment.
func (a *Agent) State(ctx context.Context) (*agentpb.Response_GetState, error) {
	r, err := a.get(ctx, agentpb.Call_GET_STATE)
	return r.GetGetState(), err
}

// Containers returns the containers that run, with what they use.
func (a *Agent) Containers(ctx context.Context) ([]*agentpb.Response_GetContainers_Container, error) {
	r, err := a.get(ctx, agentpb.Call_GET_CONTAINERS)
	return r.GetGetContainers().GetContainers(), err
}

// Info returns what the agent has registered with.
func (a *Agent) Info(ctx context.Context) (*mesos.AgentInfo, error) {
	r, err := a.get(ctx, agentpb.Call_GET_AGENT)
	return r.GetGetAgent().GetAgentInfo(), err
}

// ListFiles returns what is in a folder that the agent serves.
func (a *Agent) ListFiles(ctx context.Context, path string) ([]*mesos.FileInfo, error) {
	r, err := a.Call(ctx, &agentpb.Call{
		Type: agentpb.Call_LIST_FILES.Enum(), ListFiles: &agentpb.Call_ListFiles{Path: &path},
	})
	return r.GetListFiles().GetFileInfos(), err
}

// ReadFile reads at most length bytes, 0 for as many as the agent gives at once,
// of a file that it serves: see [Sandbox]. It also returns the file's size.
func (a *Agent) ReadFile(ctx context.Context, path string, offset, length uint64) (data []byte, size uint64, err error) {
	read := &agentpb.Call_ReadFile{Path: &path, Offset: &offset}
	if length > 0 {
		read.Length = &length
	}
	r, err := a.Call(ctx, &agentpb.Call{Type: agentpb.Call_READ_FILE.Enum(), ReadFile: read})
	return r.GetReadFile().GetData(), r.GetReadFile().GetSize(), err
}
