package agentd

import (
	"context"
	"net/http"
	"time"

	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// serveOperator is POST /api/v1.
func (s *Server) serveOperator(w http.ResponseWriter, r *http.Request) error {
	call := new(agentpb.Call)
	media, rest, err := httpd.ReadAgentCall(w, r, callLimit, call)
	if err != nil {
		return err
	}
	if rest != nil {
		defer rest.Close()
	}
	if err := httpd.Validated("agent::Call", validate.AgentCall(call)); err != nil {
		return err
	}
	if err := permit(r.Context(), call); err != nil {
		return err
	}
	v, err := s.recovered(r.Context())
	if err != nil {
		return err
	}
	if err := streamable(call.GetType(), media); err != nil {
		return err
	}
	if session := call.GetLaunchNestedContainerSession(); call.GetType() == agentpb.Call_LAUNCH_NESTED_CONTAINER_SESSION {
		return s.serveSession(w, session, media)
	}
	if attach := call.GetAttachContainerOutput(); call.GetType() == agentpb.Call_ATTACH_CONTAINER_OUTPUT {
		return s.serveAttachOutput(w, attach, media)
	}
	if attach := call.GetAttachContainerInput(); call.GetType() == agentpb.Call_ATTACH_CONTAINER_INPUT {
		return s.serveAttachInput(w, attach, rest)
	}
	return s.answer(w, r, media.Accept, call, v)
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, accept string, call *agentpb.Call, v *view) error {
	if l, ok := lists[call.GetType()]; ok && accept == wire.JSON {
		httpd.Render(w, r, func(out *wire.Writer) error {
			out.BeginObject()
			out.Key("type").String(call.GetType().String())
			l.write(v, out.Key(l.member))
			out.EndObject()
			return nil
		})
		return nil
	}
	if served, err := s.serveBox(w, call); served {
		return err
	}
	read, ok := reads[call.GetType()]
	switch {
	case call.GetType() == agentpb.Call_SET_LOGGING_LEVEL:
		set := call.GetSetLoggingLevel()
		s.cfg.Verbosity.Set(set.GetLevel(), time.Duration(set.GetDuration().GetNanoseconds()))
		httpd.Empty(w, http.StatusOK)
		return nil
	case call.GetType() == agentpb.Call_PRUNE_IMAGES:
		return s.pruneImages(w, call.GetPruneImages())
	case !ok:
		return refusal.NotImplementedf("Call %s is not implemented", call.GetType())
	}
	response, err := read(v, r.Context(), call)
	if err != nil {
		return err
	}
	response.Type = agentpb.Response_Type(agentpb.Response_Type_value[call.GetType().String()]).Enum()
	body, err := wire.Encode(accept, response)
	if err == nil {
		httpd.Body(w, r, accept, body)
	}
	return err
}

// A read is a call that changes nothing.
type read func(v *view, ctx context.Context, call *agentpb.Call) (*agentpb.Response, error)

// of makes a read of what cannot fail.
func of(response func(*view) *agentpb.Response) read {
	return func(v *view, _ context.Context, _ *agentpb.Call) (*agentpb.Response, error) { return response(v), nil }
}

var reads = map[agentpb.Call_Type]read{
	agentpb.Call_GET_HEALTH: of(func(*view) *agentpb.Response {
		healthy := true
		return &agentpb.Response{GetHealth: &agentpb.Response_GetHealth{Healthy: &healthy}}
	}),
	agentpb.Call_GET_VERSION: of(func(*view) *agentpb.Response {
		return &agentpb.Response{GetVersion: &agentpb.Response_GetVersion{VersionInfo: httpd.Build().Info()}}
	}),
	agentpb.Call_GET_FLAGS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetFlags: &agentpb.Response_GetFlags{Flags: httpd.Flags(v.server.cfg.Flags)}}
	}),
	agentpb.Call_GET_LOGGING_LEVEL: of(func(v *view) *agentpb.Response {
		level := v.server.cfg.Verbosity.Get()
		return &agentpb.Response{GetLoggingLevel: &agentpb.Response_GetLoggingLevel{Level: &level}}
	}),
	agentpb.Call_GET_METRICS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetMetrics: &agentpb.Response_GetMetrics{Metrics: httpd.Metrics(v.metrics())}}
	}),
	agentpb.Call_GET_AGENT: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetAgent: &agentpb.Response_GetAgent{AgentInfo: v.info(), DrainConfig: v.Drain}}
	}),
	agentpb.Call_GET_OPERATIONS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetOperations: &agentpb.Response_GetOperations{Operations: v.Operations}}
	}),
	agentpb.Call_GET_RESOURCE_PROVIDERS: of(func(*view) *agentpb.Response {
		return &agentpb.Response{GetResourceProviders: &agentpb.Response_GetResourceProviders{}} // there are none yet
	}),
	agentpb.Call_GET_STATE: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetState: &agentpb.Response_GetState{
			GetTasks: v.tasksResponse(), GetExecutors: v.executorsResponse(), GetFrameworks: v.frameworksResponse(),
		}}
	}),
	agentpb.Call_GET_TASKS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetTasks: v.tasksResponse()}
	}),
	agentpb.Call_GET_EXECUTORS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetExecutors: v.executorsResponse()}
	}),
	agentpb.Call_GET_FRAMEWORKS: of(func(v *view) *agentpb.Response {
		return &agentpb.Response{GetFrameworks: v.frameworksResponse()}
	}),
	agentpb.Call_GET_CONTAINERS: func(v *view, _ context.Context, call *agentpb.Call) (*agentpb.Response, error) {
		return &agentpb.Response{GetContainers: v.containersResponse(call.GetGetContainers())}, nil
	},
	agentpb.Call_LIST_FILES:            (*view).listFiles,
	agentpb.Call_READ_FILE:             (*view).readFile,
	agentpb.Call_WAIT_NESTED_CONTAINER: (*view).waitNestedContainer,
	agentpb.Call_WAIT_CONTAINER:        (*view).waitContainer,
}

func (v *view) listFiles(ctx context.Context, call *agentpb.Call) (*agentpb.Response, error) {
	list, err := v.server.files.List(call.GetListFiles().GetPath(), authn.Principal(ctx))
	if err != nil {
		return nil, err
	}
	return &agentpb.Response{ListFiles: &agentpb.Response_ListFiles{FileInfos: httpd.FileInfos(list)}}, nil
}

func (v *view) readFile(ctx context.Context, call *agentpb.Call) (*agentpb.Response, error) {
	c, length := call.GetReadFile(), int64(-1)
	if c.Length != nil {
		length = int64(min(c.GetLength(), 1<<32))
	}
	size, data, err := v.server.files.Read(c.GetPath(), int64(c.GetOffset()), length, authn.Principal(ctx))
	if err != nil {
		return nil, err
	}
	whole := uint64(size)
	return &agentpb.Response{ReadFile: &agentpb.Response_ReadFile{Size: &whole, Data: data}}, nil
}
