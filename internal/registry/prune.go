package registry

import (
	"cmp"
	"container/heap"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// Prune forgets unreachable and gone agents that need not be remembered longer:
// those marked more than maxAge before now, and of each list the oldest beyond
// maxCount. It forgets at most so many as budget, more than 0, the oldest first,
// and returns which of them were unreachable; if there are no changes it is through.
func (r *Registry) Prune(now time.Time, maxAge time.Duration, maxCount, budget int) (unreachable []ids.AgentID, changes []Change) {
	oldest := now.Add(-maxAge).UnixNano()
	for ; budget > 0 && r.unreachable.expired(oldest, maxCount); budget-- {
		id := r.unreachable.first()
		r.unreachable.remove(id)
		unreachable, changes = append(unreachable, id), append(changes, Change{keyUnreachable(id), nil})
	}
	for ; budget > 0 && r.gone.expired(oldest, maxCount); budget-- {
		id := r.gone.first()
		r.gone.remove(id)
		changes = append(changes, Change{keyGone(id), nil})
	}
	return unreachable, changes
}

// marks are agents that were marked as something, as what is recorded of each.
type marks[V marked] struct {
	of     map[ids.AgentID]*mark[V]
	byTime marksByTime[V]
}

type marked interface {
	GetTimestamp() *mesos.TimeInfo
}

type mark[V marked] struct {
	id     ids.AgentID
	at     int64 // since the epoch, in nanoseconds
	record V
	place  int // among the marks by time
}

func newMarks[V marked]() marks[V] { return marks[V]{of: map[ids.AgentID]*mark[V]{}} }

func (ms *marks[V]) get(id ids.AgentID) (record V, ok bool) {
	m := ms.of[id]
	if m == nil {
		return record, false
	}
	return m.record, true
}

func (ms *marks[V]) set(id ids.AgentID, record V) {
	ms.remove(id)
	m := &mark[V]{id: id, at: record.GetTimestamp().GetNanoseconds(), record: record}
	ms.of[id] = m
	heap.Push(&ms.byTime, m)
}

func (ms *marks[V]) remove(id ids.AgentID) {
	if m := ms.of[id]; m != nil {
		delete(ms.of, id)
		heap.Remove(&ms.byTime, m.place)
	}
}

// expired reports whether the first mark, if there is one, is to be forgotten.
func (ms *marks[V]) expired(oldest int64, maxCount int) bool {
	return len(ms.byTime) > 0 && (len(ms.byTime) > maxCount || ms.byTime[0].at < oldest)
}

// first returns the agent that was marked first.
func (ms *marks[V]) first() ids.AgentID { return ms.byTime[0].id }

// records returns what is recorded, in the order of IDs.
func (ms *marks[V]) records() []V {
	all := make([]V, 0, len(ms.of))
	for _, m := range values(ms.of) {
		all = append(all, m.record)
	}
	return all
}

// marksByTime is a heap of marks, the first made first.
type marksByTime[V marked] []*mark[V]

// Len, Less, Swap, Push and Pop are for package heap.
func (q marksByTime[V]) Len() int { return len(q) }

func (q marksByTime[V]) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].at, q[j].at), cmp.Compare(q[i].id, q[j].id)) < 0
}

func (q marksByTime[V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *marksByTime[V]) Push(x any) {
	m := x.(*mark[V])
	m.place = len(*q)
	*q = append(*q, m)
}

func (q *marksByTime[V]) Pop() any {
	last := len(*q) - 1
	m := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return m
}
