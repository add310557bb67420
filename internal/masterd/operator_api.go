package masterd

import (
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// operatorHeartbeatInterval is how often operators' streams are sent a
// HEARTBEAT.
const operatorHeartbeatInterval = 15 * time.Second

var operatorHeartbeat = operatorRecord(&masterpb.Event{Type: masterpb.Event_HEARTBEAT.Enum()})

func operatorRecord(event *masterpb.Event) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) { return wire.Encode(contentType, event) })
}

func eventRecord(event master.Event) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) {
		return wire.Encode(contentType, operatorEvent(event))
	})
}

// serveOperator is POST /api/v1.
func (s *Server) serveOperator(w http.ResponseWriter, r *http.Request) {
	call := new(masterpb.Call)
	err := httpd.ReadCall(w, r, callLimit, call)
	if err == nil {
		err = httpd.Validated("master::Call", validate.MasterCall(call))
	}
	var accept string
	if err == nil {
		accept, err = httpd.Accept(r)
	}
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	if call.GetType() == masterpb.Call_SUBSCRIBE {
		s.watch(w, r, accept)
		return
	}
	s.answer(w, r, accept, call)
}

// answer serves a read from a snapshot, and takes anything else to the core.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, accept string, call *masterpb.Call) {
	if list, ok := lists[call.GetType()]; ok {
		s.serveList(w, r, accept, call, list)
		return
	}
	if read, ok := reads[call.GetType()]; ok {
		response, err := read(s, r, call)
		if err != nil {
			httpd.Refuse(w, err)
			return
		}
		response.Type = responseType(call)
		s.respond(w, r, accept, response)
		return
	}
	if call.GetType() == masterpb.Call_SET_LOGGING_LEVEL {
		s.setLoggingLevel(call.GetSetLoggingLevel())
		httpd.Empty(w, http.StatusOK)
		return
	}
	if err := wellFormed(call); err != nil {
		httpd.Refuse(w, err)
		return
	}
	reply, err := s.ask(r, func(id master.RequestID) master.Input {
		return master.OperatorCall{Request: id, Principal: principal(r), Call: call}
	})
	switch {
	case err != nil:
		httpd.Refuse(w, err)
	case reply.Response != nil:
		s.respond(w, r, accept, reply.Response)
	case isOperation[call.GetType()]:
		httpd.Empty(w, http.StatusAccepted) // the agent has yet to do it
	default:
		httpd.Empty(w, http.StatusOK)
	}
}

// isOperation lists the calls that end in an operation on an agent.
var isOperation = map[masterpb.Call_Type]bool{
	masterpb.Call_RESERVE_RESOURCES:   true,
	masterpb.Call_UNRESERVE_RESOURCES: true,
	masterpb.Call_CREATE_VOLUMES:      true,
	masterpb.Call_DESTROY_VOLUMES:     true,
	masterpb.Call_GROW_VOLUME:         true,
	masterpb.Call_SHRINK_VOLUME:       true,
}

func (s *Server) respond(w http.ResponseWriter, r *http.Request, accept string, response proto.Message) {
	body, err := wire.Encode(accept, response)
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	httpd.Body(w, r, accept, body)
}

// watch opens an operator's event stream: the state, and every event after it.
func (s *Server) watch(w http.ResponseWriter, r *http.Request, accept string) {
	one := &watcher{}
	stream, err := httpd.OpenStream(w, httpd.StreamOptions{
		ContentType: accept, Closed: func(error) { s.watchers.remove(one) },
	})
	if err != nil {
		s.log.Debug("cannot open an operator's stream", attrErr(err))
		return
	}
	one.stream = stream
	go func() {
		snapshot, err := s.read(r.Context(), one)
		if err != nil {
			stream.Close()
			return
		}
		one.begin(newView(s, snapshot).subscribedRecord())
	}()
	if err := stream.Run(); err != nil {
		s.log.Debug("an operator's stream ended", attrErr(err))
	}
}
