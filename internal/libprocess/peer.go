package libprocess

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// keepBatch is how large a batch's memory, in bytes, is kept for the next one.
const keepBatch = 1 << 20

var batches = sync.Pool{New: func() any { return new([]byte) }}

// A peer is the connection to one address and what waits for it:
//
//	           first message or link
//	(none) ──────────────────────────→ writing: a goroutine dials, writes
//	                                      │  ↑
//	                    nothing is queued ↓  │ a message
//	                                    quiet: the connection is open
//	                                      │
//	  closed, broken, unreachable, idle   ↓
//	                                    dead: forgotten; the next message to
//	                                    the address makes a new peer
//
// Another goroutine reads, and drops, what the peer answers; the end of that
// is how a break shows. A quiet peer costs that goroutine and no buffer.
type peer struct {
	links   *Links
	address string

	mu      sync.Mutex
	pending *[]byte // messages not yet written, nil when there are none
	count   int     // how many
	conn    net.Conn
	writing bool
	linked  bool
	dead    bool
	idle    *time.Timer // closes the connection; nil when linked or never idle
}

// send queues a message, unless the peer is dead.
func (p *peer) send(to, from ids.UPID, name string, body []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	if p.pending == nil {
		p.pending = batches.Get().(*[]byte)
	} else if len(*p.pending)+len(body) > p.links.options.MaxQueue {
		p.links.dropped.Add(1)
		return true
	}
	*p.pending = AppendMessage(*p.pending, to, from, name, body)
	p.count++
	p.wake()
	return true
}

// link marks the peer as linked, unless it is dead.
func (p *peer) link() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return false
	}
	p.linked = true
	p.wake()
	return true
}

func (p *peer) unlink() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.linked = false
	if !p.writing {
		p.rest()
	}
}

// wake sees to it that a goroutine dials and writes. p.mu is held.
func (p *peer) wake() {
	if !p.writing && (p.conn == nil || p.pending != nil) {
		p.writing = p.links.start(true, p.write)
	}
}

// write connects and writes until nothing is queued.
func (p *peer) write() {
	for {
		conn, err := p.connect()
		if err != nil {
			p.die(err)
			return
		}
		batch, count, more := p.next(conn)
		if !more {
			return
		}
		if batch == nil { // the connection was lost meanwhile
			continue
		}
		timeout := p.links.options.WriteTimeout + time.Duration(len(*batch))*time.Second/slowest
		_ = conn.SetWriteDeadline(time.Now().Add(timeout))
		_, err = conn.Write(*batch)
		if cap(*batch) <= keepBatch {
			*batch = (*batch)[:0]
			batches.Put(batch)
		}
		if err != nil {
			p.links.dropped.Add(int64(count))
			p.lost(conn, err)
			continue
		}
		p.links.sent.Add(int64(count))
	}
}

// connect returns the connection, having opened it if there was none; it
// returns nil when none is needed any more.
func (p *peer) connect() (net.Conn, error) {
	p.mu.Lock()
	conn, needed := p.conn, !p.dead && (p.linked || p.pending != nil)
	p.mu.Unlock()
	if conn != nil || !needed {
		return conn, nil
	}
	ctx, cancel := context.WithTimeout(p.links.ctx, p.links.options.ConnectTimeout)
	defer cancel()
	conn, err := p.links.options.Dial(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead || !p.links.start(false, func() { p.discard(conn) }) {
		_ = conn.Close()
		return nil, nil
	}
	p.conn = conn
	return conn, nil
}

// next takes what is queued for writing to conn. When nothing is, the writer
// ends: more is false. When conn is no longer the peer's, there is no batch.
func (p *peer) next(conn net.Conn) (batch *[]byte, count int, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.dead:
		p.writing = false
	case p.conn != conn || (conn == nil && (p.linked || p.pending != nil)):
		return nil, 0, true
	case p.pending == nil:
		p.writing = false
		p.rest()
	default:
		batch, count = p.pending, p.count
		p.pending, p.count = nil, 0
		return batch, count, true
	}
	return nil, 0, false
}

// rest begins the idle time of a peer without a link. p.mu is held.
func (p *peer) rest() {
	if p.linked || p.dead {
		return
	}
	if p.idle == nil {
		p.idle = time.AfterFunc(p.links.options.IdleTimeout, p.expire)
		return
	}
	p.idle.Reset(p.links.options.IdleTimeout)
}

// expire closes a connection that was idle.
func (p *peer) expire() {
	p.mu.Lock()
	if p.dead || p.linked || p.writing {
		p.mu.Unlock()
		return
	}
	p.dead = true
	conn := p.conn
	p.mu.Unlock()
	p.links.forget(p)
	if conn != nil {
		retire(conn)
	}
}

// retire ends a connection in good order: only our direction is closed, so
// that answers under way cannot break what is. The peer closes the other, or
// discard does after a while.
func retire(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(lingering))
	if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		_ = conn.Close()
	}
}

// discard reads and drops answers until the connection ends.
func (p *peer) discard(conn net.Conn) {
	var buf [512]byte
	for {
		if _, err := conn.Read(buf[:]); err != nil {
			p.lost(conn, err)
			return
		}
	}
}

// lost deals with the end of conn. Without a link, what is queued goes over
// another connection: the peer may only have closed an idle one.
func (p *peer) lost(conn net.Conn, err error) {
	_ = conn.Close()
	p.mu.Lock()
	if p.conn != conn || p.dead {
		p.mu.Unlock()
		return
	}
	p.conn = nil
	if !p.linked && (p.pending != nil || p.writing) {
		p.wake()
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	p.die(err)
}

// die ends the peer, because of err, and tells of the exit if it was linked.
func (p *peer) die(err error) {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return
	}
	linked := p.linked
	p.end()
	p.mu.Unlock()
	p.links.forget(p)
	p.links.options.Logger.Debug("peer lost", slog.String("peer", p.address), slog.Bool("linked", linked), slog.Any("error", err))
	if linked && p.links.ctx.Err() == nil {
		p.links.options.Exited(p.address)
	}
}

// end drops everything. p.mu is held.
func (p *peer) end() {
	p.dead, p.writing = true, false
	if p.idle != nil {
		p.idle.Stop()
	}
	if p.conn != nil {
		retire(p.conn)
	}
	p.links.dropped.Add(int64(p.count))
	p.pending, p.count = nil, 0
}

// reset is close with nothing more delivered.
func (p *peer) reset() {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	if c, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = c.SetLinger(0)
	}
	p.close()
	if conn != nil {
		_ = conn.Close()
	}
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.end()
	}
}
