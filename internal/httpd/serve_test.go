package httpd_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/invariant"
)

// serve runs h in memory and returns how to speak to it: what is sent, piece
// by piece, and the status and text that come back.
func serve(t *testing.T, h http.Handler, log io.Writer, crash func(*invariant.Violation)) func(pieces ...string) (int, string) {
	t.Helper()
	var n fakenet.Network
	l, err := n.Listen("10.0.0.1:80")
	must(t, err)
	s := httpd.NewServer(h, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), crash)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return func(pieces ...string) (int, string) {
		t.Helper()
		c, err := n.DialContext(context.Background(), "tcp", "10.0.0.1:80")
		must(t, err)
		defer c.Close()
		for _, p := range pieces {
			io.WriteString(c, p)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, string(body)
	}
}

const head = "POST /x HTTP/1.1\r\nHost: x\r\n"

func readAndEcho(w http.ResponseWriter, r *http.Request) {
	body, err := httpd.ReadBody(w, r, 100)
	if err != nil {
		httpd.Refuse(w, err)
		return
	}
	httpd.Text(w, 200, string(body))
}

func TestReadBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		say := serve(t, http.HandlerFunc(readAndEcho), io.Discard, nil)
		long := strings.Repeat("x", 101)
		for _, c := range []struct {
			in     string
			status int
			out    string
		}{
			{head + "Content-Length: 5\r\n\r\nhello", 200, "hello"},
			{head + "Content-Length: 0\r\n\r\n", 200, ""},
			{head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", 200, "hello"},
			{head + "Content-Length: 100\r\n\r\n" + long[1:], 200, long[1:]},
			{head + "Content-Length: 101\r\n\r\n" + long, 413, "The request's body is larger than 100 bytes"},
			{head + "Transfer-Encoding: chunked\r\n\r\n65\r\n" + long + "\r\n0\r\n\r\n", 413, "The request's body is larger than 100 bytes"},
			{head + "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400, "Failed to read the request's body: invalid byte in chunk length"},
			{head + "Content-Length: 5\r\n\r\nhell", 408, "The request's body took too long"},
		} {
			start := time.Now()
			if status, text := say(c.in); status != c.status || text != c.out {
				t.Errorf("%.80q: %d %q", c.in, status, text)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("%.80q: took %v", c.in, took)
			}
		}
	})
}

func TestPanicsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		say := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") }), &log, nil)
		if status, text := say(head + "\r\n"); status != 500 || text != "Internal error" {
			t.Errorf("%d %q", status, text)
		}
		synctest.Wait()
		if !strings.Contains(log.String(), "handler panicked") || !strings.Contains(log.String(), "path=/x") || !strings.Contains(log.String(), "status=500") {
			t.Errorf("%s", log.String())
		}
	})
}

func TestBrokenInvariantsCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crashed := make(chan *invariant.Violation, 1)
		say := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			invariant.Fail("two and two are four")
		}), io.Discard, func(v *invariant.Violation) { crashed <- v })
		say(head + "\r\n")
		if v := <-crashed; v.Message != "two and two are four" {
			t.Errorf("%v", v)
		}
	})
}

// A connection may be idle for ever, and its deadlines are those of one answer.
func TestIdleConnectionsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n fakenet.Network
		l, err := n.Listen("10.0.0.1:80")
		must(t, err)
		s := httpd.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/own" {
				io.WriteString(w, "own")
				return
			}
			httpd.JSON(w, r, []byte("{}"))
		}), slog.New(slog.DiscardHandler), nil)
		go s.Serve(l)
		defer s.Close()
		c, err := n.DialContext(t.Context(), "tcp", "10.0.0.1:80")
		must(t, err)
		defer c.Close()
		r := bufio.NewReader(c)
		for _, path := range []string{"/", "/own", "/", "/own"} {
			io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			must(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			must(t, err)
			time.Sleep(1000 * time.Hour) // virtual
		}
	})
}
