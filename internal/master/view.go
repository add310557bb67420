package master

import (
	"iter"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// view returns what validation must know of a framework.
func (f *framework) view() *validate.Framework {
	return &validate.Framework{
		ID:              f.id,
		Roles:           f.roles,
		SharedResources: f.caps.sharedResources,
		Task:            f.presence,
	}
}

func (f *framework) presence(id ids.TaskID) validate.TaskPresence {
	switch {
	case f.tasks[id] != nil:
		return validate.ActiveTask
	case f.unreachableTask(id) != nil:
		return validate.UnreachableTask
	}
	return validate.NoTask
}

// viewOf returns what validation must know of an agent, for a framework, or for
// an operator if it is nil.
func (m *Master) viewOf(a *agent, f *framework) *validate.Agent {
	return &validate.Agent{
		ID:           a.id,
		Capabilities: a.caps.Capabilities,
		Executor: func(id ids.ExecutorID) *mesos.ExecutorInfo {
			if e := a.executors[executorKey{f.id, a.id, id}]; e != nil {
				return e.row.Info
			}
			return nil
		},
		Containers:   func(id ids.ExecutorID) iter.Seq[*mesos.ContainerInfo] { return a.containers(f, id) },
		Checkpointed: a.row.Total.NeedingCheckpoint(),
		Used:         m.usedOn(a, f),
	}
}

// usedOn yields what is used on an agent, and what of shared volumes other frameworks'
// ACCEPTs have that are not done in whole: their tasks may use it yet.
func (m *Master) usedOn(a *agent, f *framework) iter.Seq[resources.Resources] {
	return func(yield func(resources.Resources) bool) {
		if !yield(a.row.Allocated) {
			return
		}
		for _, b := range m.backlogs {
			if x := b.accepting; x != nil && x.agent == a && b.framework != f && !yield(x.shared) {
				return
			}
		}
	}
}

// containers yields the containers of an executor's tasks on an agent.
func (a *agent) containers(f *framework, id ids.ExecutorID) iter.Seq[*mesos.ContainerInfo] {
	return func(yield func(*mesos.ContainerInfo) bool) {
		for _, t := range a.tasks {
			if t.framework == f && t.row.Executor == id && !yield(t.row.Desc.Container) {
				return
			}
		}
		for _, t := range f.unreachable {
			if t.row.Agent == a.id && t.row.Executor == id && !yield(t.row.Desc.Container) {
				return
			}
		}
	}
}
