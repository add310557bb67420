package launchertest

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/launcher/posix"
	"github.com/meseta-project/meseta/internal/skip"
)

// boards is the part of the suite on what is between a container and its files.
var boards = map[string]func(*testing.T, *bench){
	"a session's output waits for its owner": ownerFirst, "input": input, "input in exec": inputInside, "a terminal": terminal, "a terminal in exec": terminalInside, "a terminal's task is asked to end": terminalAsked, "a terminal's user": terminalUser,
	"a slow watcher is cut off": slowWatcher, "a slow owner holds the container": slowOwner, "watchers at once": watchers,
	"a board outlives the agent": boardOutlives, "rotation": rotation, "rotation follows nothing": rotationFollowsNothing,
	"kill does not wait for watchers": killHurries, "kill lets watchers hear the end": killTells,
}

// boarded adds a board to a container, whose socket is in the folder returned.
func boarded(t *testing.T, spec *launcher.Spec, b launcher.Board) string {
	t.Helper()
	dir := filepath.Dir(spec.Status)
	socket, err := posix.ListenBoard(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	b.Socket = socket
	spec.Board = &b
	return dir
}

// line is a connection of which everything is read.
type line struct {
	*posix.Line
	t    *testing.T
	mu   sync.Mutex
	said map[posix.Said]*bytes.Buffer
	last posix.Said
	done chan struct{}
}

func dial(t *testing.T, dir string, wants posix.Wants) *line {
	t.Helper()
	l, err := posix.DialBoard(dir, wants)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &line{Line: l, t: t, said: map[posix.Said]*bytes.Buffer{posix.Stdout: {}, posix.Stderr: {}}, done: make(chan struct{})}
}

// read reads on, on a goroutine of its own.
func (l *line) read() *line {
	go func() {
		defer close(l.done)
		for {
			said, data, err := l.Next()
			if err != nil {
				return
			}
			l.mu.Lock()
			if l.last = said; l.said[said] != nil {
				l.said[said].Write(data)
			}
			l.mu.Unlock()
		}
	}()
	return l
}

func (l *line) text(of posix.Said) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said[of].String()
}

func (l *line) await(text string) {
	l.t.Helper()
	until(l.t, func() bool { return strings.Contains(l.text(posix.Stdout), text) }, "%q in the output", text)
}

// end waits for the end of the line and says whether the container's was told.
func (l *line) end() bool {
	l.t.Helper()
	select {
	case <-l.done:
	case <-time.After(time.Minute):
		l.t.Fatal("the line does not end")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last == posix.Over
}

func until(t *testing.T, condition func() bool, format string, args ...any) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is never "+format, args...)
		}
	}
}

func (b *bench) boarded(t *testing.T, command string, board launcher.Board) (launcher.Process, *launcher.Spec, string) {
	t.Helper()
	spec := b.spec(t, "b-"+filepath.Base(filepath.Dir(t.TempDir())), command)
	fifos(t, spec)
	dir := boarded(t, spec, board)
	p := b.fork(t, spec)
	spec.Board.Socket.Close() // as an agent does
	return p, spec, dir
}

func ownerFirst(t *testing.T, b *bench) {
	p, spec, dir := b.boarded(t, "echo out; echo err >&2; exit 3", launcher.Board{Held: true})
	owner := dial(t, dir, posix.Owner).read()
	if status := wait(t, p); status.ExitStatus() != 3 {
		t.Errorf("exit status %d", status.ExitStatus())
	}
	if !owner.end() || owner.text(posix.Stdout) != "out\n" || owner.text(posix.Stderr) != "err\n" {
		t.Errorf("said %q and %q", owner.text(posix.Stdout), owner.text(posix.Stderr))
	}
	if got := printed(t, spec); !strings.Contains(got, "out") || !strings.Contains(got, "err") {
		t.Errorf("in the files: %q", got)
	}
	if _, err := posix.DialBoard(dir, posix.Output); !errors.Is(err, posix.ErrNoBoard) {
		t.Errorf("attaching to a container that is over: %v", err)
	}
}

func input(t *testing.T, b *bench) {
	p, _, dir := b.boarded(t, "cat; echo end", launcher.Board{Held: true})
	owner := dial(t, dir, posix.Owner).read()
	in := dial(t, dir, posix.Input)
	if in.Terminal {
		t.Error("there is a terminal")
	}
	text := strings.Repeat("many words\n", 50_000)
	if _, err := in.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := in.CloseInput(); err != nil {
		t.Fatal(err)
	}
	if err := in.Finish(); err != nil {
		t.Fatal(err)
	}
	wait(t, p)
	if got := owner.end(); !got || owner.text(posix.Stdout) != text+"end\n" {
		t.Errorf("%d bytes came back of %d", len(owner.text(posix.Stdout)), len(text))
	}
}

// inputInside: what a process in a container says goes to its owner, and there alone.
func inputInside(t *testing.T, b *bench) {
	outer, outerSpec := b.start(t, "echo > ready; exec sleep 1000")
	ready(t, outerSpec)
	spec := b.spec(t, outerSpec.ID+".in", "read a; echo got $a; echo bad >&2; exit 3")
	spec.Dir, spec.Tethered = outerSpec.Dir, true // as sessions are
	dir := boarded(t, spec, launcher.Board{Held: true})
	p, err := b.Exec(outerSpec.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.Board.Socket.Close()
	owner, in := dial(t, dir, posix.Owner).read(), dial(t, dir, posix.Input)
	if _, err := in.Write([]byte("word\n")); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, p); status.ExitStatus() != 3 || !owner.end() || owner.text(posix.Stdout) != "got word\n" || owner.text(posix.Stderr) != "bad\n" {
		t.Errorf("exit status %d, said %q and %q", status.ExitStatus(), owner.text(posix.Stdout), owner.text(posix.Stderr))
	}
	if err := outer.Kill(); err != nil {
		t.Error(err)
	}
	wait(t, outer)
}

// talk has a shell on a terminal say what size that is, and ends it by its input.
func talk(t *testing.T, p launcher.Process, dir string) {
	t.Helper()
	out, in := dial(t, dir, posix.Output).read(), dial(t, dir, posix.Input)
	if !in.Terminal {
		t.Error("there is no terminal")
	}
	out.await("ready")
	if err := in.Resize(50, 120); err != nil {
		t.Fatal(err)
	}
	say := func(text string) {
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say("stty size; tty\n")
	out.await("50 120\r\n/dev/pts/")
	say("sleep 1000; echo interrupted\n")
	out.await("sleep 1000; echo interrupted\r\n")
	until(t, func() bool { return p.Usage().Processes > 1 }, "a process more")
	until(t, func() bool { // it may not be in the foreground yet
		say("\x03")
		say("echo al''ive\n")
		time.Sleep(50 * time.Millisecond)
		return strings.Contains(out.text(posix.Stdout), "alive\r\n")
	}, "an interrupt")
	say("exit 5\n")
	if status := wait(t, p); status.ExitStatus() != 5 {
		t.Errorf("exit status %d, output %q", status.ExitStatus(), out.text(posix.Stdout))
	}
	if !out.end() {
		t.Error("the end was not told")
	}
}

func terminal(t *testing.T, b *bench) {
	p, spec, dir := b.boarded(t, "echo ready; exec sh -i", launcher.Board{Terminal: true, Held: true})
	talk(t, p, dir)
	if got := printed(t, spec); !strings.Contains(got, "50 120\r\n") {
		t.Errorf("in the file: %q", got)
	}
}

func terminalInside(t *testing.T, b *bench) {
	outer, outerSpec := b.start(t, "echo > ready; exec sleep 1000")
	ready(t, outerSpec)
	spec := b.spec(t, outerSpec.ID+".in", "echo ready; exec sh -i")
	spec.Dir = outerSpec.Dir
	dir := boarded(t, spec, launcher.Board{Terminal: true, Held: true})
	p, err := b.Exec(outerSpec.ID, spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.Board.Socket.Close()
	talk(t, p, dir)
	if err := outer.Kill(); err != nil {
		t.Error(err)
	}
	wait(t, outer)
}

func terminalAsked(t *testing.T, b *bench) {
	p, spec, _ := b.boarded(t, "trap 'exit 6' TERM; echo > ready; while :; do sleep 0.05; done", launcher.Board{Terminal: true})
	ready(t, spec)
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := wait(t, p); status.ExitStatus() != 6 {
		t.Errorf("wait status %#x, want exit 6", int(status))
	}
}

// terminalUser: a terminal is its user's, who can open it by its name.
func terminalUser(t *testing.T, b *bench) {
	skip.UnlessRoot(t)
	spec := b.spec(t, "b-user", "id -u; echo by name >$(tty) && exit 3")
	spec.User = &launcher.User{UID: 65534, GID: 65534}
	boarded(t, spec, launcher.Board{Terminal: true})
	p := b.fork(t, spec)
	spec.Board.Socket.Close()
	if status := wait(t, p); status.ExitStatus() != 3 || printed(t, spec) != "65534\r\nby name" {
		t.Errorf("exit status %d, output %q", status.ExitStatus(), printed(t, spec))
	}
}

// much is more than what fits between a container and one who does not read.
const much = "head -c 8000000 /dev/zero | tr '\\0' x"

func slowWatcher(t *testing.T, b *bench) {
	const rounds, each = 20, 100_000
	p, spec, dir := b.boarded(t, "stty -echo; echo > ready; while read word; do head -c 100000 /dev/zero | tr '\\0' x; done", launcher.Board{Terminal: true})
	ready(t, spec)
	slow, keen, in := dial(t, dir, posix.Output), dial(t, dir, posix.Output).read(), dial(t, dir, posix.Input)
	say := func(text string) {
		if _, err := in.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range rounds {
		say("more\n")
		until(t, func() bool { return len(keen.text(posix.Stdout)) == (i+1)*each }, "what is written in round %d", i)
	}
	say("\x04")
	wait(t, p)
	if !keen.end() {
		t.Error("one who reads was not told of the end")
	}
	if slow.read().end() {
		t.Error("one who did not read was told that this is all")
	}
	if n := len(printed(t, spec)); n != rounds*each {
		t.Errorf("%d bytes are in the file", n)
	}
}

func slowOwner(t *testing.T, b *bench) {
	p, _, dir := b.boarded(t, much, launcher.Board{Held: true})
	owner := dial(t, dir, posix.Owner)
	time.Sleep(50 * time.Millisecond) // whoever is not held back would be through
	owner.read()
	wait(t, p)
	if !owner.end() || len(owner.text(posix.Stdout)) != 8_000_000 {
		t.Errorf("the owner got %d bytes", len(owner.text(posix.Stdout)))
	}
}

func watchers(t *testing.T, b *bench) {
	p, spec, dir := b.boarded(t, "echo > ready; read x < go; echo all", launcher.Board{Terminal: true})
	ready(t, spec)
	var all []*line
	for range 64 {
		all = append(all, dial(t, dir, posix.Output).read())
	}
	if _, err := posix.DialBoard(dir, posix.Output); !errors.Is(err, posix.ErrCrowded) {
		t.Errorf("room for any number: %v", err)
	}
	all[0].Close()
	until(t, func() bool {
		l, err := posix.DialBoard(dir, posix.Output)
		if err == nil {
			l.Close()
		}
		return err == nil
	}, "room after one has left")
	proceed(t, spec)
	wait(t, p)
	for _, l := range all[1:] {
		if !l.end() || l.text(posix.Stdout) != "all\r\n" {
			t.Fatalf("one was told %q", l.text(posix.Stdout))
		}
	}
}

func boardOutlives(t *testing.T, b *bench) {
	p, spec, dir := b.boarded(t, "echo > ready; read x < go; echo on; exit 4", launcher.Board{Terminal: true})
	ready(t, spec)
	adopted, err := b.again().Adopt(spec.ID, p.PID(), spec.Status)
	if err != nil {
		t.Fatal(err)
	}
	out := dial(t, dir, posix.Output).read()
	proceed(t, spec)
	if status := wait(t, adopted); status.ExitStatus() != 4 || !out.end() || out.text(posix.Stdout) != "on\r\n" {
		t.Errorf("status %d, output %q", status.ExitStatus(), out.text(posix.Stdout))
	}
	wait(t, p)
}

// rotating makes a container whose files are rotated.
func (b *bench) rotating(t *testing.T, command string) *launcher.Spec {
	t.Helper()
	spec := b.spec(t, "r-"+filepath.Base(filepath.Dir(t.TempDir())), command)
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(spec.Dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	folder, err := os.Open(spec.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { folder.Close() })
	spec.Stdout, spec.Stderr = open("stdout"), open("stderr")
	spec.Board = &launcher.Board{Sandbox: folder, Stdout: launcher.Rotation{Max: 20_000, Keep: 2}, Stderr: launcher.Rotation{Max: 40_000, Keep: 1}}
	wait(t, b.fork(t, spec))
	return spec
}

func sizes(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = info.Size()
	}
	return all
}

func rotation(t *testing.T, b *bench) {
	spec := b.rotating(t, "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo few >&2")
	got := sizes(t, spec.Dir)
	for _, name := range []string{"stdout", "stdout.1", "stdout.2"} {
		if got[name] <= 0 || got[name] > 20_000 {
			t.Errorf("%s has %d bytes", name, got[name])
		}
	}
	delete(got, "out") // of the suite's own
	if len(got) != 4 || got["stderr"] != 4 {
		t.Errorf("there are %v", got)
	}
	var written strings.Builder
	for _, name := range []string{"stdout.2", "stdout.1", "stdout"} {
		data, err := os.ReadFile(filepath.Join(spec.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		written.Write(data)
	}
	text := written.String()
	if !strings.HasSuffix(text, "line 19998\nline 19999\n") || strings.Count(text, "\n") < 2000 {
		t.Errorf("the files end in %q", text[max(0, len(text)-40):])
	}
}

// rotationFollowsNothing: what a task puts in the place of its files leads the shim,
// which may be root, nowhere.
func rotationFollowsNothing(t *testing.T, b *bench) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := b.rotating(t, "ln -s "+outside+" stdout.1; mkdir stdout.2; rm stdout; ln -s "+outside+" stdout; "+
		"i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; rm -f stderr; mkdir stderr; head -c 200000 /dev/zero >&2")
	if text, err := os.ReadFile(outside); err != nil || string(text) != "mine" {
		t.Errorf("outside is %.40q (%v)", text, err)
	}
	if got := sizes(t, spec.Dir); got["stdout"] > 20_000 || got["stdout.1"] > 20_000 {
		t.Errorf("there are %v", got)
	}
}

func killHurries(t *testing.T, b *bench) {
	p, _, dir := b.boarded(t, "head -c 600000 /dev/zero; exit 7", launcher.Board{Held: true})
	owner := dial(t, dir, posix.Owner) // who reads nothing: the shim has more to say
	until(t, func() bool { return p.Usage().Processes == 0 }, "an end")
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	status := wait(t, p)
	if status.ExitStatus() != 7 && status.Signal() != syscall.SIGKILL {
		t.Errorf("status %d", status)
	}
	owner.Close()
}

// killTells: who looks at a container that is killed, and killed again, still hears
// the last of it.
func killTells(t *testing.T, b *bench) {
	const size = 400_000
	p, spec, dir := b.boarded(t, "head -c 400000 /dev/zero; exec sleep 1000", launcher.Board{Held: true})
	watcher := dial(t, dir, posix.Output)
	until(t, func() bool { return len(printed(t, spec)) == size }, "all output")
	for range 3 {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
		time.Sleep(20 * time.Millisecond) // for the shim to write down the end
	}
	if watcher.read(); !watcher.end() || len(watcher.text(posix.Stdout)) != size {
		t.Errorf("%d bytes came, and the end is %v", len(watcher.text(posix.Stdout)), watcher.end())
	}
	if status := wait(t, p); status.Signal() != syscall.SIGKILL {
		t.Errorf("status %d", status)
	}
}
