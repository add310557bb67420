package docker

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/docker/dockertest"
	"github.com/meseta-project/meseta/internal/launcher"
)

// theEngine is the Docker Engine of all tests here, since one takes a second to start:
// the first that needs it starts it. nil: none has.
var theEngine *dockertest.Engine

func TestMain(m *testing.M) {
	status := m.Run()
	if theEngine != nil {
		theEngine.Stop()
	}
	os.Exit(status)
}

var startEngine = sync.OnceValue(func() (err error) {
	if theEngine, err = dockertest.Start(); err != nil || theEngine.Socket == "" {
		return err
	}
	return theEngine.Load()
})

// open returns an engine, which has the image "box:1".
func open(t *testing.T, change func(*Config)) *Engine {
	t.Helper()
	if err := startEngine(); err != nil {
		t.Fatal(err)
	}
	theEngine.Need(t)
	cfg := Config{Socket: theEngine.Socket, Mapped: "/mnt/mesos/sandbox", RemoveDelay: time.Hour, KillOrphans: true, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
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

func (b *box) launch(t *testing.T) *Process {
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

// uses returns what a container uses, of which a busy Engine may know nothing yet.
func (b *box) uses(t *testing.T, p *Process) launcher.Usage {
	t.Helper()
	for range 600 {
		if u := p.Usage(); u.Processes > 0 {
			return u
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the Engine tells of no usage")
	return launcher.Usage{}
}

func scalar(name string, v float64) *mesos.Resource {
	return &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &v}}
}

func shell(script string) *mesos.CommandInfo { return &mesos.CommandInfo{Value: &script} }
