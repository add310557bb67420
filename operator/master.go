package operator

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/client"
)

// A Master is the leading master of a cluster. Any number of goroutines may use
// it. Each call takes at most 30 s and fails with a *StatusError if the master
// refuses it.
type Master struct {
	api *client.Client
	log *slog.Logger
}

// NewMaster returns the master that cfg names. Nothing is sent yet.
func NewMaster(cfg Config) (*Master, error) {
	api, err := cfg.client()
	if err != nil {
		return nil, err
	}
	return &Master{api, cfg.logger()}, nil
}

// Address returns the address, host:port, of the master in use: the leader's,
// once a call has been answered.
func (m *Master) Address() string { return m.api.Server() }

// Call makes any call but SUBSCRIBE. The answer is empty if the call has none.
func (m *Master) Call(ctx context.Context, call *masterpb.Call) (*masterpb.Response, error) {
	response := &masterpb.Response{}
	if err := m.api.Do(ctx, call, nil, response); err != nil {
		return nil, err
	}
	return response, nil
}

// do makes a call without an answer.
func (m *Master) do(ctx context.Context, call *masterpb.Call) error {
	return m.api.Do(ctx, call, nil, nil)
}

func (m *Master) get(ctx context.Context, kind masterpb.Call_Type) (*masterpb.Response, error) {
	return m.Call(ctx, &masterpb.Call{Type: kind.Enum()})
}

// Version returns the master's version.
func (m *Master) Version(ctx context.Context) (*mesos.VersionInfo, error) {
	r, err := m.get(ctx, masterpb.Call_GET_VERSION)
	return r.GetGetVersion().GetVersionInfo(), err
}

// Flags returns the flags that the master was started with.
func (m *Master) Flags(ctx context.Context) ([]*mesos.Flag, error) {
	r, err := m.get(ctx, masterpb.Call_GET_FLAGS)
	return r.GetGetFlags().GetFlags(), err
}

// Metrics returns the master's counters and gauges by name.
func (m *Master) Metrics(ctx context.Context) (map[string]float64, error) {
	r, err := m.get(ctx, masterpb.Call_GET_METRICS)
	return metrics(r.GetGetMetrics().GetMetrics()), err
}

// State returns agents, frameworks, executors and tasks at one moment.
func (m *Master) State(ctx context.Context) (*masterpb.Response_GetState, error) {
	r, err := m.get(ctx, masterpb.Call_GET_STATE)
	return r.GetGetState(), err
}

// Agents returns the agents with what they have, and who uses it.
func (m *Master) Agents(ctx context.Context) (*masterpb.Response_GetAgents, error) {
	r, err := m.get(ctx, masterpb.Call_GET_AGENTS)
	return r.GetGetAgents(), err
}

// Frameworks returns the frameworks with what they have and are offered.
func (m *Master) Frameworks(ctx context.Context) (*masterpb.Response_GetFrameworks, error) {
	r, err := m.get(ctx, masterpb.Call_GET_FRAMEWORKS)
	return r.GetGetFrameworks(), err
}

// Executors returns the executors that are not built in.
func (m *Master) Executors(ctx context.Context) (*masterpb.Response_GetExecutors, error) {
	r, err := m.get(ctx, masterpb.Call_GET_EXECUTORS)
	return r.GetGetExecutors(), err
}

// Operations returns the operations on resources that are not settled.
func (m *Master) Operations(ctx context.Context) ([]*mesos.Operation, error) {
	r, err := m.get(ctx, masterpb.Call_GET_OPERATIONS)
	return r.GetGetOperations().GetOperations(), err
}

// Tasks returns the tasks of all frameworks.
func (m *Master) Tasks(ctx context.Context) (*masterpb.Response_GetTasks, error) {
	r, err := m.get(ctx, masterpb.Call_GET_TASKS)
	return r.GetGetTasks(), err
}

// Roles returns the roles in use.
func (m *Master) Roles(ctx context.Context) ([]*mesos.Role, error) {
	r, err := m.get(ctx, masterpb.Call_GET_ROLES)
	return r.GetGetRoles().GetRoles(), err
}

// Weights returns the weights that were set.
func (m *Master) Weights(ctx context.Context) ([]*mesos.WeightInfo, error) {
	r, err := m.get(ctx, masterpb.Call_GET_WEIGHTS)
	return r.GetGetWeights().GetWeightInfos(), err
}

// UpdateWeights sets the weights of the roles named; others keep theirs.
func (m *Master) UpdateWeights(ctx context.Context, weights ...*mesos.WeightInfo) error {
	return m.do(ctx, &masterpb.Call{
		Type:          masterpb.Call_UPDATE_WEIGHTS.Enum(),
		UpdateWeights: &masterpb.Call_UpdateWeights{WeightInfos: weights},
	})
}

// Quota returns the roles' guarantees and limits.
func (m *Master) Quota(ctx context.Context) (*quotapb.QuotaStatus, error) {
	r, err := m.get(ctx, masterpb.Call_GET_QUOTA)
	return r.GetGetQuota().GetStatus(), err
}

// UpdateQuota sets the guarantees and limits of the roles named, all of them or
// none. Force leaves out the check that the cluster is large enough.
func (m *Master) UpdateQuota(ctx context.Context, force bool, quotas ...*quotapb.QuotaConfig) error {
	return m.do(ctx, &masterpb.Call{
		Type:        masterpb.Call_UPDATE_QUOTA.Enum(),
		UpdateQuota: &masterpb.Call_UpdateQuota{Force: new(force), QuotaConfigs: quotas},
	})
}

// Reserve reserves resources of an agent, dynamically.
func (m *Master) Reserve(ctx context.Context, agent *mesos.AgentID, resources ...*mesos.Resource) error {
	return m.do(ctx, &masterpb.Call{
		Type:             masterpb.Call_RESERVE_RESOURCES.Enum(),
		ReserveResources: &masterpb.Call_ReserveResources{AgentId: agent, Resources: resources},
	})
}

// Unreserve ends dynamic reservations.
func (m *Master) Unreserve(ctx context.Context, agent *mesos.AgentID, resources ...*mesos.Resource) error {
	return m.do(ctx, &masterpb.Call{
		Type:               masterpb.Call_UNRESERVE_RESOURCES.Enum(),
		UnreserveResources: &masterpb.Call_UnreserveResources{AgentId: agent, Resources: resources},
	})
}

// CreateVolumes makes persistent volumes of reserved disk.
func (m *Master) CreateVolumes(ctx context.Context, agent *mesos.AgentID, volumes ...*mesos.Resource) error {
	return m.do(ctx, &masterpb.Call{
		Type:          masterpb.Call_CREATE_VOLUMES.Enum(),
		CreateVolumes: &masterpb.Call_CreateVolumes{AgentId: agent, Volumes: volumes},
	})
}

// DestroyVolumes destroys persistent volumes with their contents.
func (m *Master) DestroyVolumes(ctx context.Context, agent *mesos.AgentID, volumes ...*mesos.Resource) error {
	return m.do(ctx, &masterpb.Call{
		Type:           masterpb.Call_DESTROY_VOLUMES.Enum(),
		DestroyVolumes: &masterpb.Call_DestroyVolumes{AgentId: agent, Volumes: volumes},
	})
}

// DrainAgent has an agent's tasks killed, each within its own grace period but
// not more than grace (0: no bound), and nothing new started there. Gone then
// gives the agent up for good.
func (m *Master) DrainAgent(ctx context.Context, agent *mesos.AgentID, grace time.Duration, gone bool) error {
	drain := &masterpb.Call_DrainAgent{AgentId: agent, MarkGone: new(gone)}
	if grace > 0 {
		drain.MaxGracePeriod = durationpb.New(grace)
	}
	return m.do(ctx, &masterpb.Call{Type: masterpb.Call_DRAIN_AGENT.Enum(), DrainAgent: drain})
}

// DeactivateAgent stops offers of an agent; its tasks go on.
func (m *Master) DeactivateAgent(ctx context.Context, agent *mesos.AgentID) error {
	return m.do(ctx, &masterpb.Call{
		Type:            masterpb.Call_DEACTIVATE_AGENT.Enum(),
		DeactivateAgent: &masterpb.Call_DeactivateAgent{AgentId: agent},
	})
}

// ReactivateAgent undoes DeactivateAgent and a drain that is over.
func (m *Master) ReactivateAgent(ctx context.Context, agent *mesos.AgentID) error {
	return m.do(ctx, &masterpb.Call{
		Type:            masterpb.Call_REACTIVATE_AGENT.Enum(),
		ReactivateAgent: &masterpb.Call_ReactivateAgent{AgentId: agent},
	})
}

// MarkAgentGone gives an agent up for good, with its tasks.
func (m *Master) MarkAgentGone(ctx context.Context, agent *mesos.AgentID) error {
	return m.do(ctx, &masterpb.Call{
		Type:          masterpb.Call_MARK_AGENT_GONE.Enum(),
		MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: agent},
	})
}

// Teardown ends a framework with all of its tasks.
func (m *Master) Teardown(ctx context.Context, framework *mesos.FrameworkID) error {
	return m.do(ctx, &masterpb.Call{
		Type:     masterpb.Call_TEARDOWN.Enum(),
		Teardown: &masterpb.Call_Teardown{FrameworkId: framework},
	})
}

// ListFiles returns what is in a folder that the master serves.
func (m *Master) ListFiles(ctx context.Context, path string) ([]*mesos.FileInfo, error) {
	r, err := m.Call(ctx, &masterpb.Call{
		Type: masterpb.Call_LIST_FILES.Enum(), ListFiles: &masterpb.Call_ListFiles{Path: &path},
	})
	return r.GetListFiles().GetFileInfos(), err
}

// ReadFile reads at most length bytes, 0 for as many as the master gives at
// once, of a file that it serves, such as /master/log. It also returns the
// file's size.
func (m *Master) ReadFile(ctx context.Context, path string, offset, length uint64) (data []byte, size uint64, err error) {
	read := &masterpb.Call_ReadFile{Path: &path, Offset: &offset}
	if length > 0 {
		read.Length = &length
	}
	r, err := m.Call(ctx, &masterpb.Call{Type: masterpb.Call_READ_FILE.Enum(), ReadFile: read})
	return r.GetReadFile().GetData(), r.GetReadFile().GetSize(), err
}

// metrics makes a map of metrics.
func metrics(list []*mesos.Metric) map[string]float64 {
	byName := make(map[string]float64, len(list))
	for _, metric := range list {
		byName[metric.GetName()] = metric.GetValue()
	}
	return byName
}
