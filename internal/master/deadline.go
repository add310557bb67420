package master

import (
	"container/heap"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
)

// Everything that happens by itself is a deadline on one heap. Each belongs to
// a thing that keeps a pointer to it and cancels it, so there are never more
// than there are things. Those of the same time fire in the order in which
// they were set.

// A deadlineKind says what happens.
type deadlineKind uint8

const (
	pingAgent      deadlineKind = iota // agent: its last ping should be answered
	agentAway                          // agent: it has been disconnected for too long
	frameworkAway                      // framework: its failover timeout is over
	offerExpired                       // offer: it was not answered in time
	inverseExpired                     // offer: an inverse one, the same
	recoveryOver                       // agents of an earlier leader had time to come back
	registryGC                         // forget old unreachable and gone agents
	removalAllowed                     // the rate limit lets another agent be given up
	rankDue                            // the allocation policy is to be asked
	rankOverdue                        // it has not answered
	reclaimDue                         // it is to be looked who is below a guarantee
)

type deadline struct {
	at        time.Time
	seq       uint64
	kind      deadlineKind
	agent     ids.AgentID
	framework ids.FrameworkID
	offer     ids.OfferID
	index     int // in the heap, -1 if not there
}

// deadlines is a heap for container/heap.
type deadlines []*deadline

func (h deadlines) Len() int { return len(h) }

func (h deadlines) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}

func (h deadlines) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *deadlines) Push(x any) {
	d := x.(*deadline)
	d.index = len(*h)
	*h = append(*h, d)
}

func (h *deadlines) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	d.index = -1
	return d
}

// after sets d, which says what is to happen, for that much later.
func (m *Master) after(delay time.Duration, d deadline) *deadline {
	m.deadlineSeq++
	d.at, d.seq = m.now.Add(delay), m.deadlineSeq
	heap.Push(&m.deadlines, &d)
	return &d
}

// cancel undoes after; nil and what has fired are passed over.
func (m *Master) cancel(d *deadline) {
	if d != nil && d.index >= 0 {
		heap.Remove(&m.deadlines, d.index)
	}
}

// fireMost is how many deadlines are met in a step: tens of thousands of agents, or
// offers, may have the same one. The others are due in the next.
const fireMost = 250

// fire does what is due by now.
func (m *Master) fire() {
	for n := 0; n < fireMost && len(m.deadlines) > 0 && !m.deadlines[0].at.After(m.now); n++ {
		m.happen(heap.Pop(&m.deadlines).(*deadline))
	}
}

func (m *Master) happen(d *deadline) {
	switch d.kind {
	case pingAgent:
		m.pingTimeout(m.agents[d.agent])
	case agentAway:
		m.agentAwayTooLong(m.agents[d.agent])
	case frameworkAway:
		m.frameworkAwayTooLong(m.frameworks[d.framework])
	case offerExpired:
		m.offerTimeout(m.offers[d.offer])
	case inverseExpired:
		m.rescindInverse(m.inverse[d.offer])
	case recoveryOver:
		m.recoveryTimeout()
	case registryGC:
		m.collectGarbage()
	case removalAllowed:
		m.removalTurn()
	case rankDue:
		m.rankDue()
	case rankOverdue:
		m.rankingOverdue()
	case reclaimDue:
		m.reclaimDue()
	default:
		invariant.Fail("unknown kind of deadline", "kind", d.kind)
	}
}

// nextDeadline returns when something is due, or zero.
func (m *Master) nextDeadline() time.Time {
	if len(m.deadlines) == 0 {
		return time.Time{}
	}
	return m.deadlines[0].at
}
