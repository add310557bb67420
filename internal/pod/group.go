package pod

import (
	"path"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/builtin"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/probe"
)

// launch starts the tasks of a group.
func (x *Executor) launch(tasks []*mesos.TaskInfo) {
	if x.closing || len(tasks) == 0 {
		return
	}
	x.giveUpAt = time.Time{}
	group := ids.TaskID(tasks[0].GetTaskId().GetValue())
	for _, info := range tasks {
		if x.tasks[ids.TaskID(info.GetTaskId().GetValue())] != nil {
			continue // the agent does not send it twice
		}
		m := x.add(info, x.cfg.Container.Child(ids.NewUUID(x.rand).String()), group)
		m.Task = builtin.Launch(x.now, info, x.framework, sink{x, m})
	}
}

// bury drops the tasks that are over; those of a group share their fate.
func (x *Executor) bury() {
	for again := true; again; {
		again = false
		for _, m := range x.inOrder() {
			if m.Ended() {
				again = true
				delete(x.tasks, m.id)
				delete(x.where, m.container)
				x.killGroup(m)
			}
		}
	}
	if x.began && len(x.tasks) == 0 && !x.out.Done {
		x.close()
	}
}

// killGroup kills the others of a group of which one has failed or was killed.
func (x *Executor) killGroup(of *member) {
	if x.closing || of.last != mesos.TaskState_TASK_FAILED && of.last != mesos.TaskState_TASK_KILLED {
		return
	}
	for _, m := range x.inOrder() {
		if m.group != of.group {
			continue
		}
		if of.Unhealthy() {
			m.ShareUnhealth()
		}
		if !m.Killed() {
			m.Kill(x.now, m.Grace(nil))
		}
	}
}

// shutdown ends all tasks, and then the executor.
func (x *Executor) shutdown() {
	if x.closing {
		return
	}
	x.closing = true
	for _, m := range x.inOrder() {
		m.Kill(x.now, min(builtin.DefaultGrace, max(0, x.cfg.ShutdownGrace-builtin.ShutdownMargin)))
	}
	if len(x.tasks) == 0 {
		x.close()
	}
}

// close ends the executor when the agent knows all.
func (x *Executor) close() {
	switch {
	case x.reporter.Pending() == 0:
		x.out.Done = true
	case x.giveUpAt.IsZero():
		x.giveUpAt = x.now.Add(builtin.AckTimeout)
	}
}

// acknowledged drops an update that the agent has stored.
func (x *Executor) acknowledged(uuid []byte) {
	if !x.reporter.Acknowledged(uuid) {
		x.log.Warn("acknowledgement of an unknown update")
	}
}

// sink takes what one task wants done.
type sink struct {
	x *Executor
	m *member
}

// Report implements [builtin.Sink]: statuses name the task's own container.
func (s sink) Report(t *builtin.Task, u builtin.Update) {
	s.m.last = u.State
	cs := &mesos.ContainerStatus{ContainerId: containerID(s.m.container)}
	if s.m.pid != 0 {
		cs.ExecutorPid = new(uint32(s.m.pid))
	}
	s.x.out.Calls = append(s.x.out.Calls, s.x.reporter.Update(s.x.now, t.Info.GetTaskId(), u, cs))
}

// Do implements [builtin.Sink].
func (s sink) Do(t *builtin.Task, a builtin.Action) {
	act := Action{Container: s.m.container, Do: a}
	if a == builtin.Start {
		act.Task = t.Info
		act.Sandbox = path.Join(s.x.cfg.Sandbox, "containers", s.m.container.Value())
		act.Environment = s.x.environment(t.Info, act.Sandbox)
	}
	s.x.out.Containers = append(s.x.out.Containers, act)
}

// Probe implements [builtin.Sink].
func (s sink) Probe(_ *builtin.Task, r probe.Request) {
	s.x.out.Probes = append(s.x.out.Probes, Probe{s.m.container, r})
}

// containerID returns the wire's form of a nested ID.
func containerID(c ids.ContainerID) *mesos.ContainerID {
	value := c.Value()
	id := &mesos.ContainerID{Value: &value}
	if parent, ok := c.Parent(); ok {
		id.Parent = containerID(parent)
	}
	return id
}

// environment returns what a task of a pod sees: nothing of the executor's.
func (x *Executor) environment(t *mesos.TaskInfo, sandbox string) []string {
	vars := map[string]string{"MESOS_SANDBOX": sandbox}
	for _, v := range t.GetCommand().GetEnvironment().GetVariables() {
		if v.GetType() == mesos.Environment_Variable_VALUE {
			vars[v.GetName()] = v.GetValue()
		}
	}
	vars["MESOS_CONTAINER_IP"] = x.cfg.IP
	vars["MESOS_ALLOCATION_ROLE"] = ""
	if len(t.GetResources()) > 0 {
		vars["MESOS_ALLOCATION_ROLE"] = t.GetResources()[0].GetAllocationInfo().GetRole()
	}
	var env []string
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
