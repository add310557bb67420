package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

// theEngine is the Docker Engine of all tests here: one takes a second to start.
var theEngine struct {
	socket string
	lacks  string // what this machine lacks
}

func TestMain(m *testing.M) {
	stop := startEngine()
	status := m.Run()
	stop()
	os.Exit(status)
}

// startEngine starts an Engine that shares nothing with that of the machine, if
// there is one, and touches no network.
func startEngine() (stop func()) {
	program, err := exec.LookPath("dockerd")
	if err != nil || os.Getuid() != 0 {
		theEngine.lacks = "root and docker.io (make prepare installs it)"
		return func() {}
	}
	dir, err := os.MkdirTemp("", "docker")
	if err != nil {
		panic(err)
	}
	theEngine.socket = filepath.Join(dir, "socket")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		panic(err)
	}
	d := exec.Command(program, "--iptables=false", "--ip6tables=false", "--bridge=none", "--data-root="+filepath.Join(dir, "data"),
		"--exec-root="+filepath.Join(dir, "run"), "--pidfile="+filepath.Join(dir, "pid"), "--host=unix://"+theEngine.socket,
		"--cgroup-parent=/"+filepath.Base(dir))
	d.Stdout, d.Stderr = log, log
	if err := d.Start(); err != nil {
		panic(err)
	}
	stop = func() {
		_ = d.Process.Signal(syscall.SIGTERM)
		_ = d.Wait()
		cleanUp(dir)
	}
	if !answers(theEngine.socket) {
		text, _ := os.ReadFile(log.Name())
		stop()
		panic("the Docker Engine did not start: " + string(text))
	}
	return stop
}

// cleanUp removes what an Engine leaves: the network namespace of containers without
// one of their own, and its control groups.
func cleanUp(dir string) {
	_ = unix.Unmount(filepath.Join(dir, "run", "netns", "default"), unix.MNT_DETACH)
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

func answers(socket string) bool {
	e, err := New(Config{Socket: socket})
	if err != nil {
		return false
	}
	defer e.Close()
	for range 300 {
		if e.Check(context.Background()) == nil {
			return true
		}
		time.Sleep(100 * time.Millisecond) // it tells nobody when it is ready
	}
	return false
}

// open returns an engine with the image "box".
func open(t *testing.T, change func(*Config)) *Engine {
	t.Helper()
	if theEngine.lacks != "" {
		skip.Lacking(t, theEngine.lacks)
	}
	cfg := Config{Socket: theEngine.socket, Mapped: "/mnt/mesos/sandbox", RemoveDelay: time.Hour, KillOrphans: true, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	load(t, e)
	return e
}

// load gives the Engine an image made of Debian's busybox-static.
func load(t *testing.T, e *Engine) {
	t.Helper()
	if _, err := e.api.ImageInspect(t.Context(), "box:1"); err == nil {
		return
	}
	program, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal("busybox-static is lacking (make prepare installs it): ", err)
	}
	var text bytes.Buffer
	w := tar.NewWriter(&text)
	for _, h := range []*tar.Header{
		{Name: "bin/busybox", Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(program))},
		{Name: "tmp/", Typeflag: tar.TypeDir, Mode: 0o1777},
		{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/cat", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/sleep", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
		{Name: "bin/id", Typeflag: tar.TypeSymlink, Linkname: "busybox"},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			w.Write(program)
		}
	}
	w.Close()
	answer, err := e.api.ImageImport(t.Context(), client.ImageImportSource{Source: &text, SourceName: "-"}, "box:1",
		client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/bin/sh", "-c"]`, `CMD ["echo from the image"]`, "ENV A=image"}})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if _, err := io.Copy(io.Discard, answer); err != nil {
		t.Fatal(err)
	}
}

// box is a container of a test.
type box struct {
	spec    *Spec
	e       *Engine
	sandbox string
}

func (e *Engine) box(t *testing.T, id string, command *mesos.CommandInfo, change func(*Spec)) *box {
	t.Helper()
	b := &box{e: e, sandbox: t.TempDir()}
	b.spec = &Spec{
		ID: id + "-" + strings.Trim(strings.ReplaceAll(filepath.Base(filepath.Dir(b.sandbox)), "#", ""), "-"), Command: command, Env: []string{"A=task"}, Sandbox: b.sandbox,
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{Image: new("box:1")}},
		Resources: []*mesos.Resource{scalar("cpus", 0.5), scalar("mem", 64)},
	}
	b.spec.Stdout, b.spec.Stderr = b.output(t)
	if change != nil {
		change(b.spec)
	}
	t.Cleanup(func() {
		if err := e.remove(name(b.spec.ID)); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *box) output(t *testing.T) (stdout, stderr io.WriteCloser) {
	t.Helper()
	var files [2]*os.File
	for i, n := range []string{"stdout", "stderr"} {
		f, err := os.OpenFile(filepath.Join(b.sandbox, n), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		files[i] = f
	}
	return files[0], files[1]
}

func (b *box) launch(t *testing.T) launcher.Process {
	t.Helper()
	p, err := b.e.Launch(b.spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ends waits for the end and returns the exit status and what was written.
func (b *box) ends(t *testing.T, p launcher.Process) (status int, stdout, stderr string) {
	t.Helper()
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	out, _ := os.ReadFile(filepath.Join(b.sandbox, "stdout"))
	errors, _ := os.ReadFile(filepath.Join(b.sandbox, "stderr"))
	return status >> 8, string(out), string(errors)
}

// writes waits until the container has written a file into its sandbox.
func (b *box) writes(t *testing.T, file string) {
	t.Helper()
	for range 600 {
		if _, err := os.Stat(filepath.Join(b.sandbox, file)); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the container did not write %s", file)
}

func scalar(name string, v float64) *mesos.Resource {
	return &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &v}}
}

func shell(script string) *mesos.CommandInfo { return &mesos.CommandInfo{Value: &script} }
