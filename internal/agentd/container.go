package agentd

import (
	"cmp"
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/docker"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/resources"
)

// container is one container and the goroutine that owns it: the only kind of
// actor there is, for preparing, starting and waiting block.
type container struct {
	s       *Server
	spec    *agent.ContainerSpec
	make    *containerizer.Spec
	allowed atomic.Pointer[agent.Update] // the last one, while it is carried out
	latest  atomic.Pointer[agent.Update]
	// volumes guards those of make, which change while the container runs.
	volumes   sync.Mutex
	disks     atomic.Pointer[[]held]              // the sandbox and the volumes
	measured  atomic.Pointer[uint64]              // bytes that the sandbox took when it was measured last
	projected atomic.Bool                         // the file system counts what is in the sandbox
	beyond    atomic.Pointer[launcher.Limitation] // for what the agent ended it
	ports     atomic.Pointer[resources.Ranges]    // at which it may listen; nil: not known yet
	listens   atomic.Pointer[string]              // what the log said of others
	progress  progress                            // of what its tasks wait for
	events    chan *executorpb.Event              // for the built-in executor
	ended     context.Context                     //nolint:containedctx // it is the container's life, not a call's: done when it is to be destroyed
	end       context.CancelFunc
}

// eventsMax bounds what a built-in executor has not yet looked at. An agent
// sends it little; what a scheduler repeats beyond is dropped.
const eventsMax = 256

// actContainer is called by the persister, in order.
func (s *Server) actContainer(a agent.ContainerAction) {
	switch a := a.(type) {
	case agent.Launch:
		c := s.newContainer(a.Spec)
		s.spawn(c.launch)
	case agent.Adopt:
		c := s.newContainer(a.Spec)
		s.spawn(func() { c.adopt(a.PID) })
	case agent.Destroy:
		if c, ok := s.containers.Load(a.Container); ok {
			c.(*container).end()
		} else {
			s.spawn(func() { s.endOrphan(a.Container) })
		}
	case agent.Update:
		if c, ok := s.containers.Load(a.Container); ok {
			c.(*container).update(a)
		}
	case agent.MakeVolume:
		s.makeVolume(a.Path)
	case agent.EmptyVolume:
		s.emptyVolume(a.Path)
	case agent.RemoveVolume:
		if _, err := os.Lstat(a.Path); err == nil {
			aside := s.setAside([]string{a.Path})
			s.spawn(func() { s.remove(aside) })
		}
	case agent.Remove:
		aside := s.setAside(a.Paths)
		s.spawn(func() { s.remove(aside) })
	}
}

// endOrphan ends a container of an earlier life that nothing is remembered of but
// its runtime folder.
func (s *Server) endOrphan(id ids.ContainerID) {
	s.nest.forgetWithin(id)
	if err := s.containerizer.End(id); err != nil {
		s.log.Warn("cannot end an orphan", attr("container", id), attrErr(err))
	}
}

func (s *Server) newContainer(spec *agent.ContainerSpec) *container {
	c := &container{
		s: s, spec: spec, events: make(chan *executorpb.Event, eventsMax),
		make: &containerizer.Spec{
			ID: spec.Run.Container, Sandbox: spec.Sandbox, User: spec.User, URIs: spec.URIs, Tethered: !spec.Checkpoint,
			Container: spec.Container, Resources: allowance(resources.Trusted(spec.Resources), spec.Limits),
		},
	}
	c.make.Volumes, c.make.Progress = s.volumes(spec.Resources...), c.progress.of("")
	if spec.Container != nil && spec.Container.GetType() == mesos.ContainerInfo_DOCKER {
		c.make.Docker = &docker.Spec{Container: spec.Container, Resources: spec.Resources, Limits: spec.Limits}
	}
	if spec.Builtin == agent.PodBuiltin { // the tasks have sandboxes of their own
		c.make.User, c.make.Volumes = "", s.volumes(spec.Executor.GetResources()...)
	}
	c.setDisk(resources.Trusted(spec.Resources))
	if len(spec.Resources) > 0 {
		c.setPorts(resources.Trusted(spec.Resources))
	}
	c.ended, c.end = context.WithCancel(context.Background())
	s.containers.Store(c.id(), c)
	return c
}

func (c *container) id() ids.ContainerID { return c.spec.Run.Container }

// launch is the life of a new container.
func (c *container) launch() {
	defer c.forget()
	if err := c.prepare(); err != nil {
		c.s.tell(agent.ContainerFailed{
			Container: c.id(), Reason: mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED, Message: err.Error(),
		})
		return
	}
	c.tellNetworks()
	c.s.tell(agent.ContainerReady{Container: c.id()})
	if c.spec.Builtin == agent.CommandBuiltin {
		c.runCommand(newCommand(c))
		return
	}
	if c.spec.Builtin == agent.PodBuiltin {
		c.launchPod()
		return
	}
	process, err := c.start()
	if err != nil {
		c.s.tell(agent.ContainerFailed{
			Container: c.id(), Reason: mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED, Message: err.Error(),
		})
		return
	}
	c.waitFor(process)
}

// adopt is the life of a container that was launched by an earlier agent.
func (c *container) adopt(pid int) {
	defer c.forget()
	defer c.endForeign()
	c.projectAgain()
	if c.spec.Builtin == agent.PodBuiltin {
		c.tellNetworks()
		c.runPod(recoverPod(c))
		return
	}
	process, err := c.s.containerizer.Adopt(c.id(), pid)
	c.tellNetworks()
	switch {
	case c.spec.Builtin == agent.CommandBuiltin && pid != 0:
		c.runCommand(recoverCommand(c, process))
	case err != nil:
		if !errors.Is(err, launcher.ErrGone) {
			c.s.log.Warn("cannot adopt a container", attr("container", c.id()), attrErr(err))
		}
		status, known := c.s.containerizer.Status(c.id())
		c.exited(int32(status), known)
	default:
		c.waitFor(process)
	}
}

// endForeign ends what the executor of a container of the Docker Engine's leaves there that
// Apache Mesos's agent has launched.
func (c *container) endForeign() {
	if c.make.Docker == nil || c.spec.Builtin == agent.PodBuiltin {
		return
	}
	if err := c.s.containerizer.EndForeign(c.id()); err != nil {
		c.s.unkilled.Add(1)
		c.s.log.Error("cannot kill a container of the Docker Engine's", attr("container", c.id()), attrErr(err))
	}
}

// tellNetworks tells the core which networks the container is in, for statuses.
func (c *container) tellNetworks() {
	engines := c.make.Docker != nil
	if engines && c.spec.Builtin != agent.CommandBuiltin {
		return // Mesos's agent does not know them, and an executor of somebody's tells what it likes
	}
	if networks := c.s.containerizer.Networks(c.id()); len(networks) > 0 {
		c.s.tell(agent.ContainerNetworks{Container: c.id(), Networks: networks, ByExecutor: engines})
	}
}

func (c *container) prepare() error {
	if err := c.project(); err != nil {
		return err
	}
	if err := c.s.containerizer.Prepare(c.ended, c.make); err != nil {
		return err
	}
	class, err := c.s.containerizer.Class(c.make)
	if err != nil {
		return err
	}
	c.s.classified(c.id(), class)
	if c.spec.Builtin == agent.PodBuiltin {
		if err := os.Chmod(c.spec.Sandbox, podSandbox); err != nil {
			return err
		}
	}
	c.s.showSandbox(c.spec.Run, c.spec.Sandbox)
	return linkLatest(c.spec.Sandbox)
}

func (c *container) start() (launcher.Process, error) {
	env, err := c.withToken(c.environment())
	if err != nil {
		return nil, err
	}
	process, err := c.s.containerizer.Start(c.make, c.spec.Command, env)
	if err == nil && c.make.Docker != nil {
		c.tellNetworks() // the Engine makes them now
	}
	return process, err
}

// environment returns that of the process. A task in a container of the Docker
// Engine's gets only what is the task's own; the rest names what is not inside.
func (c *container) environment() []string {
	own := map[string]bool{"MESOS_ALLOCATION_ROLE": true}
	for _, v := range c.spec.Command.GetEnvironment().GetVariables() {
		own[v.GetName()] = true
	}
	env := make([]string, 0, len(c.spec.Environment)+1)
	for _, v := range c.spec.Environment {
		if c.make.Docker == nil || c.spec.Builtin != agent.CommandBuiltin || own[v.Name] {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return env
}

// waitFor stays with an executor's process until it is over.
func (c *container) waitFor(process launcher.Process) {
	c.started(process)
	c.s.tell(agent.ContainerLaunched{Container: c.id(), PID: process.PID()})
	stop := context.AfterFunc(c.ended, func() { c.kill(process) })
	status, err := process.Wait()
	stop()
	c.over(exit{status, err == nil, process.Limitation()})
}

// over tells how a container ended.
func (c *container) over(e exit) {
	e.limited = cmp.Or(e.limited, c.beyond.Load())
	c.s.tell(agent.ContainerExited{Container: c.id(), Status: int32(e.status), Known: e.known, Limited: limitation(e.limited)})
}

func (c *container) kill(process launcher.Process) {
	if err := process.Kill(); err != nil {
		c.s.unkilled.Add(1)
		c.s.log.Error("cannot kill a container", attr("container", c.id()), attrErr(err))
	}
}

func (c *container) exited(status int32, known bool) {
	c.s.tell(agent.ContainerExited{Container: c.id(), Status: status, Known: known})
}

// forget drops what is known of the container at run time.
func (c *container) forget() {
	c.end()
	c.dropVolumes()
	c.s.containers.Delete(c.id())
	c.s.processes.Delete(c.id())
	c.s.nest.forgetWithin(c.id())
	if err := c.s.containerizer.Cleanup(c.id()); err != nil {
		c.s.log.Warn("cannot clean up after a container", attr("container", c.id()), attrErr(err))
	}
}

// launchedAt returns when an adopted container was launched, as far as its
// runtime folder tells.
func (c *container) launchedAt(otherwise time.Time) time.Time {
	if at, ok := c.s.containerizer.LaunchedAt(c.id()); ok {
		return at
	}
	return otherwise
}
