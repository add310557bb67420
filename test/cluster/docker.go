package cluster

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Docker is a running Docker Engine that shares nothing with the machine's own.
type Docker struct {
	*Process
	Socket string
	client *http.Client
}

// StartDocker starts a Docker Engine in a network of its own, with a bridge, and
// returns when it answers. Without Debian's docker.io, iptables and busybox-static,
// or root, the test is skipped, or fails if $CI is set.
func StartDocker(t *testing.T) *Docker {
	t.Helper()
	program, err := exec.LookPath("dockerd")
	if err == nil {
		_, err = exec.LookPath("iptables")
	}
	unshare, missing := exec.LookPath("unshare")
	if err = cmp.Or(err, missing); err != nil || os.Getuid() != 0 {
		Unavailable(t, "no Docker Engine: become root and install Debian's packages docker.io and iptables: %v", err)
	}
	dir, err := os.MkdirTemp("", "docker") //nolint:usetesting // short: the paths of sockets below it may not be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { RemoveEngine(dir) })
	d := &Docker{Socket: filepath.Join(dir, "socket")}
	d.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", d.Socket)
	}}}
	t.Cleanup(d.client.CloseIdleConnections)
	d.Process = Start(t, "dockerd", nil, unshare, "--net", "/bin/sh", "-c", `ip link set lo up && exec "$0" "$@"`, program, "--bip=10.213.0.1/24",
		"--data-root="+filepath.Join(dir, "data"), "--exec-root="+filepath.Join(dir, "run"), "--pidfile="+filepath.Join(dir, "pid"),
		"--host=unix://"+d.Socket, "--cgroup-parent=/"+filepath.Base(dir))
	t.Cleanup(func() { d.stop(t) })
	Eventually(t, Patience, func() error {
		_, err := d.Ask(http.MethodGet, "/_ping", nil)
		return err
	})
	return d
}

// stop ends all containers, and then the Engine in the way in which it cleans up.
func (d *Docker) stop(t *testing.T) {
	for _, name := range d.Names() {
		if _, err := d.Ask(http.MethodDelete, "/containers/"+name+"?force=1", nil); err != nil {
			t.Errorf("remove container %s: %v", name, err)
		}
	}
	d.Signal(syscall.SIGTERM)
	d.Exit(Patience)
}

// Ask makes a request of the Engine's API. A body that is a text is JSON.
func (d *Docker) Ask(method, path string, body io.Reader) (Value, error) {
	request, err := http.NewRequest(method, "http://docker"+path, body)
	if err != nil {
		return Value{}, err
	}
	if _, text := body.(*strings.Reader); text {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := d.client.Do(request)
	if err != nil {
		return Value{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s: %s", answer.Status, text)
	}
	if err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		return Value{}, err
	}
	out, _ := ParseJSON(text) // some answers are streams
	return out, nil
}

// Names are the names of all containers.
func (d *Docker) Names() []string {
	all, err := d.Ask(http.MethodGet, "/containers/json?all=1", nil)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range all.List("") {
		for _, n := range c.List("Names") {
			names = append(names, strings.TrimPrefix(fmt.Sprint(n.V), "/"))
		}
	}
	return names
}

// Load gives the Engine the image box:1, made of Debian's busybox-static.
func (d *Docker) Load(t *testing.T) {
	t.Helper()
	if _, err := d.Ask(http.MethodPost, "/images/create?fromSrc=-&repo=box&tag=1", bytes.NewReader(BusyboxRoot(t))); err != nil {
		t.Fatal(err)
	}
}

// BusyboxRoot returns a tar file of a root with Debian's busybox-static in it.
func BusyboxRoot(t *testing.T) []byte {
	t.Helper()
	root, err := Busybox()
	if err != nil {
		Unavailable(t, "no busybox: install Debian's package busybox-static: %v", err)
	}
	return root
}

// Busybox is BusyboxRoot where there is no test.
func Busybox() ([]byte, error) {
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, err
	}
	headers := []*tar.Header{
		{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
		{Name: "etc/box", Typeflag: tar.TypeReg, Mode: 0o644},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
	}
	for _, applet := range []string{
		"cat", "chmod", "env", "head", "hostname", "id", "ip", "kill", "ls", "mknod", "mount", "nc", "nslookup", "pwd", "setsid", "sh", "sleep", "stat", "wget",
	} {
		headers = append(headers, &tar.Header{Name: "bin/" + applet, Typeflag: tar.TypeSymlink, Linkname: "busybox"})
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if h.Size > 0 {
			if _, err := w.Write(program); err != nil {
				return nil, err
			}
		}
	}
	return out.Bytes(), w.Close()
}

// RemoveEngine removes what an Engine leaves that has its files in dir, and control
// groups of that name: the network namespace of containers without one of their own,
// the files and the groups.
func RemoveEngine(dir string) {
	_ = syscall.Unmount(filepath.Join(dir, "run", "netns", "default"), syscall.MNT_DETACH)
	_ = os.RemoveAll(dir)
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + filepath.Base(dir))
	for _, g := range append(groups, filepath.Join("/sys/fs/cgroup", filepath.Base(dir))) {
		var all []string
		_ = filepath.WalkDir(g, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil
		})
		for _, path := range slices.Backward(all) {
			_ = os.Remove(path)
		}
	}
}
