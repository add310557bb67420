package containerizer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/secret"
)

// TestRun: a further command has the container's folder, its variables with its own
// on top, and leaves nothing but its output.
func TestRun(t *testing.T) {
	t.Parallel()
	c, spec := prepared(t, nil)
	up := filepath.Join(spec.Sandbox, "up")
	if err := syscall.Mkfifo(up, 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := c.Start(spec, shell("echo up >up; sleep 1000 & wait"), []string{"A=outer", "B=outer"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(up); err != nil {
		t.Fatal(err)
	}
	command := shell("echo $A $B $PWD; exit 3")
	command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{{Name: new("B"), Value: new("own")}}}
	env, err := Environment(p)
	if err != nil || !slices.Contains(env, "A=outer") || !slices.Contains(env, "PATH="+DefaultPath) {
		t.Errorf("environment %q, %v", env, err)
	}
	status, err := c.Run(t.Context(), spec, "check-1", command, env)
	if status != 3<<8 || err != nil {
		t.Errorf("status %#x, %v", status, err)
	}
	if err := c.Note(spec, "it has failed"); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(spec.Sandbox, "stderr")); string(text) != "outer own "+spec.Sandbox+"\nit has failed\n" {
		t.Errorf("stderr %q, %v", text, err)
	}
	if left := c.Nested(spec.ID); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestRunEnds: a command is killed, with what it has started, when nobody waits for
// it any more.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	c, spec := prepared(t, nil)
	because := errors.New("it takes too long")
	ctx, cancel := context.WithCancelCause(t.Context())
	up := filepath.Join(spec.Sandbox, "up")
	if err := syscall.Mkfifo(up, 0o666); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(up) // ends when the command has written
		cancel(because)
	}()
	_, err := c.Run(ctx, spec, "check-1", shell("trap '' TERM; sleep 1000 & echo up >up; wait"), nil)
	if !errors.Is(err, because) {
		t.Errorf("error %v", err)
	}
	if links, _ := filepath.Glob("/proc/[0-9]*/cwd"); slices.ContainsFunc(links, func(link string) bool {
		at, err := os.Readlink(link)
		return err == nil && at == spec.Sandbox
	}) {
		t.Error("processes are left in the sandbox")
	}
}

// TestWithSecrets: a secret is a variable's value, and goes before another of its
// name; one that cannot be had is an error that does not tell any.
func TestWithSecrets(t *testing.T) {
	t.Parallel()
	command := shell("")
	variable := func(name string, s *mesos.Secret) *mesos.Environment_Variable {
		return &mesos.Environment_Variable{Name: &name, Type: mesos.Environment_Variable_SECRET.Enum(), Secret: s}
	}
	value := func(data string) *mesos.Secret { return &mesos.Secret{Value: &mesos.Secret_Value{Data: []byte(data)}} }
	command.Environment = &mesos.Environment{Variables: []*mesos.Environment_Variable{
		variable("A", value("hidden")), variable("B", value("")), {Name: new("C"), Value: new("plain")},
	}}
	got, err := WithSecrets([]string{"A=old", "B=old", "C=plain"}, command)
	slices.Sort(got)
	if want := []string{"A=hidden", "B=", "C=plain"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	command.Environment.Variables = append(command.Environment.Variables, variable("D", &mesos.Secret{}))
	if _, err := WithSecrets(nil, command); !errors.Is(err, secret.ErrForgotten) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("error %v", err)
	}
}

func TestRlimitsOfPlainProcesses(t *testing.T) {
	limits := &mesos.ContainerInfo{RlimitInfo: &mesos.RLimitInfo{Rlimits: []*mesos.RLimitInfo_RLimit{
		{Type: mesos.RLimitInfo_RLimit_RLMT_NOFILE.Enum(), Soft: new(uint64(77)), Hard: new(uint64(77))},
	}}}
	for _, on := range []bool{true, false} {
		c, spec := prepared(t, func(s *Spec) { s.Container = limits })
		c.cfg.Rlimits = on
		if _, out := run(t, c, spec, shell("ulimit -n")); (out == "77\n") != on {
			t.Errorf("posix/rlimits %t: %q", on, out)
		}
	}
	c, spec := prepared(t, func(s *Spec) {
		s.Container = limits.CloneVT()
		s.Container.RlimitInfo.Rlimits[0].Hard = nil
	})
	c.cfg.Rlimits = true
	if _, err := c.Start(spec, shell("true"), nil); err == nil || !strings.Contains(err.Error(), "give both") {
		t.Errorf("half a limit: %v", err)
	}
}
