package masterd

import (
	"sync"
	"time"

	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// streams are the event streams of frameworks, by connection. The zero value is
// ready for use, by several goroutines.
type streams struct {
	mu   sync.Mutex
	last master.ConnID
	open map[master.ConnID]*httpd.Stream
}

func (s *streams) add(stream *httpd.Stream) master.ConnID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[master.ConnID]*httpd.Stream{}
	}
	s.last++
	s.open[s.last] = stream
	return s.last
}

func (s *streams) remove(conn master.ConnID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *streams) get(conn master.ConnID) *httpd.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[conn]
}

// deliver queues an event. Heartbeats follow SUBSCRIBED at once, as clients
// that watch for their absence expect.
func (s *streams) deliver(m master.ToFramework) {
	stream := s.get(m.Peer.Conn)
	if stream == nil {
		return
	}
	stream.Send(schedulerRecord(m.Event))
	if m.Event.GetType() == schedulerpb.Event_SUBSCRIBED {
		interval := time.Duration(m.Event.GetSubscribed().GetHeartbeatIntervalSeconds() * float64(time.Second))
		stream.Heartbeat(schedulerHeartbeat, interval, true)
	}
}

// hangUp ends a stream after what was delivered.
func (s *streams) hangUp(peer master.Peer) {
	if stream := s.get(peer.Conn); stream != nil {
		stream.Close()
	}
}

// closeAll ends all streams: an HTTP server knows nothing of them.
func (s *streams) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range s.open {
		stream.Close()
	}
}

func schedulerRecord(event *schedulerpb.Event) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) { return wire.Encode(contentType, event) })
}

var schedulerHeartbeat = schedulerRecord(&schedulerpb.Event{Type: schedulerpb.Event_HEARTBEAT.Enum()})
