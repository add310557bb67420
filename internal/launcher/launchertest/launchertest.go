// Package launchertest is the conformance suite of launchers: what a container
// can rely on, whoever launches it.
package launchertest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

// Suite runs the suite. make returns a launcher that nobody else uses; again, one
// as of the agent's next life, over the same folders.
func Suite(t *testing.T, fresh func(t *testing.T) (l launcher.Launcher, again func() launcher.Launcher)) {
	tests := map[string]func(*testing.T, *bench){
		"exit statuses are raw": exitStatuses, "a missing program": missingProgram, "environment": environment,
		"signals end the task": signals, "kill takes daemons too": killTakesAll, "nothing outlives the first process": nothingOutlives,
		"adopt": adopt, "an end while nobody looked": missedEnd, "exec": exec, "exec dies with the container": execDies,
		"user": user, "output": output, "a killed shim takes its task along": killedShim,
		"the first process": first,
	}
	maps.Copy(tests, boards)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, again := fresh(t)
			test(t, &bench{l, again})
		})
	}
}

type bench struct {
	launcher.Launcher
	again func() launcher.Launcher
}

// spec returns a shell command with a sandbox of its own, released in the end.
func (b *bench) spec(t *testing.T, id, command string) *launcher.Spec {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Release(id); err != nil {
			t.Error(err)
		}
	})
	return &launcher.Spec{
		ID: id, Path: "/bin/sh", Args: []string{"sh", "-c", command}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir,
		Status: filepath.Join(t.TempDir(), "status"), Stdout: create(t, dir), Stderr: create(t, dir),
	}
}

func create(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "out"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (b *bench) start(t *testing.T, command string) (launcher.Process, *launcher.Spec) {
	t.Helper()
	spec := b.spec(t, "c-"+strconv.Itoa(os.Getpid())+"-"+strings.ReplaceAll(filepath.Base(t.TempDir()), "/", ""), command)
	fifos(t, spec)
	return b.fork(t, spec), spec
}

func fifos(t *testing.T, spec *launcher.Spec) {
	t.Helper()
	for _, name := range []string{"ready", "go"} {
		path := filepath.Join(spec.Dir, name)
		if err := errors.Join(syscall.Mkfifo(path, 0o666), os.Chmod(path, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

func (b *bench) fork(t *testing.T, spec *launcher.Spec) launcher.Process {
	t.Helper()
	p, err := b.Fork(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wait(t *testing.T, p launcher.Process) syscall.WaitStatus {
	t.Helper()
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return syscall.WaitStatus(status)
}

// ready blocks until the command has written a line to its fifo.
func ready(t *testing.T, spec *launcher.Spec) {
	t.Helper()
	if _, err := os.ReadFile(filepath.Join(spec.Dir, "ready")); err != nil {
		t.Fatal(err)
	}
}

func proceed(t *testing.T, spec *launcher.Spec) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(spec.Dir, "go"), []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
}

func printed(t *testing.T, spec *launcher.Spec) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(spec.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func exitStatuses(t *testing.T, b *bench) {
	for command, want := range map[string]int{"true": 0, "exit 3": 3 << 8, "kill -1 $$": 1, "kill -9 $$": 9, "kill -15 $$": 15} {
		p, spec := b.start(t, command)
		if got := wait(t, p); int(got) != want {
			t.Errorf("%q: wait status %#x, want %#x", command, int(got), want)
		}
		text, err := os.ReadFile(spec.Status)
		if err != nil || string(text) != strconv.Itoa(want) {
			t.Errorf("%q: status file says %q, %v", command, text, err)
		}
	}
}

// missingProgram may fail at once or by the exit status, but not succeed.
func missingProgram(t *testing.T, b *bench) {
	spec := b.spec(t, "missing", "")
	spec.Path, spec.Args = "/no/such", []string{"/no/such"}
	p, err := b.Fork(spec)
	if err != nil {
		if !strings.Contains(strings.ToLower(err.Error()), "no such file") {
			t.Errorf("the error does not say why: %v", err)
		}
		return
	}
	if got := wait(t, p); got.ExitStatus() == 0 {
		t.Errorf("wait status %#x", int(got))
	}
}

func environment(t *testing.T, b *bench) {
	spec := b.spec(t, "env", "")
	spec.Path, spec.Args, spec.Env = "/usr/bin/env", []string{"/usr/bin/env"}, []string{"PATH=/usr/bin:/bin", "A=b c", "EMPTY="}
	wait(t, b.fork(t, spec))
	for _, want := range spec.Env {
		if got := printed(t, spec); !strings.Contains("\n"+got+"\n", "\n"+want+"\n") {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if got := printed(t, spec); strings.Contains(got, "GOCACHE") || strings.Contains(got, "USER=") {
		t.Errorf("it has variables of the agent's: %q", got)
	}
}

func signals(t *testing.T, b *bench) {
	p, spec := b.start(t, "echo up > ready; exec sleep 1000")
	ready(t, spec)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.Signal() != syscall.SIGTERM {
		t.Errorf("wait status %#x, want SIGTERM: a task that does not care for signals must end by them", int(got))
	}
}

const daemon = "setsid sh -c 'trap \"\" TERM; exec sleep 1000' & "

func killTakesAll(t *testing.T, b *bench) {
	p, spec := b.start(t, daemon+"echo up > ready; wait")
	ready(t, spec)
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.Signal() != syscall.SIGKILL {
		t.Errorf("wait status %#x, want SIGKILL", int(got))
	}
	noneIn(t, spec.Dir)
}

func nothingOutlives(t *testing.T, b *bench) {
	p, spec := b.start(t, daemon+"read x < go")
	proceed(t, spec)
	if got := wait(t, p); got != 0 {
		t.Errorf("wait status %#x", int(got))
	}
	noneIn(t, spec.Dir)
}

func killedShim(t *testing.T, b *bench) {
	p, spec := b.start(t, "echo up > ready; exec sleep 1000")
	ready(t, spec)
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.Signal() != syscall.SIGKILL {
		t.Errorf("wait status %#x, want SIGKILL", int(got))
	}
	if err := b.Release(spec.ID); err != nil {
		t.Fatal(err)
	}
}

// noneIn checks that no process is left whose working directory is dir.
func noneIn(t *testing.T, dir string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if at, err := os.Readlink(link); err == nil && at == dir {
			t.Errorf("%s is still there", filepath.Dir(link))
		}
	}
}

func adopt(t *testing.T, b *bench) {
	p, spec := b.start(t, "echo up > ready; read x < go; exit 5")
	ready(t, spec)
	next := b.again()
	if _, err := next.Adopt("another", p.PID(), spec.Status); !errors.Is(err, launcher.ErrGone) {
		t.Errorf("adopted under another id: %v", err)
	}
	adopted, err := next.Adopt(spec.ID, p.PID(), spec.Status)
	if err != nil {
		t.Fatal(err)
	}
	proceed(t, spec)
	if got := wait(t, adopted); got.ExitStatus() != 5 {
		t.Errorf("wait status %#x, want exit 5", int(got))
	}
	wait(t, p)
}

func missedEnd(t *testing.T, b *bench) {
	p, spec := b.start(t, "exit 6")
	wait(t, p)
	if _, err := b.again().Adopt(spec.ID, p.PID(), spec.Status); !errors.Is(err, launcher.ErrGone) {
		t.Errorf("adopted what has ended: %v", err)
	}
	if text, err := os.ReadFile(spec.Status); err != nil || string(text) != strconv.Itoa(6<<8) {
		t.Errorf("status file says %q, %v", text, err)
	}
}

// first: the first process is the task's own, also for who adopts it, and none once
// it has ended.
func first(t *testing.T, b *bench) {
	p, spec := b.start(t, "sleep 1000 & echo up > ready; read x < go; kill $!; exec sleep 1000")
	ready(t, spec)
	adopted, err := b.again().Adopt(spec.ID, p.PID(), spec.Status)
	if err != nil {
		t.Fatal(err)
	}
	pid := p.First()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.HasPrefix(string(line), "sh\x00-c\x00sleep") && !strings.HasPrefix(string(line), "/bin/sh\x00-c\x00sleep") {
		t.Errorf("the first process, %d, is %q, %v", pid, line, err)
	}
	if got := adopted.First(); got != pid {
		t.Errorf("who adopts it sees %d, not %d", got, pid)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	wait(t, adopted)
	if got := p.First(); got != 0 {
		t.Errorf("ended, it still is %d", got)
	}
}

func exec(t *testing.T, b *bench) {
	p, outer := b.start(t, "echo up > ready; read x < go")
	ready(t, outer)
	spec := b.spec(t, outer.ID+".x", "echo inside; exit 7")
	inside, err := b.Exec(outer.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	if got := wait(t, inside); got.ExitStatus() != 7 {
		t.Errorf("wait status %#x, want exit 7", int(got))
	}
	if got := printed(t, spec); got != "inside" {
		t.Errorf("it printed %q", got)
	}
	proceed(t, outer)
	if got := wait(t, p); got != 0 {
		t.Errorf("the container ended with %#x", int(got))
	}
}

// execDies: with a container that isolates, what is inside dies with it. With
// others the agent kills it.
func execDies(t *testing.T, b *bench) {
	p, outer := b.start(t, "echo up > ready; read x < go")
	ready(t, outer)
	spec := b.spec(t, outer.ID+".x", "exec sleep 1000")
	inside, err := b.Exec(outer.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(inside.Kill(), p.Kill()); err != nil {
		t.Fatal(err)
	}
	for _, p := range []launcher.Process{inside, p} {
		if got := wait(t, p); got.Signal() != syscall.SIGKILL {
			t.Errorf("wait status %#x, want SIGKILL", int(got))
		}
	}
}

func user(t *testing.T, b *bench) {
	skip.UnlessRoot(t)
	spec := b.spec(t, "user", "id -u; id -g; id -G")
	spec.User = &launcher.User{UID: 65534, GID: 65534, Groups: []uint32{4, 65534}}
	wait(t, b.fork(t, spec))
	if got := printed(t, spec); got != "65534\n65534\n65534 4" {
		t.Errorf("ran as %q", got)
	}
	info, err := os.Stat(filepath.Join(spec.Dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o644 {
		t.Errorf("the file of its output has mode %v", info.Mode())
	}
}

func output(t *testing.T, b *bench) {
	p, spec := b.start(t, "for i in 1 2 3; do echo $i; done; pwd; echo bad >&2")
	wait(t, p)
	if got, want := printed(t, spec), fmt.Sprintf("1\n2\n3\n%s\nbad", spec.Dir); got != want {
		t.Errorf("it printed %q, want %q", got, want)
	}
}
