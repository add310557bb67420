package agentd

import (
	"sync"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
)

// sink takes the events for one executor. Neither method blocks.
type sink interface {
	deliver(event *executorpb.Event)
	hangUp() // after what was delivered
}

// streams is where events for executors go, by connection. Safe for concurrent
// use.
type streams struct {
	mu   sync.Mutex
	last agent.ConnID
	open map[agent.ConnID]sink
}

func newStreams() *streams { return &streams{open: map[agent.ConnID]sink{}} }

func (s *streams) add(to sink) agent.ConnID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.open[s.last] = to
	return s.last
}

func (s *streams) remove(conn agent.ConnID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *streams) get(conn agent.ConnID) sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[conn]
}

// closeAll ends all streams: an HTTP server knows nothing of them.
func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, to := range s.open {
		to.hangUp()
	}
}
