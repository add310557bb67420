package scheduler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/client"
)

const (
	streamID = "Mesos-Stream-Id"

	// heartbeat is how often a master that does not say is taken to show that
	// it is alive; after missed of these the connection is given up.
	heartbeat = 15 * time.Second
	missed    = 3
)

var (
	// ErrDisconnected means that a call was not sent because the framework is
	// not subscribed at present.
	ErrDisconnected = errors.New("scheduler: not subscribed with a master")

	errReading = errors.New("scheduler: somebody else reads the events already")
	errEnded   = errors.New("the master has ended the stream")
)

// StatusError is a master's answer to a call other than success: Status, the
// HTTP status, and Message. The statuses to tell apart are 400 (the call is
// wrong, or the framework unknown), 401 and 403 (not allowed), 409 and 503 (not
// now).
type StatusError = client.Error

// EventError is the ERROR event by which a master ends a subscription for good:
// the framework is invalid, not allowed, was removed, or another instance of it
// has subscribed.
type EventError struct {
	// Message is the master's.
	Message string
}

// Error returns the message.
func (e *EventError) Error() string {
	return "scheduler: the master ended the subscription: " + e.Message
}

// Events subscribes the framework and returns what happens, but heartbeats,
// which it watches itself. It connects again, with back-off, whenever the
// connection is lost, the master restarts, or another one leads.
//
// The sequence ends with a nil event and an error: the cause of ctx's end, an
// *EventError, or the *StatusError of a subscription that will never be
// accepted. After Teardown it ends without an error. To break off the loop disconnects the framework; the master then
// waits for it as long as its failover_timeout says.
func (c *Client) Events(ctx context.Context) iter.Seq2[*schedulerpb.Event, error] {
	return func(yield func(*schedulerpb.Event, error) bool) {
		if !c.begin() {
			yield(nil, errReading)
			return
		}
		defer c.end()
		stop := c.acks.start(ctx, c)
		defer stop()
		for {
			err := c.connect(ctx, yield)
			switch {
			case err == errBroken, c.isTorn(): //nolint:errorlint // never wrapped
				return
			case context.Cause(ctx) != nil:
				yield(nil, context.Cause(ctx))
				return
			case final(err):
				yield(nil, err)
				return
			}
			c.log.Warn("lost the master", slog.Any("error", err))
			if err := c.backoff.Wait(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// errBroken means that the reader of the events has broken off.
var errBroken = errors.New("broken off")

// final says that a failed subscription is not to be tried again. A master that
// starts has no routes at first, and answers 404.
func final(err error) bool {
	if refused, ok := errors.AsType[*StatusError](err); ok {
		return !refused.Temporary() && refused.Status != http.StatusNotFound
	}
	_, gone := errors.AsType[*EventError](err)
	return gone
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

// connect subscribes once and passes on events until the stream ends.
func (c *Client) connect(ctx context.Context, yield func(*schedulerpb.Event, error) bool) error {
	stream, err := c.api.Open(ctx, c.subscription(), nil, missed*heartbeat)
	if err != nil {
		return err
	}
	defer stream.Close()
	defer c.setStream("")
	began := time.Now()
	defer func() { c.backoff.Lasted(time.Since(began)) }()
	for {
		event := &schedulerpb.Event{}
		if err := stream.Next(event); err == io.EOF { //nolint:errorlint // returned bare
			return fmt.Errorf("%s: %w", stream.Server, errEnded)
		} else if err != nil {
			return err
		}
		switch event.GetType() {
		case schedulerpb.Event_HEARTBEAT, schedulerpb.Event_UNKNOWN:
			continue
		case schedulerpb.Event_ERROR:
			return &EventError{Message: event.GetError().GetMessage()}
		case schedulerpb.Event_SUBSCRIBED:
			c.subscribed(stream, event.GetSubscribed())
		default:
		}
		if !yield(event, nil) {
			return errBroken
		}
		c.acks.done(ctx, event)
	}
}

// subscribed takes note of a new subscription.
func (c *Client) subscribed(stream *client.Stream, event *schedulerpb.Event_Subscribed) {
	if seconds := event.GetHeartbeatIntervalSeconds(); seconds > 0 {
		stream.Expect(missed * time.Duration(seconds*float64(time.Second)))
	}
	c.setID(event.GetFrameworkId())
	c.setStream(stream.Header.Get(streamID))
	c.log.Info("subscribed", slog.String("framework_id", event.GetFrameworkId().GetValue()), slog.String("master", stream.Server))
}

func (c *Client) setStream(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stream = id
}

func (c *Client) setID(id *mesos.FrameworkID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribe = proto.CloneOf(c.subscribe)
	c.subscribe.FrameworkInfo.Id = id
}
