package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// place is a master, an agent, and what its containers have left.
type place struct {
	master, agent *cluster.Node
	left          func() error
}

// eachLauncher runs a test with an agent of each way to launch containers.
func eachLauncher(t *testing.T, test func(t *testing.T, at place)) {
	t.Run("posix", func(t *testing.T) {
		c := cluster.New(t, 1)
		test(t, place{c.Master, c.Agents[0], processesLeft(c.Agents[0])})
	})
	eachRuntime(t, func(t *testing.T, c *containers) { test(t, place{c.Master, c.agent, c.left}) })
}

func processesLeft(agent *cluster.Node) func() error {
	return func() error {
		if left := cluster.Inside(agent.WorkDir); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	}
}

// commandTask runs a command with a container of the kind given and returns the
// names of framework and container.
func commandTask(t *testing.T, master *cluster.Node, command string, container J) (*cluster.Scheduler, J) {
	t.Helper()
	s := cluster.Subscribe(t, master, durable("attach"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", command)
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "WORD", "value": "own"}}}
	if container != nil {
		task["container"] = container
	}
	s.Launch(offer, 0, task)
	status := s.AwaitState("t", "TASK_RUNNING")
	return s, J{"value": status.Text("container_status.container_id.value")}
}

var withTTY = J{"type": "MESOS", "tty_info": J{}}

func in(parent J, name string) J { return J{"value": name, "parent": parent} }

// end ends a framework, and with it the containers of its tasks.
func (at place) end(t *testing.T, s *cluster.Scheduler) {
	t.Helper()
	s.Teardown()
	cluster.Eventually(t, soon, at.left)
}

// TestShellInTask: a shell on a terminal in a task, with the task's surroundings, a
// window that changes, ^C, and an exit status.
func TestShellInTask(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		agent := at.agent
		s, task := commandTask(t, at.master, "echo of the task > file; exec sleep 1000", nil)
		shell := cluster.OpenSession(t, agent, in(task, "shell"), "echo ready; exec sh -i", true)
		shell.Await("ready")
		input := cluster.AttachInput(t, agent, in(task, "shell"))
		input.Resize(51, 121)
		input.Send("stty size; cat file; echo $WORD; test -t 0 && echo terminal\n")
		shell.Await("51 121\r\nof the task\r\nown\r\nterminal\r\n")
		input.Resize(24, 80)
		input.Send("stty size\n")
		shell.Await("24 80\r\n")
		input.Send("echo sleeping; sleep 1000\n")
		shell.Await("sleeping\r\n")
		cluster.Eventually(t, soon, func() error { // it may not be in the foreground yet
			input.Send("\x03")
			input.Send("echo al''ive\n")
			time.Sleep(50 * time.Millisecond)
			if !strings.Contains(shell.Text(), "alive\r\n") {
				return fmt.Errorf("the shell is busy: %q", shell.Text())
			}
			return nil
		})
		input.Send("exit 7\n")
		if err := shell.End(); err != nil {
			t.Errorf("the session's stream: %v", err)
		}
		if got := containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", in(task, "shell"), nil).Body; !strings.Contains(got, `"exit_status":1792`) {
			t.Errorf("the shell: %s", got)
		}
		if reply := input.Reply(); reply.Status != 500 || reply.Body != "Disconnected" {
			t.Errorf("the input: %d %s", reply.Status, reply.Body)
		}
		at.end(t, s)
	})
}

// TestManySessions: fifty at once, each with its own input and output.
func TestManySessions(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		agent := at.agent
		s, task := commandTask(t, at.master, "exec sleep 1000", nil)
		var work sync.WaitGroup
		for i := range 50 {
			work.Go(func() {
				id := in(task, fmt.Sprintf("s%d", i))
				o := cluster.OpenSession(t, agent, id, "read a; echo $a; exit 3", i%2 == 0)
				input := cluster.AttachInput(t, agent, id)
				input.Send(fmt.Sprintf("word %d\n", i))
				if err := o.End(); err != nil || !strings.Contains(o.Text(), fmt.Sprintf("word %d", i)) {
					t.Errorf("session %d: %d %s, %v, says %q", i, o.Status, o.Body, err, o.Text())
				}
				input.Leave()
			})
		}
		work.Wait()
		at.end(t, s)
	})
}

// TestSessionEndsWithClient: when the client is gone the session's container is
// killed, however many others look at it; so it is when the agent is.
func TestSessionEndsWithClient(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		agent := at.agent
		s, task := commandTask(t, at.master, "exec sleep 1000", nil)
		owner := cluster.OpenSession(t, agent, in(task, "left"), "echo $$; trap '' TERM HUP; while :; do sleep 0.1; done", false)
		owner.Await("\n")
		other := cluster.AttachOutput(t, agent, in(task, "left"))
		owner.Close()
		if got := containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", in(task, "left"), nil).Body; !strings.Contains(got, `"exit_status":9`) {
			t.Errorf("the session that was left: %s", got)
		}
		if err := other.End(); err != nil {
			t.Errorf("another who looked: %v", err)
		}
		containerCall(t, agent, 202, "LAUNCH_NESTED_CONTAINER_SESSION", in(task, "left"), shell("true"))
		cluster.OpenSession(t, agent, in(task, "orphan"), "echo up; exec sleep 1000", true).Await("up")
		agent.Kill9()
		agent.Restart(t)
		cluster.Eventually(t, soon, func() error { return cluster.Registered(at.master, agent) })
		if got := containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", in(task, "orphan"), nil).Body; !strings.Contains(got, `"exit_status":9`) {
			t.Errorf("the session whose agent was killed: %s", got)
		}
		cluster.Eventually(t, soon, func() error { return reconciled(s, "t", "TASK_RUNNING") })
		at.end(t, s)
	})
}

// TestSlowClients: those who do not read hold up neither the task nor others.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		const rounds, each = 60, 100_000
		s, task := commandTask(t, at.master, "stty -echo; echo ready; while read word; do head -c 100000 /dev/zero | tr '\\0' x; done", withTTY)
		keen, input := cluster.AttachOutput(t, at.agent, task), cluster.AttachInput(t, at.agent, task)
		for range 5 {
			attachRaw(t, at.agent, task)
		}
		cluster.Eventually(t, soon, func() error { return written(at.agent, "ready\r\n") })
		start := keen.Size()
		for i := range rounds { // each is less than what may wait for one who does read
			input.Send("more\n")
			cluster.Eventually(t, soon, func() error {
				if got := keen.Size() - start; got < (i+1)*each {
					return fmt.Errorf("one who reads has %d bytes after round %d", got, i)
				}
				return nil
			})
		}
		input.Send("\x04")
		s.AwaitState("t", "TASK_FINISHED")
		if err := keen.End(); err != nil {
			t.Errorf("one who reads: %v", err)
		}
		at.end(t, s)
	})
}

// written says whether what the task t has written begins so.
func written(agent *cluster.Node, text string) error {
	files, _ := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors/t/runs/latest/stdout"))
	if len(files) != 1 {
		return fmt.Errorf("%d outputs", len(files))
	}
	got, err := os.ReadFile(files[0])
	if err == nil && !strings.HasPrefix(string(got), text) {
		err = fmt.Errorf("it has written %.100q", got)
	}
	return err
}

// attachRaw attaches to a container's output by a connection that is read by nobody.
func attachRaw(t *testing.T, agent *cluster.Node, task J) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", agent.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"type":"ATTACH_CONTAINER_OUTPUT","attach_container_output":{"container_id":{"value":%q}}}`, task["value"])
	fmt.Fprintf(conn, "POST /api/v1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAccept: application/recordio\r\n"+
		"Message-Accept: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("answered %q (%v)", head, err)
	}
	return conn
}

// TestAttachOverAgentRestart: a task with a terminal lives on while the agent is
// away, and can be attached to again.
func TestAttachOverAgentRestart(t *testing.T) {
	t.Parallel()
	eachLauncher(t, func(t *testing.T, at place) {
		agent := at.agent
		s, task := commandTask(t, at.master, "echo pid $$; while read word; do echo \"got $word\"; done", withTTY)
		before, input := cluster.AttachOutput(t, agent, task), cluster.AttachInput(t, agent, task)
		input.Send("one\n")
		before.Await("got one")
		agent.Kill9()
		if err := before.End(); err == nil {
			t.Error("the stream of an agent that was killed has ended in good order")
		}
		agent.Restart(t)
		cluster.Eventually(t, soon, func() error { return cluster.Registered(at.master, agent) })
		after, again := cluster.AttachOutput(t, agent, task), cluster.AttachInput(t, agent, task)
		again.Send("two\n")
		after.Await("got two")
		again.Send("\x04")
		s.AwaitState("t", "TASK_FINISHED")
		if err := after.End(); err != nil {
			t.Errorf("the stream of a task that has ended: %v", err)
		}
		at.end(t, s)
	})
}

// TestAttachRefused: what is no container of the agent's, or of no such kind, and
// what claims to be input and is not.
func TestAttachRefused(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 2)
	s, task := commandTask(t, c.Master, "echo up; exec cat", withTTY)
	agent, other := c.Agents[0], c.Agents[1]
	if cluster.AttachOutput(t, agent, task).Status != 200 {
		agent, other = other, agent
	}
	attached := func(on *cluster.Node, id J) string {
		o := cluster.AttachOutput(t, on, id)
		return fmt.Sprint(o.Status, " ", o.Body)
	}
	for want, got := range map[string]string{
		fmt.Sprintf("404 Container %s cannot be found", task["value"]):                                                              attached(other, task),
		fmt.Sprintf("404 Container %s.x cannot be found", task["value"]):                                                            attached(other, in(task, "x")),
		"500 I/O switchboard server was disabled for this container":                                                                attached(agent, in(task, "x")),
		"400 Failed to validate agent::Call: 'attach_container_output.container_id' is invalid: '../x' contains invalid characters": attached(agent, J{"value": "../x"}),
	} {
		if got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
	}
	watch := cluster.AttachOutput(t, agent, task)
	first := cluster.AttachInput(t, agent, task)
	first.Send("from the first\n")
	watch.Await("from the first")
	if reply := cluster.AttachInput(t, agent, task).Reply(); reply.Status != 409 || reply.Body != "Multiple input connections are not allowed" {
		t.Errorf("a second input: %d %s", reply.Status, reply.Body)
	}
	first.Leave()
	for name, forged := range map[string]func(*cluster.Input){
		"400 Expecting 'process_io.data.type' to be 'STDIN'": func(i *cluster.Input) {
			i.Call(J{"type": "PROCESS_IO", "process_io": J{"type": "DATA", "data": J{"type": "STDOUT", "data": "eA=="}}})
		},
		"400 Expecting 'attach_container_input.type' to be 'PROCESS_IO' instead of: 'CONTAINER_ID'": func(i *cluster.Input) {
			i.Call(J{"type": "CONTAINER_ID", "container_id": J{"value": "another"}})
		},
		"400 Expecting 'tty_info.window_size' to be present": func(i *cluster.Input) {
			i.Call(J{"type": "PROCESS_IO", "process_io": J{"type": "CONTROL", "control": J{"type": "TTY_INFO", "tty_info": J{}}}})
		},
		"400 Expecting 'type' to be 'ATTACH_CONTAINER_INPUT' instead of: 'GET_VERSION'": func(i *cluster.Input) { i.Raw(`{"type":"GET_VERSION"}`) },
		"413 ":          func(i *cluster.Input) { i.Bytes("99999999\n{") },
		"400 Failed to": func(i *cluster.Input) { i.Raw("not JSON") },
	} {
		var reply cluster.Reply
		cluster.Eventually(t, soon, func() error {
			input := cluster.AttachInput(t, agent, task)
			input.Send("hello\n")
			go forged(input)
			if reply = input.Reply(); reply.Status == 409 {
				return fmt.Errorf("%s: the input before has not left", name)
			}
			return nil
		})
		if got := fmt.Sprint(reply.Status, " ", reply.Body); !strings.HasPrefix(got, name) {
			t.Errorf("answered %s, want %s", got, name)
		}
	}
	cluster.Healthy(t, agent)
	place{c.Master, agent, processesLeft(agent)}.end(t, s)
}

// TestContainerLogger: what a task writes is rotated, with limits of its own if it
// has some, also while the agent is away.
func TestContainerLogger(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--container_logger=logrotate", "--container_logger_max_stdout_size=64KB", "--container_logger_keep=2")
	s := cluster.Subscribe(t, master, durable("logs"))
	gate := newGate(t)
	offer := s.AwaitOffer()
	chatty := cluster.Task(offer, "chatty", "seq 20000; "+gate.command()+"; seq 20001 40000; echo few >&2")
	own := cluster.Task(offer, "own", "seq 40000")
	variables := func(more ...J) J { return J{"variables": more} }
	own["command"].(J)["environment"] = variables(
		J{"name": "CONTAINER_LOGGER_MAX_STDOUT_SIZE", "value": "16KB"}, J{"name": "CONTAINER_LOGGER_LOGROTATE_STDOUT_OPTIONS", "value": "rotate 1"})
	wrong := cluster.Task(offer, "wrong", "true")
	wrong["command"].(J)["environment"] = variables(J{"name": "CONTAINER_LOGGER_NONSENSE", "value": "1"})
	s.Launch(offer, 0, chatty, own, wrong)
	s.AwaitState("chatty", "TASK_RUNNING")
	s.AwaitState("own", "TASK_FINISHED")
	if got := s.AwaitState("wrong", "TASK_FAILED").Text("message"); !strings.Contains(got, "Failed to load container logger settings: CONTAINER_LOGGER_NONSENSE is not known") {
		t.Errorf("a setting that there is not: %s", got)
	}
	agent.Kill9()
	gate.open(t)
	agent.Restart(t)
	s.AwaitState("chatty", "TASK_FINISHED")
	for task, want := range map[string]struct {
		files []string
		most  int64
	}{
		"chatty": {[]string{"stderr", "stdout", "stdout.1", "stdout.2"}, 64 << 10}, "own": {[]string{"stderr", "stdout", "stdout.1"}, 16 << 10},
	} {
		files, _ := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", task, "runs/latest/std*"))
		var names []string
		for _, file := range files {
			names = append(names, filepath.Base(file))
			if info, err := os.Stat(file); err != nil || info.Size() > want.most {
				t.Errorf("%s of %s: %v bytes (%v)", file, task, info.Size(), err)
			}
		}
		if fmt.Sprint(names) != fmt.Sprint(want.files) {
			t.Errorf("task %s has %v, want %v", task, names, want.files)
			continue
		}
		if text, err := os.ReadFile(files[1]); err != nil || !strings.HasSuffix(string(text), "\n40000\n") {
			t.Errorf("the last of %s is not in %s (%v)", task, files[1], err)
		}
	}
}
