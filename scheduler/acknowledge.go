package scheduler

import (
	"context"
	"log/slog"
	"sync"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
)

const (
	acknowledgers  = 4    // acknowledgements under way at once
	acknowledgeMax = 1024 // that wait; when there are more, events wait too
)

// An acknowledger acknowledges status updates beside the reading of events, so
// that a framework of many small tasks does not wait for each answer. One that
// fails is forgotten: the agent sends its update again.
type acknowledger struct {
	queue chan *mesos.TaskStatus // nil: the framework acknowledges by itself
}

// start begins to acknowledge for c, until stop.
func (a *acknowledger) start(ctx context.Context, c *Client) (stop func()) {
	if c.manual {
		return func() {}
	}
	queue := make(chan *mesos.TaskStatus, acknowledgeMax)
	var workers sync.WaitGroup
	for range acknowledgers {
		workers.Go(func() {
			for status := range queue {
				if err := c.Acknowledge(ctx, status); err != nil {
					c.log.Debug("an update was not acknowledged", slog.String("task_id", status.GetTaskId().GetValue()), slog.Any("error", err))
				}
			}
		})
	}
	a.queue = queue
	return func() {
		a.queue = nil
		close(queue)
		workers.Wait()
	}
}

// done is told of each event that the framework has dealt with.
func (a *acknowledger) done(ctx context.Context, event *schedulerpb.Event) {
	status := event.GetUpdate().GetStatus()
	if a.queue == nil || len(status.GetUuid()) == 0 {
		return
	}
	select {
	case a.queue <- status:
	case <-ctx.Done():
	}
}
