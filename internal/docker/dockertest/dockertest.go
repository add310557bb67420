// Package dockertest starts a Docker Engine for tests: one that shares neither its
// data, nor its control groups, nor its network with the machine.
package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/meseta-project/meseta/internal/skip"
	"github.com/meseta-project/meseta/test/cluster"
)

// Bridge is the Engine's own address in the network of BRIDGE containers, and
// Bridge6 begins those of version 6 there.
const (
	Bridge  = "10.213.0.1"
	Bridge6 = "fd00:213::"
)

// startMax is how long an Engine may take to start.
const startMax = time.Minute

// Engine is a Docker Engine.
type Engine struct {
	Socket string

	dir   string
	lacks string // what this machine lacks, "" if nothing
	cmd   *exec.Cmd
	ns    *os.File // its network
}

// Start starts an Engine, which [Engine.Stop] is to end. On a machine that has not
// what it takes there is none: see [Engine.Need].
func Start() (*Engine, error) {
	e := &Engine{}
	program, has := look("dockerd")
	if _, filters := look("iptables"); !has || !filters || os.Getuid() != 0 {
		e.lacks = "root, docker.io and iptables (make prepare installs them)"
		return e, nil
	}
	var err error
	if e.dir, err = os.MkdirTemp("", "docker"); err != nil { // short, as the paths of sockets must be
		return nil, err
	}
	e.Socket = filepath.Join(e.dir, "socket")
	if err := e.run(program); err != nil {
		text, _ := os.ReadFile(filepath.Join(e.dir, "log"))
		e.Stop()
		return nil, fmt.Errorf("start the Docker Engine: %w\n%s", err, text)
	}
	return e, nil
}

func look(program string) (path string, has bool) {
	path, err := exec.LookPath(program)
	return path, err == nil
}

func (e *Engine) run(program string) error {
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d := exec.CommandContext(context.Background(), program, "--bip="+Bridge+"/24", "--ipv6", "--fixed-cidr-v6="+Bridge6+"/64",
		"--data-root="+filepath.Join(e.dir, "data"), "--exec-root="+filepath.Join(e.dir, "run"), "--pidfile="+filepath.Join(e.dir, "pid"),
		"--host=unix://"+e.Socket, "--cgroup-parent=/"+filepath.Base(e.dir))
	d.Stdout, d.Stderr = log, log
	if err := apart(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		if e.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		if err := exec.CommandContext(context.Background(), "ip", "link", "set", "lo", "up").Run(); err != nil {
			return err
		}
		return d.Start()
	}); err != nil {
		return err
	}
	e.cmd = d
	for end := time.Now().Add(startMax); !e.answers(); time.Sleep(50 * time.Millisecond) { // it tells nobody
		if time.Now().After(end) {
			return errors.New("it does not answer")
		}
	}
	return nil
}

func (e *Engine) answers() bool {
	_, err := e.ask(http.MethodGet, "/_ping", nil, time.Second)
	return err == nil
}

// ask makes a request of the Engine.
func (e *Engine) ask(method, path string, body io.Reader, patience time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return "", err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", e.Socket)
	}}}
	answer, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	return string(text), err
}

// Load gives the Engine the Image.
func (e *Engine) Load() error {
	root, err := cluster.Busybox()
	if err != nil {
		return fmt.Errorf("busybox-static is lacking (make prepare installs it): %w", err)
	}
	query := url.Values{"fromSrc": {"-"}, "repo": {"box"}, "tag": {"1"}, "changes": {`ENTRYPOINT ["/bin/sh", "-c"]`, `CMD ["echo from the image"]`, "ENV A=image"}}
	text, err := e.ask(http.MethodPost, "/images/create?"+query.Encode(), bytes.NewReader(root), startMax)
	if err == nil && strings.Contains(text, `"error"`) {
		err = fmt.Errorf("load the image: %s", text)
	}
	return err
}

// apart runs something in a thread that may be changed and is not used again.
func apart(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- do()
	}()
	return <-done
}

// Inside runs something in the Engine's network, in the goroutine's own thread: what
// it opens there is of that network wherever it is used, what it starts is in it.
func (e *Engine) Inside(do func() error) error {
	return apart(func() error {
		if err := unix.Setns(int(e.ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
}

// Need skips a test on a machine that cannot have an Engine, or fails it where one
// must be.
func (e *Engine) Need(t *testing.T) {
	t.Helper()
	if e.lacks != "" {
		skip.Lacking(t, e.lacks)
	}
}

// PID is the Engine's process.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Stop ends the Engine and removes what it leaves: the network namespace of
// containers in its own network, and its control groups.
func (e *Engine) Stop() {
	if e.cmd != nil {
		_ = e.cmd.Process.Signal(syscall.SIGTERM)
		_ = e.cmd.Wait()
	}
	if e.ns != nil {
		e.ns.Close()
	}
	if e.dir == "" {
		return
	}
	cluster.RemoveEngine(e.dir)
}

// Image is that of the tests: Debian's busybox-static, whose entrypoint is a shell
// that takes a script.
const Image = "box:1"
