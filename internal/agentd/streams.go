package agentd

import (
	"maps"
	"slices"
	"sync"

	"github.com/meseta-project/meseta/internal/agent"
)

// sink takes the events for one executor. Neither method blocks.
type sink interface {
	deliver(m agent.ToExecutor)
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

// at returns the drivers' connections to an address.
func (s *streams) at(address string) []agent.ConnID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var conns []agent.ConnID
	for conn, to := range s.open {
		if d, ok := to.(*driverSink); ok && d.to.Address() == address {
			conns = append(conns, conn)
		}
	}
	return conns
}

func (s *streams) get(conn agent.ConnID) sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[conn]
}

// closeAll ends all streams: an HTTP server knows nothing of them.
func (s *streams) closeAll() {
	s.mu.Lock()
	all := slices.Collect(maps.Values(s.open))
	s.mu.Unlock()
	for _, to := range all {
		to.hangUp()
	}
}
