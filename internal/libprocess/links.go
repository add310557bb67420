package libprocess

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// LinkOptions are what [Links] needs; zero values stand for the defaults.
type LinkOptions struct {
	// Dial opens a connection. Default: that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Exited is told, once per break and on a goroutine of its own, the
	// "ip:port" of a linked peer that could not be reached or is gone. The link
	// is then forgotten. It may call methods of Links other than Close.
	Exited func(address string)
	// ConnectTimeout is how long a connection may take to open. Default 10 s.
	ConnectTimeout time.Duration
	// WriteTimeout is how long a peer may take nothing. Default 30 s.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection without a link is kept after its
	// last message. Default 5 s.
	IdleTimeout time.Duration
	// MaxQueue is how many bytes of messages wait for one peer; a message
	// beyond is dropped, but one alone is always taken. Default 8 MiB.
	MaxQueue int
	// MaxPeers is how many addresses may have a connection. Default 200,000.
	MaxPeers int
	// Logger is told, at debug level, why connections end. Default: nobody.
	Logger *slog.Logger
}

// LinkStats count what [Links] has done.
type LinkStats struct {
	Peers   int   // addresses with a connection now
	Sent    int64 // messages written
	Dropped int64 // messages not written: queue full, peer unreachable or gone
}

// Links sends messages: one connection per remote address carries those of
// all processes, in the order of [Links.Send]. All its methods are safe for
// use by several goroutines.
type Links struct {
	options LinkOptions
	ctx     context.Context //nolint:containedctx // its end is Close, which ends dials
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	peers   map[string]*peer
	writers int        // goroutines that dial or write
	written *sync.Cond // a writer has ended
	closed  bool

	sent, dropped atomic.Int64
}

// NewLinks returns a Links without connections.
func NewLinks(o LinkOptions) *Links {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Exited == nil {
		o.Exited = func(string) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 30*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 5*time.Second)
	o.MaxQueue = cmp.Or(o.MaxQueue, 8<<20)
	o.MaxPeers = cmp.Or(o.MaxPeers, 200_000)
	l := &Links{options: o, peers: map[string]*peer{}}
	l.written = sync.NewCond(&l.mu)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Send queues a message for to, opening a connection if there is none. It
// never blocks and keeps neither argument. A message that cannot be queued or
// delivered is lost and counted: messages are not reliable.
func (l *Links) Send(to, from ids.UPID, name string, body []byte) {
	if !sendable(string(to)) || !sendable(string(from)) || !sendable(name) {
		l.dropped.Add(1)
		return
	}
	for {
		p := l.peer(to.Address())
		if p == nil {
			l.dropped.Add(1)
			return
		}
		if p.send(to, from, name, body) {
			return
		}
	}
}

// Link keeps a connection to to's address open, opening it if need be. Its
// break, or that it cannot be opened, is told to Exited.
func (l *Links) Link(to ids.UPID) {
	address := to.Address()
	for {
		p := l.peer(address)
		if p == nil {
			l.start(false, func() { l.options.Exited(address) })
			return
		}
		if p.link() {
			return
		}
	}
}

// Unlink ends the interest in address: nothing more is told of it, and its
// connection is closed once idle.
func (l *Links) Unlink(address string) {
	l.mu.Lock()
	p := l.peers[address]
	l.mu.Unlock()
	if p != nil {
		p.unlink()
	}
}

// Drop ends the connection to address at once, with all that waits for it, and
// what the network has not delivered yet: it must not come after what is sent
// over the next one. That is no exit: nothing is told.
func (l *Links) Drop(address string) {
	l.mu.Lock()
	p := l.peers[address]
	l.mu.Unlock()
	if p != nil {
		p.reset()
		l.forget(p)
	}
}

// peer returns the peer at address, a new one if need be. It returns nil when
// there can be none.
func (l *Links) peer(address string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[address]
	if p == nil && !l.closed && len(l.peers) < l.options.MaxPeers {
		p = &peer{links: l, address: address}
		l.peers[address] = p
	}
	return p
}

func (l *Links) forget(p *peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.peers[p.address] == p {
		delete(l.peers, p.address)
	}
}

// start runs a goroutine that Close waits for; it does not when it is too late.
func (l *Links) start(writer bool, run func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if writer {
		l.writers++
	}
	l.running.Go(func() {
		run()
		if writer {
			l.mu.Lock()
			l.writers--
			l.written.Broadcast()
			l.mu.Unlock()
		}
	})
	return true
}

// Flush waits until every queued message has been written or lost, or until
// ctx is done, whose cause it then returns.
func (l *Links) Flush(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.written.Broadcast()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writers > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.written.Wait()
	}
	return nil
}

// Close closes all connections, losing what is queued and not what has been
// written, and returns when no goroutine is left, which takes half a second
// if a peer does not close its end. Exited is told nothing of it.
func (l *Links) Close() {
	l.mu.Lock()
	l.closed = true
	peers := l.peers
	l.peers = map[string]*peer{}
	l.mu.Unlock()
	l.cancel()
	for _, p := range peers {
		p.close()
	}
	l.running.Wait()
}

// Stats returns the counts so far.
func (l *Links) Stats() LinkStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LinkStats{Peers: len(l.peers), Sent: l.sent.Load(), Dropped: l.dropped.Load()}
}
