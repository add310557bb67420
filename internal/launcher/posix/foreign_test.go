package posix

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meseta-project/meseta/internal/launcher"
)

const foreignID = "39b21c8c-4f53-40ab-8706-8818d34744d7"

// startForeign starts what an agent of Mesos's would, and returns its pid and
// those that the command prints, one a line before an empty one.
func startForeign(t *testing.T, env []string, command string) (pid int, more []int, reap func()) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "" {
		var child int
		if _, err := fmt.Sscan(lines.Text(), &child); err != nil {
			t.Fatal(err)
		}
		more = append(more, child)
	}
	return cmd.Process.Pid, more, func() { _ = cmd.Wait() }
}

func named39(t *testing.T) []string {
	t.Helper()
	return []string{"MESOS_SANDBOX=/var/lib/mesos/slaves/S0/frameworks/F/executors/e/runs/" + foreignID}
}

// TestForeignIsAdoptedAndKilled: of the container are its child, one in a session
// of its own, an orphan, one that only the session gives away, and an orphan in
// another session that knows the container's name.
func TestForeignIsAdoptedAndKilled(t *testing.T) {
	command := `mkfifo ready
sleep 1000 >/dev/null & echo $!
setsid sh -c 'echo $$ >ready; exec sleep 1000 >/dev/null' & head -n 1 ready
sh -c 'sleep 1000 >/dev/null & echo $!'
sh -c 'env -i sleep 1000 >/dev/null & echo $!'
setsid sh -c 'sh -c "echo \$\$ >ready; exec sleep 1000 >/dev/null" &' & head -n 1 ready
echo
wait`
	t.Chdir(t.TempDir())
	pid, family, reap := startForeign(t, named39(t), command)
	if len(family) != 5 {
		t.Fatalf("the container's processes are %v", family)
	}
	adopted, err := newLauncher(t).Adopt(foreignID, pid, filepath.Join(t.TempDir(), "status"))
	if err != nil {
		t.Fatal(err)
	}
	if adopted.PID() != pid || adopted.First() == 0 || adopted.Usage().Processes < 3 {
		t.Errorf("pid %d, first %d, usage %+v", adopted.PID(), adopted.First(), adopted.Usage())
	}
	go reap()
	if err := adopted.Kill(); err != nil {
		t.Fatal(err)
	}
	if status, err := adopted.Wait(); err != nil || status != int(syscall.SIGKILL) {
		t.Errorf("wait status %d, %v", status, err)
	}
	for _, p := range family {
		if _, over := sessionOf(p); !over {
			t.Errorf("process %d is left of %v", p, family)
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
}

// TestForeignEnds: the status is what Mesos's process has written down, and
// otherwise not known; what it leaves behind is killed.
func TestForeignEnds(t *testing.T) {
	for _, c := range []struct {
		writes string
		status int
		err    error
	}{{"printf 768", 768, nil}, {":", 9, errUnseen}} {
		dir := t.TempDir()
		status := filepath.Join(dir, "status")
		t.Chdir(dir)
		if err := syscall.Mkfifo("go", 0o666); err != nil {
			t.Fatal(err)
		}
		pid, orphan, reap := startForeign(t, named39(t), "sh -c 'sleep 1000 >/dev/null & echo $!'; echo; read x <go; "+c.writes+" >status")
		adopted, err := newLauncher(t).Adopt(foreignID, pid, status)
		if err != nil {
			t.Fatal(err)
		}
		go reap()
		if err := os.WriteFile("go", []byte("\n"), 0); err != nil {
			t.Fatal(err)
		}
		if got, err := adopted.Wait(); got != c.status || !errors.Is(err, c.err) {
			t.Errorf("%q: wait status %d, %v; want %d, %v", c.writes, got, err, c.status, c.err)
		}
		if _, over := sessionOf(orphan[0]); !over {
			t.Errorf("%q: an orphan is left", c.writes)
		}
	}
}

// TestForeignIsNobodyElse: a pid that was given to another process meanwhile is
// not taken.
func TestForeignIsNobodyElse(t *testing.T) {
	for _, env := range []string{
		"", "PWD=/runs/" + foreignID, "MESOS_SANDBOX=/runs/" + foreignID + "0", "MESOS_SANDBOX=/runs/a" + foreignID + "/x",
		"MESOS_SANDBOX=/runs/" + strings.ToUpper(foreignID),
	} {
		pid, _, _ := startForeign(t, []string{env}, "echo; exec sleep 1000")
		if p, err := newLauncher(t).Adopt(foreignID, pid, ""); !errors.Is(err, launcher.ErrGone) {
			t.Errorf("%s: %v, %v", env, p, err)
		}
	}
	for _, pid := range []int{0, 1, -1, os.Getpid()} {
		if IsForeign(pid, foreignID) {
			t.Errorf("process %d is taken", pid)
		}
	}
}

func FuzzMentions(f *testing.F) {
	f.Add("MESOS_SANDBOX=/runs/abc/containers/d", "abc")
	f.Add("aab ab", "ab")
	f.Add("aaa", "aa")
	f.Fuzz(func(t *testing.T, text, name string) {
		want := false
		for i := range text {
			after := i + len(name)
			if name == "" || !strings.HasPrefix(text[i:], name) {
				continue
			}
			want = want || (i == 0 || !partOfName(text[i-1])) && (after == len(text) || !partOfName(text[after]))
		}
		if got := mentions([]byte(text), name); got != want {
			t.Errorf("%q in %q: %t", name, text, got)
		}
	})
}
