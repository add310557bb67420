package libprocess

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	readSize  = 16 << 10 // bytes read at once
	outSize   = 16 << 10 // bytes of answers that are held back at most
	slowest   = 64 << 10 // bytes a second that a body must come at, at least
	lingering = 500 * time.Millisecond
)

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// A conn reads messages from one connection. While nothing comes it holds no
// buffer: most connections of a large cluster are links, and silent.
type conn struct {
	server *Server
	id     ConnID
	net    net.Conn
	parser parser

	buffer   *[readSize]byte // the parser's, nil while idle
	out      []byte          // answers not yet written
	timed    bool            // a read deadline is set
	started  time.Time       // of the request being read; zero between requests
	received int             // bytes of it, beyond what had been read ahead
	first    [1]byte
}

// serve reads messages until the connection ends or turns out to speak plain
// HTTP.
func (c *conn) serve() {
	c.parser.src, c.parser.maxBody = c, c.server.options.MaxBody
	err := c.messages()
	defer c.server.untrack(c.net) // until then Close closes it
	if errors.Is(err, errPlainHTTP) {
		_ = c.net.SetDeadline(time.Time{})
		rest := append([]byte(nil), c.parser.buf[c.parser.r:c.parser.w]...)
		c.recycle()
		c.server.http.give(&plainConn{Conn: c.net, rest: rest, release: c.server.release}, c.server)
		return
	}
	if m, ok := errors.AsType[*malformed](err); ok {
		c.server.malformed.Add(1)
		c.answer(m.status, m.text)
		_ = c.flush()
		c.linger()
	}
	c.server.options.Logger.Debug("connection ended",
		slog.String("peer", c.net.RemoteAddr().String()), slog.Any("error", err))
	c.recycle()
	c.server.release(c.net)
}

var errPlainHTTP = errors.New("plain HTTP")

// messages handles requests while they are messages.
func (c *conn) messages() error {
	for {
		if err := c.idle(); err != nil {
			return err
		}
		h, err := c.parser.head()
		switch {
		case err != nil:
			return err
		case h.from == "":
			if err := c.flush(); err != nil {
				return err
			}
			return errPlainHTTP
		}
		if err := c.message(h); err != nil {
			return err
		}
		if h.close {
			return errors.Join(c.flush(), io.EOF)
		}
	}
}

func (c *conn) message(h head) error {
	if h.method != http.MethodPost {
		return bad("Expecting a message to be a POST")
	}
	route, err := c.parser.route(h.target)
	if err != nil {
		return err
	}
	from, err := c.parser.sender(h.from)
	if err != nil {
		return err
	}
	body, err := c.parser.body(h)
	if err != nil {
		return err
	}
	c.started = time.Time{}
	c.answer(c.server.deliver(route, from, c.id, c.net.RemoteAddr(), body))
	if len(c.out) >= outSize {
		return c.flush()
	}
	return nil
}

// idle waits for the first byte of a request, for as long as it takes, unless
// it has been read ahead.
func (c *conn) idle() error {
	if !c.parser.empty() {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	c.recycle()
	if c.timed {
		c.timed = false
		if err := c.net.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
	if _, err := c.net.Read(c.first[:]); err != nil {
		return err
	}
	c.buffer = readBuffers.Get().(*[readSize]byte)
	c.parser.buf, c.parser.r, c.parser.w = c.buffer[:], 0, copy(c.buffer[:], c.first[:])
	return nil
}

// recycle gives the parser's buffer back.
func (c *conn) recycle() {
	if c.buffer != nil {
		readBuffers.Put(c.buffer)
	}
	c.buffer, c.parser.buf, c.parser.r, c.parser.w = nil, nil, 0, 0
}

// Read reads the rest of a request that has begun, in time. It first writes
// the answers that are due, since the peer may wait for them.
func (c *conn) Read(b []byte) (int, error) {
	if err := c.flush(); err != nil {
		return 0, err
	}
	if c.started.IsZero() {
		c.started, c.received = time.Now(), 0
	}
	earned := time.Duration(c.received) * time.Second / slowest
	if err := c.net.SetReadDeadline(c.started.Add(c.server.options.Timeout + earned)); err != nil {
		return 0, err
	}
	c.timed = true
	n, err := c.net.Read(b)
	c.received += n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &malformed{http.StatusRequestTimeout, "Request took too long"}
	}
	return n, err
}

// answer adds an answer to those that are due.
func (c *conn) answer(status int, text string) {
	c.out = append(c.out, "HTTP/1.1 "...)
	c.out = strconv.AppendInt(c.out, int64(status), 10)
	c.out = append(c.out, ' ')
	c.out = append(c.out, http.StatusText(status)...)
	c.out = append(c.out, "\r\nDate: "...)
	c.out = time.Now().UTC().AppendFormat(c.out, http.TimeFormat)
	if text != "" {
		c.out = append(c.out, "\r\nContent-Type: text/plain; charset=utf-8"...)
	}
	c.out = append(c.out, "\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(text)), 10)
	c.out = append(c.out, "\r\n\r\n"...)
	c.out = append(c.out, text...)
}

// flush writes the answers that are due.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	if err := c.net.SetWriteDeadline(time.Now().Add(c.server.options.Timeout)); err != nil {
		return err
	}
	_, err := c.net.Write(c.out)
	c.out = c.out[:0]
	if cap(c.out) > 1<<10 { // an idle connection keeps little
		c.out = nil
	}
	return err
}

// linger lets the peer read our last answer: closing while it still sends
// would destroy it.
func (c *conn) linger() {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.net.SetReadDeadline(time.Now().Add(lingering))
		_, _ = io.CopyN(io.Discard, c.net, 1<<20)
	}
}
