package cli

import (
	"context"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/operator"
)

// How many agents are asked what the tasks wait for that they start, and how long
// they have to answer.
const (
	mostAsked     = 16
	agentPatience = 3 * time.Second
)

// sayWhatTheyWaitFor adds to tasks that have not started what their agents say of
// that: how far the pull of an image has come. Masters do not know. An agent that
// does not answer says nothing.
func (o *lookOptions) sayWhatTheyWaitFor(ctx context.Context, m *operator.Master, tasks []*mesos.Task) {
	waiting := map[string][]*mesos.Task{}
	for _, t := range tasks {
		if starts(t) && (waiting[t.GetAgentId().GetValue()] != nil || len(waiting) < mostAsked) {
			waiting[t.GetAgentId().GetValue()] = append(waiting[t.GetAgentId().GetValue()], t)
		}
	}
	if len(waiting) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, agentPatience)
	defer cancel()
	agents, err := m.Agents(ctx)
	if err != nil {
		return
	}
	var all sync.WaitGroup
	for _, mine := range waiting {
		agent, err := o.agentOf(agents, mine[0])
		if err != nil {
			continue
		}
		all.Go(func() {
			if state, err := agent.State(ctx); err == nil {
				copyStatuses(mine, append(state.GetGetTasks().GetQueuedTasks(), state.GetGetTasks().GetLaunchedTasks()...))
			}
		})
	}
	all.Wait()
}

func starts(t *mesos.Task) bool {
	return t.GetState() == mesos.TaskState_TASK_STAGING || t.GetState() == mesos.TaskState_TASK_STARTING
}

// copyStatuses gives tasks the statuses that their agent has of them.
func copyStatuses(to, from []*mesos.Task) {
	type key struct{ framework, task string }
	known := map[key]*mesos.Task{}
	for _, t := range from {
		known[key{t.GetFrameworkId().GetValue(), t.GetTaskId().GetValue()}] = t
	}
	for _, t := range to {
		if k := known[key{t.GetFrameworkId().GetValue(), t.GetTaskId().GetValue()}]; k != nil && k.GetState() == t.GetState() {
			t.Statuses = k.GetStatuses()
		}
	}
}
