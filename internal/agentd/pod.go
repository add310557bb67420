package agentd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/builtin"
	"github.com/meseta-project/meseta/internal/containerizer"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/launcher"
	"github.com/meseta-project/meseta/internal/pod"
	"github.com/meseta-project/meseta/internal/probe"
	"github.com/meseta-project/meseta/resources"
)

// podHost plays the default executor of one container within this process. It
// lives in the container's goroutine; each task's container has one of its own,
// which makes it, starts it and waits for it, and tells the host.
type podHost struct {
	c         *container
	core      *pod.Executor
	conn      agent.ConnID
	news      chan podNews
	processes map[ids.ContainerID]launcher.Process // of the tasks that run
	probers   map[ids.ContainerID]*prober          // likewise
	probed    chan pod.Probed
	alive     int // tasks' goroutines
	// holder is what the tasks share, nil if they share nothing, and held how it ended.
	holder  launcher.Process
	holding bool
	held    chan exit
}

// podNews is what the goroutine of a task's container has to tell. Its last word
// is an end.
type podNews struct {
	container ids.ContainerID
	process   launcher.Process // it was started
	prober    *prober          // of the process
	input     pod.Input
	end       bool
	limited   *launcher.Limitation // of the pod's own limits, for which it was killed, and with it the pod
}

// podSandbox is the mode of a pod's own sandbox: the agent's, so that no task
// can put links in the place of others' folders, and open to be passed through,
// since tasks of any user have theirs below it.
const podSandbox = fs.FileMode(0o751)

// launchPod is the life of a new pod, once its container is prepared.
func (c *container) launchPod() {
	holder, err := c.s.containerizer.Hold(c.make)
	if err != nil {
		c.s.tell(agent.ContainerFailed{
			Container: c.id(), Reason: mesos.TaskStatus_REASON_CONTAINER_LAUNCH_FAILED, Message: err.Error(),
		})
		return
	}
	h := podOf(c)
	h.hold(holder)
	h.core = pod.New(c.s.clock(), h.config(), h.c.s.random(), c.s.log)
	c.runPod(h)
}

// hold watches what the tasks share.
func (h *podHost) hold(holder launcher.Process) {
	if holder == nil {
		return
	}
	h.holder, h.holding = holder, true
	h.c.started(holder)
	h.c.s.spawn(func() {
		status, err := holder.Wait()
		h.held <- exit{status, err == nil, holder.Limitation()}
	})
}

// letGo ends what the tasks share, when they are over.
func (h *podHost) letGo() {
	if !h.holding {
		return
	}
	h.c.kill(h.holder)
	<-h.held
	h.holding = false
}

// holdAgain takes up what the tasks share. Where it has ended meanwhile, so have they;
// others may come.
func (h *podHost) holdAgain() {
	boxes, id := h.c.s.containerizer, h.c.id()
	pid, known := boxes.PID(id)
	holder, err := boxes.Adopt(id, pid)
	if !known || err != nil {
		holder, err = boxes.Hold(h.c.make)
	}
	if err != nil {
		h.c.s.log.Warn("cannot hold what the tasks of a pod share", attr("container", id), attrErr(err))
		return
	}
	h.hold(holder)
}

// recoverPod takes up the tasks that an earlier agent has started.
func recoverPod(c *container) *podHost {
	h, now := podOf(c), c.s.clock()
	h.holdAgain()
	var tasks []pod.Recovered
	for _, t := range c.spec.Recovered {
		launched, ok := c.s.containerizer.LaunchedAt(t.Container)
		if !ok {
			launched = now
		}
		tasks = append(tasks, pod.Recovered{Task: t.Task, Container: t.Container, Group: t.Group, Launched: launched, Last: t.Last})
	}
	h.endUnknown(tasks)
	h.core = pod.Recover(now, h.config(), tasks, h.c.s.random(), c.s.log)
	for _, t := range tasks {
		h.spawn(func() { h.adopt(t) })
	}
	return h
}

// endUnknown ends the containers of tasks that were started when the agent died, and
// of which it had not remembered yet that they were.
func (h *podHost) endUnknown(tasks []pod.Recovered) {
	s := h.c.s
	for _, id := range s.containerizer.Nested(h.c.id()) {
		if s.nest.get(id) == nil && !slices.ContainsFunc(tasks, func(t pod.Recovered) bool { return t.Container == id }) {
			s.endOrphan(id)
		}
	}
}

func podOf(c *container) *podHost {
	return &podHost{
		c: c, news: make(chan podNews), processes: map[ids.ContainerID]launcher.Process{},
		probers: map[ids.ContainerID]*prober{}, probed: make(chan pod.Probed),
		held: make(chan exit, 1),
	}
}

func (h *podHost) config() pod.Config {
	spec := h.c.spec
	return pod.Config{
		Framework: spec.Run.Framework, Executor: spec.Run.Executor, Container: spec.Run.Container, Sandbox: spec.Sandbox,
		IP: h.c.s.address(spec.Run.Container), ShutdownGrace: spec.ShutdownGrace,
	}
}

// runPod is the life of a built-in default executor.
func (c *container) runPod(h *podHost) {
	h.conn = c.s.streams.add(h)
	defer c.s.streams.remove(h.conn)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !h.act(timer) {
		select {
		case event := <-c.events:
			h.core.Step(c.s.clock(), pod.Event{Event: event})
		case n := <-h.news:
			if n.limited != nil {
				h.alive--
				delete(h.processes, n.container)
				h.destroy(exit{int(syscall.SIGKILL), true, n.limited})
				return
			}
			h.hear(n)
		case e := <-h.held:
			h.holding = false
			h.destroy(e)
			return
		case r := <-h.probed:
			h.core.Step(c.s.clock(), r)
		case <-timer.C:
			h.core.Step(c.s.clock(), pod.Tick{})
		case <-c.ended.Done():
			h.destroy(exit{status: int(syscall.SIGKILL), known: true})
			return
		}
	}
	h.drain()
	h.letGo()
	c.exited(0, true)
}

func (h *podHost) hear(n podNews) {
	if n.process != nil {
		h.processes[n.container], h.probers[n.container] = n.process, n.prober
	}
	if n.end {
		h.alive--
		delete(h.processes, n.container)
		delete(h.probers, n.container)
	}
	h.core.Step(h.c.s.clock(), n.input)
}

// act carries out what the core wants and says whether the executor is over.
func (h *podHost) act(timer *time.Timer) (done bool) {
	e := h.core.Effects()
	for _, call := range e.Calls {
		h.call(call)
	}
	for _, action := range e.Containers {
		h.do(action)
	}
	for _, p := range e.Probes {
		h.probe(p)
	}
	if !e.Wake.IsZero() {
		timer.Reset(e.Wake.Sub(h.c.s.clock()))
	}
	return e.Done
}

func (h *podHost) call(call *executorpb.Call) {
	if call.GetType() == executorpb.Call_SUBSCRIBE {
		h.c.s.tell(agent.ExecutorSubscribe{Conn: h.conn, Call: call})
		return
	}
	h.c.s.tell(agent.ExecutorCall{Call: call})
}

func (h *podHost) do(a pod.Action) {
	process := h.processes[a.Container]
	switch {
	case a.Do == builtin.Start:
		h.spawn(func() { h.launch(a) })
	case process == nil:
	case a.Do == builtin.Terminate:
		if err := process.Signal(syscall.SIGTERM); err != nil {
			h.c.s.log.Warn("cannot signal a task", attr("container", a.Container), attrErr(err))
		}
	default:
		h.c.kill(process)
	}
}

// probe makes a probe of a task. One of a task that is not taken up yet is as if
// it had not been made.
func (h *podHost) probe(p pod.Probe) {
	prober := h.probers[p.Container]
	h.c.s.spawn(func() {
		out := pod.Probed{Container: p.Container, Result: probe.Result{Kind: p.Request.Kind}}
		if prober != nil {
			out.Result = prober.run(p.Request)
		}
		select {
		case h.probed <- out:
		case <-h.c.ended.Done():
		}
	})
}

func (h *podHost) spawn(work func()) {
	h.alive++
	h.c.s.spawn(work)
}

// launch is the life of a task's container.
func (h *podHost) launch(a pod.Action) {
	c := h.c
	spec := h.specOf(a.Container, a.Task)
	defer h.dropVolumes(spec)
	process, err := h.start(spec, a)
	if err != nil {
		h.news <- podNews{container: a.Container, input: pod.StartFailed{Container: a.Container, Message: err.Error()}, end: true}
		return
	}
	h.watch(c.newProber(spec, a.Environment, cmp.Or(a.Task.GetCommand(), &mesos.CommandInfo{}), process))
}

// specOf says what the container of a task is made of.
func (h *podHost) specOf(id ids.ContainerID, t *mesos.TaskInfo) *containerizer.Spec {
	c := h.c
	spec := &containerizer.Spec{
		ID: id, Sandbox: filepath.Join(c.spec.Sandbox, "containers", id.Value()), User: c.spec.User, URIs: t.GetCommand().GetUris(),
		Tethered: !c.spec.Checkpoint, Volumes: c.s.volumes(t.GetResources()...),
		Container: t.GetContainer(), Resources: nestedAllowance(allowance(resources.Trusted(t.GetResources()), t.GetLimits()), t.GetContainer()),
		Progress: c.progress.of(ids.TaskID(t.GetTaskId().GetValue())),
	}
	if user := t.GetCommand().GetUser(); user != "" && c.spec.User != "" {
		spec.User = user
	}
	return spec
}

func (h *podHost) start(spec *containerizer.Spec, a pod.Action) (launcher.Process, error) {
	if err := h.c.s.containerizer.Prepare(h.c.ended, spec); err != nil {
		return nil, err
	}
	if err := h.linkTask(a); err != nil {
		return nil, err
	}
	if err := h.c.ended.Err(); err != nil {
		return nil, errors.New("the pod is being destroyed")
	}
	return h.c.s.containerizer.Start(spec, a.Task.GetCommand(), a.Environment)
}

// dropVolumes takes the links to volumes out of the sandbox of a task that is
// over.
func (h *podHost) dropVolumes(spec *containerizer.Spec) {
	if err := h.c.s.containerizer.RemoveVolumes(spec, spec.Volumes); err != nil {
		h.c.s.log.Warn("cannot take volumes out of a sandbox", attr("container", spec.ID), attrErr(err))
	}
}

// linkTask makes the link by which people find a task's sandbox.
func (h *podHost) linkTask(a pod.Action) error {
	dir := filepath.Join(h.c.spec.Sandbox, "tasks")
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of tasks: %w", err)
	}
	link := filepath.Join(dir, a.Task.GetTaskId().GetValue())
	if err := os.Symlink(a.Sandbox, link); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link the task's sandbox: %w", err)
	}
	return nil
}

// watch stays with a task's process until it is over.
func (h *podHost) watch(p *prober) {
	id, process := p.spec.ID, p.process
	h.c.s.running(id, process)
	h.news <- podNews{container: id, process: process, prober: p, input: pod.Started{Container: id, PID: process.PID()}}
	status, err := process.Wait()
	p.end()
	h.c.s.processes.Delete(id)
	h.c.s.nest.endWithin(id)
	if err := h.c.s.containerizer.Release(id); err != nil {
		h.c.s.log.Warn("cannot clean up after a task", attr("container", id), attrErr(err))
	}
	exited := pod.Exited{Container: id, Status: int32(status), Known: err == nil}
	limited := process.Limitation()
	if limited != nil && limited.Of == string(id) {
		exited.Limited = &builtin.Limitation{Reason: limited.Reason, Message: limited.Message, Resources: limitation(limited).Resources}
		limited = nil
	}
	if exited.Limited == nil && limited == nil && h.holder != nil {
		limited = h.holder.Limitation() // it was ended with the pod
	}
	h.news <- podNews{container: id, input: exited, end: true, limited: limited}
}

// adopt stays with a process that an earlier agent started, if it is there.
func (h *podHost) adopt(t pod.Recovered) {
	id := t.Container
	spec := h.specOf(id, t.Task)
	defer h.dropVolumes(spec)
	pid, _ := h.c.s.containerizer.PID(id)
	process, err := h.c.s.containerizer.Adopt(id, pid)
	if err == nil && pid != 0 {
		h.watch(h.c.newProber(spec, nil, nil, process))
		return
	}
	h.c.s.nest.endWithin(id)
	status, known := h.c.s.containerizer.Status(id)
	h.news <- podNews{container: id, input: pod.Exited{Container: id, Status: int32(status), Known: known}, end: true}
}

// destroy kills all tasks and tells the agent that the container is gone, and how;
// the executor has no say any more.
func (h *podHost) destroy(e exit) {
	for _, process := range h.processes {
		h.c.kill(process)
	}
	for h.alive > 0 {
		n := <-h.news
		if n.process != nil {
			h.c.kill(n.process)
		}
		h.hear(n)
	}
	h.letGo()
	h.c.over(e)
}

// drain waits for the tasks' goroutines, whose tasks are over.
func (h *podHost) drain() {
	for h.alive > 0 {
		h.hear(<-h.news)
	}
}

// deliver is how the agent's events come in; see streams.
func (h *podHost) deliver(m agent.ToExecutor) {
	select {
	case h.c.events <- m.Event:
	default:
		h.c.s.log.Warn("built-in executor is overrun, event dropped", attr("container", h.c.id()))
	}
}

// hangUp does nothing: the agent destroys the container when it means to.
func (h *podHost) hangUp() {}
