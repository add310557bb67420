// Package fakenet is a network in memory, for tests of servers under
// testing/synctest, where waiting on a real socket would stop virtual time.
// Its connections behave like TCP's: ordered, with bounded buffers, half-close
// and deadlines; and it can be told to lose a host.
package fakenet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections wait to be accepted before dials block.
const backlog = 128

// A Network is a set of listeners that can be dialled. The zero value is
// ready; all methods are safe for use by several goroutines.
type Network struct {
	mu        sync.Mutex
	listeners map[netip.AddrPort]*listener
	conns     map[*Conn]struct{} // the dialling ends of what is open
	cut       map[netip.Addr]bool
	port      uint16 // the last one given out
}

// Listen listens on address, an IP address and port; port 0 stands for one
// that is free.
func (n *Network) Listen(address string) (net.Listener, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, opError("listen", addr, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr.Port() == 0 {
		addr = netip.AddrPortFrom(addr.Addr(), n.free())
	}
	if n.listeners[addr] != nil {
		return nil, opError("listen", addr, os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	if n.listeners == nil {
		n.listeners = map[netip.AddrPort]*listener{}
	}
	l := &listener{network: n, addr: addr, queue: make(chan net.Conn, backlog), done: make(chan struct{})}
	n.listeners[addr] = l
	return l, nil
}

// free returns a port that was not given out before.
func (n *Network) free() uint16 {
	n.port = max(n.port+1, 32768)
	return n.port
}

// DialContext connects to address from 127.0.0.1. The connection is refused
// when nothing listens there, and hangs until ctx is done when the host is cut
// off. Its signature is that of net.Dialer's method.
func (n *Network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, opError("dial", addr, err)
	}
	client, l, err := n.open(addr)
	if err != nil {
		return nil, opError("dial", addr, err)
	}
	if l != nil {
		select {
		case l.queue <- client.peer:
			return client, nil
		case <-l.done:
			return nil, opError("dial", addr, os.NewSyscallError("connect", syscall.ECONNREFUSED))
		case <-ctx.Done():
		}
	}
	<-ctx.Done()
	return nil, opError("dial", addr, context.Cause(ctx))
}

// open makes a connection to addr; it makes none, and no error, if that host
// is cut off.
func (n *Network) open(addr netip.AddrPort) (*Conn, *listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut[addr.Addr()] {
		return nil, nil, nil
	}
	l := n.listeners[addr]
	if l == nil {
		return nil, nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	client, _ := pipe(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), n.free()), addr)
	if n.conns == nil {
		n.conns = map[*Conn]struct{}{}
	}
	n.conns[client] = struct{}{}
	client.closed = func() { n.forget(client) }
	return client, l, nil
}

func (n *Network) forget(c *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.conns, c)
}

// Cut loses the host at ip: connections to it break on both ends with
// ECONNRESET, and dials hang until their context is done.
func (n *Network) Cut(ip netip.Addr) {
	n.mu.Lock()
	if n.cut == nil {
		n.cut = map[netip.Addr]bool{}
	}
	n.cut[ip] = true
	var broken []*Conn
	for c := range n.conns {
		if c.peer.local.Addr() == ip {
			broken = append(broken, c)
		}
	}
	n.mu.Unlock()
	for _, c := range broken {
		c.reset()
	}
}

// Heal brings back the host at ip.
func (n *Network) Heal(ip netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, ip)
}

// Open returns how many connections are open.
func (n *Network) Open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

type listener struct {
	network *Network
	addr    netip.AddrPort
	queue   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done: // first: what waits in the queue was never accepted
		return nil, opError("accept", l.addr, net.ErrClosed)
	default:
	}
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, opError("accept", l.addr, net.ErrClosed)
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.network.mu.Lock()
		delete(l.network.listeners, l.addr)
		l.network.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				_ = c.Close() // nobody accepted it
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

func opError(op string, addr netip.AddrPort, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: net.TCPAddrFromAddrPort(addr), Err: err}
}
