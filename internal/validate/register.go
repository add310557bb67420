package validate

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// RegisterAgent refuses a RegisterSlaveMessage with invalid resources, or with
// checkpointed ones of an agent that does not checkpoint.
func RegisterAgent(m *messages.RegisterSlaveMessage) error {
	if err := agentInfo(m.GetSlave()); err != nil {
		return err
	}
	if len(m.GetCheckpointedResources()) > 0 && !m.GetSlave().GetCheckpoint() {
		return refusal.Invalidf("Checkpointed resources provided when checkpointing is not enabled")
	}
	return eachWellFormed(m.GetCheckpointedResources()...)
}

func agentInfo(info *mesos.AgentInfo) error {
	if info.GetId() != nil {
		if err := ids.Validate(ids.AgentID(info.GetId().GetValue())); err != nil {
			return err
		}
	}
	return resources.ValidateAll(info.GetResources())
}

// ReregisterAgent refuses a ReregisterSlaveMessage with invalid parts, or with
// executors and tasks that are nobody's.
func ReregisterAgent(m *messages.ReregisterSlaveMessage) error {
	r := reregistration{
		frameworks: map[string]bool{},
		executors:  map[executorKey]bool{},
	}
	return first(
		func() error { return agentInfo(m.GetSlave()) },
		func() error { return eachWellFormed(m.GetCheckpointedResources()...) },
		func() error { return each(m.GetFrameworks(), r.framework) },
		func() error { return each(m.GetExecutorInfos(), r.executor) },
		func() error {
			return each(m.GetTasks(), func(t *mesos.Task) error { return r.task(t, m.GetSlave().GetId().GetValue()) })
		},
	)
}

// each returns the first error of the rule for all.
func each[T any](all []T, rule func(T) error) error {
	for _, one := range all {
		if err := rule(one); err != nil {
			return err
		}
	}
	return nil
}

type executorKey struct{ framework, executor string }

// A reregistration is what was seen so far of an agent that comes back.
type reregistration struct {
	frameworks map[string]bool
	executors  map[executorKey]bool
}

func (r *reregistration) framework(f *mesos.FrameworkInfo) error {
	if err := FrameworkInfo(f); err != nil {
		return err
	}
	id := f.GetId().GetValue()
	if r.frameworks[id] {
		return refusal.Invalidf("Framework has a duplicate FrameworkID: '%s'", id)
	}
	r.frameworks[id] = true
	return nil
}

func (r *reregistration) executor(e *mesos.ExecutorInfo) error {
	if err := ExecutorInfo(e); err != nil {
		return err
	}
	if err := resources.ValidateAll(e.GetResources()); err != nil {
		return err
	}
	key := executorKey{e.GetFrameworkId().GetValue(), e.GetExecutorId().GetValue()}
	if !r.frameworks[key.framework] {
		return refusal.Invalidf("Executor has an invalid FrameworkID '%s'", key.framework)
	}
	if r.executors[key] {
		return refusal.Invalidf("Framework '%s' has a duplicate ExecutorID '%s'", key.framework, key.executor)
	}
	r.executors[key] = true
	return nil
}

// task does not ask for the executors of tasks that do not run: those of
// command tasks are not listed, and others may have gone already.
func (r *reregistration) task(t *mesos.Task, agent string) error {
	if err := ids.Validate(ids.TaskID(t.GetTaskId().GetValue())); err != nil {
		return within("Task has an invalid TaskID", err)
	}
	if id := t.GetAgentId().GetValue(); id != agent {
		return refusal.Invalidf("Task has an invalid SlaveID '%s'", id)
	}
	key := executorKey{t.GetFrameworkId().GetValue(), t.GetExecutorId().GetValue()}
	if !r.frameworks[key.framework] {
		return refusal.Invalidf("Task has an invalid FrameworkID '%s'", key.framework)
	}
	if t.ExecutorId != nil && t.GetState() == mesos.TaskState_TASK_RUNNING && !r.executors[key] {
		return refusal.Invalidf("Task has an invalid ExecutorID '%s'", key.executor)
	}
	return within("Task uses invalid resources", resources.ValidateAll(t.GetResources()))
}
