package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// A session is one session with ZooKeeper: what it created goes when it ends,
// and it is not taken up again.
type session struct {
	*zk.Conn
	over chan struct{} // closed when the session is over, as far as can be known here

	end    func() // closes over, once
	silent *time.Timer
	cut    func(bool) // told whether the connection is cut
	forget func() bool
}

// begin starts a session, which ends with ctx. It does not wait for a server.
func (e *Elector) begin(ctx context.Context) (*session, error) {
	s := &session{over: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.over) })
	// A server that is not heard of may have given the session up, which only
	// it could tell. The client waits two thirds of the timeout for an answer
	// before it takes the connection for cut.
	s.silent = time.AfterFunc(time.Hour, s.end)
	s.silent.Stop()
	s.cut = s.watch(2 * e.cfg.SessionTimeout / 3)
	conn, _, err := zk.Connect(e.cfg.URL.Addresses, e.cfg.SessionTimeout,
		zk.WithLogger(printer{e.cfg.Log}), zk.WithLogInfo(false), zk.WithEventCallback(s.event), zk.WithMaxBufferSize(answerLimit))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", e.cfg.URL, err)
	}
	s.Conn = conn
	s.forget = context.AfterFunc(ctx, conn.Close)
	if who := auth(e.cfg.URL); who != "" {
		if err := conn.AddAuth("digest", []byte(who)); err != nil {
			s.close()
			return nil, fmt.Errorf("log in to %s: %w", e.cfg.URL, err)
		}
	}
	return s, nil
}

// answerLimit bounds an answer of the server, in bytes: children of a path by
// the ten thousand.
const answerLimit = 4 << 20

// watch returns what starts the timer when the connection is cut and stops it
// when it is back.
func (s *session) watch(patience time.Duration) func(bool) {
	var mu sync.Mutex
	was := false
	return func(cut bool) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case cut && !was:
			s.silent.Reset(patience)
		case !cut:
			s.silent.Stop()
		}
		was = cut
	}
}

// event is called by the client.
func (s *session) event(e zk.Event) {
	if e.Type != zk.EventSession {
		return
	}
	switch e.State {
	case zk.StateHasSession:
		s.cut(false)
	case zk.StateDisconnected:
		s.cut(true)
	case zk.StateExpired:
		s.end()
	default: // on the way to one of these
	}
}

// close ends the session: what it created is gone when close returns, if a
// server can be reached.
func (s *session) close() {
	s.end()
	s.silent.Stop()
	s.forget()
	s.Close()
}

// passing says whether an error may be gone in a new session.
func passing(err error) bool {
	for _, e := range []error{
		zk.ErrConnectionClosed, zk.ErrNoServer, zk.ErrSessionExpired, zk.ErrSessionMoved, zk.ErrClosing, zk.ErrNoNode, errOver,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

var errOver = errors.New("the session with ZooKeeper is over")

// explain adds the way out to an error of the server's.
func (e *Elector) explain(doing string, err error) error {
	switch {
	case errors.Is(err, zk.ErrNoAuth):
		return fmt.Errorf("%s at %s: %w: the path belongs to others; give the user and password that made it, as zk://user:password@…, or use another path", doing, e.cfg.URL, err)
	case err != nil:
		return fmt.Errorf("%s at %s: %w", doing, e.cfg.URL, err)
	}
	return nil
}

// printer logs what the client prints.
type printer struct{ log *slog.Logger }

// Printf logs one line.
func (p printer) Printf(format string, args ...any) {
	p.log.Debug("zookeeper client", slog.String("line", fmt.Sprintf(format, args...)))
}
