package agentd

import (
	"syscall"
	"time"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/command"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/probe"
)

// commandHost plays the command executor of one container within this process:
// it carries the core's calls to the agent's inbox, and its wishes to the
// task's process. It lives in the container's goroutine.
type commandHost struct {
	c       *container
	core    *command.Executor
	conn    agent.ConnID
	process launcher.Process // nil: not started
	exited  chan exit        // from the one goroutine that waits for the process
	prober  *prober          // of the process; nil: not started
	probed  chan probe.Result
	over    bool // the process has ended
	untold  []agent.Input
}

type exit struct {
	status  int
	known   bool
	limited *launcher.Limitation // for what limit it was killed
}

func newCommand(c *container) *commandHost {
	h := commandOf(c)
	h.core = command.New(c.s.clock(), h.config(), h.c.s.random(), c.s.log)
	return h
}

// recoverCommand takes a task up whose process an earlier agent started;
// process is nil when it has ended meanwhile.
func recoverCommand(c *container, process launcher.Process) *commandHost {
	h := commandOf(c)
	now := c.s.clock()
	cfg := h.config()
	if process != nil {
		cfg.Data = c.s.containerizer.Inspected(process)
	}
	h.core = command.Recover(now, c.launchedAt(now), cfg, c.spec.Task, h.c.s.random(), c.s.log)
	if process == nil {
		status, known := c.s.containerizer.Status(c.id())
		h.exited <- exit{status, known, nil}
		return h
	}
	h.watch(process)
	return h
}

func commandOf(c *container) *commandHost {
	return &commandHost{c: c, exited: make(chan exit, 1), probed: make(chan probe.Result)}
}

func (h *commandHost) config() command.Config {
	run := h.c.spec.Run
	return command.Config{Framework: run.Framework, Executor: run.Executor, ShutdownGrace: h.c.spec.ShutdownGrace, Last: h.c.spec.Last}
}

// runCommand is the life of a built-in command executor.
func (c *container) runCommand(h *commandHost) {
	h.conn = c.s.streams.add(h)
	defer c.s.streams.remove(h.conn)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !h.act(timer) {
		select {
		case event := <-c.events:
			h.core.Step(c.s.clock(), command.Event{Event: event})
		case e := <-h.exited:
			h.over = true
			h.endProbes()
			if e.limited != nil {
				c.over(e) // the agent tells the framework why, not the executor
				return
			}
			h.core.Step(c.s.clock(), command.Exited{Status: int32(e.status), Known: e.known})
		case r := <-h.probed:
			h.core.Step(c.s.clock(), command.Probed{Result: r})
		case <-timer.C:
			h.core.Step(c.s.clock(), command.Tick{})
		case <-c.ended.Done():
			h.destroy()
			return
		}
	}
	c.exited(0, true)
}

// act carries out what the core wants and says whether the executor is over.
func (h *commandHost) act(timer *time.Timer) (done bool) {
	for {
		e := h.core.Effects()
		h.tell(e.Calls)
		for _, r := range e.Probes {
			h.probe(r)
		}
		if len(e.Process) == 0 {
			if !e.Wake.IsZero() {
				timer.Reset(e.Wake.Sub(h.c.s.clock()))
			}
			return e.Done
		}
		for _, action := range e.Process {
			h.do(action)
		}
	}
}

// tell passes on what the core says, and what the agent is to hear first: that a
// task has started and that it runs is remembered by one write.
func (h *commandHost) tell(calls []*executorpb.Call) {
	for _, call := range calls {
		if call.GetType() == executorpb.Call_SUBSCRIBE {
			h.untold = append(h.untold, agent.ExecutorSubscribe{Conn: h.conn, Call: call})
		} else {
			h.untold = append(h.untold, agent.ExecutorCall{Call: call})
		}
	}
	if len(h.untold) > 0 {
		h.c.s.tell(h.untold...)
		h.untold = nil
	}
}

func (h *commandHost) do(action command.Action) {
	switch action {
	case command.Start:
		h.start()
	case command.Terminate:
		h.signal(syscall.SIGTERM)
	case command.Kill:
		if h.process != nil {
			h.c.kill(h.process)
		}
	}
}

func (h *commandHost) start() {
	process, err := h.c.start()
	if err != nil {
		h.core.Step(h.c.s.clock(), command.StartFailed{Message: err.Error()})
		return
	}
	h.watch(process)
	h.untold = append(h.untold, agent.ContainerLaunched{Container: h.c.id(), PID: process.PID()})
	h.core.Step(h.c.s.clock(), command.Started{PID: process.PID(), Data: h.c.s.containerizer.Inspected(process)})
}

// probe makes a probe of the task.
func (h *commandHost) probe(r probe.Request) {
	p := h.prober
	h.c.s.spawn(func() {
		result := probe.Result{Kind: r.Kind}
		if p != nil { // else the process has ended before it could be taken up
			result = p.run(r)
		}
		select {
		case h.probed <- result:
		case <-h.c.ended.Done():
		}
	})
}

func (h *commandHost) endProbes() {
	if h.prober != nil {
		h.prober.end()
	}
}

func (h *commandHost) watch(process launcher.Process) {
	h.process = process
	h.prober = h.c.newProber(h.c.make, h.c.environment(), h.c.spec.Command, process)
	h.c.started(process)
	go func() {
		status, err := process.Wait()
		h.exited <- exit{status, err == nil, process.Limitation()}
	}()
}

func (h *commandHost) signal(sig syscall.Signal) {
	if h.process == nil {
		return
	}
	if err := h.process.Signal(sig); err != nil {
		h.c.s.log.Warn("cannot signal a task", attr("container", h.c.id()), attrErr(err))
	}
}

// destroy kills the task and tells the agent that the container is gone; the
// executor has no say any more.
func (h *commandHost) destroy() {
	if h.process != nil && !h.over {
		h.c.kill(h.process)
		<-h.exited
	}
	h.c.over(exit{status: int(syscall.SIGKILL), known: true})
}

// deliver is how the agent's events come in; see streams.
func (h *commandHost) deliver(m agent.ToExecutor) {
	select {
	case h.c.events <- m.Event:
	default:
		h.c.s.log.Warn("built-in executor is overrun, event dropped", attr("container", h.c.id()))
	}
}

// hangUp is the agent's end of the connection closing: it destroys the
// container when it means to, so there is nothing to do.
func (h *commandHost) hangUp() {}
