package masterd

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// Who looks for the leader may ask a standby to answer only when another one
// leads than the one he knows. Mesos knows no such question, and ignores the
// headers:
//
//	Prefer: wait=60                 how many seconds the answer may take
//	If-None-Match: "//host:5050"    where the leader is that is known
//
// The answer has "Preference-Applied: wait". A leader that hangs is so found out
// as soon as another one leads, though nobody asks again and again.
const (
	longestWait = time.Minute
	maxWaiters  = 20_000 // one for each agent of a large cluster
)

// leadership is who leads, for readers who may wait for it to change. The zero
// value is nobody. It is safe for concurrent use.
type leadership struct {
	leader  atomic.Pointer[mesos.MasterInfo]
	waiters atomic.Int64

	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil: nobody waits
}

// Load returns who leads; nil is nobody.
func (l *leadership) Load() *mesos.MasterInfo { return l.leader.Load() }

// Store notes who leads.
func (l *leadership) Store(leader *mesos.MasterInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader.Store(leader)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// change returns a channel that is closed when what Load returns from now on may
// have changed.
func (l *leadership) change() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// hold returns when r may be answered: when somebody leads whom the caller does
// not know, or the time that he gives is over. That this master itself leads is
// told at once: it is not the one to say that it hangs.
func (s *Server) hold(w http.ResponseWriter, r *http.Request) {
	wait := preferred(r)
	if wait <= 0 {
		return
	}
	defer s.leader.waiters.Add(-1)
	if s.leader.waiters.Add(1) > maxWaiters {
		return
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	known := strings.Trim(r.Header.Get("If-None-Match"), `"`)
	for {
		changed := s.leader.change()
		if leader := s.leader.Load(); leader != nil && (leader.GetId() == s.cfg.Info.GetId() || location(leader) != known) {
			return
		}
		w.Header().Set("Preference-Applied", "wait")
		select {
		case <-changed:
		case <-over.C:
			return
		case <-s.stopped:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// preferred returns how long a caller likes to wait for an answer.
func preferred(r *http.Request) time.Duration {
	text, _ := strings.CutPrefix(r.Header.Get("Prefer"), "wait=")
	seconds, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, longestWait)
}
