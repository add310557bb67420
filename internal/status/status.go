// Package status delivers status updates reliably: each at least once, those of
// a task in order, none forgotten before its framework has acknowledged it.
//
// There is a stream per task. Its updates wait in a queue; the one in front is
// sent, and sent again until it is acknowledged, and only then the next:
//
//	          Update              first in the queue, or
//	executor ───────▶ ┌───┬───┬───┐  its turn, or its time ──▶ master
//	                  │ 3 │ 2 │ 1 │
//	                  └───┴───┴───┘ ◀── Acknowledge ───────── framework
//
// The first repetition comes after 10 seconds, each further one after twice as
// long, up to 10 minutes. While the agent has no master, the streams are paused.
// A stream ends when an update of a terminal state is acknowledged.
//
// The package decides only; what is to be sent is handed back. Nothing in it is
// safe for concurrent use.
package status

import (
	"slices"
	"time"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// How long to wait for an acknowledgement before sending again.
const (
	MinRetry = 10 * time.Second
	MaxRetry = 10 * time.Minute
)

const (
	// maxPending bounds the queue of one task, whose framework may be away for
	// days while a health check goes up and down.
	maxPending = 10_000
	// maxAcked bounds the acknowledged updates that are still recognized when an
	// executor sends them once more.
	maxAcked = 128
)

// Key names a stream.
type Key struct {
	Framework ids.FrameworkID
	Task      ids.TaskID
}

// Verdict is what became of an update.
type Verdict uint8

// The verdicts. The executor that sent the update is told that it has arrived
// unless it is Full.
const (
	Accepted  Verdict = iota + 1 // new
	Duplicate                    // known by its uuid, perhaps acknowledged already
	Full                         // refused: too many updates of this task wait
)

type uuid [16]byte

// stream is the updates of one task.
type stream struct {
	key     Key
	seq     uint64                   // streams in the order of their creation
	pending []*messages.StatusUpdate // not acknowledged yet, in order
	acked   []uuid                   // the latest acknowledged
	retry   time.Duration            // between the latest sending and the next
	at      time.Time                // when to send the first of pending again
	index   int                      // in the heap of deadlines; -1: not in it
}

// Streams is the streams of an agent. The zero value is not ready; see [New].
type Streams struct {
	streams map[Key]*stream
	due     deadlines
	seq     uint64
	paused  bool
}

// New returns no streams, paused: there is no master yet.
func New() *Streams { return &Streams{streams: map[Key]*stream{}, paused: true} }

// Len returns the number of streams.
func (s *Streams) Len() int { return len(s.streams) }

// Pending returns the number of updates that wait to be acknowledged.
func (s *Streams) Pending() int {
	n := 0
	for _, st := range s.streams {
		n += len(st.pending)
	}
	return n
}

// Update takes in an update, whose uuid must have 16 bytes. What it returns in
// send, if anything, is to be sent now.
func (s *Streams) Update(now time.Time, u *messages.StatusUpdate) (send *messages.StatusUpdate, v Verdict) {
	st := s.stream(keyOf(u))
	switch id := uuid(u.GetUuid()); {
	case st.knows(id):
		return nil, Duplicate
	case len(st.pending) >= maxPending:
		return nil, Full
	}
	st.pending = append(st.pending, u)
	if len(st.pending) > 1 || s.paused {
		return nil, Accepted
	}
	return s.first(now, st), Accepted
}

// Knows reports whether an update has been taken in already: it waits, or was
// acknowledged lately. Its uuid must have 16 bytes.
func (s *Streams) Knows(u *messages.StatusUpdate) bool {
	st := s.streams[keyOf(u)]
	return st != nil && st.knows(uuid(u.GetUuid()))
}

// Front returns the update of a task that is to be acknowledged next, or nil.
func (s *Streams) Front(k Key) *messages.StatusUpdate {
	if st := s.streams[k]; st != nil && len(st.pending) > 0 {
		return st.pending[0]
	}
	return nil
}

// Acknowledge takes in a framework's acknowledgement. What it returns in send
// is to be sent now; ended says that the task's last word has been heard and
// its stream is gone. It refuses acknowledgements of anything but the update
// sent last: those are late, repeated or wrong, and change nothing.
func (s *Streams) Acknowledge(now time.Time, k Key, id []byte) (send *messages.StatusUpdate, ended bool, err error) {
	st := s.streams[k]
	switch {
	case st == nil:
		return nil, false, refusal.NotFoundf("no update of task %s waits to be acknowledged", k.Task)
	case len(id) != len(uuid{}):
		return nil, false, refusal.Invalidf("a uuid has 16 bytes, not %d", len(id))
	case len(st.pending) == 0 || uuid(st.pending[0].GetUuid()) != uuid(id):
		return nil, false, refusal.Conflictf("task %s does not wait for this acknowledgement", k.Task)
	}
	front := st.pending[0]
	if IsTerminal(front.GetStatus().GetState()) {
		s.remove(st)
		return nil, true, nil
	}
	st.acknowledge()
	s.due.remove(st)
	if len(st.pending) == 0 || s.paused {
		return nil, false, nil
	}
	return s.first(now, st), false, nil
}

// Pause stops all sending: there is no master.
func (s *Streams) Pause() {
	s.paused = true
	for len(s.due) > 0 {
		s.due.remove(s.due[0])
	}
}

// Resume starts sending anew: the first update of every stream goes out now.
func (s *Streams) Resume(now time.Time) []*messages.StatusUpdate {
	s.paused = false
	return s.resend(now, func(*stream) bool { return true })
}

// ResumeFramework sends the first update of every stream of a framework that
// has just come back, unless all are paused.
func (s *Streams) ResumeFramework(now time.Time, f ids.FrameworkID) []*messages.StatusUpdate {
	if s.paused {
		return nil
	}
	return s.resend(now, func(st *stream) bool { return st.key.Framework == f })
}

// resend starts the chosen streams anew, in the order of their creation.
func (s *Streams) resend(now time.Time, chosen func(*stream) bool) []*messages.StatusUpdate {
	var again []*stream
	for _, st := range s.streams {
		if len(st.pending) > 0 && chosen(st) {
			again = append(again, st)
		}
	}
	slices.SortFunc(again, func(a, b *stream) int { return int(int64(a.seq) - int64(b.seq)) })
	out := make([]*messages.StatusUpdate, len(again))
	for i, st := range again {
		out[i] = s.first(now, st)
	}
	return out
}

// Due returns the updates whose time has come to be sent again.
func (s *Streams) Due(now time.Time) []*messages.StatusUpdate {
	var out []*messages.StatusUpdate
	for len(s.due) > 0 && !s.due[0].at.After(now) {
		st := s.due[0]
		st.retry = min(2*st.retry, MaxRetry)
		s.due.set(st, now.Add(st.retry))
		out = append(out, st.pending[0])
	}
	return out
}

// Next returns when something will be due; zero: nothing is.
func (s *Streams) Next() time.Time {
	if len(s.due) == 0 {
		return time.Time{}
	}
	return s.due[0].at
}

// Remove forgets all streams of a framework that is gone: nobody will
// acknowledge them.
func (s *Streams) Remove(f ids.FrameworkID) {
	for k, st := range s.streams {
		if k.Framework == f {
			s.remove(st)
		}
	}
}

// Forget drops the stream of a task that is not known any more, unless updates
// of it wait. An executor that repeats itself after its task's end begins one
// that nothing would ever end.
func (s *Streams) Forget(k Key) {
	if st := s.streams[k]; st != nil && len(st.pending) == 0 {
		s.remove(st)
	}
}

// Recover takes up a stream from what was remembered of it. A stream whose
// terminal update is acknowledged is over, and not taken up.
func (s *Streams) Recover(k Key, updates []*messages.StatusUpdate, acks [][]byte) {
	st := &stream{key: k, index: -1}
	for _, u := range updates {
		id := uuid(u.GetUuid())
		if st.knows(id) {
			continue
		}
		st.pending = append(st.pending, u)
		if !slices.ContainsFunc(acks, func(a []byte) bool { return string(a) == string(id[:]) }) {
			continue
		}
		if IsTerminal(u.GetStatus().GetState()) {
			return
		}
		for len(st.pending) > 0 { // an acknowledgement covers what went before
			st.acknowledge()
		}
	}
	s.add(st)
}

// stream returns the stream of k, made if need be.
func (s *Streams) stream(k Key) *stream {
	if st := s.streams[k]; st != nil {
		return st
	}
	st := &stream{key: k, index: -1}
	s.add(st)
	return st
}

func (s *Streams) add(st *stream) {
	s.seq++
	st.seq = s.seq
	s.streams[st.key] = st
}

func (s *Streams) remove(st *stream) {
	s.due.remove(st)
	delete(s.streams, st.key)
}

// first returns the first of the queue, as sent for the first time.
func (s *Streams) first(now time.Time, st *stream) *messages.StatusUpdate {
	st.retry = MinRetry
	s.due.set(st, now.Add(MinRetry))
	return st.pending[0]
}

// knows reports whether the update waits, or was acknowledged lately.
func (st *stream) knows(id uuid) bool {
	return slices.Contains(st.acked, id) || slices.ContainsFunc(st.pending, func(u *messages.StatusUpdate) bool {
		return uuid(u.GetUuid()) == id
	})
}

// acknowledge moves the first of the queue to those acknowledged.
func (st *stream) acknowledge() {
	if len(st.acked) == maxAcked {
		st.acked = append(st.acked[:0], st.acked[1:]...)
	}
	st.acked = append(st.acked, uuid(st.pending[0].GetUuid()))
	st.pending[0] = nil
	st.pending = st.pending[1:]
}

func keyOf(u *messages.StatusUpdate) Key {
	return Key{
		Framework: ids.FrameworkID(u.GetFrameworkId().GetValue()),
		Task:      ids.TaskID(u.GetStatus().GetTaskId().GetValue()),
	}
}
