package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"

	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/client"
)

const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 15 * time.Second

	// heartbeat is how often a master that does not say is taken to show that
	// it is alive; after missed of these the connection is given up.
	heartbeat = 15 * time.Second
	missed    = 3
)

var (
	errBroken = errors.New("broken off")
	errEnded  = errors.New("the master has ended the stream")
)

// Events returns what happens in the cluster, but heartbeats, which it watches
// itself. It begins with SUBSCRIBED, which holds the state to start from; when
// the connection is lost it connects again, with back-off, and another
// SUBSCRIBED replaces all that was known.
//
// The sequence ends with a nil event and an error: the cause of ctx's end, or
// the *StatusError of a subscription that will never be accepted.
func (m *Master) Events(ctx context.Context) iter.Seq2[*masterpb.Event, error] {
	return func(yield func(*masterpb.Event, error) bool) {
		backoff := client.Backoff{First: firstBackoff, Max: maxBackoff}
		for {
			err := m.follow(ctx, &backoff, yield)
			refused, answered := errors.AsType[*StatusError](err)
			switch {
			case err == errBroken: //nolint:errorlint // never wrapped
				return
			case context.Cause(ctx) != nil:
				err = context.Cause(ctx)
			case answered && !refused.Temporary():
			default:
				m.log.Warn("lost the master", slog.Any("error", err))
				err = backoff.Wait(ctx)
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// follow subscribes once and passes on events until the stream ends.
func (m *Master) follow(ctx context.Context, backoff *client.Backoff, yield func(*masterpb.Event, error) bool) error {
	stream, err := m.api.Open(ctx, &masterpb.Call{Type: masterpb.Call_SUBSCRIBE.Enum()}, nil, missed*heartbeat)
	if err != nil {
		return err
	}
	defer stream.Close()
	began := time.Now()
	defer func() { backoff.Lasted(time.Since(began)) }()
	for {
		event := &masterpb.Event{}
		if err := stream.Next(event); err == io.EOF { //nolint:errorlint // returned bare
			return fmt.Errorf("%s: %w", stream.Server, errEnded)
		} else if err != nil {
			return err
		}
		switch event.GetType() {
		case masterpb.Event_HEARTBEAT, masterpb.Event_UNKNOWN:
			continue
		case masterpb.Event_SUBSCRIBED:
			if seconds := event.GetSubscribed().GetHeartbeatIntervalSeconds(); seconds > 0 {
				stream.Expect(missed * time.Duration(seconds*float64(time.Second)))
			}
		default:
		}
		if !yield(event, nil) {
			return errBroken
		}
	}
}
