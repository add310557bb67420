package docker

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/launcher"
)

func TestRun(t *testing.T) {
	e := open(t, nil)
	no := new(false)
	for name, test := range map[string]struct {
		command        *mesos.CommandInfo
		status         int
		stdout, stderr string
	}{
		"shell":      {shell("echo $A $MESOS_SANDBOX; cat /mnt/mesos/sandbox/file; echo oops >&2; exit 7"), 7, "task /mnt/mesos/sandbox\nfetched\n", "oops\n"},
		"image":      {&mesos.CommandInfo{Shell: no}, 0, "from the image\n", ""},
		"arguments":  {&mesos.CommandInfo{Shell: no, Arguments: []string{"echo args"}}, 0, "args\n", ""},
		"entrypoint": {&mesos.CommandInfo{Shell: no, Value: new("echo $0 $1"), Arguments: []string{"x", "y"}}, 0, "x y\n", ""},
		"much":       {shell("i=0; while [ $i -lt 5000 ]; do echo line; i=$((i+1)); done"), 0, strings.Repeat("line\n", 5000), ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := e.box(t, "run", test.command, nil)
			os.WriteFile(filepath.Join(b.sandbox, "file"), []byte("fetched\n"), 0o644)
			p := b.launch(t)
			if status, stdout, stderr := b.ends(t, p); status != test.status || stdout != test.stdout || stderr != test.stderr {
				t.Errorf("status %d, %q, %q", status, stdout, stderr)
			}
		})
	}
}

// TestPersistentVolumes: a container writes to its volumes, but not to those that it
// may only read.
func TestPersistentVolumes(t *testing.T) {
	e := open(t, nil)
	rw, ro := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(ro, "file"), []byte("kept\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := e.box(t, "volumes", shell("cd /mnt/mesos/sandbox; echo new >rw/file; cat ro/file; echo bad >ro/file || echo bad >ro/more || exit 4"), func(s *Spec) {
		s.Mounts = []Mount{{rw, "rw", false}, {ro, "ro", true}}
	})
	if status, out, errs := b.ends(t, b.launch(t)); status != 4 || out != "kept\n" || !strings.Contains(errs, "Read-only") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	for dir, want := range map[string]string{rw: "new\n", ro: "kept\n"} {
		if text, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(text) != want {
			t.Errorf("%q, %v, want %q", text, err, want)
		}
	}
}

// TERM first, KILL for those that do not listen; neither is an error when the
// container has ended by itself.
func TestKill(t *testing.T) {
	e := open(t, nil)
	b := e.box(t, "term", shell("trap 'exit 3' TERM; echo >/mnt/mesos/sandbox/ready; while :; do sleep 0.1; done"), nil)
	p := b.launch(t)
	b.writes(t, "ready")
	if u := b.uses(t, p); u.RSS == 0 {
		t.Errorf("usage %+v", u)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if status, _, _ := b.ends(t, p); status != 3 {
		t.Errorf("status %d", status)
	}
	b = e.box(t, "kill", shell("trap '' TERM; while :; do sleep 1; done"), nil)
	p = b.launch(t)
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if status, _, _ := b.ends(t, p); status != 128+int(syscall.SIGKILL) {
		t.Errorf("status %d", status)
	}
	if err := errors.Join(p.Kill(), p.Signal(syscall.SIGTERM)); err != nil {
		t.Error(err)
	}
	if u := p.Usage(); !reflect.DeepEqual(u, launcher.Usage{}) {
		t.Errorf("usage after the end %+v", u)
	}
}

// TestHungEngine: a container can be killed while the Engine answers nobody, as
// MESOS-8488 and its like are about; and when it answers again it tells the end.
func TestHungEngine(t *testing.T) {
	e := open(t, nil)
	b := e.box(t, "hung", shell("trap '' TERM; echo >/mnt/mesos/sandbox/ready; while :; do sleep 1; done"), nil)
	p := b.launch(t)
	b.writes(t, "ready")
	if p.First() == 0 {
		t.Fatal("it does not run")
	}
	engine := theEngine.PID()
	// The one that waits for the end reads its own patience meanwhile.
	hasty := &Process{e: &Engine{cfg: e.cfg, api: e.api, patience: 500 * time.Millisecond}, id: p.id, full: p.full, pid: p.pid}
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	killed := hasty.Kill()
	for p.First() != 0 { // SIGKILL takes a moment
		time.Sleep(10 * time.Millisecond)
	}
	if err := errors.Join(killed, syscall.Kill(engine, syscall.SIGCONT)); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := b.ends(t, p); status != 128+int(syscall.SIGKILL) {
		t.Errorf("status %d", status)
	}
}

func TestStopTimeout(t *testing.T) {
	e := open(t, func(c *Config) { c.StopTimeout = time.Minute })
	b := e.box(t, "stop", shell("trap 'exit 4' TERM; echo >/mnt/mesos/sandbox/ready; while :; do sleep 0.1; done"), nil)
	p := b.launch(t)
	b.writes(t, "ready")
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if status, _, _ := b.ends(t, p); status != 4 {
		t.Errorf("status %d", status)
	}
}

// Limits are raised while a container runs, and memory is not taken away.
func TestUpdate(t *testing.T) {
	e := open(t, nil)
	b := e.box(t, "update", shell("sleep 1000"), nil)
	p := b.launch(t)
	for _, test := range []struct {
		may             launcher.Resources
		shares, mem, us int64
	}{
		{launcher.Resources{CPUs: 2, Mem: 256}, 2048, 256 << 20, 0},
		{launcher.Resources{CPUs: 1, CPULimit: 1.5, Mem: 64}, 1024, 256 << 20, 150_000},
	} {
		if err := p.Update(test.may); err != nil {
			t.Fatal(err)
		}
		found, err := e.inspect(b.spec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if has := found.HostConfig; has.CPUShares != test.shares || has.Memory != test.mem || has.CPUQuota != test.us {
			t.Errorf("%+v: %d shares, %d bytes, quota %d", test.may, has.CPUShares, has.Memory, has.CPUQuota)
		}
	}
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	b.ends(t, p)
	if err := p.Update(launcher.Resources{CPUs: 1}); err != nil {
		t.Error("after the end:", err)
	}
	if l := p.Limitation(); l != nil {
		t.Errorf("limitation %+v", l)
	}
}

// An agent that comes back finds its containers, running or not, and misses
// nothing of what they write.
func TestAdopt(t *testing.T) {
	e := open(t, nil)
	b := e.box(t, "adopt", shell("echo one; echo >/mnt/mesos/sandbox/ready; while [ ! -e /mnt/mesos/sandbox/go ]; do sleep 0.1; done; echo two; exit 5"), nil)
	first := b.launch(t)
	b.writes(t, "ready")
	if pid, ok := e.PID(b.spec.ID); !ok || pid != first.PID() || pid <= 0 {
		t.Errorf("process %d, %t, want %d", pid, ok, first.PID())
	}
	again := filepath.Join(b.sandbox, "again")
	adopt := func() launcher.Process {
		f, err := os.OpenFile(again, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		nothing, _ := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		p, err := e.Adopt(b.spec.ID, nil, f, nothing, [2]int64{int64(len("one\n")), 0})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	second := adopt()
	if text := second.(*Process).Inspected(); !strings.Contains(string(text), `"Name": "/`+name(b.spec.ID)+`"`) {
		t.Errorf("inspected %s", text)
	}
	os.WriteFile(filepath.Join(b.sandbox, "go"), nil, 0o644)
	for _, p := range []launcher.Process{first, second} {
		if status, out, _ := b.ends(t, p); status != 5 || out != "one\ntwo\n" {
			t.Errorf("status %d, %q", status, out)
		}
	}
	if text, _ := os.ReadFile(again); string(text) != "two\n" {
		t.Errorf("the second life copied %q", text)
	}
	os.Remove(again)
	if status, _, _ := b.ends(t, adopt()); status != 5 {
		t.Errorf("status %d of a container that had ended", status)
	}
	if text, _ := os.ReadFile(again); string(text) != "two\n" {
		t.Errorf("after the end %q was copied", text)
	}
	out, errs := b.output(t)
	if _, err := e.Adopt("never-was", nil, out, errs, [2]int64{}); !errors.Is(err, launcher.ErrGone) {
		t.Error(err)
	}
}

func TestOrphans(t *testing.T) {
	for _, kill := range []bool{false, true} {
		t.Run(strconv.FormatBool(kill), func(t *testing.T) { testOrphans(t, kill) })
	}
}

func testOrphans(t *testing.T, kill bool) {
	e := open(t, func(c *Config) { c.KillOrphans, c.RemoveDelay = kill, 0 })
	known, orphan := e.box(t, "known", shell("sleep 1000"), nil), e.box(t, "orphan", shell("sleep 1000"), nil)
	one, other := known.launch(t), orphan.launch(t)
	stranger, err := e.api.ContainerCreate(t.Context(), client.ContainerCreateOptions{Image: "box:1", Name: "not-mesos-" + orphan.spec.ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Recover(func(id string) bool { return id == known.spec.ID }); err != nil {
		t.Fatal(err)
	}
	if _, err := e.api.ContainerInspect(t.Context(), stranger.ID, client.ContainerInspectOptions{}); err != nil {
		t.Error("a stranger's container is gone:", err)
	}
	if err := e.remove(stranger.ID); err != nil {
		t.Error(err)
	}
	if kill {
		other.Wait()
		gone(t, e, orphan.spec.ID)
	} else if pid, _ := e.PID(orphan.spec.ID); pid == 0 {
		t.Error("it was killed")
	}
	if pid, _ := e.PID(known.spec.ID); pid == 0 {
		t.Error("one that is known was killed")
	}
	for _, p := range []launcher.Process{one, other} {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}
}

// gone waits until a container is removed.
func gone(t *testing.T, e *Engine, id string) {
	t.Helper()
	for range 600 {
		if _, err := e.inspect(id); errors.Is(err, launcher.ErrGone) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("container %s is not removed", id)
}

func TestRelease(t *testing.T) {
	e := open(t, func(c *Config) { c.RemoveDelay = 0 })
	b := e.box(t, "release", shell("true"), nil)
	b.ends(t, b.launch(t))
	if _, err := e.inspect(b.spec.ID); err != nil {
		t.Error("removed before it was time:", err)
	}
	if err := e.Release(b.spec.ID); err != nil {
		t.Error(err)
	}
	gone(t, e, b.spec.ID)
}

func TestCannotLaunch(t *testing.T) {
	e := open(t, nil)
	for name, change := range map[string]func(*Spec){
		"no image":    func(s *Spec) { s.Container.Docker.Image = new("no-such:1") },
		"no network":  func(s *Spec) { s.Container.Docker.Parameters = parametersOf("network", "no-such") },
		"no program":  func(s *Spec) { s.Container.Docker.Parameters = parametersOf("entrypoint", "/no/such") },
		"bad options": func(s *Spec) { s.Container.Docker.Parameters = parametersOf("no-such", "x") },
	} {
		b := e.box(t, "bad", &mesos.CommandInfo{Shell: new(false)}, change)
		if p, err := e.Launch(b.spec); err == nil {
			t.Errorf("%s: launched %v", name, p)
		}
		if _, err := e.inspect(b.spec.ID); !errors.Is(err, launcher.ErrGone) {
			t.Errorf("%s: it was left behind: %v", name, err)
		}
	}
}

func TestPull(t *testing.T) {
	e := open(t, func(c *Config) {
		c.Auth = func(string) string {
			return base64.URLEncoding.EncodeToString([]byte(`{"username": "user", "password": "secret"}`))
		}
	})
	var log bytes.Buffer
	info := &mesos.ContainerInfo{Docker: &mesos.ContainerInfo_DockerInfo{Image: new("box:1")}}
	if err := e.Pull(t.Context(), info, &log); err != nil || log.Len() > 0 {
		t.Errorf("an image that is there: %v, %q", err, &log)
	}
	// A registry that has nothing.
	registry := listen(t, "127.0.0.1:0")
	asked := make(chan struct{}, 100)
	go http.Serve(registry, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "user" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		asked <- struct{}{}
		http.Error(w, "{}", http.StatusNotFound)
	}))
	info.Docker.Image = new(registry.Addr().String() + "/none")
	if err := e.Pull(t.Context(), info, &log); err == nil || !strings.Contains(log.String(), "Pulling image") {
		t.Errorf("an image that is nowhere: %v, %q", err, &log)
	}
	select {
	case <-asked:
	default:
		t.Error("the registry was not asked with credentials")
	}
}

// Nothing answers: who asks is told, and does not wait for ever.
func TestNoEngine(t *testing.T) {
	e, err := New(Config{Socket: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "--docker_socket") {
		t.Error(err)
	}
}
