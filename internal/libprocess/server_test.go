package libprocess_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
)

const address = "10.0.0.1:5050"

// A world is a server on a network in memory.
type world struct {
	*testing.T
	net    fakenet.Network
	server *libprocess.Server
	mu     sync.Mutex
	got    []string
}

func newWorld(t *testing.T, o libprocess.Options) *world {
	t.Helper()
	w := &world{T: t}
	l, err := w.net.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	w.server = libprocess.NewServer(l, o)
	w.server.Handle("master", w.receive)
	w.server.Handle("slave-observer(*)", w.receive)
	go w.server.Serve()
	t.Cleanup(func() { w.server.Close() })
	return w
}

func (w *world) receive(to string, from ids.UPID, _ libprocess.ConnID, message string, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, fmt.Sprintf("%s→%s %s %q", from, to, message, body))
}

func (w *world) received() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.got, "\n")
}

func (w *world) dial() net.Conn {
	w.Helper()
	c, err := w.net.DialContext(w.Context(), "tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { c.Close() })
	return c
}

func answer(t *testing.T, r *bufio.Reader) (int, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestMessagesAreDeliveredAndAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		c := w.dial()
		var b []byte
		for _, to := range []ids.UPID{"master@10.0.0.1:5050", "nobody@10.0.0.1:5050", "slave-observer(12)@10.0.0.1:5050"} {
			b = libprocess.AppendMessage(b, to, "slave(1)@10.0.0.2:5051", "ping", []byte(to.Process()))
		}
		c.Write(b)
		r := bufio.NewReader(c)
		for i, want := range []int{202, 404, 202} {
			if status, text := answer(t, r); status != want || (status == 404) != (text == "404 Not Found.") {
				t.Errorf("answer %d: %d %q", i, status, text)
			}
		}
		want := `slave(1)@10.0.0.2:5051→master ping "master"` + "\n" + `slave(1)@10.0.0.2:5051→slave-observer(12) ping "slave-observer(12)"`
		if got := w.received(); got != want {
			t.Errorf("%s", got)
		}
		w.server.Remove("master")
		c.Write(b)
		if status, _ := answer(t, r); status != 404 {
			t.Errorf("after the process ended: %d", status)
		}
	})
}

// What comes first over a connection that was opened later has the higher number.
func TestConnectionsAreNumbered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		over := map[string]libprocess.ConnID{}
		w.server.Handle("master", func(_ string, _ ids.UPID, c libprocess.ConnID, message string, _ []byte) { over[message] = c })
		earlier := w.dial()
		synctest.Wait()
		later := w.dial()
		for _, c := range []struct {
			net.Conn
			message string
		}{{later, "b"}, {earlier, "a"}, {later, "c"}} {
			c.Write(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", c.message, nil))
			synctest.Wait()
		}
		if over["a"] == 0 || over["a"] >= over["b"] || over["b"] != over["c"] {
			t.Errorf("%v", over)
		}
	})
}

// A link may be silent for ever, from its first byte on; a request that has
// begun must get on.
func TestOnlyRequestsAreTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		c := w.dial()
		time.Sleep(1000 * time.Hour)
		c.Write(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", "n", nil))
		r := bufio.NewReader(c)
		if status, _ := answer(t, r); status != 202 {
			t.Fatal(status)
		}
		time.Sleep(1000 * time.Hour)
		io.WriteString(c, "POST /master/n HTTP/1.1\r\nLibprocess-From:")
		start := time.Now()
		if status, text := answer(t, r); status != 408 || time.Since(start).Round(time.Second) != 10*time.Second {
			t.Errorf("%d %s after %v", status, text, time.Since(start))
		}
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection goes on: %v", err)
		}
	})
}

// A body that trickles is given time for what it delivers and no more.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		c := w.dial()
		io.WriteString(c, "POST /master/n HTTP/1.1\r\nLibprocess-From: a@10.0.0.2:1\r\nContent-Length: 1000000\r\n\r\n")
		start := time.Now()
		trickled := make(chan struct{})
		go func() {
			defer close(trickled)
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(time.Second) // virtual
			}
		}()
		if status, _ := answer(t, bufio.NewReader(c)); status != 408 || time.Since(start) > 11*time.Second {
			t.Errorf("%d after %v", status, time.Since(start))
		}
		if w.received() != "" {
			t.Error("half a message was delivered")
		}
		<-trickled
	})
}

func TestMalformedRequestsEndTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{MaxBody: 10})
		for in, want := range map[string]int{
			"POST HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\n\r\n":                                          400,
			"GET /master/n HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\n\r\n":                                 400,
			"POST /master/n HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\nContent-Length: 11\r\n\r\n":          413,
			"POST /master/n HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 1<<16) + "\r\n":                       431,
			"POST /master/n HTTP/1.1\r\nUser-Agent: libprocess/nonsense\r\n\r\n":                             400,
			"POST /master/n HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\nTransfer-Encoding: chunked\r\n\r\n-": 408,
		} {
			c := w.dial()
			go io.WriteString(c, in)
			r := bufio.NewReader(c)
			if status, text := answer(t, r); status != want || text == "" {
				t.Errorf("%.60q: %d %q", in, status, text)
			}
			if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("%.60q: the connection goes on: %v", in, err)
			}
		}
		if n := w.server.Stats().Malformed; n != 6 {
			t.Errorf("%d counted", n)
		}
	})
}

// One port serves messages and plain HTTP, on one connection too, in either
// order.
func TestPlainHTTPOnTheSamePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		state := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			fmt.Fprintf(rw, "%s %s %s", r.Method, r.URL.Path, b)
		})
		h := &http.Server{Handler: w.server.Messages(state)}
		go h.Serve(w.server.HTTP())
		defer h.Close()
		c := w.dial()
		r := bufio.NewReader(c)
		message := string(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", "n", []byte("hi")))
		for _, x := range []struct {
			in, out string
			status  int
		}{
			{message, "", 202},
			{"GET /state HTTP/1.1\r\nHost: x\r\n\r\n", "GET /state ", 200},
			{message, "", 202},
			{"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", "POST /x ab", 200},
			{strings.Replace(message, "/master/", "/nobody/", 1), "404 Not Found.", 404},
		} {
			io.WriteString(c, x.in)
			if status, text := answer(t, r); status != x.status || text != x.out {
				t.Errorf("%.20q: %d %q", x.in, status, text)
			}
		}
		if got, want := w.received(), `a@10.0.0.2:1→master n "hi"`+"\n"+`a@10.0.0.2:1→master n "hi"`; got != want {
			t.Errorf("%s", got)
		}
		if n := w.server.Stats().Conns; n != 1 {
			t.Errorf("%d connections", n)
		}
		c.Close()
		synctest.Wait()
		if n := w.server.Stats().Conns; n != 0 {
			t.Errorf("%d connections after the end", n)
		}
	})
}

// A handler that waits holds back its own connection only.
func TestBackPressureIsPerConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		release := make(chan struct{})
		w.server.Handle("slow", func(string, ids.UPID, libprocess.ConnID, string, []byte) { <-release })
		slow, quick := w.dial(), w.dial()
		slow.Write(libprocess.AppendMessage(nil, "slow@"+address, "a@10.0.0.2:1", "n", nil))
		synctest.Wait()
		quick.Write(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", "n", nil))
		if status, _ := answer(t, bufio.NewReader(quick)); status != 202 {
			t.Error(status)
		}
		close(release)
		if status, _ := answer(t, bufio.NewReader(slow)); status != 202 {
			t.Error(status)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{MaxConns: 2})
		first := w.dial()
		w.dial()
		synctest.Wait()
		if _, err := w.dial().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%v", err)
		}
		first.Close()
		synctest.Wait()
		c := w.dial()
		c.Write(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", "n", nil))
		if status, _ := answer(t, bufio.NewReader(c)); status != 202 {
			t.Error(status)
		}
		if s := w.server.Stats(); s.Conns != 2 || s.ConnsRefused != 1 || s.Received != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestPeerAddressMustMatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{MatchPeerAddress: true})
		c := w.dial() // from 127.0.0.1
		r := bufio.NewReader(c)
		c.Write(libprocess.AppendMessage(nil, "master@"+address, "a@10.0.0.2:1", "n", nil))
		if status, text := answer(t, r); status != 400 || !strings.HasPrefix(text, "UPID IP address validation failed: Message from a@10.0.0.2:1 was sent from IP 127.0.0.1:") {
			t.Errorf("%d %s", status, text)
		}
		c.Write(libprocess.AppendMessage(nil, "master@"+address, "a@127.0.0.1:1", "n", nil))
		if status, _ := answer(t, r); status != 202 {
			t.Error(status)
		}
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, libprocess.Options{})
		idle, plain := w.dial(), w.dial()
		io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // and nobody accepts it
		synctest.Wait()
		w.server.Close()
		w.server.Close()
		for _, c := range []net.Conn{idle, plain} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%v", err)
			}
		}
		if _, err := w.server.HTTP().Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if n := w.server.Stats().Conns; n != 0 {
			t.Errorf("%d connections left", n)
		}
	})
}
