package fakenet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/meseta-project/meseta/internal/fakenet"
)

func pair(t testing.TB, n *fakenet.Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("10.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = n.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestConnsBehaveLikeTCP(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		c1, c2 = pair(t, &fakenet.Network{})
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

func TestHTTPInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n fakenet.Network
		l, _ := n.Listen("10.0.0.1:80")
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(24 * time.Hour) // virtual
			io.WriteString(w, "tomorrow")
		})}
		go srv.Serve(l)
		client := http.Client{Transport: &http.Transport{DialContext: n.DialContext}}
		start := time.Now()
		resp, err := client.Get("http://10.0.0.1:80/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != "tomorrow" || time.Since(start) != 24*time.Hour {
			t.Errorf("%q after %v", body, time.Since(start))
		}
		client.CloseIdleConnections()
		srv.Close()
		synctest.Wait()
		if n.Open() != 0 {
			t.Errorf("%d connections left", n.Open())
		}
	})
}

func TestNobodyListens(t *testing.T) {
	var n fakenet.Network
	if _, err := n.DialContext(t.Context(), "tcp", "10.0.0.1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
	l, _ := n.Listen("10.0.0.1:1")
	if _, err := n.Listen("10.0.0.1:1"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	c, _ := n.DialContext(t.Context(), "tcp", "10.0.0.1:1")
	l.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("unaccepted connection: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	if _, err := n.DialContext(t.Context(), "tcp", "10.0.0.1:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v", err)
	}
}

func TestCutHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n fakenet.Network
		client, server := pair(t, &n)
		l, _ := n.Listen("10.0.0.1:7")
		io.WriteString(client, "lost")
		ip := netip.MustParseAddr("10.0.0.1")
		n.Cut(ip)
		for _, c := range []net.Conn{client, server} {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := n.DialContext(ctx, "tcp", l.Addr().String()); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		n.Heal(ip)
		if _, err := n.DialContext(t.Context(), "tcp", l.Addr().String()); err != nil {
			t.Error(err)
		}
	})
}

func TestHalfClose(t *testing.T) {
	client, server := pair(t, &fakenet.Network{})
	io.WriteString(client, "question")
	client.(*fakenet.Conn).CloseWrite()
	if q, err := io.ReadAll(server); string(q) != "question" || err != nil {
		t.Errorf("%q %v", q, err)
	}
	io.WriteString(server, "answer")
	server.Close()
	if a, err := io.ReadAll(client); string(a) != "answer" || err != nil {
		t.Errorf("%q %v", a, err)
	}
	if _, err := client.Write([]byte(strings.Repeat("x", 10))); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v", err)
	}
}
