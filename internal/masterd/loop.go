package masterd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/mailbox"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// inboxSize bounds what waits for the loop. Who puts more waits, and its
// connection is not read on.
const inboxSize = 16384

// item is one thing for the loop: an input of the core's, or a reader.
type item struct {
	input  master.Input
	reader *reader
}

// reader wants to see the core as it is after what was put before; a watcher is
// told of every event after that as well.
type reader struct {
	snapshot chan *master.Snapshot // has room for one
	watch    *watcher              // or nil
}

// loop is the only goroutine that touches the core.
func (s *Server) loop(ctx context.Context) error {
	effects := s.core.Effects()
	close(s.leads)
	for {
		if err := s.act(ctx, &effects); err != nil {
			return err
		}
		batch, err := s.inbox.Take(ctx, effects.Wake)
		if err != nil {
			return ended(err)
		}
		now := s.clock()
		if len(batch) == 0 {
			s.core.Step(now, master.Tick{})
		}
		var readers []*reader
		for _, it := range batch {
			if it.input != nil {
				s.core.Step(now, it.input)
			} else {
				readers = append(readers, it.reader)
			}
		}
		effects = s.decide(now)
		if len(readers) > 0 {
			if err := s.act(ctx, &effects); err != nil {
				return err
			}
			s.show(readers)
			effects = master.Effects{Wake: effects.Wake}
		}
	}
}

// decide takes the effects of a batch that was taken at a time.
func (s *Server) decide(taken time.Time) master.Effects {
	begin := s.clock()
	effects := s.core.Effects()
	end := s.clock()
	s.allocationTime.Add(end.Sub(begin))
	s.allocationLatency.Add(end.Sub(taken))
	return effects
}

func ended(err error) error {
	if errors.Is(err, mailbox.ErrClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// act carries out effects. None of it blocks, but for a master that does not know
// whether it leads.
func (s *Server) act(ctx context.Context, e *master.Effects) error {
	if err := s.sure(ctx); err != nil {
		return err
	}
	if e.Fatal != "" {
		return fmt.Errorf("the master cannot go on: %s", e.Fatal)
	}
	if e.Persist != nil && !s.writes.add(e.Persist) {
		return fmt.Errorf("the registry's store is so slow that %d writes wait for it", writesMax)
	}
	for _, m := range e.Messages {
		s.send(m)
	}
	s.watchers.tell(e.Events)
	return nil
}

func (s *Server) send(m master.Message) {
	switch m := m.(type) {
	case master.ToFramework:
		if m.Peer.Driver == "" {
			s.streams.deliver(m)
		} else if told := driverMessage(m); told != nil {
			s.post(master.ToProcess{From: "master", To: m.Peer.Driver, Message: told})
		}
	case master.CloseFramework:
		s.streams.hangUp(m.Peer)
	case master.ToProcess:
		s.post(m)
	case master.Link:
		s.links.Link(m.To)
	case master.Unlink:
		s.links.Unlink(m.To.Address())
	case master.RankDemand:
		s.demand(m)
	case master.Reply:
		s.requests.Answer(m.Request, m)
	}
}

func (s *Server) post(m master.ToProcess) {
	body, err := wire.Marshal(m.Message)
	if err != nil {
		s.log.Error("cannot encode a message", attr("to", m.To), attrErr(err))
		return
	}
	s.links.Send(m.To, processAt(m.From, s.address), libprocess.MessageName(m.Message), body)
}

// show freezes the core once for all readers of a batch.
func (s *Server) show(readers []*reader) {
	snapshot := s.core.Snapshot()
	for _, r := range readers {
		if r.watch != nil {
			s.watchers.add(r.watch)
		}
		r.snapshot <- snapshot
	}
}

// Snapshot returns the master as it is after everything that the caller has
// caused before.
func (s *Server) Snapshot(ctx context.Context) (*master.Snapshot, error) {
	return s.read(ctx, nil)
}

func (s *Server) read(ctx context.Context, watch *watcher) (*master.Snapshot, error) {
	r := &reader{snapshot: make(chan *master.Snapshot, 1), watch: watch}
	if err := s.inbox.Put(ctx, item{reader: r}); err != nil {
		return nil, err
	}
	select {
	case snapshot := <-r.snapshot:
		return snapshot, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.stopped:
		return nil, mailbox.ErrClosed
	}
}
