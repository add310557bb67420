package fakenet

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes are under way in one direction before writes block.
const window = 64 << 10

// A Conn is one end of a connection.
type Conn struct {
	local  netip.AddrPort
	peer   *Conn
	in     *stream // what the peer wrote
	out    *stream
	once   sync.Once
	closed func() // nil, or called once when either end is closed
}

func pipe(client, server netip.AddrPort) (*Conn, *Conn) {
	up, down := newStream(), newStream()
	c := &Conn{local: client, in: down, out: up}
	s := &Conn{local: server, in: up, out: down, peer: c}
	c.peer = s
	return c, s
}

// Read reads what the peer has written.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

// Write writes all of p, waiting for the peer to read when much is under way.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

// Close closes both directions; the peer reads what is under way, then EOF,
// and its writes fail.
func (c *Conn) Close() error {
	c.out.closeWrite()
	c.out.fail(&c.out.writeErr, net.ErrClosed)
	c.in.fail(&c.in.readErr, net.ErrClosed)
	c.in.fail(&c.in.writeErr, os.NewSyscallError("write", syscall.EPIPE))
	c.release()
	return nil
}

// CloseWrite closes this end's direction only.
func (c *Conn) CloseWrite() error {
	c.out.closeWrite()
	c.out.fail(&c.out.writeErr, os.NewSyscallError("write", syscall.EPIPE))
	return nil
}

// reset breaks the connection on both ends; what is under way is lost.
func (c *Conn) reset() {
	err := os.NewSyscallError("read", syscall.ECONNRESET)
	for _, s := range []*stream{c.in, c.out} {
		s.fail(&s.readErr, err)
		s.fail(&s.writeErr, err)
	}
	c.release()
}

func (c *Conn) release() {
	for _, end := range []*Conn{c, c.peer} {
		if end.closed != nil {
			end.once.Do(end.closed)
		}
	}
}

// LocalAddr returns this end's address.
func (c *Conn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.local) }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer.local) }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

// SetReadDeadline sets when reads give up; zero is never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.in.setDeadline(&c.in.readBy, t)
	return nil
}

// SetWriteDeadline sets when writes give up; zero is never.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.out.setDeadline(&c.out.writeBy, t)
	return nil
}

func (c *Conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // readers compare io.EOF bare
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// A stream is one direction of a connection.
type stream struct {
	mu                sync.Mutex
	changed           *sync.Cond
	data              []byte
	ended             bool  // no more will be written
	readErr, writeErr error // why an end cannot be used any more
	readBy, writeBy   deadline
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newStream() *stream {
	s := &stream{}
	s.changed = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readErr != nil:
			return 0, s.readErr
		case s.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = append(s.data[:0], s.data[n:]...)
			s.changed.Broadcast()
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.writeErr != nil:
			return n, s.writeErr
		case s.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case n == len(p):
			return n, nil
		}
		if room := min(window-len(s.data), len(p)-n); room > 0 {
			s.data = append(s.data, p[n:n+room]...)
			n += room
			s.changed.Broadcast()
			continue
		}
		s.changed.Wait()
	}
}

func (s *stream) closeWrite() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.changed.Broadcast()
}

// fail sets one of the stream's errors, unless it is set.
func (s *stream) fail(which *error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *which == nil {
		*which = err
	}
	s.changed.Broadcast()
}

func (s *stream) setDeadline(d *deadline, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = at
	if wait := time.Until(at); !at.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.changed.Broadcast()
		})
	}
	s.changed.Broadcast()
}
