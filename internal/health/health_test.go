package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/skip"
)

func TestGet(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.RawQuery != "q=1" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	mux.HandleFunc("/no", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/no", http.StatusFound) })
	mux.HandleFunc("/nowhere", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "short")
	})
	for _, server := range []*httptest.Server{httptest.NewServer(mux), httptest.NewTLSServer(mux)} {
		t.Cleanup(server.Close)
		for path, want := range map[string]int{
			"/ok?q=1": 200, "/no": 503, "/none": 404, "/moved": 503, "/nowhere": 302, "/endless": 200, "/round": 0, "/cut": 0,
		} {
			got, err := Get(t.Context(), "", server.URL+path)
			if got != want || (err != nil) != (want == 0) {
				t.Errorf("%s%s: %d, %v; want %d", server.URL, path, got, err, want)
			}
		}
	}
}

// TestGetIsBounded: an answer that never comes, and one whose head never ends.
func TestGetIsBounded(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*headMax)} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
				return
			}
			_, _ = io.WriteString(conn, answer)
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}()
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if answer == "" {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		status, err := Get(ctx, "", "http://"+l.Addr().String())
		cancel()
		if err == nil {
			t.Errorf("status %d", status)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := Connect(t.Context(), "", l.Addr().String()); err != nil {
		t.Error(err)
	}
	// A port that is taken and where nobody listens.
	taken := new(net.Dialer)
	taken.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	conn, err := taken.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, address := range []string{conn.LocalAddr().String(), "127.0.0.1:99999", "127.0.0.1"} {
		if err := Connect(t.Context(), "", address); err == nil {
			t.Errorf("connected to %s", address)
		}
	}
}

// TestNetwork: what listens within a container's network is reached there and
// nowhere else, by both versions of IP.
func TestNetwork(t *testing.T) {
	t.Parallel()
	skip.UnlessRoot(t)
	// The word is said when there is a network, not before.
	inside := exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 1000")
	out, err := inside.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	inside.Stderr = os.Stderr
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inside.Process.Kill(); _ = inside.Wait() })
	if word, err := bufio.NewReader(out).ReadString('\n'); word != "up\n" {
		t.Fatal(word, err)
	}
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	network, err := NetworkOf(inside.Process.Pid)
	if err != nil || network == "" {
		t.Fatal(network, err)
	}
	if own, err := NetworkOf(os.Getpid()); own != "" || err != nil {
		t.Errorf("our own network is %q, %v", own, err)
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		l := listen(t, network, host+":0")
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				_, port, _ := net.SplitHostPort(l.Addr().String())
				http.Redirect(w, r, fmt.Sprintf("http://localhost:%s/there", port), http.StatusFound)
			}
		})}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
		if err := Connect(t.Context(), network, l.Addr().String()); err != nil {
			t.Error(err)
		}
		if status, err := Get(t.Context(), network, "http://"+l.Addr().String()+"/there"); status != 200 {
			t.Error(status, err)
		}
		if err := Connect(t.Context(), "", l.Addr().String()); err == nil {
			t.Error("it is reached from outside")
		}
	}
	if now, err := os.Readlink("/proc/self/ns/net"); err != nil || now != before {
		t.Errorf("the process is in %s, %v", now, err)
	}
}

// listen listens within a network.
func listen(t *testing.T, n Network, address string) (l net.Listener) {
	t.Helper()
	var err error
	aside(func() {
		if err = n.enter(); err == nil {
			l, err = net.Listen("tcp", address)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestNetworkOfNobody(t *testing.T) {
	t.Parallel()
	if n, err := NetworkOf(1 << 30); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", n, err)
	}
}
