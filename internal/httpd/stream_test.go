package httpd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/wire"
)

// A theatre is a server in memory whose only answer is a stream.
type theatre struct {
	net     fakenet.Network
	streams chan *httpd.Stream
	ended   chan error
}

func newTheatre(t *testing.T, o httpd.StreamOptions) *theatre {
	t.Helper()
	th := &theatre{streams: make(chan *httpd.Stream, 1), ended: make(chan error, 10)}
	o.Closed = func(err error) { th.ended <- err }
	l, err := th.net.Listen("10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	s := httpd.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stream, err := httpd.OpenStream(w, o)
		if err != nil {
			t.Error(err)
			return
		}
		th.streams <- stream
		_ = stream.Run()
	}), slog.New(slog.DiscardHandler), nil)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return th
}

// subscribe returns our end of a stream and the client's.
func (th *theatre) subscribe(t *testing.T) (*httpd.Stream, net.Conn) {
	t.Helper()
	c, err := th.net.DialContext(context.Background(), "tcp", "10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "POST /api/v1/scheduler HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	return <-th.streams, c
}

func event(text string) *httpd.Record {
	return httpd.NewRecord(func(contentType string) ([]byte, error) {
		return []byte(contentType[len("application/"):] + ":" + text), nil
	})
}

func TestStreamBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON, ID: "some-id"})
		s, c := th.subscribe(t)
		s.Send(event("one"))
		s.Send(event("two"))
		s.Close()
		if s.Send(event("three")) {
			t.Error("sent after close")
		}
		got, err := io.ReadAll(c)
		date := time.Now().UTC().Format(http.TimeFormat)
		want := "HTTP/1.1 200 OK\r\nDate: " + date + "\r\nTransfer-Encoding: chunked\r\nMesos-Stream-Id: some-id\r\nContent-Type: application/json\r\n\r\n" +
			"a\r\n8\njson:one\r\na\r\n8\njson:two\r\n0\r\n\r\n"
		if string(got) != want || err != nil {
			t.Errorf("%q %v; want %q", got, err, want)
		}
		c.Close()
		if err := <-th.ended; !errors.Is(err, httpd.ErrClosed) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if len(th.ended) != 0 {
			t.Error("the end is told twice")
		}
	})
}

// The head of a stream has the headers that Mesos's has, in its order.
func TestGoldenStreamHead(t *testing.T) {
	head, _, _ := strings.Cut(string(golden.Read(t, "sched1/stream.raw")), "\r\n\r\n")
	var want []string
	for line := range strings.SplitSeq(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		want = append(want, name)
	}
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON, ID: httpd.NewStreamID()})
		_, c := th.subscribe(t)
		r := bufio.NewReader(c)
		for _, name := range want {
			line, err := r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, name) {
				t.Errorf("%q %v; want %s", line, err, name)
			}
		}
	})
}

func TestRecordStreamNamesBothTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.RecordIO, MessageContentType: wire.Protobuf})
		s, c := th.subscribe(t)
		s.Send(event("x"))
		s.Close()
		got, _ := io.ReadAll(c)
		if !strings.Contains(string(got), "Content-Type: application/recordio\r\nMessage-Content-Type: application/x-protobuf\r\n\r\nf\r\n12\nx-protobuf:x\r\n") {
			t.Errorf("%q", got)
		}
	})
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON})
		s, c := th.subscribe(t)
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			c.Close() // first: an open body is read to its end
			resp.Body.Close()
		}()
		next := func(want string) {
			t.Helper()
			b := make([]byte, len(want))
			if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
				t.Errorf("%q %v; want %q", b, err, want)
			}
		}
		start := time.Now()
		s.Send(event("subscribed"))
		s.Heartbeat(event("beat"), 15*time.Second, true)
		next("15\njson:subscribed")
		next("9\njson:beat")
		if time.Since(start) != 0 {
			t.Errorf("the first heartbeat came after %v", time.Since(start))
		}
		for i := range 3 {
			next("9\njson:beat")
			if got := time.Since(start); got != time.Duration(i+1)*15*time.Second {
				t.Errorf("heartbeat %d after %v", i+1, got)
			}
		}
		s.Heartbeat(event("slow"), 30*time.Minute, false)
		start = time.Now()
		next("9\njson:slow")
		if got := time.Since(start); got != 30*time.Minute {
			t.Errorf("after %v", got)
		}
	})
}

func TestClientsEndIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON})
		s, c := th.subscribe(t)
		io.WriteString(c, "whatever the client still says")
		synctest.Wait()
		if !s.Send(event("x")) {
			t.Error("ended early")
		}
		synctest.Wait()
		c.Close()
		if err := <-th.ended; !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		if s.Send(event("y")) {
			t.Error("sent into the void")
		}
		s.Close()
		synctest.Wait()
		if len(th.ended) != 0 || th.net.Open() != 0 {
			t.Errorf("told %d times more, %d connections", len(th.ended), th.net.Open())
		}
	})
}

// MESOS-7748: a slow subscriber must not cost unbounded memory. It is dropped
// when its queue is full, or when it takes nothing for too long.
func TestSlowSubscriberIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON, Queue: 10})
		s, _ := th.subscribe(t)
		big := event(strings.Repeat("x", 100<<10))
		s.Send(big)
		synctest.Wait() // it does not fit and blocks
		n := 0
		for s.Send(big) {
			n++
		}
		if err := <-th.ended; !errors.Is(err, httpd.ErrSlow) || n != 10 {
			t.Errorf("%v after %d more", err, n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON})
		s, _ := th.subscribe(t)
		s.Send(event(strings.Repeat("x", 100<<10)))
		start := time.Now()
		if err := <-th.ended; !errors.Is(err, httpd.ErrSlow) || time.Since(start) > time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestRecordIsEncodedOncePerType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var encoded atomic.Int32
		r := httpd.NewRecord(func(string) ([]byte, error) { encoded.Add(1); return []byte("x"), nil })
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON})
		for range 5 {
			s, _ := th.subscribe(t)
			s.Send(r)
		}
		synctest.Wait()
		if n := encoded.Load(); n != 1 {
			t.Errorf("encoded %d times", n)
		}
	})
}

func TestEventThatCannotBeEncodedEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := errors.New("bad")
		th := newTheatre(t, httpd.StreamOptions{ContentType: wire.JSON})
		s, c := th.subscribe(t)
		s.Send(httpd.NewRecord(func(string) ([]byte, error) { return nil, bad }))
		if err := <-th.ended; !errors.Is(err, bad) {
			t.Errorf("%v", err)
		}
		if b, _ := io.ReadAll(c); strings.HasSuffix(string(b), "0\r\n\r\n") {
			t.Error("a broken stream looks whole")
		}
	})
}

func TestStreamIDs(t *testing.T) {
	a, b := httpd.NewStreamID(), httpd.NewStreamID()
	var parts [5]string
	if n, err := fmt.Sscanf(strings.ReplaceAll(a, "-", " "), "%8s %4s %4s %4s %12s", &parts[0], &parts[1], &parts[2], &parts[3], &parts[4]); n != 5 || err != nil || len(a) != 36 || parts[2][0] != '4' || a == b {
		t.Errorf("%s %s", a, b)
	}
}

func BenchmarkStream(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	streams := make(chan *httpd.Stream)
	s := httpd.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stream, err := httpd.OpenStream(w, httpd.StreamOptions{ContentType: wire.JSON, Queue: 1 << 30})
		if err != nil {
			b.Error(err)
		}
		streams <- stream
		_ = stream.Run()
	}), slog.New(slog.DiscardHandler), nil)
	go s.Serve(l)
	defer s.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	stream := <-streams
	go func() {
		for range b.N {
			stream.Send(event("update"))
		}
		stream.Close()
	}()
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := io.Copy(io.Discard, c); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
