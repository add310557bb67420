package posix

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

func newLauncher(tb testing.TB) *Launcher {
	tb.Helper()
	l, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.held.Close() })
	return l
}

// start launches a shell command and returns it with its output file.
func start(t *testing.T, command string, change func(*Spec)) (*Process, *Spec) {
	t.Helper()
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	spec := &Spec{
		ID: "c1", Path: "/bin/sh", Args: []string{"sh", "-c", command},
		Env: []string{"PATH=/usr/bin:/bin"}, Dir: dir, Stdout: out, Stderr: out,
		Status: filepath.Join(dir, "status"),
	}
	if change != nil {
		change(spec)
	}
	p, err := newLauncher(t).fork(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p, spec
}

func wait(t *testing.T, p *Process) syscall.WaitStatus {
	t.Helper()
	status, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return syscall.WaitStatus(status)
}

// line blocks until the command has written a line to its fifo.
func line(t *testing.T, spec *Spec, fifo string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(spec.Dir, fifo))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func mkfifo(name string) func(*Spec) {
	return func(s *Spec) {
		if err := syscall.Mkfifo(filepath.Join(s.Dir, name), 0o666); err != nil {
			panic(err)
		}
	}
}

func TestExitStatuses(t *testing.T) {
	for command, want := range map[string]int{"true": 0, "exit 3": 3 << 8, "kill -9 $$": 9, "kill -15 $$": 15} {
		p, spec := start(t, command, nil)
		if got := wait(t, p); int(got) != want {
			t.Errorf("%q: wait status %d, want %d", command, got, want)
		}
		if got, ok := ReadStatus(spec.Status); !ok || got != want {
			t.Errorf("%q: status file says %d, %v, want %d", command, got, ok, want)
		}
	}
}

func TestStatusFileIsEmptyWhileRunning(t *testing.T) {
	p, spec := start(t, "echo up > ready; sleep 1000", mkfifo("ready"))
	line(t, spec, "ready")
	if text, err := os.ReadFile(spec.Status); err != nil || len(text) != 0 {
		t.Errorf("status file holds %q, %v, want it empty", text, err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
}

func TestMissingProgram(t *testing.T) {
	p, spec := start(t, "", func(s *Spec) { s.Path = "/no/such" })
	if got := wait(t, p); got.ExitStatus() != 1 {
		t.Errorf("exit status %d, want 1", got.ExitStatus())
	}
	if got := line(t, spec, "stdout"); got != "Failed to execute '/no/such': No such file or directory" {
		t.Errorf("output %q", got)
	}
}

func TestEnvironmentIsTheGivenOne(t *testing.T) {
	p, spec := start(t, "", func(s *Spec) {
		s.Path, s.Args, s.Env = "env", []string{"env"}, []string{"PATH=/usr/bin:/bin", "EMPTY=", "LD_PRELOAD=/no/such.so"}
	})
	wait(t, p)
	got := line(t, spec, "stdout")
	if !strings.HasSuffix(got, "PATH=/usr/bin:/bin\nEMPTY=\nLD_PRELOAD=/no/such.so") {
		t.Errorf("environment %q", got)
	}
	// The loader complains once, in the task; the shim never saw the variable.
	if n := strings.Count(got, "cannot be preloaded"); n != 1 {
		t.Errorf("%d complaints of the loader, want 1:\n%s", n, got)
	}
}

func TestRlimits(t *testing.T) {
	p, spec := start(t, "ulimit -Sn; ulimit -Hn; ulimit -c", func(s *Spec) {
		s.Rlimits = []launcher.Rlimit{{Number: syscall.RLIMIT_NOFILE, Soft: 100, Hard: 200}, {Number: syscall.RLIMIT_CORE}}
	})
	if status := wait(t, p); status != 0 {
		t.Errorf("status %d", status)
	}
	if got, err := os.ReadFile(filepath.Join(spec.Dir, "stdout")); err != nil || string(got) != "100\n200\n0\n" {
		t.Errorf("%q, %v", got, err)
	}
	p, spec = start(t, "true", func(s *Spec) { s.Rlimits = []launcher.Rlimit{{Number: syscall.RLIMIT_NOFILE, Soft: 2, Hard: 1}} })
	status := wait(t, p)
	if got, err := os.ReadFile(filepath.Join(spec.Dir, "stdout")); err != nil || status == 0 || !strings.Contains(string(got), "limits of resources") {
		t.Errorf("limits that cannot be: status %d, %q, %v", status, got, err)
	}
}

func TestIgnoredSignalsAreDefaultInTheTask(t *testing.T) {
	p, spec := start(t, "grep SigIgn /proc/self/status", nil)
	wait(t, p)
	_, mask, _ := strings.Cut(line(t, spec, "stdout"), "SigIgn:\t")
	ignored, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	// Signals 32 and 33 are the C library's own, which lets nobody set them, and
	// children of posix_spawn (those of make) may be born ignoring them.
	if ignored &^= 3 << 31; ignored != 0 {
		t.Errorf("the task ignores signals: %x", ignored)
	}
}

func TestSignalReachesTheTreeAndNotTheShim(t *testing.T) {
	p, spec := start(t, "trap 'exit 4' TERM; echo up > ready; while :; do sleep 0.01; done", mkfifo("ready"))
	line(t, spec, "ready")
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.ExitStatus() != 4 {
		t.Errorf("wait status %#x, want exit 4", int(got))
	}
}

func TestNothingOutlivesTheContainer(t *testing.T) {
	// A grandchild in a session of its own, as daemons do it.
	p, spec := start(t, "(setsid sh -c 'echo $$ > pid; exec sleep 1000' &); read x < go",
		func(s *Spec) { mkfifo("pid")(s); mkfifo("go")(s) })
	pid, err := strconv.Atoi(line(t, spec, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spec.Dir, "go"), []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d outlived its container: %v", pid, err)
	}
}

func TestKillTakesDaemonsToo(t *testing.T) {
	p, spec := start(t, "setsid sh -c 'trap \"\" TERM; echo $$ > pid; sleep 1000' & wait", mkfifo("pid"))
	pid, err := strconv.Atoi(line(t, spec, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.Signal() != syscall.SIGKILL {
		t.Errorf("wait status %#x, want killed", int(got))
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d outlived the kill: %v", pid, err)
	}
}

func TestKilledShimTakesItsTaskAlong(t *testing.T) {
	p, spec := start(t, "echo $$ > pid; exec sleep 1000", mkfifo("pid"))
	line(t, spec, "pid")
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, p); got.Signal() != syscall.SIGKILL {
		t.Errorf("wait status %#x, want killed", int(got))
	}
}

func TestTetheredContainersDieWithTheAgent(t *testing.T) {
	p, spec := start(t, "echo up > ready; sleep 1000", func(s *Spec) { mkfifo("ready")(s) })
	line(t, spec, "ready")
	l := newLauncher(t)
	spec.Args, spec.Tethered, spec.Status = []string{"sh", "-c", "echo up > ready; sleep 1000"}, true, spec.Status+"2"
	tied, err := l.fork(spec)
	if err != nil {
		t.Fatal(err)
	}
	line(t, spec, "ready")
	l.held.Close() // as the kernel does when the process ends
	if got := wait(t, tied); got.Signal() != syscall.SIGKILL {
		t.Errorf("tethered: wait status %#x, want killed", int(got))
	}
	if tree := descendants(p.PID()); len(tree) == 0 {
		t.Error("the container that was not tethered is gone too")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
}

// TestMonitorOfTheDead: what a monitor starts is killed before it has begun, as with the
// pid namespace that it was to be in. A monitor that waits for it all the same is ended.
func TestMonitorOfTheDead(t *testing.T) {
	skip.UnlessRoot(t)
	dir := t.TempDir()
	spec := &Spec{
		ID: "c1", Path: "/bin/bash", Args: []string{"bash", "-c", "(kill -KILL $BASHPID) & read -r line <forever"},
		Dir: dir, Status: filepath.Join(dir, "status"),
	}
	mkfifo("forever")(spec)
	if p, err := newLauncher(t).ForkBundle(spec, Bundle{Dir: dir, Monitor: true}); !errors.Is(err, ErrNotStarted) {
		t.Fatal(p, err)
	}
}

func TestAdopt(t *testing.T) {
	p, spec := start(t, "echo up > ready; read x < go; exit 5", func(s *Spec) { mkfifo("ready")(s); mkfifo("go")(s) })
	line(t, spec, "ready")
	if _, err := newLauncher(t).Adopt("c2", p.PID(), spec.Status); !errors.Is(err, ErrGone) {
		t.Errorf("adopting under another id: %v, want ErrGone", err)
	}
	again, err := newLauncher(t).Adopt("c1", p.PID(), spec.Status)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spec.Dir, "go"), []byte("x\n"), 0); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, again.(*Process)); got.ExitStatus() != 5 {
		t.Errorf("adopted: wait status %#x, want exit 5", int(got))
	}
	wait(t, p)
	if _, err := newLauncher(t).Adopt("c1", p.PID(), spec.Status); !errors.Is(err, ErrGone) {
		t.Errorf("adopting what has ended: %v, want ErrGone", err)
	}
}

func TestUserSwitch(t *testing.T) {
	skip.UnlessRoot(t)
	p, spec := start(t, "id -u; id -g; id -G", func(s *Spec) { s.User = &User{UID: 65534, GID: 65534, Groups: []uint32{4, 65534}} })
	wait(t, p)
	if got := line(t, spec, "stdout"); got != "65534\n65534\n65534 4" {
		t.Errorf("ran as %q", got)
	}
}

func TestUsage(t *testing.T) {
	p, spec := start(t, "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo up > ready; sleep 1000", mkfifo("ready"))
	line(t, spec, "ready")
	if u := p.Usage(); u.Processes < 1 || u.RSS == 0 || u.User == 0 {
		t.Errorf("usage %+v", u)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
}

func BenchmarkLaunchTrue(b *testing.B) {
	dir, l := b.TempDir(), newLauncher(b)
	for b.Loop() {
		p, err := l.Fork(&Spec{ID: "c1", Path: "/bin/true", Args: []string{"true"}, Dir: dir, Status: filepath.Join(dir, "status")})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			b.Fatal(err)
		}
	}
}
