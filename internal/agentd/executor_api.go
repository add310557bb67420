package agentd

import (
	"net/http"
	"sync"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/internal/wire"
)

// callLimit is the largest body of a call, in bytes.
const callLimit = 16 << 20

// serveExecutor is POST /api/v1/executor.
func (s *Server) serveExecutor(w http.ResponseWriter, r *http.Request) error {
	call := new(executorpb.Call)
	if err := httpd.ReadCall(w, r, callLimit, call); err != nil {
		return err
	}
	if err := httpd.Validated("Executor::Call", validate.ExecutorCall(call)); err != nil {
		return err
	}
	if call.GetType() == executorpb.Call_SUBSCRIBE {
		s.subscribeExecutor(w, r, call)
		return nil
	}
	if err := s.call(r, call); err != nil {
		return err
	}
	httpd.Empty(w, http.StatusAccepted)
	return nil
}

// call hands a call to the core and waits for what it says.
func (s *Server) call(r *http.Request, call *executorpb.Call) error {
	id, answer := s.requests.Ask()
	if err := s.inbox.Put(r.Context(), item{input: agent.ExecutorCall{Request: id, By: executorCaller(r), Call: call}}); err != nil {
		s.requests.Answer(id, err)
	}
	select {
	case err := <-answer:
		return err
	case <-s.stopped:
		return refusal.Unavailablef("The agent is stopping")
	}
}

// subscribeExecutor opens an executor's event stream. Whether there is one is
// the core's to say: its first word on the connection decides the answer.
func (s *Server) subscribeExecutor(w http.ResponseWriter, r *http.Request, call *executorpb.Call) {
	accept, err := httpd.Accept(r)
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	e := &executorStream{}
	conn := s.streams.add(e)
	defer s.streams.remove(conn)
	id, answer := s.requests.Ask()
	if err := s.inbox.Put(r.Context(), item{input: agent.ExecutorSubscribe{Request: id, Conn: conn, By: executorCaller(r), Call: call}}); err != nil {
		s.requests.Answer(id, err)
	}
	select {
	case err = <-answer:
	case <-s.stopped:
		err = refusal.Unavailablef("The agent is stopping")
	}
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	stream, err := httpd.OpenStream(w, httpd.StreamOptions{
		ContentType: accept,
		Closed:      func(error) { s.tell(agent.ExecutorClosed{Conn: conn}) },
	})
	if err != nil {
		s.tell(agent.ExecutorClosed{Conn: conn})
		return
	}
	e.opened(stream)
	if err := stream.Run(); err != nil {
		s.log.Debug("executor stream ended", attrErr(err))
	}
}

func executorRecord(event *executorpb.Event) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) { return wire.Encode(contentType, event) })
}

// executorStream is the sink of an HTTP executor. Events may come before the
// answer's head is out: they wait for it.
type executorStream struct {
	mu     sync.Mutex
	stream *httpd.Stream
	early  []*httpd.Record
	ended  bool
}

// deliver implements sink.
func (e *executorStream) deliver(m agent.ToExecutor) {
	record := executorRecord(m.Event)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stream == nil {
		e.early = append(e.early, record) // few: the tasks that waited for this executor
		return
	}
	e.stream.Send(record)
}

// hangUp implements sink.
func (e *executorStream) hangUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if e.stream != nil {
		e.stream.Close()
	}
}

func (e *executorStream) opened(stream *httpd.Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stream = stream
	for _, record := range e.early {
		stream.Send(record)
	}
	e.early = nil
	if e.ended {
		stream.Close()
	}
}
