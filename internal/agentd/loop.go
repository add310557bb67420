package agentd

import (
	"context"
	"errors"
	"time"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/mailbox"
)

// inboxSize bounds what waits for the loop. Who puts more waits: a connection
// is not read on, a container's goroutine stands still.
const inboxSize = 4096

// item is one thing for the loop: an input of the core's, or the wish to see
// the core as it is after what was put before.
type item struct {
	input    agent.Input
	snapshot chan<- *agent.Snapshot
}

// loop is the only goroutine that touches the core. It does map work only: what
// blocks is done by the persister, the containers and the streams.
func (s *Server) loop(ctx context.Context) error {
	var wake time.Time
	for {
		batch, err := s.inbox.Take(ctx, wake)
		if err != nil {
			return ended(err)
		}
		now := s.clock()
		if len(batch) == 0 {
			s.core.Step(now, agent.Tick{})
		}
		var readers []chan<- *agent.Snapshot
		for _, it := range batch {
			if it.input != nil {
				s.core.Step(now, it.input)
			} else {
				readers = append(readers, it.snapshot)
			}
		}
		effects := s.core.Effects()
		s.act(&effects)
		if len(readers) > 0 {
			s.show(readers)
		}
		s.noteRecovery(now)
		if effects.Fatal != nil {
			return effects.Fatal
		}
		if effects.Done {
			return s.persister.drain(ctx)
		}
		wake = effects.Wake
	}
}

// noteRecovery notes how long it took until the agent had recovered.
func (s *Server) noteRecovery(now time.Time) {
	if s.recoveryTime.Load() == 0 && s.core.Snapshot().State != agent.Recovering {
		s.recoveryTime.Store(int64(now.Sub(s.started)))
	}
}

func ended(err error) error {
	if errors.Is(err, mailbox.ErrClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// show freezes the core once for all readers of a batch.
func (s *Server) show(readers []chan<- *agent.Snapshot) {
	snapshot := s.core.Snapshot()
	for _, r := range readers {
		r <- snapshot // each has room for one
	}
}

// Snapshot returns the agent as it is after everything that the caller has
// caused before.
func (s *Server) Snapshot(ctx context.Context) (*agent.Snapshot, error) {
	answer := make(chan *agent.Snapshot, 1)
	if err := s.inbox.Put(ctx, item{snapshot: answer}); err != nil {
		return nil, err
	}
	select {
	case snapshot := <-answer:
		return snapshot, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.stopped:
		return nil, mailbox.ErrClosed
	}
}

// tell puts inputs into the inbox, waiting for room. They come to the core together.
// What comes when the server stops is lost, as it would be a moment later.
func (s *Server) tell(ins ...agent.Input) {
	items := make([]item, len(ins))
	for i, in := range ins {
		items[i].input = in
	}
	_ = s.inbox.Put(context.Background(), items...)
}

// act carries out effects: messages now, the rest after what is to be
// remembered is on disk.
func (s *Server) act(e *agent.Effects) {
	for _, m := range e.Messages {
		s.send(m)
	}
	if len(e.Persist)+len(e.Deferred)+len(e.Containers) > 0 {
		s.persister.add(e)
	}
}
