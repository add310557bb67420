package agent

import (
	"container/heap"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// timerKind is what a deadline is for.
type timerKind uint8

const (
	timerRegister  timerKind = iota + 1 // send the next (re-)registration
	timerPing                           // the master's observer has been silent
	timerReconnect                      // executors had time to come back
	timerDriver                         // a driver is asked again to come back
	timerSubscribe                      // an executor had time to subscribe
	timerShutdown                       // an executor had time to end
	timerHeartbeat                      // an executor's stream needs a sign of life
	timerOperation                      // the outcome of an operation is sent again
)

// timer names a deadline; there is at most one of each name.
type timer struct {
	kind      timerKind
	container ids.ContainerID // of the executor, or the UUID of the operation, where it is about one
}

type deadline struct {
	timer timer
	at    time.Time
	index int
}

// timers is the agent's deadlines: a heap, and where each name is in it.
type timers struct {
	heap   deadlineHeap
	byName map[timer]*deadline
}

// set makes t due at the given time, instead of when it was.
func (ts *timers) set(t timer, at time.Time) {
	if d := ts.byName[t]; d != nil {
		d.at = at
		heap.Fix(&ts.heap, d.index)
		return
	}
	if ts.byName == nil {
		ts.byName = map[timer]*deadline{}
	}
	d := &deadline{timer: t, at: at}
	ts.byName[t] = d
	heap.Push(&ts.heap, d)
}

// has reports whether t is to come.
func (ts *timers) has(t timer) bool { return ts.byName[t] != nil }

// cancel makes t never due.
func (ts *timers) cancel(t timer) {
	if d := ts.byName[t]; d != nil {
		heap.Remove(&ts.heap, d.index)
		delete(ts.byName, t)
	}
}

// due takes out the first timer whose time has come.
func (ts *timers) due(now time.Time) (timer, bool) {
	if len(ts.heap) == 0 || ts.heap[0].at.After(now) {
		return timer{}, false
	}
	t := ts.heap[0].timer
	ts.cancel(t)
	return t, true
}

// next returns when the first timer is due; zero: there is none.
func (ts *timers) next() time.Time {
	if len(ts.heap) == 0 {
		return time.Time{}
	}
	return ts.heap[0].at
}

// timeout does what was to be done at t's time.
func (a *Agent) timeout(t timer) {
	x := a.byRun[t.container]
	switch t.kind {
	case timerRegister:
		a.register()
	case timerPing:
		a.pingTimeout()
	case timerReconnect:
		a.reconnectTimeout()
	case timerDriver:
		a.askBack(x)
	case timerSubscribe:
		a.subscribeTimeout(x)
	case timerShutdown:
		a.shutdownTimeout(x)
	case timerHeartbeat:
		a.heartbeat(x)
	case timerOperation:
		a.operationTimeout(t.container)
	}
}

// deadlineHeap orders deadlines by time; equal ones by name, so that runs repeat.
type deadlineHeap []*deadline

// Len returns the number of deadlines; see [heap.Interface].
func (h deadlineHeap) Len() int { return len(h) }

// Less orders by time, kind and container; see [heap.Interface].
func (h deadlineHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	switch {
	case !a.at.Equal(b.at):
		return a.at.Before(b.at)
	case a.timer.kind != b.timer.kind:
		return a.timer.kind < b.timer.kind
	}
	return a.timer.container < b.timer.container
}

// Swap exchanges two deadlines; see [heap.Interface].
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds a deadline; see [heap.Interface].
func (h *deadlineHeap) Push(x any) {
	d := x.(*deadline)
	d.index = len(*h)
	*h = append(*h, d)
}

// Pop takes the last deadline; see [heap.Interface].
func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return d
}
