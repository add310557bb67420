// Package health looks whether something answers at a port, from within the
// network that it is in: that of a container, entered by a thread of ours.
//
// Mesos runs curl and a helper of its own for it, one process for each probe.
package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Bounds of what is read of an answer. What is longer counts as an answer; the
// rest of it is for others.
const (
	headMax = 256 << 10
	bodyMax = 1 << 20
	hopsMax = 50 // as curl follows
)

// Network is the file of a network namespace, "" for the one that this process is
// in.
type Network string

// NetworkOf returns the network of a process. It fails with [fs.ErrNotExist] when
// the process is gone.
func NetworkOf(pid int) (Network, error) {
	file := fmt.Sprintf("/proc/%d/ns/net", pid)
	theirs, err := os.Readlink(file)
	if errors.Is(err, fs.ErrPermission) { // who may not look has made no network either
		return "", nil
	}
	if err != nil {
		return "", err
	}
	own, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil || own == theirs {
		return "", err
	}
	return Network(file), nil
}

// Get makes a GET request, follows where the answers lead, and returns the status
// of the last. Certificates are not verified.
func Get(ctx context.Context, n Network, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("User-Agent", "meseta")
	request.Header.Set("Accept", "*/*")
	client := http.Client{
		Transport: &http.Transport{
			DialContext:            n.dial,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as Mesos: it is the task's own port
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: headMax,
		},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) >= hopsMax {
				return fmt.Errorf("redirected more than %d times", hopsMax)
			}
			return nil
		},
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, bodyMax)); err != nil {
		return 0, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	return answer.StatusCode, nil
}

// Connect makes a TCP connection and closes it.
func Connect(ctx context.Context, n Network, address string) error {
	conn, err := n.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// dial connects to the first of a host's addresses that takes it. Names are those
// that the machine knows.
func (n Network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, ip := range all {
		conn, err := n.dialIP(ctx, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return conn, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

func (n Network) dialIP(ctx context.Context, address string) (conn net.Conn, err error) {
	if n == "" {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	aside(func() {
		// To an address that is a number a dialer connects from the goroutine that
		// calls it.
		if err = n.enter(); err == nil {
			conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	})
	return conn, err
}

// aside runs f on a thread that ends afterwards, whatever f has done to it. That is
// never the process's first: it would not end, and stands for us all in /proc.
func aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			f()
			return
		}
		aside(f) // on another, as this goroutine keeps the first
		runtime.UnlockOSThread()
	}()
	<-done
}

// enter moves the calling thread into the network.
func (n Network) enter() error {
	file, err := os.Open(string(n))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network %s: %w", n, err)
	}
	return nil
}
