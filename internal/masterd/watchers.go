package masterd

import (
	"sync"

	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
)

// watcher is one operator's event stream.
type watcher struct {
	stream *httpd.Stream
	gone   bool // its stream has ended; for watchers

	mu    sync.Mutex
	early []*httpd.Record // events after its snapshot and before that is written
	ready bool
}

// earlyMax bounds what waits for a snapshot to be rendered; a watcher that
// needs more is dropped.
const earlyMax = 65536

func (w *watcher) tell(r *httpd.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ready:
		w.stream.Send(r)
	case len(w.early) < earlyMax:
		w.early = append(w.early, r)
	default:
		w.stream.Close()
	}
}

// begin sends the snapshot and then everything that has happened since.
func (w *watcher) begin(subscribed *httpd.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stream.Send(subscribed)
	w.stream.Heartbeat(operatorHeartbeat, operatorHeartbeatInterval, true)
	for _, r := range w.early {
		w.stream.Send(r)
	}
	w.early, w.ready = nil, true
}

// watchers are all operators' event streams, oldest first. Safe for concurrent
// use once max is set.
type watchers struct {
	max int

	mu  sync.Mutex
	all []*watcher
}

// add makes a watcher be told of every event from now on, unless it is gone: a
// stream may end before the loop comes to it. Beyond the bound, the oldest is dropped.
func (w *watchers) add(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one.gone {
		return
	}
	w.all = append(w.all, one)
	if len(w.all) > w.max {
		w.all[0].stream.Close()
		w.all = w.all[1:]
	}
}

func (w *watchers) remove(one *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	one.gone = true
	for i, other := range w.all {
		if other == one {
			w.all = append(w.all[:i:i], w.all[i+1:]...)
			return
		}
	}
}

// closeAll ends all streams.
func (w *watchers) closeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.all {
		one.stream.Close()
	}
}

// tell queues events for all watchers. Each is rendered once, by whoever writes
// it first.
func (w *watchers) tell(events []master.Event) {
	if len(events) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 {
		return
	}
	for _, e := range events {
		record := eventRecord(e)
		for _, one := range w.all {
			one.tell(record)
		}
	}
}

func (w *watchers) len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all)
}
