package cluster

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is one program started by a test, in a process group of its own, with
// everything it wrote kept in a file. It may be stopped and started again with
// the same arguments.
type Process struct {
	// Name is what the process is called in messages.
	Name string
	// Args is the command line, the program first.
	Args []string
	// Env is the whole environment.
	Env []string
	// Dir is the working directory.
	Dir string

	t    TB
	uid  int
	log  string // file that both outputs are appended to
	cmd  *exec.Cmd
	done chan struct{} // closed when the current run has been waited for
}

// Start starts a program. When the test ends it is terminated, and if the test
// failed its output is printed. env is added to a small fixed environment.
func Start(t TB, name string, env []string, args ...string) *Process {
	t.Helper()
	p := newProcess(t, name, env, args...)
	p.Start()
	return p
}

// newProcess is Start without starting it.
func newProcess(t TB, name string, env []string, args ...string) *Process {
	t.Helper()
	dir := t.TempDir()
	p := &Process{
		Name: name, Args: args, Dir: dir, t: t, uid: os.Getuid(),
		Env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8"}, env...),
		log: filepath.Join(dir, name+".log"),
	}
	t.Cleanup(p.cleanup)
	return p
}

// Start runs the program again after it has ended.
func (p *Process) Start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	p.cmd = &exec.Cmd{
		Path: p.Args[0], Args: p.Args, Env: p.Env, Dir: p.Dir, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if p.uid != os.Getuid() {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.uid)}
	}
	p.done = make(chan struct{})
	started := make(chan error)
	go p.run(p.cmd, started, p.done)
	if err := <-started; err != nil {
		p.t.Fatalf("starting %s: %v", p.Name, err)
	}
}

// run starts the command and waits for it on a thread that lives as long as it
// does: the kernel delivers Pdeathsig when the starting thread ends, not when
// the whole test process does.
func (p *Process) run(cmd *exec.Cmd, started chan<- error, done chan<- struct{}) {
	lockThread()
	err := cmd.Start()
	started <- err
	if err == nil {
		cmd.Wait()
	}
	close(done)
}

// Pid returns the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends sig to the process's whole group. A process that is gone is not
// an error.
func (p *Process) Signal(sig syscall.Signal) { syscall.Kill(-p.Pid(), sig) }

// Kill9 kills the process without warning and returns when it is gone. Tasks of
// an agent, which run in sessions of their own, live on.
func (p *Process) Kill9() {
	p.t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Exit(Patience)
}

// Terminate asks the process to end and returns how it did; it fails the test
// when the process has to be killed.
func (p *Process) Terminate() *os.ProcessState {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Exit(Patience)
}

// Exit waits for the process to end and returns how it did. It kills it and
// fails the test when it has not ended within the time given.
func (p *Process) Exit(within time.Duration) *os.ProcessState {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(within):
		p.Signal(syscall.SIGKILL)
		<-p.done
		p.t.Fatalf("%s has not ended within %v", p.Name, within)
	}
	return p.cmd.ProcessState
}

// Running says whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Log returns everything that the process has written so far, over all its runs.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// WaitLog waits until the process has written text. It fails the test when the
// process ends without, or does not write it in time.
func (p *Process) WaitLog(text string, within time.Duration) {
	p.t.Helper()
	Eventually(p.t, within, func() error {
		running := p.Running()
		if bytes.Contains([]byte(p.Log()), []byte(text)) {
			return nil
		}
		if !running {
			p.t.Fatalf("%s ended (%v) without writing %q", p.Name, p.cmd.ProcessState, text)
		}
		return fmt.Errorf("%s has not written %q", p.Name, text)
	})
}

// broken are the marks of a program that failed by its own fault.
var broken = []string{"\npanic: ", "\nfatal error: ", "WARNING: DATA RACE"}

func (p *Process) cleanup() {
	if p.done == nil {
		return
	}
	p.stop()
	for _, mark := range broken {
		if strings.Contains("\n"+p.Log(), mark) {
			p.t.Errorf("%s wrote %q", p.Name, strings.TrimSpace(mark))
		}
	}
	if p.t.Failed() {
		p.t.Logf("---- %s: %v\n%s", p.Name, p.Args, tail(p.log, 16<<10))
	}
}

// stop ends the process, politely first.
func (p *Process) stop() {
	if !p.Running() {
		return
	}
	for _, sig := range []syscall.Signal{syscall.SIGCONT, syscall.SIGTERM, syscall.SIGKILL} {
		p.Signal(sig)
		if sig == syscall.SIGCONT {
			continue
		}
		select {
		case <-p.done:
			return
		case <-time.After(3 * time.Second):
		}
	}
	<-p.done
}

// tail returns the last bytes of a file.
func tail(path string, limit int64) string {
	file, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > limit {
		file.Seek(-limit, io.SeekEnd)
	}
	text, _ := io.ReadAll(file)
	return string(text)
}
