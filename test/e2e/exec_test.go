package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/meseta-project/meseta/test/cluster"
)

var errWords = errors.New("not what was expected")

// seat is a terminal with a program on it.
type seat struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd
	mu     sync.Mutex
	screen bytes.Buffer
}

func ioctl(t *testing.T, f *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), request, uintptr(argument)); errno != 0 {
		t.Fatal(errno)
	}
}

// sit starts the binary on a terminal of its own.
func sit(t *testing.T, args ...string) *seat {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number, unlocked int32
	ioctl(t, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlocked))
	ioctl(t, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	s := &seat{t: t, master: master, cmd: exec.Command(cluster.Binary(t), args...)}
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.resize(33, 99)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		master.Close()
	})
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			s.mu.Lock()
			s.screen.Write(buffer[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *seat) resize(rows, columns uint16) {
	s.t.Helper()
	ioctl(s.t, s.master, syscall.TIOCSWINSZ, unsafe.Pointer(&[4]uint16{rows, columns}))
}

func (s *seat) enter(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.master, text); err != nil {
		s.t.Fatal(err)
	}
}

func (s *seat) await(text string) {
	s.t.Helper()
	cluster.Eventually(s.t, cluster.Patience, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !strings.Contains(s.screen.String(), text) {
			return fmt.Errorf("%q is not on the screen: %q", text, s.screen.String())
		}
		return nil
	})
}

// mode is how the terminal is set.
func (s *seat) mode() (mode syscall.Termios) {
	s.t.Helper()
	ioctl(s.t, s.master, syscall.TCGETS, unsafe.Pointer(&mode))
	return mode
}

func (s *seat) exit() int {
	s.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		s.t.Fatalf("it does not end: %q", s.screen.String())
	}
	return s.cmd.ProcessState.ExitCode()
}

// TestExec runs commands in tasks by the binary, on a real terminal and without.
func TestExec(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		s, _ := commandTask(t, at.master, "echo of the task > file; exec sleep 1000", nil)
		run := func(status int, input string, args ...string) string {
			t.Helper()
			cmd := exec.Command(cluster.Binary(t), args...)
			cmd.Stdin = strings.NewReader(input)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != status {
				t.Errorf("%v: exit status %d, want %d: %s", args, got, status, out.String()[max(0, out.Len()-200):])
			}
			return out.String()
		}
		master := "--master=" + at.master.Addr
		cluster.Eventually(t, soon, func() error { // the master has to know of the container
			cmd := exec.Command(cluster.Binary(t), "exec", master, "t", "--", "cat", "file")
			out, err := cmd.CombinedOutput()
			if err != nil || string(out) != "of the task\n" {
				return fmt.Errorf("%w: says %q", errors.Join(err, errWords), out)
			}
			return nil
		})
		run(7, "", "exec", master, "t", "--", "sh", "-c", "exit 7")
		run(128+15, "", "exec", master, "t", "--", "sh", "-c", "kill -TERM $$")
		large := strings.Repeat("0123456789\n", 300_000)
		if got := run(0, large, "exec", "-i", master, "t", "--", "cat"); got != large {
			t.Errorf("%d bytes came back of %d", len(got), len(large))
		}
		if got := run(1, "", "exec", master, "none", "--", "true"); !strings.Contains(got, "there is no task none") {
			t.Errorf("exec in a task that there is not: %s", got)
		}
		if got := run(1, "", "attach", master, "t"); !strings.Contains(got, "meseta logs -f t") {
			t.Errorf("attach to a task without a terminal: %s", got)
		}
		if got := run(0, "", "__complete", "exec", master, ""); !strings.HasPrefix(got, "t\n") {
			t.Errorf("completion: %s", got)
		}

		seat := sit(t, "exec", "-it", master, "t", "--", "sh", "-i")
		before := seat.mode()
		seat.await("# ")
		seat.enter("stty size\r")
		seat.await("33 99\r\n")
		seat.resize(44, 111)
		cluster.Eventually(t, soon, func() error {
			seat.enter("stty size\r")
			time.Sleep(50 * time.Millisecond)
			seat.mu.Lock()
			defer seat.mu.Unlock()
			if !strings.Contains(seat.screen.String(), "44 111\r\n") {
				return fmt.Errorf("the size has not changed: %q", seat.screen.String())
			}
			return nil
		})
		seat.enter("echo slee''ping; sleep 1000\r")
		seat.await("sleeping\r\n")
		cluster.Eventually(t, soon, func() error { // it may not be in the foreground yet
			seat.enter("\x03")
			seat.enter("echo al''ive\r")
			time.Sleep(50 * time.Millisecond)
			seat.mu.Lock()
			defer seat.mu.Unlock()
			if !strings.Contains(seat.screen.String(), "alive\r\n") {
				return fmt.Errorf("the shell is busy: %q", seat.screen.String())
			}
			return nil
		})
		seat.enter("exit 5\r")
		if got := seat.exit(); got != 5 {
			t.Errorf("exit status %d, want 5", got)
		}
		if after := seat.mode(); after.Lflag != before.Lflag && before.Lflag&syscall.ICANON != 0 {
			t.Errorf("the terminal is left at %#x, was %#x", after.Lflag, before.Lflag)
		}
		if seat.mode().Lflag&syscall.ICANON == 0 {
			t.Error("the terminal is left raw")
		}
		at.end(t, s)
	})
}

// TestAttachCommand types on a task's own terminal, leaves it, and comes back.
func TestAttachCommand(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s, task := commandTask(t, c.Master, "while read word; do echo \"<$word>\"; done; exit 3", withTTY)
	master := "--master=" + c.Master.Addr
	o := cluster.AttachOutput(t, c.Agents[0], task)
	first := sit(t, "attach", "-i", master, "t")
	cluster.Eventually(t, soon, func() error {
		if first.mode().Lflag&syscall.ICANON != 0 {
			return errors.New("the terminal is not raw")
		}
		return nil
	})
	first.enter("one\r")
	o.Await("<one>")
	first.enter("\x10\x11")
	if got := first.exit(); got != 0 {
		t.Errorf("leaving has exit status %d: %q", got, first.screen.String())
	}
	watch := sit(t, "attach", master, "t")
	second := sit(t, "attach", "-i", master, "t")
	cluster.Eventually(t, soon, func() error {
		if second.mode().Lflag&syscall.ICANON != 0 {
			return errors.New("the terminal is not raw")
		}
		return nil
	})
	cluster.Eventually(t, soon, func() error { // the one who watches may not be there yet
		second.enter("two\r")
		time.Sleep(50 * time.Millisecond)
		watch.mu.Lock()
		defer watch.mu.Unlock()
		if !strings.Contains(watch.screen.String(), "<two>") {
			return fmt.Errorf("the one who watches sees %q", watch.screen.String())
		}
		return nil
	})
	second.await("<two>\r\n")
	second.enter("\x04")
	s.AwaitState("t", "TASK_FAILED")
	if a, b := second.exit(), watch.exit(); a != 0 || b != 0 {
		t.Errorf("exit statuses %d and %d", a, b)
	}
}
