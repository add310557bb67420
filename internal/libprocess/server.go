package libprocess

import (
	"cmp"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// A Handler takes a message to one of our processes. The body is valid only
// during the call. A connection's messages are handled one after the other, in
// order, so a handler that blocks holds back that sender and nobody else.
type Handler func(to string, from ids.UPID, over ConnID, message string, body []byte)

// A ConnID numbers the connections of a server as they were accepted, from 1 on. 0
// stands for one that speaks plain HTTP, which several senders may share.
type ConnID uint64

// Options are the limits of a [Server]; zero values stand for the defaults.
type Options struct {
	// MaxConns is how many connections may be open, plain HTTP included;
	// what is beyond is closed at once. Default 200,000.
	MaxConns int
	// MaxBody is the largest message, in bytes. Default 64 MiB.
	MaxBody int
	// Timeout is how long the head of a request may take once its first byte
	// is there, and a body that makes no headway of 64 KiB a second beyond
	// that, and the peer to take our answers. Between requests a connection
	// may be silent for ever: it may be a link. Default 10 s.
	Timeout time.Duration
	// MatchPeerAddress refuses messages whose UPID has another IP address than
	// the peer: --require_peer_address_ip_match of Mesos.
	MatchPeerAddress bool
	// Logger is told, at debug level, why connections end. Default: nobody.
	Logger *slog.Logger
}

// Stats count what a [Server] has done.
type Stats struct {
	Conns         int64 // open now
	ConnsRefused  int64 // beyond MaxConns
	Received      int64 // messages handed to a handler
	UnknownTarget int64 // messages to a process that is not there
	Malformed     int64 // requests that broke the protocol
}

// A Server receives messages on a listener that it shares with plain HTTP. All
// its methods are safe for use by several goroutines.
type Server struct {
	listener net.Listener
	options  Options
	handlers sync.Map // process name → Handler
	http     handover
	done     chan struct{}
	running  sync.WaitGroup
	accepted ConnID // the latest; Serve's own

	mu    sync.Mutex
	conns map[net.Conn]struct{} // those that we read from

	open, refused, received, unknown, malformed atomic.Int64
}

// NewServer returns a server of l, which it closes in the end. [Server.Serve]
// makes it run.
func NewServer(l net.Listener, o Options) *Server {
	o.MaxConns = cmp.Or(o.MaxConns, 200_000)
	o.MaxBody = cmp.Or(o.MaxBody, 64<<20)
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{listener: l, options: o, done: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	s.http = handover{addr: l.Addr(), conns: make(chan net.Conn), server: s.done, done: make(chan struct{})}
	return s
}

// Handle has h take the messages to a process, such as "master" or "slave(1)".
// "slave-observer(*)" stands for slave-observer with any number. An earlier
// handler of the same name is replaced.
func (s *Server) Handle(process string, h Handler) { s.handlers.Store(process, h) }

// Remove ends the handling of a process; messages to it are answered 404.
func (s *Server) Remove(process string) { s.handlers.Delete(process) }

func (s *Server) handler(process string) Handler {
	if h, ok := s.handlers.Load(process); ok {
		return h.(Handler)
	}
	if kind, _, ok := strings.Cut(process, "("); ok {
		if h, ok := s.handlers.Load(kind + "(*)"); ok {
			return h.(Handler)
		}
	}
	return nil
}

// HTTP returns the listener of the connections that speak plain HTTP. Wrap the
// handler of its server in [Server.Messages].
func (s *Server) HTTP() net.Listener { return &s.http }

// Serve accepts connections until [Server.Close], and then returns
// net.ErrClosed.
func (s *Server) Serve() error {
	for wait := time.Duration(0); ; {
		nc, err := s.listener.Accept()
		switch {
		case err == nil:
			wait = 0
			s.admit(nc)
		case s.closing() || errors.Is(err, net.ErrClosed):
			return net.ErrClosed
		default: // out of file descriptors, most likely: that passes
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.options.Logger.Warn("cannot accept a connection", slog.Any("error", err), slog.Duration("retry_in", wait))
			select {
			case <-time.After(wait):
			case <-s.done:
			}
		}
	}
}

func (s *Server) admit(nc net.Conn) {
	if s.open.Add(1) > int64(s.options.MaxConns) {
		s.open.Add(-1)
		s.refused.Add(1)
		_ = nc.Close()
		return
	}
	if !s.track(nc) {
		s.release(nc)
		return
	}
	s.accepted++
	c := &conn{server: s, id: s.accepted, net: nc}
	go func() {
		defer s.running.Done()
		c.serve()
	}()
}

// track has Close close nc and wait for its goroutine, unless it is too late.
func (s *Server) track(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing() {
		return false
	}
	s.conns[nc] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *Server) untrack(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}

// release closes a connection that was counted.
func (s *Server) release(nc net.Conn) {
	_ = nc.Close()
	s.open.Add(-1)
}

func (s *Server) closing() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Close closes the listener and every connection that is not in the hands of
// the HTTP server, and returns when the last handler has. A handler that waits
// for something must be told to give up before.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing() {
		s.mu.Unlock()
		return nil
	}
	close(s.done)
	for nc := range s.conns {
		_ = nc.Close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	return err
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	return Stats{
		Conns:         s.open.Load(),
		ConnsRefused:  s.refused.Load(),
		Received:      s.received.Load(),
		UnknownTarget: s.unknown.Load(),
		Malformed:     s.malformed.Load(),
	}
}

// deliver hands a message over and returns the status that answers it.
func (s *Server) deliver(r route, from ids.UPID, over ConnID, remote net.Addr, body []byte) (int, string) {
	if s.options.MatchPeerAddress && !samePeer(from, remote) {
		s.malformed.Add(1)
		return http.StatusBadRequest, "UPID IP address validation failed: Message from " + string(from) + " was sent from IP " + remote.String()
	}
	h := s.handler(r.process)
	if h == nil {
		s.unknown.Add(1)
		return http.StatusNotFound, "404 Not Found."
	}
	s.received.Add(1)
	h(r.process, from, over, r.message, body)
	return http.StatusAccepted, ""
}

func samePeer(from ids.UPID, remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	return ok && tcp.AddrPort().Addr().Unmap() == from.AddrPort().Addr().Unmap()
}
