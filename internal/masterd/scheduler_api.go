package masterd

import (
	"net/http"

	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
)

// callLimit is the largest body of a call, in bytes.
const callLimit = 64 << 20

// serveScheduler is POST /api/v1/scheduler.
func (s *Server) serveScheduler(w http.ResponseWriter, r *http.Request) {
	call := new(schedulerpb.Call)
	if err := httpd.ReadCall(w, r, callLimit, call); err != nil {
		httpd.Refuse(w, err)
		return
	}
	if err := httpd.Validated("scheduler::Call", validate.SchedulerCall(call, principal(r))); err != nil {
		httpd.Refuse(w, err)
		return
	}
	if call.GetType() == schedulerpb.Call_SUBSCRIBE {
		s.subscribe(w, r, call.GetSubscribe())
		return
	}
	compiled := s.cfg.Master.Compile(call.GetUpdateFramework().GetOfferConstraints())
	_, err := s.ask(r, func(id master.RequestID) master.Input {
		return master.SchedulerCall{
			Request: id, Peer: master.Peer{StreamID: r.Header.Get(httpd.StreamID)}, Principal: principal(r),
			Call: call, Constraints: compiled,
		}
	})
	switch {
	case err != nil:
		httpd.Refuse(w, err)
	case call.GetType() == schedulerpb.Call_UPDATE_FRAMEWORK:
		httpd.Empty(w, http.StatusOK)
	default:
		httpd.Empty(w, http.StatusAccepted)
	}
}

// subscribe opens a framework's event stream. The answer's head goes out before
// the master decides: a refusal is an event.
func (s *Server) subscribe(w http.ResponseWriter, r *http.Request, call *schedulerpb.Call_Subscribe) {
	accept, err := httpd.Accept(r)
	if err == nil && r.Header.Get(httpd.StreamID) != "" {
		err = refusal.Invalidf("Subscribe calls should not include the '%s' header", httpd.StreamID)
	}
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	compiled := s.cfg.Master.Compile(call.OfferConstraints)
	peer := master.Peer{StreamID: httpd.NewStreamID()}
	stream, err := httpd.OpenStream(w, httpd.StreamOptions{
		ContentType: accept, ID: peer.StreamID,
		Closed: func(error) { s.closed(&peer) },
	})
	if err != nil {
		s.log.Debug("cannot open a framework's stream", attrErr(err))
		return
	}
	peer.Conn = s.streams.add(stream)
	s.tell(master.Subscribe{Peer: peer, Principal: principal(r), Call: call, Constraints: compiled})
	if err := stream.Run(); err != nil {
		s.log.Debug("a framework's stream ended", attrErr(err))
	}
}

func (s *Server) closed(peer *master.Peer) {
	s.streams.remove(peer.Conn)
	s.tell(master.PeerClosed{Conn: peer.Conn})
}

// ask hands an input to the core and waits for its reply.
func (s *Server) ask(r *http.Request, input func(master.RequestID) master.Input) (master.Reply, error) {
	id, answer := s.requests.Ask()
	defer s.requests.Forget(id)
	if err := s.inbox.Put(r.Context(), item{input: input(id)}); err != nil {
		return master.Reply{}, refusal.Unavailablef("The master is stopping")
	}
	select {
	case reply := <-answer:
		if reply.Err != nil {
			return reply, reply.Err
		}
		return reply, nil
	case <-r.Context().Done():
		return master.Reply{}, refusal.Unavailablef("The client has gone")
	case <-s.stopped:
		return master.Reply{}, refusal.Unavailablef("The master is stopping")
	}
}
