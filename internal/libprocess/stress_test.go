package libprocess_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

// Senders, links, breaks and reconnections at once, over real sockets: every
// message is written or counted as lost, what arrives has arrived once, and
// nothing keeps running.
func TestMessagesUnderBreaks(t *testing.T) {
	const senders, each = 4, 3000
	var mu sync.Mutex
	arrived := map[string]int{}
	nl, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := libprocess.NewServer(nl, libprocess.Options{})
	s.Handle("master", func(_ string, _ ids.UPID, _ libprocess.ConnID, message string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		arrived[message+string(body)]++
	})
	go s.Serve()
	defer s.Close()
	breaking := &breaker{}
	l := libprocess.NewLinks(libprocess.LinkOptions{Dial: breaking.dial, IdleTimeout: time.Millisecond})
	to := ids.UPID("master@" + nl.Addr().String())
	var wg sync.WaitGroup
	for n := range senders {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for i := range each {
				l.Send(to, agent, fmt.Sprintf("m%d-", n), fmt.Append(nil, i))
				switch r.IntN(50) {
				case 0:
					l.Link(to)
				case 1:
					l.Unlink(to.Address())
				case 2:
					l.Drop(to.Address())
				case 3:
					breaking.break1()
				}
			}
		})
	}
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if got := l.Stats(); got.Sent+got.Dropped != senders*each || got.Peers != 0 {
		t.Errorf("%+v", got)
	}
	s.Close()
	mu.Lock()
	defer mu.Unlock()
	for message, times := range arrived {
		if times != 1 {
			t.Fatalf("%s arrived %d times", message, times)
		}
	}
	t.Logf("%d of %d arrived", len(arrived), senders*each)
}

// A breaker dials connections and breaks them.
type breaker struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (b *breaker) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.conns = append(b.conns, c)
	}
	return c, err
}

func (b *breaker) break1() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		c.Close()
	}
	b.conns = nil
}
