package image

import (
	"context"
	"sync"
)

// flights lets many ask for the same thing, and does the work once. Work goes on
// while anybody waits for it. The zero value is ready for use.
type flights[V any] struct {
	mu  sync.Mutex
	now map[string]*flight[V]
}

type flight[V any] struct {
	cancel  context.CancelFunc
	done    chan struct{}
	value   V
	err     error
	waiters int

	mu        sync.Mutex
	listeners map[*func(Progress)]struct{}
}

// do returns what work returns, which is called in a goroutine of its own if it
// is not under way for the key. listen hears of its progress.
func (f *flights[V]) do(ctx context.Context, key string, listen func(Progress), work func(context.Context, func(Progress)) (V, error)) (V, error) {
	one := f.join(key, &listen, work)
	defer one.listen(&listen, false)
	select {
	case <-one.done:
		f.leave(key, one)
		return one.value, one.err
	case <-ctx.Done():
		f.leave(key, one)
		var none V
		return none, context.Cause(ctx)
	}
}

// join lets listen hear of the work from its first word on: it is there before
// the work begins.
func (f *flights[V]) join(key string, listen *func(Progress), work func(context.Context, func(Progress)) (V, error)) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.now[key]; one != nil {
		one.waiters++
		one.listen(listen, true)
		return one
	}
	ctx, cancel := context.WithCancel(context.Background())
	one := &flight[V]{cancel: cancel, done: make(chan struct{}), waiters: 1, listeners: map[*func(Progress)]struct{}{}}
	if f.now == nil {
		f.now = map[string]*flight[V]{}
	}
	f.now[key] = one
	one.listen(listen, true)
	go func() {
		one.value, one.err = work(ctx, one.tell)
		cancel()
		f.forget(key, one)
		close(one.done)
	}()
	return one
}

// leave gives the work up if nobody waits for it any more. Who asks later begins
// anew, with the same result as if it had come first.
func (f *flights[V]) leave(key string, one *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one.waiters--; one.waiters > 0 {
		return
	}
	one.cancel()
	if f.now[key] == one {
		delete(f.now, key)
	}
}

func (f *flights[V]) forget(key string, one *flight[V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now[key] == one {
		delete(f.now, key)
	}
}

func (o *flight[V]) listen(to *func(Progress), on bool) {
	if *to == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if on {
		o.listeners[to] = struct{}{}
	} else {
		delete(o.listeners, to)
	}
}

func (o *flight[V]) tell(p Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for l := range o.listeners {
		(*l)(p)
	}
}
