package sim

import (
	"time"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/command"
)

// A commandHost plays the command executor of a container within the agent's
// process, and dies with it; the task's process does not.
type commandHost struct {
	c    *container
	core *command.Executor
	conn agent.ConnID
	wake waker
}

func commandConfig(c *container) command.Config {
	run := c.spec.Run
	return command.Config{Framework: run.Framework, Executor: run.Executor, ShutdownGrace: c.spec.ShutdownGrace, Last: c.spec.Last}
}

func newHost(c *container) *commandHost {
	h := &commandHost{c: c}
	h.conn = c.agent.connect(h)
	c.command = h
	return h
}

// hostCommand begins with a task that is to be started.
func hostCommand(c *container) {
	h := newHost(c)
	w := c.machine.w
	h.core = command.New(h.now(), commandConfig(c), w.coreRand(string(c.id()), c.life), w.log)
	h.act()
}

// recoverCommand takes up a task that an earlier life of the agent started.
func recoverCommand(c *container) {
	h := newHost(c)
	w := c.machine.w
	h.core = command.Recover(h.now(), h.now(), commandConfig(c), c.spec.Task, w.coreRand(string(c.id()), c.life), w.log)
	h.act()
	if c.process == nil || !c.process.alive {
		h.exited()
	}
}

func (h *commandHost) now() time.Time { return h.c.agent.clock.now() }

// current reports whether the host is still there.
func (h *commandHost) current() bool { return h.c.mine() && h.c.command == h }

func (h *commandHost) step(in command.Input) {
	if h.current() {
		h.core.Step(h.now(), in)
		h.act()
	}
}

// act carries out what the executor wants.
func (h *commandHost) act() {
	for {
		e := h.core.Effects()
		for _, call := range e.Calls {
			h.call(call)
		}
		for _, p := range e.Process {
			h.do(p)
		}
		switch {
		case e.Done:
			h.finish(0)
			return
		case len(e.Process) == 0:
			h.wake.set(h.c.machine.w, h.c.agent.clock.real(e.Wake), func() { h.step(command.Tick{}) })
			return
		}
	}
}

func (h *commandHost) call(call *executorpb.Call) {
	h.c.machine.w.note("%s    command %s: %s", h.c.machine.name, h.c.spec.Run.Executor, briefCall(call))
	if call.GetType() == executorpb.Call_SUBSCRIBE {
		h.c.tell(agent.ExecutorSubscribe{Conn: h.conn, Call: call})
		return
	}
	h.c.tell(agent.ExecutorCall{Call: call})
}

// do does something to the task's process.
func (h *commandHost) do(action command.Action) {
	c, w := h.c, h.c.machine.w
	switch action {
	case command.Start:
		h.start()
	case command.Terminate:
		if c.process != nil && !c.process.stubborn {
			c.end(w.between("processes", 0, time.Second), terminated)
		}
	case command.Kill:
		c.kill()
	}
}

func (h *commandHost) start() {
	c, w := h.c, h.c.machine.w
	if w.suffers(LaunchFailure, 0.1) {
		h.core.Step(h.now(), command.StartFailed{Message: "there is no such command"})
		return
	}
	p := c.start()
	w.history.processStarted(taskOf(c.spec), c.machine.name)
	runtime, status := w.fate()
	c.end(runtime, status)
	c.tell(agent.ContainerLaunched{Container: c.id(), PID: p.pid})
	h.core.Step(h.now(), command.Started{PID: p.pid})
}

// fate draws how long a task runs, and how it ends. Some are services, which
// have to be killed.
func (w *world) fate() (time.Duration, int32) {
	runtime := w.between("tasks", 10*time.Millisecond, 2*time.Second)
	if w.once("tasks", 0.6) {
		runtime = w.between("tasks", time.Second, 60*time.Second)
	}
	if w.once("tasks", 0.1) {
		runtime = 24 * time.Hour
	}
	if w.once("tasks", 0.15) {
		return runtime, 1 << 8
	}
	return runtime, 0
}

// exited tells the executor that the task's process is gone.
func (h *commandHost) exited() {
	p := h.c.process
	w := h.c.machine.w
	if h.c.doomed {
		h.destroyed()
		return
	}
	w.after(w.between("processes", 0, 3*time.Millisecond), func() {
		if p == nil {
			h.step(command.Exited{})
			return
		}
		h.step(command.Exited{Status: p.status, Known: true})
	})
}

// destroyed ends the container by the agent's wish.
func (h *commandHost) destroyed() {
	if h.current() {
		h.finish(killed)
	}
}

func (h *commandHost) finish(status int32) {
	h.wake.stop()
	if h.c.process != nil && h.c.process.alive {
		fail("processes", "the command executor of %s is done, and its task runs", h.c.spec.Run.Executor)
	}
	h.c.command = nil
	h.c.gone(status, true)
}

// event implements [sink].
func (h *commandHost) event(ev *executorpb.Event) {
	h.c.machine.w.after(0, func() { h.step(command.Event{Event: ev}) })
}

// closed implements [sink].
func (h *commandHost) closed() {}
