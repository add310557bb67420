// Package mailbox is the bounded inbox between the edges of a server, which
// decode and check what comes in, and the one loop that decides.
package mailbox

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrClosed is what Put and Take answer once the mailbox is closed.
var ErrClosed = errors.New("mailbox is closed")

// A Mailbox holds at most a fixed number of items that many goroutines put and
// one takes, in batches. What one goroutine puts is taken in that order. It is
// for one consumer: Take must not be called by two goroutines at once;
// everything else is safe for use by several.
type Mailbox[T any] struct {
	capacity int
	ready    chan struct{} // holds a token when there may be something to take

	mu     sync.Mutex
	items  []T
	room   chan struct{} // closed, and replaced, when a mailbox without room is emptied
	wanted bool          // somebody was told to wait for room
	closed bool

	// Of the consumer alone.
	taken []T // the last batch, whose memory the next but one uses again
	timer *time.Timer
}

// New returns a mailbox that holds capacity items, at least one.
func New[T any](capacity int) *Mailbox[T] {
	return &Mailbox[T]{
		capacity: max(capacity, 1),
		ready:    make(chan struct{}, 1),
		room:     make(chan struct{}),
	}
}

// Put puts xs in, which are taken together. When there is no room for all it waits,
// until ctx is done, whose cause it then returns, or until the mailbox is closed
// (ErrClosed). More than the mailbox holds go into an empty one.
func (m *Mailbox[T]) Put(ctx context.Context, xs ...T) error {
	for {
		room, err := m.put(xs...)
		if room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// TryPut puts x in if there is room at once, and says whether it did.
func (m *Mailbox[T]) TryPut(x T) bool {
	room, err := m.put(x)
	return room == nil && err == nil
}

// put puts xs in or returns the channel that is closed when there is room.
func (m *Mailbox[T]) put(xs ...T) (<-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.items)
	switch {
	case m.closed:
		return nil, ErrClosed
	case before > 0 && before+len(xs) > m.capacity:
		m.wanted = true
		return m.room, nil
	}
	if m.items = append(m.items, xs...); before == 0 {
		m.signal()
	}
	return nil, nil
}

func (m *Mailbox[T]) signal() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// Take returns everything in the mailbox, in order. When it is empty Take
// waits: for an item, for wake (unless it is zero), when it returns an empty
// batch, or for ctx to be done, when it returns the context's cause. After
// Close it returns what is left, and then ErrClosed. The batch is valid until
// the next call.
func (m *Mailbox[T]) Take(ctx context.Context, wake time.Time) ([]T, error) {
	clear(m.taken) // what was taken is not kept alive
	batch, err := m.swap()
	if len(batch) > 0 || err != nil {
		return batch, err
	}
	select {
	case <-m.ready:
	case <-m.alarm(wake):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return m.swap()
}

// swap takes what there is and leaves the memory of the batch before.
func (m *Mailbox[T]) swap() ([]T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	batch := m.items
	if len(batch) == 0 {
		if m.closed {
			return nil, ErrClosed
		}
		return nil, nil
	}
	if m.wanted {
		close(m.room)
		m.room, m.wanted = make(chan struct{}), false
	}
	m.items, m.taken = m.taken[:0], batch
	select {
	case <-m.ready:
	default:
	}
	return batch, nil
}

// alarm returns a channel that fires at wake, or never if that is zero.
func (m *Mailbox[T]) alarm(wake time.Time) <-chan time.Time {
	if wake.IsZero() {
		return nil
	}
	if m.timer == nil {
		m.timer = time.NewTimer(time.Until(wake))
	} else {
		m.timer.Reset(time.Until(wake))
	}
	return m.timer.C
}

// Len returns how many items wait.
func (m *Mailbox[T]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}

// Cap returns how many items the mailbox holds at most.
func (m *Mailbox[T]) Cap() int { return m.capacity }

// Close lets nothing more in: waiting and later calls of Put fail with
// ErrClosed. What is already in can still be taken.
func (m *Mailbox[T]) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		close(m.room)
		m.room = make(chan struct{})
		m.signal()
	}
}
