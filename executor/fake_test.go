package executor_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/executor"
	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

const address = "10.0.0.1:5051"

// agent is a fake one: it accepts every subscription, and what calls it takes
// answer tells.
type agent struct {
	subscribed chan *subscription
	calls      chan *executorpb.Call                            // but SUBSCRIBE
	answer     func(http.ResponseWriter, *executorpb.Call) bool // says that it has answered by itself
}

func newAgent() *agent {
	return &agent{subscribed: make(chan *subscription, 100), calls: make(chan *executorpb.Call, 20_000)}
}

type subscription struct {
	call   *executorpb.Call_Subscribe
	events chan *executorpb.Event // closed to end the stream
}

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	call := &executorpb.Call{}
	if err == nil {
		err = wire.Decode(r.Header.Get("Content-Type"), body, call)
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case a.answer != nil && a.answer(w, call):
	case call.GetType() == executorpb.Call_SUBSCRIBE:
		a.stream(w, r, call.GetSubscribe())
	default:
		w.WriteHeader(http.StatusAccepted)
		a.calls <- call
	}
}

func (a *agent) stream(w http.ResponseWriter, r *http.Request, call *executorpb.Call_Subscribe) {
	s := &subscription{call: call, events: make(chan *executorpb.Event, 100)}
	media := r.Header.Get("Accept")
	w.Header().Set("Content-Type", media)
	a.subscribed <- s
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

func (s *subscription) welcome() {
	s.events <- &executorpb.Event{Type: executorpb.Event_SUBSCRIBED.Enum(), Subscribed: &executorpb.Event_Subscribed{
		ExecutorInfo:  &mesos.ExecutorInfo{ExecutorId: &mesos.ExecutorID{Value: new("E")}},
		FrameworkInfo: &mesos.FrameworkInfo{User: new("u"), Name: new("n")},
		AgentInfo:     &mesos.AgentInfo{Hostname: new("h")},
	}}
}

func (s *subscription) launch(id string) {
	s.events <- &executorpb.Event{
		Type:   executorpb.Event_LAUNCH.Enum(),
		Launch: &executorpb.Event_Launch{Task: task(id)},
	}
}

func (s *subscription) acknowledge(status *mesos.TaskStatus) {
	s.events <- &executorpb.Event{
		Type:         executorpb.Event_ACKNOWLEDGED.Enum(),
		Acknowledged: &executorpb.Event_Acknowledged{TaskId: status.GetTaskId(), Uuid: status.GetUuid()},
	}
}

func task(id string) *mesos.TaskInfo {
	return &mesos.TaskInfo{
		Name: new(id), TaskId: &mesos.TaskID{Value: new(id)}, AgentId: &mesos.AgentID{Value: new("S0")},
	}
}

func status(id string, state mesos.TaskState) *mesos.TaskStatus {
	return &mesos.TaskStatus{TaskId: &mesos.TaskID{Value: new(id)}, State: state.Enum()}
}

// network is where the fake agent listens.
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

// serve lets h answer until the returned function is called or the test ends.
func (n *network) serve(h http.Handler) (stop func()) {
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

// start runs an executor that only reports its events.
func (n *network) start(cfg executor.Config) (*executor.Client, <-chan *executorpb.Event, <-chan error) {
	n.t.Helper()
	cfg.Agent, cfg.FrameworkID, cfg.ExecutorID, cfg.Transport = address, "F", "E", n.transport
	cfg.RecoveryTimeout = 10 * time.Minute
	c, err := executor.New(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	events, ended := make(chan *executorpb.Event, 1000), make(chan error, 1)
	go func() {
		for event, err := range c.Events(n.t.Context()) {
			if err != nil {
				ended <- err
				return
			}
			events <- event
		}
		ended <- nil
	}()
	return c, events, ended
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
