package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/internal/client"
)

// silence is how long an agent's stream may be silent: agents show that they
// are alive every 30 minutes only.
const silence = 3 * 30 * time.Minute

// firstBackoff is the first bound of the wait before an update that the agent
// cannot take yet is sent again.
const firstBackoff = 100 * time.Millisecond

var (
	errReading = errors.New("executor: somebody else reads the events already")
	errEnded   = errors.New("the agent has ended the stream")
	errBroken  = errors.New("broken off")
	errStopped = errors.New("stopped")
)

// EventError is the ERROR event by which an agent refuses an executor for good.
type EventError struct {
	// Message is the agent's.
	Message string
}

// Error returns the message.
func (e *EventError) Error() string {
	return "executor: the agent ended the subscription: " + e.Message
}

// LostError means that the agent was lost and the executor has to end its tasks
// and itself: at once if the framework does not checkpoint, else after the
// recovery timeout.
type LostError struct {
	// Cause is why the last attempt to reach it failed.
	Cause error
}

// Error says that the agent was lost and why.
func (e *LostError) Error() string { return "executor: the agent is lost: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// Events subscribes the executor and returns what the agent asks for. Heartbeats
// and acknowledgements it deals with itself. If the framework checkpoints it
// subscribes again when the connection is lost, which a SUBSCRIBED event tells.
//
// The sequence ends without an error after Stop, and at the latest when the
// grace period after SHUTDOWN is over. Otherwise it ends with a nil event and
// an error: the cause of ctx's end, a *LostError, an *EventError, or the
// *StatusError of a subscription that will never be accepted.
func (c *Client) Events(ctx context.Context) iter.Seq2[*executorpb.Event, error] {
	return func(yield func(*executorpb.Event, error) bool) {
		if !c.begin() {
			yield(nil, errReading)
			return
		}
		defer c.end()
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		c.expire = func() { stop(errStopped) }
		lost := time.Now()
		for {
			subscribed, err := c.connect(ctx, yield)
			if subscribed {
				lost = time.Now()
			}
			if !c.over(err) {
				err = c.retry(ctx, err, subscribed, lost)
			}
			switch {
			case c.over(err):
				return
			case err != nil:
				yield(nil, err)
				return
			}
		}
	}
}

// over says that a subscription that ended with err was the last, as it should
// be.
func (c *Client) over(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := len(c.updates) == 0
	return errors.Is(err, errStopped) || errors.Is(err, errBroken) || c.stopped && idle ||
		c.shutdown && (idle || !c.cfg.Checkpoint)
}

// retry waits before another attempt to subscribe, or returns the error that
// ends all: err, from which the last attempt failed, or what it means.
func (c *Client) retry(ctx context.Context, err error, subscribed bool, lost time.Time) error {
	refused, answered := errors.AsType[*StatusError](err)
	_, refusedLater := errors.AsType[*EventError](err)
	// An agent that starts has no routes at first, and is not ready then.
	ready := !answered || subscribed || refused.Temporary() || refused.Status == http.StatusNotFound
	switch {
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case refusedLater || !ready:
		return err
	case !c.cfg.Checkpoint && (subscribed || !answered), time.Since(lost) >= c.cfg.RecoveryTimeout:
		return &LostError{Cause: err}
	}
	c.log.Warn("lost the agent", slog.Any("error", err))
	return c.backoff.Wait(ctx)
}

func (c *Client) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading {
		return false
	}
	c.reading = true
	return true
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
}

// connect subscribes once and passes on events until the stream ends. It
// returns whether the agent accepted it.
func (c *Client) connect(ctx context.Context, yield func(*executorpb.Event, error) bool) (subscribed bool, err error) {
	defer c.detach()
	stream, err := c.api.Open(ctx, c.subscription(), nil, client.CallTimeout)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	if c.attach(stream, false) {
		return false, errStopped
	}
	// No update may be under way any more when all of them are sent again.
	ctx, cancel := context.WithCancel(ctx)
	var senders sync.WaitGroup
	defer senders.Wait()
	defer cancel()
	for {
		event := &executorpb.Event{}
		if err := stream.Next(event); err == io.EOF { //nolint:errorlint // returned bare
			return subscribed, fmt.Errorf("%s: %w", stream.Server, errEnded)
		} else if err != nil {
			return subscribed, err
		}
		if event.GetType() == executorpb.Event_SUBSCRIBED && !subscribed {
			subscribed = true
			stream.Expect(silence)
			c.attach(stream, true)
			for i := range c.lanes {
				senders.Go(func() { c.send(ctx, stream, &c.lanes[i]) })
			}
		}
		if err := c.handle(event, yield); err != nil {
			return subscribed, err
		}
	}
}

// expect notes that the executor is to end within its grace period.
func (c *Client) expect() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shutdown {
		c.shutdown = true
		time.AfterFunc(c.cfg.ShutdownGracePeriod, c.expire)
	}
}

// handle deals with an event or passes it on. An error ends the stream.
func (c *Client) handle(event *executorpb.Event, yield func(*executorpb.Event, error) bool) error {
	switch event.GetType() {
	case executorpb.Event_HEARTBEAT, executorpb.Event_UNKNOWN:
		return nil
	case executorpb.Event_ACKNOWLEDGED:
		if c.acknowledged(event.GetAcknowledged().GetTaskId(), event.GetAcknowledged().GetUuid()) {
			return errStopped
		}
		return nil
	case executorpb.Event_ERROR:
		return &EventError{Message: event.GetError().GetMessage()}
	case executorpb.Event_LAUNCH:
		c.launched(event.GetLaunch().GetTask())
	case executorpb.Event_LAUNCH_GROUP:
		c.launched(event.GetLaunchGroup().GetTaskGroup().GetTasks()...)
	case executorpb.Event_SHUTDOWN:
		c.expect()
	default:
	}
	if !yield(event, nil) {
		return errBroken
	}
	return nil
}

// send sends the updates of a lane until ctx ends. A failure ends the stream,
// so that the next subscription carries what has not arrived; but an update
// that the agent refuses would be refused again, and is given up.
func (c *Client) send(ctx context.Context, stream *client.Stream, l *lane) {
	call := c.call(executorpb.Call_UPDATE)
	for {
		for _, call.Update = range c.take(l) {
			err := c.insist(ctx, call)
			// 403: the agent does not know of the subscription.
			if refused, ok := errors.AsType[*StatusError](err); ok && refused.Status != http.StatusForbidden {
				status := call.GetUpdate().GetStatus()
				c.log.Error("the agent refused an update", slog.String("task_id", status.GetTaskId().GetValue()), slog.Any("error", err))
				if !c.acknowledged(nil, status.GetUuid()) {
					continue
				}
				err = errStopped
			}
			if err != nil {
				stream.Break(err)
				return
			}
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
	}
}

// insist makes a call again, with back-off, until the agent has it or says for
// good that it does not want it. One that recovers refuses what comes before it
// has heard of all of its executors; to break the stream for that would leave it
// without this one.
func (c *Client) insist(ctx context.Context, call *executorpb.Call) error {
	backoff := client.Backoff{First: firstBackoff, Max: c.cfg.SubscriptionBackoffMax}
	for {
		err := c.api.Do(ctx, call, nil, nil)
		if refused, ok := errors.AsType[*StatusError](err); !ok || !refused.Temporary() {
			return err
		}
		c.log.Debug("the agent cannot take an update yet", slog.Any("error", err))
		if err := backoff.Wait(ctx); err != nil {
			return err
		}
	}
}

// take empties a lane.
func (c *Client) take(l *lane) []*executorpb.Call_Update {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := l.queue
	l.queue = nil
	return queue
}
