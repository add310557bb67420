package masterd

import (
	"bytes"
	"net/http"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/wire"
)

// A list is a call whose answer grows with the cluster. In JSON it is written
// row by row, and has its lists even when they are empty, as Mesos has it.
type list struct {
	member   string
	write    func(*view, *wire.Writer)
	response func(*view) *masterpb.Response
}

var lists = map[masterpb.Call_Type]list{
	masterpb.Call_GET_STATE: {"get_state", (*view).writeGetState, func(v *view) *masterpb.Response {
		return &masterpb.Response{GetState: v.stateResponse()}
	}},
	masterpb.Call_GET_TASKS: {"get_tasks", (*view).writeGetTasks, func(v *view) *masterpb.Response {
		return &masterpb.Response{GetTasks: v.tasksResponse()}
	}},
	masterpb.Call_GET_EXECUTORS: {"get_executors", (*view).writeGetExecutors, func(v *view) *masterpb.Response {
		return &masterpb.Response{GetExecutors: v.executorsResponse()}
	}},
	masterpb.Call_GET_FRAMEWORKS: {"get_frameworks", (*view).writeGetFrameworks, func(v *view) *masterpb.Response {
		return &masterpb.Response{GetFrameworks: v.frameworksResponse()}
	}},
	masterpb.Call_GET_AGENTS: {"get_agents", (*view).writeGetAgents, func(v *view) *masterpb.Response {
		return &masterpb.Response{GetAgents: v.agentsResponse()}
	}},
}

// serveList answers a list.
func (s *Server) serveList(w http.ResponseWriter, r *http.Request, accept string, call *masterpb.Call, l list) {
	v, err := s.view(r)
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	v.groupOffers()
	if accept == wire.Protobuf {
		response := l.response(v)
		response.Type = responseType(call)
		s.respond(w, r, accept, response)
		return
	}
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("type").String(call.GetType().String())
		l.write(v, out.Key(l.member))
		out.EndObject()
		return nil
	})
}

func responseType(call *masterpb.Call) *masterpb.Response_Type {
	return masterpb.Response_Type(masterpb.Response_Type_value[call.GetType().String()]).Enum()
}

func (v *view) stateResponse() *masterpb.Response_GetState {
	return &masterpb.Response_GetState{
		GetTasks: v.tasksResponse(), GetExecutors: v.executorsResponse(),
		GetFrameworks: v.frameworksResponse(), GetAgents: v.agentsResponse(),
	}
}

func (v *view) writeGetState(w *wire.Writer) {
	w.BeginObject()
	v.writeGetTasks(w.Key("get_tasks"))
	v.writeGetExecutors(w.Key("get_executors"))
	v.writeGetFrameworks(w.Key("get_frameworks"))
	v.writeGetAgents(w.Key("get_agents"))
	w.EndObject()
}

func (v *view) writeGetTasks(w *wire.Writer) {
	w.BeginObject()
	for place, name := range []string{"tasks", "unreachable_tasks", "completed_tasks"} {
		w.Key(name).BeginArray()
		for row := range v.Tasks.All() {
			if int(row.Place) == place && w.Err() == nil {
				w.Message(row.Task())
			}
		}
		w.EndArray()
	}
	w.EndObject()
}

func (v *view) writeGetExecutors(w *wire.Writer) {
	w.BeginObject()
	w.Key("executors").BeginArray()
	for row := range v.Executors.All() {
		w.Message(executorResponse(row))
	}
	w.EndArray()
	w.EndObject()
}

func (v *view) writeGetFrameworks(w *wire.Writer) {
	w.BeginObject()
	for name, rows := range v.frameworkLists() {
		w.Key(name).BeginArray()
		for _, row := range rows {
			w.Message(v.frameworkResponse(row))
		}
		w.EndArray()
	}
	w.EndObject()
}

func (v *view) writeGetAgents(w *wire.Writer) {
	w.BeginObject()
	w.Key("agents").BeginArray()
	for _, row := range v.agents {
		w.Message(agentResponse(row))
	}
	w.EndArray()
	w.Key("recovered_agents").BeginArray()
	for info := range v.Recovered.All() {
		w.Message(info)
	}
	w.EndArray()
	w.EndObject()
}

// subscribedRecord is the first event of an operator's stream: the state.
func (v *view) subscribedRecord() *httpd.Record {
	v.groupOffers()
	interval := operatorHeartbeatInterval.Seconds()
	return httpd.NewRecord(func(contentType string) ([]byte, error) {
		if contentType == wire.JSON {
			return v.subscribedJSON(interval)
		}
		return wire.Encode(contentType, &masterpb.Event{
			Type:       masterpb.Event_SUBSCRIBED.Enum(),
			Subscribed: &masterpb.Event_Subscribed{GetState: v.stateResponse(), HeartbeatIntervalSeconds: &interval},
		})
	})
}

func (v *view) subscribedJSON(interval float64) ([]byte, error) {
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	w.BeginObject()
	w.Key("type").String("SUBSCRIBED")
	w.Key("subscribed").BeginObject()
	v.writeGetState(w.Key("get_state"))
	w.Key("heartbeat_interval_seconds").Double(interval)
	w.EndObject()
	w.EndObject()
	err := w.Flush()
	return b.Bytes(), err
}
