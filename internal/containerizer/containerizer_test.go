package containerizer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/skip"
)

// fetchFunc is a fetcher made of a function.
type fetchFunc func(sandbox, user string) error

func (f fetchFunc) Fetch(_ context.Context, sandbox, user string, _ []*mesos.CommandInfo_URI, log io.Writer) error {
	fmt.Fprintln(log, "fetching")
	return f(sandbox, user)
}

func containerizer(t *testing.T, cfg Config, fetcher Fetcher) *Containerizer {
	t.Helper()
	c, err := New(cfg, fetcher)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func prepared(t *testing.T, change func(*Spec)) (*Containerizer, *Spec) {
	t.Helper()
	dir := t.TempDir()
	c := containerizer(t, Config{RuntimeDir: filepath.Join(dir, "run"), SwitchUser: true}, fetchFunc(func(string, string) error { return nil }))
	spec := &Spec{ID: "c1", Sandbox: filepath.Join(dir, "slaves", "s1", "runs", "c1")}
	if change != nil {
		change(spec)
	}
	if err := c.Prepare(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return c, spec
}

func shell(script string) *mesos.CommandInfo { return &mesos.CommandInfo{Value: &script} }

func run(t *testing.T, c *Containerizer, spec *Spec, command *mesos.CommandInfo, env ...string) (status int, stdout string) {
	t.Helper()
	p, err := c.Start(spec, command, env)
	if err != nil {
		t.Fatal(err)
	}
	status, err = p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(spec.Sandbox, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	return status, string(text)
}

func TestCommands(t *testing.T) {
	argv := &mesos.CommandInfo{Shell: new(false), Value: new("printf"), Arguments: []string{"printf", "%s|", "a b", "$HOME"}}
	bare := &mesos.CommandInfo{Shell: new(false), Value: new("/bin/pwd")}
	for _, test := range []struct {
		command *mesos.CommandInfo
		want    string
	}{
		{shell("echo $A; echo $PATH"), "b\n" + DefaultPath + "\n"},
		{argv, "a b|$HOME|"},
		{bare, "SANDBOX\n"},
	} {
		c, spec := prepared(t, nil)
		status, got := run(t, c, spec, test.command, "A=b")
		if want := strings.ReplaceAll(test.want, "SANDBOX", spec.Sandbox); status != 0 || got != want {
			t.Errorf("%v: status %d, output %q, want %q", test.command, status, got, want)
		}
	}
}

func TestLayout(t *testing.T) {
	c, spec := prepared(t, nil)
	run(t, c, spec, shell("exit 7"))
	modes := map[string]os.FileMode{
		spec.Sandbox:                                os.ModeDir | 0o750,
		filepath.Join(spec.Sandbox, "stdout"):       0o644,
		filepath.Join(spec.Sandbox, "stderr"):       0o644,
		filepath.Join(c.runtimeDir("c1"), "pid"):    0o600,
		filepath.Join(c.runtimeDir("c1"), "status"): 0o600,
	}
	for path, want := range modes {
		info, err := os.Stat(path)
		if err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info, err, want)
		}
	}
	if status, known := c.Status("c1"); !known || status != 7<<8 {
		t.Errorf("status %d, %v", status, known)
	}
	if err := c.Cleanup("c1"); err != nil {
		t.Fatal(err)
	}
	if _, known := c.Status("c1"); known {
		t.Error("the runtime folder is still there")
	}
}

func TestNestedRuntimeDir(t *testing.T) {
	c := containerizer(t, Config{RuntimeDir: "/run/x"}, nil)
	if got, want := c.runtimeDir("a.b"), "/run/x/containers/a/containers/b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFetchIsLoggedAndItsFailureTold(t *testing.T) {
	dir := t.TempDir()
	broken := errors.New("no such host")
	c := containerizer(t, Config{RuntimeDir: dir}, fetchFunc(func(string, string) error { return broken }))
	spec := &Spec{ID: "c1", Sandbox: filepath.Join(dir, "box"), URIs: []*mesos.CommandInfo_URI{{Value: new("http://x/")}}}
	if err := c.Prepare(t.Context(), spec); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	if text, err := os.ReadFile(filepath.Join(spec.Sandbox, "stderr")); err != nil || string(text) != "fetching\n" {
		t.Errorf("stderr holds %q, %v", text, err)
	}
}

func TestUnknownUser(t *testing.T) {
	c := containerizer(t, Config{RuntimeDir: t.TempDir(), SwitchUser: true}, nil)
	err := c.Prepare(t.Context(), &Spec{ID: "c1", Sandbox: t.TempDir(), User: "no-such-user"})
	if err == nil || !strings.Contains(err.Error(), "--no-switch_user") {
		t.Errorf("got %v, want a way out", err)
	}
}

func TestSandboxBelongsToTheUser(t *testing.T) {
	skip.UnlessRoot(t)
	c, spec := prepared(t, func(s *Spec) { s.User = "nobody" })
	if status, out := run(t, c, spec, shell("echo mine > file && whoami")); status != 0 || out != "nobody\n" {
		t.Errorf("status %d, output %q", status, out)
	}
}

// A task can replace its output files by links before the agent opens them
// again: for the log of a fetch, or for a second process.
func TestOutputIsNotWrittenThroughLinks(t *testing.T) {
	c, spec := prepared(t, nil)
	secret := filepath.Join(t.TempDir(), "secret")
	stdout := filepath.Join(spec.Sandbox, "stdout")
	for name, plant := range map[string]func() error{
		"link": func() error { return os.Symlink(secret, stdout) },
		"fifo": func() error { return syscall.Mkfifo(stdout, 0o644) },
	} {
		if err := errors.Join(os.Remove(stdout), plant()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Start(spec, shell("echo pwned"), nil); err == nil {
			t.Errorf("%s: the output was opened", name)
		}
	}
	if _, err := os.Stat(secret); err == nil {
		t.Error("the link was followed")
	}
}

func TestAdopt(t *testing.T) {
	id := ids.ContainerID(fmt.Sprintf("adopted-%d", os.Getpid())) // other tests on the machine have c1
	c, spec := prepared(t, func(s *Spec) { s.ID = id })
	p, err := c.Start(spec, shell("sleep 1000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if pid, ok := c.PID(id); !ok || pid != p.PID() {
		t.Errorf("process %d is remembered as %d (%t)", p.PID(), pid, ok)
	}
	if err := os.Remove(filepath.Join(c.cfg.RuntimeDir, "containers", string(id), "pid")); err != nil {
		t.Fatal(err)
	}
	if pid, ok := c.PID(id); !ok || pid != p.PID() {
		t.Errorf("process %d, not written down, is found as %d (%t)", p.PID(), pid, ok)
	}
	if err := os.WriteFile(filepath.Join(c.cfg.RuntimeDir, "containers", string(id), "pid"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, ok := c.PID(id); !ok || pid != p.PID() {
		t.Errorf("process %d, about to be written down, is found as %d (%t)", p.PID(), pid, ok)
	}
	if pid, ok := c.PID("c2"); ok {
		t.Errorf("a container that was never started has process %d", pid)
	}
	again, err := c.Adopt(id, p.PID())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range []launcher.Process{again, p} {
		if status, err := p.Wait(); err != nil || status != int(syscall.SIGKILL) {
			t.Errorf("status %d, %v", status, err)
		}
	}
}

func TestEnd(t *testing.T) {
	c, spec := prepared(t, nil)
	p, err := c.Start(spec, shell("sleep 1000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing
		if err := c.End("c1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Wait(); err != nil { // its status went with the runtime folder
		t.Error(err)
	}
	if known, err := c.Known(); err != nil || len(known) != 0 {
		t.Errorf("still known: %v, %v", known, err)
	}
}
