package masterd

import (
	"net/http"
	"net/url"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// This file serves the older endpoints that change something. Each makes the
// call of the v1 API that means the same of what it is sent.

// bodyLimit is the largest body of these requests, in bytes.
const bodyLimit = 1 << 20

// posted serves a POST whose body makes a call.
func posted(call func(body []byte) (*masterpb.Call, error)) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		if err := httpd.Method(r, http.MethodPost); err != nil {
			return err
		}
		return s.carry(w, r, call)
	}
}

// readable serves a GET by read, and another method as a change.
func readable(read func(*Server, http.ResponseWriter, *http.Request) error, method string,
	call func(body []byte) (*masterpb.Call, error),
) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		if err := httpd.Method(r, http.MethodGet, method); err != nil {
			return err
		}
		if r.Method == method {
			return s.carry(w, r, call)
		}
		return read(s, w, r)
	}
}

// carry makes a call of a request's body and carries it out.
func (s *Server) carry(w http.ResponseWriter, r *http.Request, read func(body []byte) (*masterpb.Call, error)) error {
	body, err := httpd.ReadBody(w, r, bodyLimit)
	if err != nil {
		return err
	}
	call, err := read(body)
	if err != nil {
		return err
	}
	s.answer(w, r, wire.JSON, call)
	return nil
}

// form reads a form's body. Its type is not looked at, as Mesos does not.
func form(read func(url.Values) (*masterpb.Call, error)) func(body []byte) (*masterpb.Call, error) {
	return func(body []byte) (*masterpb.Call, error) {
		values, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, refusal.Invalidf("Unable to decode query string: %v", err)
		}
		return read(values)
	}
}

func required(values url.Values, key string) (string, error) {
	if !values.Has(key) {
		return "", refusal.Invalidf("Missing '%s' query parameter in the request body", key)
	}
	return values.Get(key), nil
}

func teardownOf(values url.Values) (*masterpb.Call, error) {
	id, err := required(values, "frameworkId")
	if err != nil {
		return nil, err
	}
	return &masterpb.Call{
		Type:     masterpb.Call_TEARDOWN.Enum(),
		Teardown: &masterpb.Call_Teardown{FrameworkId: &mesos.FrameworkID{Value: &id}},
	}, nil
}

// onAgent makes a call about resources of an agent: the form has its ID and, as
// a JSON array under a key, the resources.
func onAgent(key string, call func(*mesos.AgentID, []*mesos.Resource) *masterpb.Call) func(url.Values) (*masterpb.Call, error) {
	return func(values url.Values) (*masterpb.Call, error) {
		id, err := required(values, "slaveId")
		if err != nil {
			return nil, err
		}
		rs, err := resourcesOf(values, key)
		if err != nil {
			return nil, err
		}
		return call(&mesos.AgentID{Value: &id}, rs), nil
	}
}

// resourcesOf reads the resources that a form has under a key.
func resourcesOf(values url.Values, key string) ([]*mesos.Resource, error) {
	text, err := required(values, key)
	if err != nil {
		return nil, err
	}
	rs, err := wire.UnmarshalJSONArray([]byte(text), func() *mesos.Resource { return &mesos.Resource{} })
	if err != nil {
		return nil, refusal.Invalidf("Error in parsing '%s' query parameter in the request body: %v", key, err)
	}
	return rs, nil
}

// reserveOf makes the call to reserve resources, or, with a source in the form,
// to reserve for others what is reserved already.
func reserveOf(values url.Values) (*masterpb.Call, error) {
	call, err := onAgent("resources", func(id *mesos.AgentID, rs []*mesos.Resource) *masterpb.Call {
		return &masterpb.Call{
			Type:             masterpb.Call_RESERVE_RESOURCES.Enum(),
			ReserveResources: &masterpb.Call_ReserveResources{AgentId: id, Resources: rs},
		}
	})(values)
	if err == nil && values.Has("source") {
		call.ReserveResources.Source, err = resourcesOf(values, "source")
	}
	return call, err
}

func unreserveOf(id *mesos.AgentID, rs []*mesos.Resource) *masterpb.Call {
	return &masterpb.Call{
		Type:               masterpb.Call_UNRESERVE_RESOURCES.Enum(),
		UnreserveResources: &masterpb.Call_UnreserveResources{AgentId: id, Resources: rs},
	}
}

func createOf(id *mesos.AgentID, rs []*mesos.Resource) *masterpb.Call {
	return &masterpb.Call{
		Type:          masterpb.Call_CREATE_VOLUMES.Enum(),
		CreateVolumes: &masterpb.Call_CreateVolumes{AgentId: id, Volumes: rs},
	}
}

func destroyOf(id *mesos.AgentID, rs []*mesos.Resource) *masterpb.Call {
	return &masterpb.Call{
		Type:           masterpb.Call_DESTROY_VOLUMES.Enum(),
		DestroyVolumes: &masterpb.Call_DestroyVolumes{AgentId: id, Volumes: rs},
	}
}

func weightsOf(body []byte) (*masterpb.Call, error) {
	infos, err := wire.UnmarshalJSONArray(body, func() *mesos.WeightInfo { return &mesos.WeightInfo{} })
	if err != nil {
		return nil, refusal.Invalidf("Failed to parse update weights request JSON '%s': %v", body, err)
	}
	return &masterpb.Call{
		Type: masterpb.Call_UPDATE_WEIGHTS.Enum(), UpdateWeights: &masterpb.Call_UpdateWeights{WeightInfos: infos},
	}, nil
}

func quotaOf(body []byte) (*masterpb.Call, error) {
	request := &quotapb.QuotaRequest{}
	if err := wire.UnmarshalJSON(body, request); err != nil {
		return nil, refusal.Invalidf("Failed to parse set quota request JSON '%s': %v", body, err)
	}
	if request.Role == nil {
		request.Role = new(string) // refused as such
	}
	return &masterpb.Call{
		Type: masterpb.Call_SET_QUOTA.Enum(), SetQuota: &masterpb.Call_SetQuota{QuotaRequest: request},
	}, nil
}

func scheduleOf(body []byte) (*masterpb.Call, error) {
	schedule := &maintenancepb.Schedule{}
	if err := wire.UnmarshalJSON(body, schedule); err != nil {
		return nil, refusal.Invalidf("%v", err)
	}
	return &masterpb.Call{
		Type:                      masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(),
		UpdateMaintenanceSchedule: &masterpb.Call_UpdateMaintenanceSchedule{Schedule: schedule},
	}, nil
}

func machines(body []byte) ([]*mesos.MachineID, error) {
	ids, err := wire.UnmarshalJSONArray(body, func() *mesos.MachineID { return &mesos.MachineID{} })
	if err != nil {
		return nil, refusal.Invalidf("%v", err)
	}
	return ids, nil
}

func downOf(body []byte) (*masterpb.Call, error) {
	ids, err := machines(body)
	return &masterpb.Call{
		Type: masterpb.Call_START_MAINTENANCE.Enum(), StartMaintenance: &masterpb.Call_StartMaintenance{Machines: ids},
	}, err
}

func upOf(body []byte) (*masterpb.Call, error) {
	ids, err := machines(body)
	return &masterpb.Call{
		Type: masterpb.Call_STOP_MAINTENANCE.Enum(), StopMaintenance: &masterpb.Call_StopMaintenance{Machines: ids},
	}, err
}

// serveQuota is GET and POST /quota, and DELETE /quota/ROLE.
func (s *Server) serveQuota(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodDelete {
		return readable(rendered(writeQuota), http.MethodPost, quotaOf)(s, w, r)
	}
	role := r.PathValue("rest")
	if role == "" {
		return refusal.Invalidf("Failed to parse remove quota request for path '%s': expecting /quota/ROLE", r.URL.Path)
	}
	s.answer(w, r, wire.JSON, &masterpb.Call{
		Type: masterpb.Call_REMOVE_QUOTA.Enum(), RemoveQuota: &masterpb.Call_RemoveQuota{Role: &role},
	})
	return nil
}

// wellFormed refuses calls whose contents can never be right.
func wellFormed(call *masterpb.Call) error {
	switch call.GetType() {
	case masterpb.Call_UPDATE_WEIGHTS:
		return validate.Weights(call.GetUpdateWeights().GetWeightInfos())
	case masterpb.Call_SET_QUOTA:
		if err := validate.QuotaRequest(call.GetSetQuota().GetQuotaRequest()); err != nil {
			return refusal.Invalidf("Failed to validate set quota request: %v", err)
		}
	default: // of the others the core must say
	}
	return nil
}
