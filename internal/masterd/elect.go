package masterd

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/httpd"
)

// An Elector decides which of several masters leads.
// internal/masterd/electtest holds what every implementation must do.
type Elector interface {
	// Contend stands for election with what the master tells of itself and
	// returns when it leads. An error is final: ctx is done, or the election is
	// not for this master. lost is closed when leadership has ended, be it that
	// ctx is done; another may then lead.
	Contend(ctx context.Context, info *mesos.MasterInfo) (lost <-chan struct{}, err error)
	// Detect yields who leads, each time that changes, until ctx is done; nil
	// is nobody, which is also so before the first.
	Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo]
}

var errLost = errors.New("lost leadership: start this master again, and it stands by for the new leader")

// elected returns when this master is. Until then it is a standby, whose core
// is empty.
func (s *Server) elected(ctx context.Context) (lost <-chan struct{}, err error) {
	standby, stop := context.WithCancel(ctx)
	var contending sync.WaitGroup
	contending.Go(func() {
		defer stop()
		lost, err = s.cfg.Elector.Contend(ctx, s.cfg.Info)
	})
	s.standBy(standby)
	contending.Wait()
	if err != nil {
		return nil, fmt.Errorf("stand for election: %w", err)
	}
	s.log.Info("elected")
	return lost, nil
}

// standBy shows readers the core, until ctx is done.
func (s *Server) standBy(ctx context.Context) {
	for {
		batch, err := s.inbox.Take(ctx, time.Time{})
		if err != nil {
			return
		}
		var readers []*reader
		for _, it := range batch {
			if it.reader != nil {
				readers = append(readers, it.reader)
			}
		}
		if len(readers) > 0 {
			s.show(readers)
		}
	}
}

// followLeader keeps in mind who leads.
func (s *Server) followLeader(ctx context.Context) {
	for leader := range s.cfg.Elector.Detect(ctx) {
		s.log.Info("leader detected", attr("leader", leader.GetPid()))
		if s.wasMe(leader) {
			leader = nil
		}
		s.leader.Store(leader)
	}
}

// wasMe says whether a leader is an earlier life of this master, of which the
// election has yet to learn that it is over. Nobody leads then: who is sent to
// that address finds a standby.
func (s *Server) wasMe(leader *mesos.MasterInfo) bool {
	return leader != nil && leader.GetPid() == s.cfg.Info.GetPid() && leader.GetId() != s.cfg.Info.GetId()
}

// isReady says whether this master leads and has read the registry.
func (s *Server) isReady() bool {
	select {
	case <-s.leads:
		return true
	default:
		return false
	}
}

// served are the paths of process "master" that a standby answers itself.
var served = map[string]bool{"": true, "health": true, "flags": true, "version": true, "redirect": true}

// led has the leader answer what is the leader's: a standby redirects there,
// whatever is asked, or answers 503 when it knows of no leader. A master that
// has just been elected lets callers wait until it has read the registry.
func (s *Server) led(e endpoint, h http.Handler) http.Handler {
	if e.process != "master" && e.process != "registrar(1)" || served[e.path] {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leader := s.leaderFor(r.Context())
		switch {
		case s.isReady():
			h.ServeHTTP(w, r)
		case r.Context().Err() != nil: // nobody waits for an answer
		case leader == nil || leader.GetId() == s.cfg.Info.GetId():
			noLeader(w)
		default:
			redirect(w, leader, s.mux.Canonical(r.URL), r.URL.RawQuery)
		}
	})
}

// leaderFor returns who leads. If that is this master, and it is not ready, it
// waits until it is, or has ended, or another leads: the election may have in
// mind a session of this master's that is over, though it stands again.
func (s *Server) leaderFor(ctx context.Context) *mesos.MasterInfo {
	for {
		leader := s.leader.Load()
		if s.isReady() || leader.GetId() != s.cfg.Info.GetId() {
			return leader
		}
		select {
		case <-s.leads:
		case <-time.After(leaderAgain):
		case <-s.stopped:
			return leader
		case <-ctx.Done():
			return leader
		}
	}
}

// leaderAgain is how often who waits for this master to lead looks whether it is
// to lead still.
const leaderAgain = 100 * time.Millisecond

// serveRedirect is /redirect: to the leader, without a path. Nothing is below
// it, and a path with more slashes is kept, as Mesos does.
func (s *Server) serveRedirect(w http.ResponseWriter, r *http.Request) {
	path := s.mux.Canonical(r.URL)
	if path == "/master/redirect" {
		s.hold(w, r)
	}
	leader := s.leader.Load()
	switch {
	case leader == nil:
		noLeader(w)
	case path == "/master/redirect":
		redirect(w, leader, "", "")
	case strings.HasSuffix(path, "/redirect"):
		redirect(w, leader, path, r.URL.RawQuery)
	default:
		httpd.NotFound(w)
	}
}

// electedMetric is 1 for a master that leads and 0 for a standby.
func (s *Server) electedMetric() float64 {
	if s.isReady() {
		return 1
	}
	return 0
}

func noLeader(w http.ResponseWriter) {
	httpd.Text(w, http.StatusServiceUnavailable, "No leader elected")
}

// redirect answers 307, without a scheme, so that the caller's is kept.
func redirect(w http.ResponseWriter, leader *mesos.MasterInfo, path, query string) {
	to := location(leader) + path
	if query != "" {
		to += "?" + query
	}
	w.Header()["Location"] = []string{to} // as it is, not cleaned
	httpd.Empty(w, http.StatusTemporaryRedirect)
}

// location is where clients find a master: under the name that it advertises.
func location(m *mesos.MasterInfo) string {
	host, port := m.GetHostname(), m.GetAddress().GetPort()
	if host == "" {
		host = m.GetAddress().GetIp()
	}
	if m.GetAddress() == nil {
		port = int32(m.GetPort())
	}
	return httpd.HostLocation(host, int(port))
}
