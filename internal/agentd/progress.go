package agentd

import (
	"sync"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/wire"
)

// progress is what the tasks of a run wait for: the text of each, by the task's id,
// or "" for all of the run. It is shown to those who ask the agent, and is no status
// update: frameworks acknowledge those, and know no second TASK_STAGING.
type progress struct{ texts sync.Map }

// of returns a function that sets the text of a task, with "" for none.
func (p *progress) of(task ids.TaskID) func(string) {
	return func(text string) {
		if text == "" {
			p.texts.Delete(task)
		} else {
			p.texts.Store(task, text)
		}
	}
}

func (p *progress) text(task ids.TaskID) string {
	for _, key := range []ids.TaskID{task, ""} {
		if text, ok := p.texts.Load(key); ok {
			return text.(string)
		}
	}
	return ""
}

// shown returns a task as readers see it: one that has not started tells what it
// waits for.
func (v *view) shown(t *agent.TaskRow) *mesos.Task {
	state := t.Task.GetState()
	if state != mesos.TaskState_TASK_STAGING && state != mesos.TaskState_TASK_STARTING {
		return t.Task
	}
	c, ok := v.server.containers.Load(t.Run.Container)
	if !ok {
		return t.Task
	}
	text := c.(*container).progress.text(ids.TaskID(t.Task.GetTaskId().GetValue()))
	if text == "" {
		return t.Task
	}
	out := t.Task.CloneVT()
	if n := len(out.Statuses); n > 0 && out.Statuses[n-1].GetState() == state {
		out.Statuses[n-1].Message = &text
		return out
	}
	out.Statuses = append(out.Statuses, &mesos.TaskStatus{
		TaskId: out.TaskId, State: &state, Message: &text, Source: mesos.TaskStatus_SOURCE_AGENT.Enum(),
		AgentId: out.AgentId, Timestamp: new(wire.Seconds(v.server.clock())),
	})
	return out
}
