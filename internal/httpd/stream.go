package httpd

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
)

var (
	// ErrSlow is why a stream ended whose client did not keep up.
	ErrSlow = errors.New("subscriber is too slow")
	// ErrClosed is why a stream ended that we closed.
	ErrClosed = errors.New("stream is closed")
)

// StreamOptions describe an event stream; zero values stand for the defaults.
type StreamOptions struct {
	ContentType string // of the answer: what was negotiated
	// MessageContentType is that of the records, where the answer's is
	// [wire.RecordIO]. Default: the answer's.
	MessageContentType string
	ID                 string // the Mesos-Stream-Id, "" for none
	// Queue is how many records wait for the client; one more ends the stream.
	// Default 4096.
	Queue int
	// Patience is how long the client may take nothing. Default 30 s.
	Patience time.Duration
	// Vanishes has the kernel notice, after the same time, that nobody is there to
	// acknowledge what was written; else that may take a quarter of an hour.
	Vanishes bool
	// Closed is told, once, that the stream has ended and why: ErrClosed,
	// ErrSlow, or what became of the connection. It is called on a goroutine
	// of the stream, after which nothing is written.
	Closed func(error)
}

// A Stream is an answer that goes on: records in RecordIO, each in an HTTP
// chunk of its own, as several clients need it. Records that have piled up
// leave in one write. All methods are safe for use by several goroutines, and
// none but Run blocks.
type Stream struct {
	options StreamOptions
	conn    net.Conn
	ready   chan struct{} // holds a token when there may be something to do
	lost    chan struct{} // closed when the client is gone

	mu        sync.Mutex
	room      *sync.Cond // of mu: there may be room in the queue, or no more use for it
	queue     []*Record
	heartbeat *Record
	every     time.Duration // between heartbeats, 0 for none
	last      bool          // nothing more is queued: end when all is written
	err       error         // why the stream has ended or shall end
}

// OpenStream takes the connection over and sends the answer's head. The
// handler must then call [Stream.Run], and return when it does; records may be
// sent at once. The request's body must have been read.
func OpenStream(w http.ResponseWriter, o StreamOptions) (*Stream, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("taking over the connection of a stream: %w", err)
	}
	o.Queue = cmp.Or(o.Queue, 4096)
	o.Patience = cmp.Or(o.Patience, patience)
	o.MessageContentType = cmp.Or(o.MessageContentType, o.ContentType)
	if o.Closed == nil {
		o.Closed = func(error) {}
	}
	s := &Stream{options: o, conn: conn, ready: make(chan struct{}, 1), lost: make(chan struct{})}
	s.room = sync.NewCond(&s.mu)
	if o.Vanishes {
		limitUnacknowledged(conn, o.Patience)
	}
	if err := s.write(s.head()); err != nil {
		_ = s.end(err) // Run tells of it
	}
	return s, nil
}

// head returns the answer's head. It promises no end of the connection, though
// that ends with the stream: Mesos's clients never saw one here.
func (s *Stream) head() []byte {
	b := []byte("HTTP/1.1 200 OK\r\nDate: ")
	b = time.Now().UTC().AppendFormat(b, http.TimeFormat)
	b = append(b, "\r\nTransfer-Encoding: chunked\r\n"...)
	if s.options.ID != "" {
		b = fmt.Appendf(b, "%s: %s\r\n", StreamID, s.options.ID)
	}
	b = fmt.Appendf(b, "Content-Type: %s\r\n", s.options.ContentType)
	if s.options.ContentType == wire.RecordIO {
		b = fmt.Appendf(b, "%s: %s\r\n", MessageContentType, s.options.MessageContentType)
	}
	return append(b, "\r\n"...)
}

// Send queues a record. It reports whether the stream takes records still; a
// stream whose queue is full ends.
func (s *Stream) Send(r *Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.enqueue(r)
}

// few is how many records wait for the client at most where [Stream.SendNext] is
// used alone.
const few = 4

// SendNext is Send for one who can wait: it blocks while the client has enough to
// take, so that the stream does not end for a client that is slow.
func (s *Stream) SendNext(r *Record) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil && !s.last && len(s.queue) >= few {
		s.room.Wait()
	}
	return s.enqueue(r)
}

// enqueue is Send with s.mu held.
func (s *Stream) enqueue(r *Record) bool {
	if s.err == nil && !s.last && len(s.queue) >= s.options.Queue {
		s.cut()
	}
	if s.err != nil || s.last {
		return false
	}
	s.queue = append(s.queue, r)
	s.signal()
	return true
}

// Cut ends the stream as one whose client does not keep up: without the end of the
// answer, so that the client knows that something is missing.
func (s *Stream) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.cut()
	}
}

// cut is Cut with s.mu held.
func (s *Stream) cut() {
	s.err, s.queue = ErrSlow, nil
	_ = s.conn.Close() // also ends a write that waits
	s.signal()
}

// Heartbeat sends r every interval from now on, whatever else is sent; at once
// too if now is set. A second call replaces the first.
func (s *Stream) Heartbeat(r *Record, interval time.Duration, now bool) {
	if now && !s.Send(r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heartbeat, s.every = r, max(interval, time.Millisecond)
	s.signal()
}

// Close ends the stream once what is queued has been written, in good order:
// the client sees the end of the answer. Nothing more can be sent.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = true
	s.signal()
}

func (s *Stream) signal() {
	s.room.Broadcast()
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end notes why the stream ends, unless it is known, and returns why.
func (s *Stream) end(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.queue = nil
	s.room.Broadcast()
	return s.err
}

// Run writes what is sent until the stream ends, and returns why.
func (s *Stream) Run() error {
	var watching sync.WaitGroup
	watching.Go(s.watch)
	err := s.run()
	_ = s.conn.Close()
	watching.Wait()
	s.options.Closed(err)
	return err
}

func (s *Stream) run() error {
	var beat *time.Ticker
	var beats <-chan time.Time
	var interval time.Duration
	for {
		batch, every, err := s.take()
		if err != nil {
			return err
		}
		switch {
		case every == interval:
		case beat == nil:
			interval, beat = every, time.NewTicker(every)
			defer beat.Stop()
			beats = beat.C
		default:
			interval = every
			beat.Reset(every)
		}
		if err := s.writeAll(batch); err != nil {
			return s.end(err)
		}
		if len(batch) > 0 {
			continue
		}
		if s.done() {
			return s.finish()
		}
		select {
		case <-s.ready:
		case <-s.lost:
		case <-beats:
			s.beat()
		}
	}
}

// take returns what is queued, and the present interval of heartbeats.
func (s *Stream) take() ([]*Record, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.queue
	s.queue = nil
	s.room.Broadcast()
	return batch, s.every, s.err
}

// done reports whether all is written and nothing more comes.
func (s *Stream) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last && len(s.queue) == 0 && s.err == nil
}

func (s *Stream) beat() {
	s.mu.Lock()
	r := s.heartbeat
	s.mu.Unlock()
	s.Send(r)
}

// writeAll writes the records, in few writes.
func (s *Stream) writeAll(batch []*Record) error {
	const enough = 64 << 10
	var out, record []byte
	for i, r := range batch {
		payload, err := r.bytes(s.options.MessageContentType)
		if err != nil {
			return fmt.Errorf("encoding an event: %w", err)
		}
		record = recordio.Append(record[:0], payload)
		out = strconv.AppendInt(out, int64(len(record)), 16)
		out = append(out, "\r\n"...)
		out = append(out, record...)
		out = append(out, "\r\n"...)
		if len(out) >= enough || i == len(batch)-1 {
			if err := s.write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	return nil
}

func (s *Stream) write(b []byte) error {
	by := time.Now().Add(s.options.Patience + time.Duration(len(b))*time.Second/slowest)
	if err := s.conn.SetWriteDeadline(by); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return ErrSlow
	}
	return err
}

// finish ends the answer, and lets the client read it to its end.
func (s *Stream) finish() error {
	if err := s.write([]byte("0\r\n\r\n")); err != nil {
		return s.end(err)
	}
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		select {
		case <-s.lost:
		case <-time.After(500 * time.Millisecond):
		}
	}
	return s.end(ErrClosed)
}

// watch reads, and drops, what the client sends until it is gone.
func (s *Stream) watch() {
	defer close(s.lost)
	buf := make([]byte, 256)
	for {
		if _, err := s.conn.Read(buf); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("the client closed the connection: %w", err)
			}
			if !s.done() {
				_ = s.end(err)
			}
			return
		}
	}
}

// limitUnacknowledged has a connection end when what was written to it stays
// unacknowledged for so long.
func limitUnacknowledged(conn net.Conn, most time.Duration) {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(most.Milliseconds())) // no TCP in some tests
		})
	}
}

// NewStreamID returns a fresh Mesos-Stream-Id: a random UUID.
func NewStreamID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
