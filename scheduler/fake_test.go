package scheduler_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
	"github.com/meseta-project/meseta/scheduler"
)

// master is a fake one: it accepts every subscription and every call.
type master struct {
	subscribed chan *subscription
	calls      chan *schedulerpb.Call                            // but SUBSCRIBE
	answer     func(w http.ResponseWriter, r *http.Request) bool // says that it has answered by itself
	count      atomic.Int64
}

func newMaster() *master {
	return &master{subscribed: make(chan *subscription, 100), calls: make(chan *schedulerpb.Call, 1000)}
}

// subscription is a stream held open.
type subscription struct {
	call   *schedulerpb.Call
	id     string
	events chan *schedulerpb.Event // closed to end the stream
	ended  chan struct{}           // closed when the framework has gone, or the stream ended
}

func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.answer != nil && m.answer(w, r) {
		return
	}
	if r.URL.Path == "/redirect" {
		w.Header().Set("Location", "//"+r.Host)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	body, err := io.ReadAll(r.Body)
	call := &schedulerpb.Call{}
	if err == nil {
		err = wire.Decode(r.Header.Get("Content-Type"), body, call)
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case call.GetType() == schedulerpb.Call_SUBSCRIBE:
		m.stream(w, r, call)
	case r.Header.Get("Mesos-Stream-Id") != fmt.Sprint("stream-", m.count.Load()):
		http.Error(w, "stale stream id", http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusAccepted)
		m.calls <- call
	}
}

func (m *master) stream(w http.ResponseWriter, r *http.Request, call *schedulerpb.Call) {
	s := &subscription{
		call: call, id: fmt.Sprint("stream-", m.count.Add(1)),
		events: make(chan *schedulerpb.Event, 100), ended: make(chan struct{}),
	}
	defer close(s.ended)
	media := r.Header.Get("Accept")
	w.Header().Set("Mesos-Stream-Id", s.id)
	w.Header().Set("Content-Type", media)
	m.subscribed <- s
	for {
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case event, open := <-s.events:
			if !open {
				return
			}
			body, err := wire.Encode(media, event)
			if err != nil {
				panic(err)
			}
			if err := recordio.NewWriter(w).WriteRecord(body); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

// welcome sends SUBSCRIBED, with Mesos's heartbeat of 15 s.
func (s *subscription) welcome() {
	s.events <- &schedulerpb.Event{
		Type: schedulerpb.Event_SUBSCRIBED.Enum(),
		Subscribed: &schedulerpb.Event_Subscribed{
			FrameworkId: &mesos.FrameworkID{Value: new("F")}, HeartbeatIntervalSeconds: proto.Float64(15),
		},
	}
}

func (s *subscription) send(kind schedulerpb.Event_Type) {
	s.events <- &schedulerpb.Event{Type: kind.Enum()}
}

func (s *subscription) update(task, uuid string) {
	s.events <- &schedulerpb.Event{Type: schedulerpb.Event_UPDATE.Enum(), Update: &schedulerpb.Event_Update{
		Status: &mesos.TaskStatus{
			TaskId: &mesos.TaskID{Value: new(task)}, State: mesos.TaskState_TASK_RUNNING.Enum(),
			AgentId: &mesos.AgentID{Value: new("S0")}, Uuid: []byte(uuid),
		},
	}}
}

// network is where fake masters listen.
type network struct {
	fakenet.Network
	t         *testing.T
	transport *http.Transport
}

func newNetwork(t *testing.T) *network {
	n := &network{t: t}
	n.transport = &http.Transport{DialContext: n.DialContext, MaxIdleConnsPerHost: 10}
	t.Cleanup(n.transport.CloseIdleConnections)
	return n
}

// serve lets h answer at address until the returned function is called or the
// test ends.
func (n *network) serve(address string, h http.Handler) (stop func()) {
	n.t.Helper()
	listener, err := n.Listen(address)
	if err != nil {
		n.t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go server.Serve(listener)
	n.t.Cleanup(func() { server.Close() })
	return func() { server.Close() }
}

func (n *network) config(masters ...string) scheduler.Config {
	return scheduler.Config{
		Masters: masters, Transport: n.transport,
		Framework: &mesos.FrameworkInfo{User: new("u"), Name: new("test")},
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
