package sim

import (
	"time"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
)

// here is the way of what an agent hears from its own machine.
const here = "here"

// A machine is what an agent runs on: its containers outlive the agent's
// process, if they are meant to.
type machine struct {
	w          *world
	name       string
	boot       int
	pids       int
	containers map[ids.ContainerID]*container
	order      []ids.ContainerID // of their making
}

// A container is a run of an executor. mind is what decides for its process: a
// built-in executor in the agent's process, or the custom executor itself.
type container struct {
	machine  *machine
	spec     *agent.ContainerSpec
	process  *process // nil: not started yet
	agent    *agentNode
	life     int // of the agent's process that looks after it
	command  *commandHost
	executor *customExecutor
	doomed   bool // it is to be destroyed
	over     bool // the agent has been told of its end, and nothing is left of it
}

// A process is one on a machine, with all that it started.
type process struct {
	pid      int
	alive    bool
	status   int32 // as of wait(2), once it is not alive
	stubborn bool  // ignores SIGTERM
	gen      int
}

// Wait statuses of processes that were ended by a signal.
const (
	killed     = 9
	terminated = 15
)

func (c *container) id() ids.ContainerID { return c.spec.Run.Container }

// mine reports whether the agent's process that looks after the container is
// still there.
func (c *container) mine() bool { return c.agent.core != nil && c.agent.life == c.life }

// tell tells the agent, if it is still there.
func (c *container) tell(in agent.Input) {
	if c.mine() {
		c.agent.tell(here, in)
	}
}

// start makes the container's process exist.
func (c *container) start() *process {
	c.machine.pids++
	c.process = &process{pid: 1000 + c.machine.pids, alive: true, stubborn: c.machine.w.suffers(StubbornTask, 0.3)}
	return c.process
}

// end ends the container's process, some time from now.
func (c *container) end(after time.Duration, status int32) {
	p := c.process
	if p == nil || !p.alive {
		return
	}
	p.gen++
	gen := p.gen
	c.machine.w.after(after, func() {
		if p.alive && p.gen == gen {
			c.ended(status)
		}
	})
}

// ended tells whoever waits that the process is gone.
func (c *container) ended(status int32) {
	p := c.process
	p.alive, p.status = false, status
	c.machine.w.note("%s    container %s ends, status %d", c.machine.name, short(string(c.id())), status)
	switch {
	case c.command != nil || c.spec.Builtin == agent.CommandBuiltin:
		c.machine.w.history.processEnded(taskOf(c.spec))
		if c.command != nil {
			c.command.exited()
		}
	default:
		if c.executor != nil {
			c.executor.dead()
		}
		c.gone(status, true)
	}
}

// gone tells the agent that the container is over, and forgets it.
func (c *container) gone(status int32, known bool) {
	if c.over || !c.mine() {
		return
	}
	c.over = true
	delete(c.machine.containers, c.id())
	c.tell(agent.ContainerExited{Container: c.id(), Status: status, Known: known})
}

// kill ends the process by force.
func (c *container) kill() { c.end(c.machine.w.between("processes", 0, 20*time.Millisecond), killed) }

// destroy ends the container by force.
func (c *container) destroy() {
	c.doomed = true
	switch {
	case c.process == nil || !c.process.alive:
		if c.command != nil {
			c.command.destroyed()
		} else if c.process != nil {
			c.gone(c.process.status, true)
		}
	default:
		c.kill()
	}
}

// running lists the containers that exist, or whose exit status is to be had.
func (m *machine) running() []ids.ContainerID {
	var out []ids.ContainerID
	for _, id := range m.order {
		if c := m.containers[id]; c != nil && c.process != nil {
			out = append(out, id)
		}
	}
	return out
}

// orphan takes from the containers the agent's process that looked after them.
// What may not outlive it dies.
func (m *machine) orphan() {
	for _, id := range m.order {
		c := m.containers[id]
		if c == nil {
			continue
		}
		c.command = nil
		if c.executor != nil {
			c.executor.disconnected()
		}
		if !c.spec.Checkpoint || c.process == nil {
			m.drop(c)
		}
	}
}

// reboot ends everything.
func (m *machine) reboot() {
	m.boot++
	for _, id := range m.order {
		if c := m.containers[id]; c != nil {
			m.drop(c)
		}
	}
}

// drop ends a container with nobody to tell.
func (m *machine) drop(c *container) {
	delete(m.containers, c.id())
	c.command = nil
	if c.process == nil || !c.process.alive {
		return
	}
	c.process.alive = false
	if c.executor != nil {
		c.executor.dead()
	} else {
		m.w.history.processEnded(taskOf(c.spec))
	}
}

// taskOf returns the task of a command executor's container, whose executor has
// the task's ID.
func taskOf(spec *agent.ContainerSpec) taskKey {
	return taskKey{spec.Run.Framework, ids.TaskID(spec.Run.Executor)}
}

// taskKey names a task in the cluster.
type taskKey struct {
	framework ids.FrameworkID
	task      ids.TaskID
}
