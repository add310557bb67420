package libprocess

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/meseta-project/meseta/internal/ids"
)

// A handover is the listener of the connections that speak plain HTTP.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	server <-chan struct{} // closed when the server is
	done   chan struct{}   // closed when the listener is
	once   sync.Once
}

// give has the HTTP server take the connection, or closes it when there is
// none any more.
func (h *handover) give(c *plainConn, s *Server) {
	select {
	case h.conns <- c:
	case <-h.server:
		s.release(c.Conn)
	case <-h.done:
		s.release(c.Conn)
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.server:
	case <-h.done:
	}
	return nil, &net.OpError{Op: "accept", Net: h.addr.Network(), Addr: h.addr, Err: net.ErrClosed}
}

func (h *handover) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *handover) Addr() net.Addr { return h.addr }

// A plainConn is a connection from which something has been read already.
type plainConn struct {
	net.Conn
	rest    []byte
	release func(net.Conn)
	once    sync.Once
}

func (c *plainConn) Read(b []byte) (int, error) {
	if len(c.rest) > 0 {
		n := copy(b, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

func (c *plainConn) Close() error {
	c.once.Do(func() { c.release(c.Conn) })
	return nil
}

func (c *plainConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Messages returns a handler that delivers requests that are messages and has
// next answer the others: a client that sends both on one connection, as Go's
// and Java's do, may have begun it with a plain request.
func (s *Server) Messages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := announced(r.Header)
		if from == "" {
			next.ServeHTTP(w, r)
			return
		}
		status, text := s.receive(w, r, from)
		if text != "" {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	})
}

func announced(h http.Header) string {
	if from := strings.TrimSpace(h.Get("Libprocess-From")); from != "" {
		return from
	}
	from, _ := strings.CutPrefix(h.Get("User-Agent"), "libprocess/")
	if from == h.Get("User-Agent") {
		return ""
	}
	return from
}

func (s *Server) receive(w http.ResponseWriter, r *http.Request, announced string) (int, string) {
	if r.Method != http.MethodPost {
		return http.StatusBadRequest, "Expecting a message to be a POST"
	}
	from, err := ids.ParseUPID(announced)
	if err != nil {
		return http.StatusBadRequest, "Failed to determine sender from request headers: " + err.Error()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.options.MaxBody)))
	if err != nil {
		return http.StatusBadRequest, "Failed to read the message: " + err.Error()
	}
	process, message, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return s.deliver(route{process, message}, from, 0, peerOf(r), body)
}

func peerOf(r *http.Request) net.Addr {
	addr, err := net.ResolveTCPAddr("tcp", r.RemoteAddr)
	if err != nil {
		return &net.TCPAddr{}
	}
	return addr
}
