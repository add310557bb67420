package agentd

import (
	"context"
	"fmt"
	"sync"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/meta"
)

// Store remembers records; they are durable when Write returns.
type Store interface {
	Write(records []meta.Record) error
}

// persister writes what the core wants remembered and then does what depended
// on it, in order, without making the loop wait for a disk: while one write is
// under way the next ones gather, and become one.
//
// What gathers is bounded by what the loop can be told meanwhile, and once it
// is a lot the loop is made to wait after all.
type persister struct {
	store  Store
	send   func(agent.Message)
	act    func(agent.ContainerAction)
	failed func(error) // the disk is not to be trusted any more

	mu      sync.Mutex
	changed *sync.Cond
	queue   []*agent.Effects
	busy    bool
	closed  bool
}

// backlogMax is how many rounds of the loop may wait for the disk.
const backlogMax = 8192

func newPersister(store Store, send func(agent.Message), act func(agent.ContainerAction), failed func(error)) *persister {
	p := &persister{store: store, send: send, act: act, failed: failed}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *persister) add(e *agent.Effects) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) >= backlogMax && !p.closed {
		p.changed.Wait()
	}
	p.queue = append(p.queue, &agent.Effects{Persist: e.Persist, Deferred: e.Deferred, Containers: e.Containers})
	p.changed.Broadcast()
}

// run works until close, or until a write fails.
func (p *persister) run() {
	for {
		round := p.take()
		if round == nil {
			return
		}
		var records []meta.Record
		for _, e := range round {
			records = append(records, e.Persist...)
		}
		p.forget(round)
		if err := p.write(records); err != nil {
			p.close()
			p.failed(fmt.Errorf("remember what the agent does: %w", err))
			return
		}
		for _, e := range round {
			p.carryOut(e)
		}
	}
}

// forget does away with what nobody is to find any more, before it is durable that it is
// gone: an agent that dies in between has a volume with nothing in it, and not what was
// in it without a volume. It is done once more in its turn.
func (p *persister) forget(round []*agent.Effects) {
	for _, e := range round {
		for _, a := range e.Containers {
			switch a.(type) {
			case agent.RemoveVolume, agent.EmptyVolume:
				p.act(a)
			}
		}
	}
}

func (p *persister) write(records []meta.Record) error {
	if len(records) == 0 {
		return nil
	}
	return p.store.Write(records)
}

// carryOut does what depended on a write. What a container may use and see is
// set before its executor hears of the task that it is for.
func (p *persister) carryOut(e *agent.Effects) {
	for _, a := range e.Containers {
		if update, ok := a.(agent.Update); ok {
			p.act(update)
		}
	}
	for _, m := range e.Deferred {
		p.send(m)
	}
	for _, a := range e.Containers {
		if _, done := a.(agent.Update); !done {
			p.act(a)
		}
	}
}

// take waits for work and returns all there is, or nil after close.
func (p *persister) take() []*agent.Effects {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
	p.changed.Broadcast()
	for len(p.queue) == 0 && !p.closed {
		p.changed.Wait()
	}
	if p.closed {
		return nil
	}
	round := p.queue
	p.queue, p.busy = nil, true
	p.changed.Broadcast()
	return round
}

// drain waits until everything added has been carried out.
func (p *persister) drain(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.close)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for (p.busy || len(p.queue) > 0) && !p.closed {
		p.changed.Wait()
	}
	return context.Cause(ctx)
}

func (p *persister) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.changed.Broadcast()
}
