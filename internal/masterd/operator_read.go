package masterd

import (
	"net/http"
	"time"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/wire"
)

// A read is a call that the edge answers, beside the core.
type read func(s *Server, r *http.Request, call *masterpb.Call) (*masterpb.Response, error)

// reads are the calls whose answers are small.
var reads = map[masterpb.Call_Type]read{
	masterpb.Call_GET_HEALTH:        (*Server).getHealth,
	masterpb.Call_GET_VERSION:       (*Server).getVersion,
	masterpb.Call_GET_FLAGS:         (*Server).getFlags,
	masterpb.Call_GET_METRICS:       (*Server).getMetrics,
	masterpb.Call_GET_LOGGING_LEVEL: (*Server).getLoggingLevel,
	masterpb.Call_LIST_FILES:        (*Server).listFiles,
	masterpb.Call_READ_FILE:         (*Server).readFile,
	masterpb.Call_GET_MASTER: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetMaster: v.masterResponse()}
	}),
	masterpb.Call_GET_OPERATIONS: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetOperations: v.operationsResponse()}
	}),
	masterpb.Call_GET_ROLES: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetRoles: v.rolesResponse()}
	}),
	masterpb.Call_GET_WEIGHTS: viewed(func(v *view) *masterpb.Response {
		if len(v.Weights) == 0 {
			return &masterpb.Response{}
		}
		return &masterpb.Response{GetWeights: &masterpb.Response_GetWeights{WeightInfos: v.weights()}}
	}),
	masterpb.Call_GET_QUOTA: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetQuota: &masterpb.Response_GetQuota{Status: v.quota()}}
	}),
	masterpb.Call_GET_MAINTENANCE_SCHEDULE: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetMaintenanceSchedule: &masterpb.Response_GetMaintenanceSchedule{Schedule: v.schedule()}}
	}),
	masterpb.Call_GET_MAINTENANCE_STATUS: viewed(func(v *view) *masterpb.Response {
		return &masterpb.Response{GetMaintenanceStatus: &masterpb.Response_GetMaintenanceStatus{Status: v.maintenance()}}
	}),
}

// viewed makes a read of what only needs the master's state.
func viewed(response func(*view) *masterpb.Response) read {
	return func(s *Server, r *http.Request, _ *masterpb.Call) (*masterpb.Response, error) {
		v, err := s.view(r)
		if err != nil {
			return nil, err
		}
		return response(v), nil
	}
}

func (s *Server) getHealth(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	healthy := true
	return &masterpb.Response{GetHealth: &masterpb.Response_GetHealth{Healthy: &healthy}}, nil
}

func (s *Server) getVersion(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	return &masterpb.Response{GetVersion: &masterpb.Response_GetVersion{VersionInfo: httpd.Build().Info()}}, nil
}

func (s *Server) getFlags(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	return &masterpb.Response{GetFlags: &masterpb.Response_GetFlags{Flags: httpd.Flags(s.cfg.Flags)}}, nil
}

func (s *Server) getMetrics(r *http.Request, _ *masterpb.Call) (*masterpb.Response, error) {
	all, err := s.readMetrics(r)
	if err != nil {
		return nil, err
	}
	return &masterpb.Response{GetMetrics: &masterpb.Response_GetMetrics{Metrics: httpd.Metrics(all)}}, nil
}

func (s *Server) getLoggingLevel(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	level := s.cfg.Verbosity.Get()
	return &masterpb.Response{GetLoggingLevel: &masterpb.Response_GetLoggingLevel{Level: &level}}, nil
}

// setLoggingLevel answers SET_LOGGING_LEVEL, which the core has no part in.
func (s *Server) setLoggingLevel(call *masterpb.Call_SetLoggingLevel) {
	s.cfg.Verbosity.Set(call.GetLevel(), time.Duration(call.GetDuration().GetNanoseconds()))
}

func (s *Server) listFiles(r *http.Request, call *masterpb.Call) (*masterpb.Response, error) {
	list, err := s.files.List(call.GetListFiles().GetPath(), authn.Principal(r.Context()))
	if err != nil {
		return nil, err
	}
	return &masterpb.Response{ListFiles: &masterpb.Response_ListFiles{FileInfos: httpd.FileInfos(list)}}, nil
}

func (s *Server) readFile(r *http.Request, call *masterpb.Call) (*masterpb.Response, error) {
	c, length := call.GetReadFile(), int64(-1)
	if c.Length != nil {
		length = int64(min(c.GetLength(), 1<<32))
	}
	size, data, err := s.files.Read(c.GetPath(), int64(c.GetOffset()), length, authn.Principal(r.Context()))
	if err != nil {
		return nil, err
	}
	bytes := uint64(size)
	return &masterpb.Response{ReadFile: &masterpb.Response_ReadFile{Size: &bytes, Data: data}}, nil
}

func (v *view) masterResponse() *masterpb.Response_GetMaster {
	start, elected := wire.Seconds(v.server.started), wire.Seconds(v.Elected)
	return &masterpb.Response_GetMaster{MasterInfo: v.Info, StartTime: &start, ElectedTime: &elected}
}
