package containerizer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/docker/dockertest"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/lxc"
	"github.com/meseta-project/meseta/internal/launcher/oci"
	"github.com/meseta-project/meseta/internal/skip"
)

// TestSuite is what a task can rely on in whatever container it runs, and an agent
// with whatever containerizer it has: plain processes, containers of runc, crun and
// LXC, and those of a Docker Engine.
func TestSuite(t *testing.T) {
	for kind, config := range map[string]func(*testing.T, string) Config{
		"posix":  func(_ *testing.T, dir string) Config { return Config{RuntimeDir: filepath.Join(dir, "run")} },
		"runc":   isolating("runc"),
		"crun":   isolating("crun"),
		"lxc":    isolating("lxc"),
		"docker": engined,
	} {
		for name, test := range suite {
			t.Run(kind+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				w := &world{t: t, kind: kind, dir: dir, cfg: config(t, dir), id: ids.ContainerID(fmt.Sprintf("s%d-%d", os.Getpid(), time.Now().UnixNano()))}
				test(t, w)
			})
		}
	}
}

var suite = map[string]func(*testing.T, *world){
	"exit statuses": exitStatuses, "a program that is missing": missingProgram, "output": outputInside, "environment": environments, "fetched files": fetched,
	"asked to end": askedToEnd, "killed with daemons": killedWithDaemons, "nothing outlives the first process": nothingOutlives, "killed twice": killedTwice,
	"adopted": adopted, "killed when adopted": killedWhenAdopted, "ended while nobody looked": endedUnseen, "an orphan is ended": orphanEnded, "known to the next life": knownLater,
	"a command inside": commandInside, "a command inside takes too long": commandTooLong, "usage": usages, "resources change": resourcesChange, "volumes": volumesInside,
}

// world is a containerizer with one container.
type world struct {
	t    *testing.T
	kind string
	dir  string
	cfg  Config
	id   ids.ContainerID
	spec *Spec
}

// isolating returns the configuration for containers of an OCI runtime or of LXC.
func isolating(name string) func(*testing.T, string) Config {
	return func(t *testing.T, dir string) Config {
		skip.UnlessRoot(t)
		machine, err := oci.LookAround("/sys/fs/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		bundles, root := filepath.Join(dir, name), fmt.Sprintf("meseta-suite-%d-%d", os.Getpid(), time.Now().UnixNano())
		var starter oci.Starter
		if name == "lxc" {
			tools, err := lxc.Find(t.Context())
			if err == nil {
				err = tools.Use(bundles, machine, root)
			}
			if err != nil {
				skip.Lacking(t, err.Error())
			}
			starter = tools
		} else {
			runtime, err := oci.FindRuntime(t.Context(), name)
			if err != nil {
				skip.Lacking(t, err.Error())
			}
			runtime.State, runtime.HideUnified = filepath.Join(bundles, "state"), machine.Hybrid
			starter = runtime
		}
		l, err := oci.New(oci.Config{Starter: starter, Dir: bundles, Options: oci.Options{
			Machine: machine, Isolation: oci.DefaultIsolation, CgroupRoot: root, PidsMax: 200,
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { // after the container's own
			for _, h := range machine.Hierarchies {
				if err := os.Remove(filepath.Join(h, root)); err != nil && !os.IsNotExist(err) {
					t.Error(err)
				}
			}
		})
		return Config{RuntimeDir: filepath.Join(dir, "run"), Launcher: l, Mapped: "/mnt/mesos/sandbox"}
	}
}

// theEngine is the Docker Engine of all tests here, with the image.
var theEngine = sync.OnceValues(func() (*dockertest.Engine, error) {
	e, err := dockertest.Start()
	if err != nil || e.Socket == "" {
		return e, err
	}
	return e, e.Load()
})

func TestMain(m *testing.M) {
	status := m.Run()
	if e, err := theEngine(); err == nil {
		e.Stop()
	}
	os.Exit(status)
}

func engined(t *testing.T, dir string) Config {
	t.Helper()
	e, err := theEngine()
	if err != nil {
		t.Fatal(err)
	}
	e.Need(t)
	d, err := docker.New(docker.Config{Socket: e.Socket, Mapped: "/mnt/mesos/sandbox", KillOrphans: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return Config{RuntimeDir: filepath.Join(dir, "run"), Docker: d}
}

// life returns the containerizer of one more life of the agent.
func (w *world) life() *Containerizer {
	return containerizer(w.t, w.cfg, fetchFunc(func(sandbox, _ string) error {
		return os.WriteFile(filepath.Join(sandbox, "fetched"), []byte("words\n"), 0o644)
	}))
}

// prepare makes the container ready; what is left of it in the end is an error.
func (w *world) prepare(change func(*Spec)) *Containerizer {
	w.t.Helper()
	w.spec = &Spec{ID: w.id, Sandbox: filepath.Join(w.dir, "work", string(w.id)), Resources: launcher.Resources{CPUs: 0.5, Mem: 64}}
	if w.kind == "docker" {
		w.spec.Docker = &docker.Spec{
			Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{Image: new(dockertest.Image), Network: mesos.ContainerInfo_DockerInfo_NONE.Enum()}},
			Resources: []*mesos.Resource{amount("cpus", 0.5), amount("mem", 64)},
		}
	}
	if change != nil {
		change(w.spec)
	}
	c := w.life()
	one := *w // a test may have more of them
	w.t.Cleanup(one.nothingLeft)
	if err := c.Prepare(w.t.Context(), w.spec); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func amount(name string, v float64) *mesos.Resource {
	return &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &v}}
}

// script is a command that begins in the sandbox.
func script(text string) *mesos.CommandInfo { return shell(`cd "$MESOS_SANDBOX"; ` + text) }

// env is that of the container, by which its processes are found.
func (w *world) env() []string {
	env := []string{"SUITE=" + string(w.id)}
	if w.kind != "docker" { // where the sandbox is elsewhere
		env = append(env, "MESOS_SANDBOX="+w.spec.Sandbox)
	}
	return env
}

func (w *world) start(c *Containerizer, command *mesos.CommandInfo, env ...string) launcher.Process {
	w.t.Helper()
	p, err := c.Start(w.spec, command, append(w.env(), env...))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) run(text string) launcher.Process {
	w.t.Helper()
	return w.start(w.prepare(nil), script(text))
}

func (w *world) wait(p launcher.Process) syscall.WaitStatus {
	w.t.Helper()
	status, err := p.Wait()
	if err != nil {
		w.t.Fatal(err)
	}
	return syscall.WaitStatus(status)
}

// killed reports whether a status is that of who got a signal: of containers of the
// Engine's it is the exit code that a shell would make of it.
func (w *world) killed(s syscall.WaitStatus, by syscall.Signal) bool {
	if w.kind == "docker" {
		return s.ExitStatus() == 128+int(by)
	}
	return s.Signaled() && s.Signal() == by
}

func (w *world) read(name string) string {
	text, _ := os.ReadFile(filepath.Join(w.spec.Sandbox, name))
	return string(text)
}

func (w *world) write(name string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.spec.Sandbox, name), []byte("x\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("never: ", what)
		}
	}
}

func (w *world) ready() {
	w.t.Helper()
	w.until("ready", func() bool { return w.read("ready") != "" })
}

// processes are those with the container's environment.
func (w *world) processes() (all []string) {
	found, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range found {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), "SUITE="+string(w.id)) {
			all = append(all, filepath.Dir(file))
		}
	}
	return all
}

// nothingLeft ends the container, if a test has not, and looks for what is left.
func (w *world) nothingLeft() {
	c := w.life()
	if err := c.End(w.id); err != nil {
		w.t.Error(err)
	}
	if all := w.processes(); len(all) > 0 {
		w.t.Errorf("processes %v are left", all)
	}
	if _, err := os.Lstat(c.runtimeDir(w.id)); !os.IsNotExist(err) {
		w.t.Errorf("the runtime folder is left: %v", err)
	}
	if _, known := c.PID(w.id); known {
		w.t.Error("it is still known")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), string(w.id)) {
		w.t.Errorf("a mount is left, %v: %s", err, mounts)
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/*/" + string(w.id))
	if len(groups) > 0 {
		w.t.Errorf("control groups %v are left", groups)
	}
	if w.kind == "docker" {
		w.until("the Engine has removed it", func() bool { _, is := w.cfg.Docker.PID(string(w.id)); return !is })
	}
}

func exitStatuses(t *testing.T, w *world) {
	for i, want := range []int{0, 3, 255} {
		w.id += ids.ContainerID(strconv.Itoa(i))
		if s := w.wait(w.run("exit " + strconv.Itoa(want))); !s.Exited() || s.ExitStatus() != want {
			t.Errorf("wait status %#x, want exit %d", int(s), want)
		}
	}
}

func missingProgram(t *testing.T, w *world) {
	c := w.prepare(nil)
	command := &mesos.CommandInfo{Shell: new(false), Value: new("/no/such")}
	if w.kind == "docker" {
		w.spec.Docker.Container.Docker.Parameters = []*mesos.Parameter{{Key: new("entrypoint"), Value: new("/no/such")}}
	}
	p, err := c.Start(w.spec, command, w.env())
	if err == nil && w.wait(p) == 0 {
		t.Error("it has run")
	}
}

func outputInside(t *testing.T, w *world) {
	w.wait(w.run("echo bad >&2; i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done"))
	out := w.read("stdout")
	if w.read("stderr") != "bad\n" || strings.Count(out, "\n") != 5000 || !strings.HasPrefix(out, "line 0\n") || !strings.HasSuffix(out, "\nline 4999\n") {
		t.Errorf("%d bytes, stderr %q", len(out), w.read("stderr"))
	}
}

func environments(t *testing.T, w *world) {
	c := w.prepare(nil)
	command := script(`echo "$A"; echo "$HUSH"; echo "${PATH:+path}"; echo "$HOME_OF_AGENT"`)
	command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{{
		Name: new("HUSH"), Type: mesos.Environment_Variable_SECRET.Enum(),
		Secret: &mesos.Secret{Type: mesos.Secret_VALUE.Enum(), Value: &mesos.Secret_Value{Data: []byte("word")}},
	}}}
	t.Setenv("HOME_OF_AGENT", "seen")
	w.wait(w.start(c, command, "A=b  c=d"))
	if got := w.read("stdout"); got != "b  c=d\nword\npath\n\n" {
		t.Errorf("%q", got)
	}
}

func fetched(t *testing.T, w *world) {
	c := w.prepare(func(s *Spec) { s.URIs = []*mesos.CommandInfo_URI{{Value: new("x")}} })
	w.wait(w.start(c, script("cat fetched")))
	if out, errs := w.read("stdout"), w.read("stderr"); out != "words\n" || errs != "fetching\n" {
		t.Errorf("%q, %q", out, errs)
	}
}

func askedToEnd(t *testing.T, w *world) {
	p := w.run("trap 'echo bye; exit 5' TERM; echo >ready; while :; do sleep 0.1; done")
	w.ready()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if s := w.wait(p); s.ExitStatus() != 5 || w.read("stdout") != "bye\n" {
		t.Errorf("wait status %#x, %q", int(s), w.read("stdout"))
	}
}

const background = `setsid sh -c 'trap "" TERM; echo >up; while :; do sleep 1; done' & until [ -e up ]; do sleep 0.05; done; `

func killedWithDaemons(t *testing.T, w *world) {
	p := w.run("trap '' TERM; " + background + "echo >ready; while :; do sleep 0.1; done")
	w.ready()
	if err := errors.Join(p.Signal(syscall.SIGTERM), p.Kill()); err != nil {
		t.Fatal(err)
	}
	if s := w.wait(p); !w.killed(s, syscall.SIGKILL) {
		t.Errorf("wait status %#x", int(s))
	}
	w.gone(p)
}

// gone checks that no process is left.
func (w *world) gone(p launcher.Process) {
	w.t.Helper()
	if all := w.processes(); len(all) > 0 {
		w.t.Errorf("processes %v are left", all)
	}
	if pid := p.First(); pid != 0 {
		w.t.Errorf("the first process is still %d", pid)
	}
}

func nothingOutlives(t *testing.T, w *world) {
	p := w.run(background + "exit 4")
	if s := w.wait(p); s.ExitStatus() != 4 {
		t.Errorf("wait status %#x", int(s))
	}
	w.gone(p)
}

func killedTwice(t *testing.T, w *world) {
	p := w.run("echo >ready; while :; do sleep 0.1; done")
	w.ready()
	if err := errors.Join(p.Kill(), p.Kill()); err != nil {
		t.Error(err)
	}
	if s := w.wait(p); !w.killed(s, syscall.SIGKILL) {
		t.Errorf("wait status %#x", int(s))
	}
	if err := errors.Join(p.Kill(), p.Signal(syscall.SIGTERM)); err != nil {
		t.Errorf("when it was over: %v", err)
	}
	if p.Limitation() != nil {
		t.Errorf("limitation %+v", p.Limitation())
	}
}

const waits = "echo one; echo >ready; until [ -e go ]; do sleep 0.05; done; echo two; exit 6"

// adopt takes the container up in the agent's next life.
func (w *world) adopt() (*Containerizer, launcher.Process) {
	w.t.Helper()
	c := w.life()
	pid, known := c.PID(w.id)
	if !known || pid <= 0 {
		w.t.Fatalf("process %d, known %t", pid, known)
	}
	p, err := c.Adopt(w.id, pid)
	if err != nil {
		w.t.Fatal(err)
	}
	return c, p
}

func adopted(t *testing.T, w *world) {
	first := w.run(waits)
	w.ready()
	c, p := w.adopt()
	if p.First() != first.First() || p.First() == 0 {
		t.Errorf("the first process is %d, was %d", p.First(), first.First())
	}
	if at, known := c.LaunchedAt(w.id); !known || time.Since(at) > time.Hour {
		t.Errorf("launched at %v, known %t", at, known)
	}
	w.write("go")
	s := w.wait(p)
	w.wait(first)
	out := w.read("stdout")
	if w.kind == "docker" { // both lives copy what it writes, as agents never do
		for _, line := range []string{"one\n", "two\n"} {
			out = strings.Replace(out, line+line, line, 1)
		}
	}
	if s.ExitStatus() != 6 || out != "one\ntwo\n" {
		t.Errorf("wait status %#x, %q", int(s), w.read("stdout"))
	}
}

func killedWhenAdopted(t *testing.T, w *world) {
	first := w.run(background + waits)
	w.ready()
	_, p := w.adopt()
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if s := w.wait(p); !w.killed(s, syscall.SIGKILL) {
		t.Errorf("wait status %#x", int(s))
	}
	w.gone(p)
	w.wait(first)
}

// endedUnseen: the status is known in any case, from the container's process or from
// what is left of it.
func endedUnseen(t *testing.T, w *world) {
	first := w.run(waits)
	w.ready()
	pid, _ := w.life().PID(w.id)
	w.write("go")
	w.wait(first)
	c := w.life()
	p, err := c.Adopt(w.id, pid)
	var s syscall.WaitStatus
	if err == nil {
		s = w.wait(p)
	} else if raw, known := c.Status(w.id); errors.Is(err, launcher.ErrGone) && known {
		s = syscall.WaitStatus(raw)
	} else {
		t.Fatal(err, raw, known)
	}
	if s.ExitStatus() != 6 {
		t.Errorf("wait status %#x", int(s))
	}
}

func orphanEnded(t *testing.T, w *world) {
	first := w.run("trap '' TERM; " + background + "echo >ready; while :; do sleep 0.1; done")
	w.ready()
	if err := w.life().End(w.id); err != nil {
		t.Fatal(err)
	}
	w.gone(first)
	_, _ = first.Wait() // the Engine may have forgotten it
}

// knownLater: what is not to be there any more is ended by Recover, or known to who
// ends it; what is known stays.
func knownLater(t *testing.T, w *world) {
	first := w.run(waits)
	w.ready()
	c := w.life()
	known, err := c.Known()
	if err != nil || len(known) != 1 || known[0] != w.id {
		t.Errorf("known are %v, %v", known, err)
	}
	_, err = c.RecoverDocker(known, false)
	if err := errors.Join(c.Recover(known), err); err != nil {
		t.Error(err)
	}
	if first.First() == 0 {
		t.Error("what is known was ended")
	}
	w.write("go")
	w.wait(first)
}

func commandInside(t *testing.T, w *world) {
	c := w.prepare(nil)
	p := w.start(c, script("echo >ready; until [ -e go ]; do sleep 0.05; done"), "A=b")
	w.ready()
	command := script(`echo "$A $B"; cat ready; exit 7`)
	command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{{Name: new("B"), Value: new("c")}}}
	status, err := c.Run(t.Context(), w.spec, "probe", command, append(w.env(), "A=b"))
	if err != nil || syscall.WaitStatus(status).ExitStatus() != 7 || w.read("stderr") != "b c\n\n" {
		t.Errorf("status %#x, %v, it wrote %q", status, err, w.read("stderr"))
	}
	w.write("go")
	if s := w.wait(p); s != 0 {
		t.Errorf("the container ended with %#x", int(s))
	}
}

func commandTooLong(t *testing.T, w *world) {
	c := w.prepare(nil)
	p := w.start(c, script("echo >ready; until [ -e go ]; do sleep 0.05; done"))
	w.ready()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for w.read("runs") == "" && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel(cause)
	}()
	if _, err := c.Run(ctx, w.spec, "probe", script("echo >runs; exec sleep 100000"), w.env()); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	w.write("go")
	if s := w.wait(p); s != 0 {
		t.Errorf("the container ended with %#x", int(s))
	}
}

func usages(t *testing.T, w *world) {
	p := w.run("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo >ready; until [ -e go ]; do sleep 0.05; done")
	w.ready()
	w.until("usage", func() bool {
		u := p.Usage()
		return u.Processes > 0 && u.RSS > 0 && u.User+u.System > 0
	})
	w.write("go")
	w.wait(p)
	if u := p.Usage(); u.Processes != 0 || u.RSS != 0 {
		t.Errorf("when it was over: %+v", u)
	}
}

func resourcesChange(t *testing.T, w *world) {
	p := w.run("echo >ready; until [ -e go ]; do sleep 0.05; done")
	w.ready()
	for _, r := range []launcher.Resources{{CPUs: 1, Mem: 128}, {CPUs: 0.5, CPULimit: 1, Mem: 64, MemLimit: 256}} {
		if err := p.Update(r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	w.write("go")
	if s := w.wait(p); s != 0 {
		t.Errorf("wait status %#x", int(s))
	}
	if err := p.Update(launcher.Resources{CPUs: 1, Mem: 128}); err != nil {
		t.Errorf("when it was over: %v", err)
	}
}

// volumesInside: what is written to a volume stays, and nothing is to one that may
// only be read, but by plain processes.
func volumesInside(t *testing.T, w *world) {
	rw, ro := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(ro, "file"), []byte("kept\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := w.prepare(func(s *Spec) {
		s.Volumes = []Volume{{Path: rw, At: "rw"}, {Path: ro, At: "deep/ro", ReadOnly: true}}
	})
	p := w.start(c, script("echo new >rw/file; cat deep/ro/file; echo bad >deep/ro/more || exit 4"))
	s := w.wait(p)
	if (s.ExitStatus() == 4) != (w.kind != "posix") || w.read("stdout") != "kept\n" {
		t.Errorf("wait status %#x, %q, %q", int(s), w.read("stdout"), w.read("stderr"))
	}
	if text, err := os.ReadFile(filepath.Join(rw, "file")); err != nil || string(text) != "new\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(ro, "more")); (err == nil) != (w.kind == "posix") {
		t.Errorf("%v", err)
	}
}

// TestDockerNetworks: the addresses of a container of the Engine's are known as long as
// it is, in the agent's next life too.
func TestDockerNetworks(t *testing.T) {
	dir := t.TempDir()
	w := &world{t: t, kind: "docker", dir: dir, cfg: engined(t, dir), id: ids.ContainerID(fmt.Sprintf("n%d-%d", os.Getpid(), time.Now().UnixNano()))}
	c := w.prepare(func(s *Spec) {
		s.Docker.Container.Docker.Network = mesos.ContainerInfo_DockerInfo_BRIDGE.Enum()
		s.Docker.Container.NetworkInfos = []*mesos.NetworkInfo{{Groups: []string{"mine"}}}
	})
	if got := c.Networks(w.id); got != nil {
		t.Errorf("before it is started: %v", got)
	}
	first := w.start(c, script(waits))
	w.ready()
	later, p := w.adopt()
	for _, c := range []*Containerizer{c, later} {
		got := c.Networks(w.id)
		if len(got) != 1 || !strings.HasPrefix(got[0].GetIpAddresses()[0].GetIpAddress(), "10.213.0.") || len(got[0].GetGroups()) != 1 {
			t.Errorf("networks %v", got)
		}
	}
	if c.Inspected(first) == nil || later.Inspected(p) == nil {
		t.Error("docker inspect is not told")
	}
	w.write("go")
	w.wait(p)
	w.wait(first)
	if err := later.Cleanup(w.id); err != nil {
		t.Error(err)
	}
	if got := later.Networks(w.id); got != nil {
		t.Errorf("when it is forgotten: %v", got)
	}
}
