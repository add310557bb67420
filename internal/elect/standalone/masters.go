package standalone

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/client"
	"github.com/meseta-project/meseta/internal/wire"
)

// How masters are asked who leads.
const (
	answerTime = 5 * time.Second        // for one of them to answer
	askEvery   = 15 * time.Second       // to ask the leader whether it still leads
	firstRetry = 100 * time.Millisecond // when nobody leads
	lastRetry  = time.Second
	maxAnswer  = 4096 // bytes that are read of an answer that should have none
)

// Masters finds the leader among masters by their addresses. It is safe for
// concurrent use.
type Masters struct {
	addresses []string
	several   *client.Masters
	log       *slog.Logger
}

// ParseMasters reads host:port,…; "master@" may stand before each.
func ParseMasters(text string, log *slog.Logger) (*Masters, error) {
	m := &Masters{log: log}
	for part := range strings.SplitSeq(text, ",") {
		address := strings.TrimPrefix(strings.TrimSpace(part), "master@")
		host, port, err := net.SplitHostPort(address)
		if err != nil || host == "" {
			return nil, fmt.Errorf("%q is not host:port", part)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fmt.Errorf("%q is not host:port", part)
		}
		m.addresses = append(m.addresses, address)
	}
	transport := client.NewTransport()
	transport.Proxy = nil
	var err error
	m.several, err = client.NewMasters(m.addresses, transport)
	return m, err
}

// Detect yields who leads, each time that changes, until ctx is done; nil is
// nobody. A single address is taken for the leader's without asking, so that
// what is told never changes; of several, whichever one answers is followed to
// the leader, and again when the connection to that breaks or one of them says
// that another leads.
func (m *Masters) Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo] {
	if len(m.addresses) == 1 {
		return m.fixed(ctx)
	}
	return func(yield func(*mesos.MasterInfo) bool) {
		var last *mesos.MasterInfo
		for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
			leader, conn, err := m.find(ctx)
			if more := proto.Equal(leader, last) || yield(leader); !more || err != nil {
				conn.close()
				if !more {
					return
				}
				m.log.Debug("no master leads", slog.Any("error", err))
				sleep(ctx, wait)
			} else {
				m.stay(ctx, conn)
				conn.close()
				wait = firstRetry / 2
			}
			last = leader
		}
	}
}

func (m *Masters) fixed(ctx context.Context) iter.Seq[*mesos.MasterInfo] {
	return func(yield func(*mesos.MasterInfo) bool) {
		for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, 10*time.Second) {
			leader, err := resolve(ctx, m.addresses[0])
			if err == nil {
				if yield(leader) {
					<-ctx.Done()
				}
				return
			}
			m.log.Warn("cannot resolve the master's address", slog.String("master", m.addresses[0]), slog.Any("error", err))
			sleep(ctx, wait)
		}
	}
}

// find returns the leader and a connection to it.
func (m *Masters) find(ctx context.Context) (*mesos.MasterInfo, *line, error) {
	named, err := m.several.Find(ctx)
	if err != nil {
		return nil, nil, err
	}
	leader, err := resolve(ctx, named.Host)
	if err != nil {
		return nil, nil, err
	}
	conn, err := call(ctx, named.Host)
	return leader, conn, err
}

// stay returns when the leader at the other end of conn does not lead any more.
func (m *Masters) stay(ctx context.Context, conn *line) {
	ctx, cancel := context.WithCancel(ctx)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		defer cancel()
		_ = m.several.Watch(ctx, conn.host) // it ends with ctx
	})
	conn.stay(ctx)
}

// A line is an HTTP connection to a master.
type line struct {
	net.Conn
	in   *bufio.Reader
	host string
}

func call(ctx context.Context, address string) (*line, error) {
	dialer := net.Dialer{Timeout: answerTime}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &line{Conn: conn, in: bufio.NewReaderSize(conn, 4096), host: address}, nil
}

func (l *line) close() {
	if l != nil {
		_ = l.Close() // nobody is left to tell
	}
}

// leader asks who leads: host:port.
func (l *line) leader(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	if err := l.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.host+"/redirect", http.NoBody)
	if err != nil {
		return "", err
	}
	if err := r.Write(l); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(l.in, r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close() // reads what is left of it
	if answer.ContentLength > maxAnswer {
		return "", fmt.Errorf("the answer has %d bytes", answer.ContentLength)
	}
	if answer.StatusCode != http.StatusTemporaryRedirect {
		return "", fmt.Errorf("no leader: %s", answer.Status)
	}
	to, err := answer.Location()
	if err != nil || to.Port() == "" {
		return "", fmt.Errorf("it names no leader: %q", answer.Header.Get("Location"))
	}
	return to.Host, nil
}

// stay returns when the connection is broken or the master does not name
// itself the leader any more.
func (l *line) stay(ctx context.Context) {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	for {
		if leads, err := l.leader(ctx); err != nil || leads != l.host {
			return
		}
		if err := l.SetReadDeadline(time.Now().Add(askEvery)); err != nil {
			return
		}
		if _, err := l.in.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
			return // it is gone, or says what nobody asked
		}
	}
}

// resolve returns the master at host:port, by an IPv4 address if there is one.
func resolve(ctx context.Context, address string) (*mesos.MasterInfo, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		if ip, err = lookUp(ctx, host); err != nil {
			return nil, err
		}
	}
	return wire.MasterAt(netip.AddrPortFrom(ip, uint16(number)), host), nil
}

func lookUp(ctx context.Context, host string) (netip.Addr, error) {
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, ip := range found {
		if ip.Unmap().Is4() {
			return ip.Unmap(), nil
		}
	}
	return found[0], nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
