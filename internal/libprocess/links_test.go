package libprocess_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

const (
	master = ids.UPID("master@" + address)
	agent  = ids.UPID("slave(1)@10.0.0.2:5051")
)

// links returns a Links on the world's network that notes exits.
func (w *world) links(o libprocess.LinkOptions) *libprocess.Links {
	o.Dial = w.net.DialContext
	o.Exited = func(address string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, "exited "+address)
	}
	l := libprocess.NewLinks(o)
	w.Cleanup(l.Close)
	return l
}

func TestMessagesArriveInOrderOverOneConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		var want []string
		for i := range 300 {
			body := strings.Repeat("x", i*7)
			l.Send(master, agent, fmt.Sprint("m", i), []byte(body))
			want = append(want, fmt.Sprintf("%s→master m%d %q", agent, i, body))
		}
		synctest.Wait()
		if got := w.received(); got != strings.Join(want, "\n") {
			t.Errorf("%.200s", got)
		}
		if n := w.net.Open(); n != 1 {
			t.Errorf("%d connections", n)
		}
		if s := l.Stats(); s.Sent != 300 || s.Dropped != 0 || s.Peers != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestConnectionWithoutLinkIsClosedWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		for range 3 {
			l.Send(master, agent, "n", nil)
			time.Sleep(3 * time.Second) // less than idle
			l.Send(master, agent, "n", nil)
			time.Sleep(4 * time.Second)
			if n := w.net.Open(); n != 1 {
				t.Errorf("%d connections before the idle time", n)
			}
			time.Sleep(2 * time.Second)
			if n := w.net.Open(); n != 0 || l.Stats().Peers != 0 {
				t.Errorf("%d connections, %d peers after it", n, l.Stats().Peers)
			}
		}
		if s := w.server.Stats(); s.Received != 6 || strings.Contains(w.received(), "exited") {
			t.Errorf("%+v %s", s, w.received())
		}
	})
}

func TestLinkIsKeptAndItsBreakToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Link(master)
		l.Link("slave-observer(1)@" + address)
		time.Sleep(1000 * time.Hour)
		if n := w.net.Open(); n != 1 || w.received() != "" {
			t.Fatalf("%d connections; %s", n, w.received())
		}
		w.net.Cut(netip.MustParseAddr("10.0.0.1"))
		time.Sleep(time.Hour)
		if got := w.received(); got != "exited "+address {
			t.Errorf("%q", got)
		}
		l.Send(master, agent, "lost", nil)
		time.Sleep(time.Hour)
		if got := w.received(); got != "exited "+address || l.Stats().Dropped != 1 || l.Stats().Peers != 0 {
			t.Errorf("%q %+v", got, l.Stats())
		}
		w.net.Heal(netip.MustParseAddr("10.0.0.1"))
		l.Link(master)
		l.Send(master, agent, "found", nil)
		synctest.Wait()
		if got := w.received(); !strings.HasSuffix(got, `found ""`) {
			t.Errorf("%q", got)
		}
	})
}

func TestLinkToNobodyExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Link("a@10.0.0.9:1")
		l.Link("@0.0.0.0:0")
		time.Sleep(time.Minute)
		if got := w.received(); !strings.Contains(got, "exited 10.0.0.9:1") || !strings.Contains(got, "exited 0.0.0.0:0") {
			t.Errorf("%q", got)
		}
	})
}

func TestDropLosesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Link(master)
		l.Send(master, agent, "lost", nil)
		l.Drop(address)
		l.Drop("10.9.9.9:1")
		synctest.Wait()
		l.Link(master)
		l.Send(master, agent, "n", nil)
		synctest.Wait()
		if got := w.received(); got != `slave(1)@10.0.0.2:5051→master n ""` || w.net.Open() != 1 {
			t.Errorf("%q over %d connections", got, w.net.Open())
		}
	})
}

func TestUnlinkEndsTheInterest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Link(master)
		synctest.Wait()
		l.Unlink(address)
		l.Unlink("10.9.9.9:1")
		time.Sleep(time.Minute)
		if w.received() != "" || w.net.Open() != 0 {
			t.Errorf("%q, %d connections", w.received(), w.net.Open())
		}
	})
}

// A peer that takes nothing costs a bounded queue, and then its link.
func TestStalledPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		stalled, _ := w.net.Listen("10.0.0.3:1")
		defer stalled.Close()
		go func() { stalled.Accept() }()
		l := w.links(libprocess.LinkOptions{MaxQueue: 100 << 10})
		l.Link("a@10.0.0.3:1")
		for range 100 {
			l.Send("a@10.0.0.3:1", agent, "n", make([]byte, 10<<10))
			synctest.Wait()
		}
		if s := l.Stats(); s.Dropped < 70 || s.Dropped > 95 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Minute)
		if s := l.Stats(); w.received() != "exited 10.0.0.3:1" || s.Sent+s.Dropped != 100 || s.Peers != 0 {
			t.Errorf("%q %+v", w.received(), s)
		}
	})
}

// A peer may close an idle connection just as we use it: what is not yet
// written goes over another one.
func TestQueueOutlivesAnIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		var dials atomic.Int32
		l := libprocess.NewLinks(libprocess.LinkOptions{
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := w.net.DialContext(ctx, network, addr)
				if dials.Add(1) == 1 && err == nil {
					return &doomed{c}, nil
				}
				return c, err
			},
		})
		defer l.Close()
		l.Send(master, agent, "first", nil)
		l.Send(master, agent, "second", nil)
		synctest.Wait()
		l.Send(master, agent, "third", nil)
		synctest.Wait()
		if got := w.received(); !strings.Contains(got, "third") || dials.Load() != 2 {
			t.Errorf("%q after %d dials", got, dials.Load())
		}
	})
}

// doomed breaks on its first write.
type doomed struct{ net.Conn }

func (d *doomed) Write([]byte) (int, error) {
	d.Close()
	return 0, errors.New("broken")
}

func TestUnsendableNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Send("master\r\nX: y@"+address, agent, "n", nil)
		l.Send(master, "a b@10.0.0.2:1", "n", nil)
		l.Send(master, agent, "n\n", nil)
		synctest.Wait()
		if s := l.Stats(); s.Dropped != 3 || s.Sent != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFlushWaitsForTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		l.Send(master, agent, "n", nil)
		if err := l.Flush(t.Context()); err != nil || l.Stats().Sent != 1 {
			t.Errorf("%v %+v", err, l.Stats())
		}
		w.net.Cut(netip.MustParseAddr("10.0.0.9"))
		l.Send("a@10.0.0.9:1", agent, "n", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		w := newWorld(t, libprocess.Options{})
		l := w.links(libprocess.LinkOptions{})
		w.net.Cut(netip.MustParseAddr("10.0.0.9"))
		l.Link(master)
		l.Link("a@10.0.0.9:1") // still being dialled
		l.Send("b@"+address, agent, "n", nil)
		synctest.Wait()
		l.Close()
		l.Send(master, agent, "late", nil)
		l.Link(master)
		synctest.Wait()
		if strings.Contains(w.received(), "exited") || w.net.Open() != 0 {
			t.Errorf("%q, %d connections", w.received(), w.net.Open())
		}
	})
}

// One connection over a real socket, both ends in this process.
func BenchmarkMessages(b *testing.B) {
	for _, size := range []int{0, 300, 10 << 10} {
		b.Run(fmt.Sprintf("body=%d", size), func(b *testing.B) {
			nl, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := libprocess.NewServer(nl, libprocess.Options{})
			defer s.Close()
			arrived := make(chan struct{}, 1024)
			s.Handle("slave(1)", func(string, ids.UPID, libprocess.ConnID, string, []byte) { arrived <- struct{}{} })
			go s.Serve()
			l := libprocess.NewLinks(libprocess.LinkOptions{})
			defer l.Close()
			to := ids.UPID("slave(1)@" + nl.Addr().String())
			body := make([]byte, size)
			b.ReportAllocs()
			b.ResetTimer()
			window := make(chan struct{}, 512)
			go func() {
				for range b.N {
					window <- struct{}{}
					l.Send(to, master, "mesos.internal.RunTaskMessage", body)
				}
			}()
			for range b.N {
				<-arrived
				<-window
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
