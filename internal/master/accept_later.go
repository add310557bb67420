package master

import (
	"fmt"
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// A backlog is an ACCEPT of a framework's that is done a part at a time, and what has
// come from the framework since. That waits, so that all is as if the ACCEPT had
// been done at once; and nothing is offered before all of it is done.
//
//	ACCEPT, of very much ─▶ accepting ─▶ what waits is done in its order ─▶ (no backlog)
//	                            ▲                        │ ACCEPT, of very much
//	                            └────────────────────────┘
type backlog struct {
	framework *framework
	accepting *acceptance // nil: it is done in whole
	waits     []Input
	size      int // of waits, as sizeOf counts
}

// maxBacklog is the size of what may wait for a framework's ACCEPT. More is refused.
const maxBacklog = maxNamed

// acceptLater does an ACCEPT a part at a time.
func (m *Master) acceptLater(x *acceptance) {
	f := x.framework
	if f.backlog == nil {
		f.backlog = &backlog{framework: f}
		m.backlogs = append(m.backlogs, f.backlog)
	}
	f.backlog.accepting = x
}

// acceptSome goes on with backlogs, the first come first; each gets one ACCEPT done in
// its turn. It may cost as much as to look at budget offers, and returns how many of
// them are left.
func (m *Master) acceptSome(budget int) (left int) {
	for len(m.backlogs) > 0 {
		b := m.backlogs[0]
		if b.accepting != nil && !m.acceptPart(b.accepting, &budget) {
			return 0
		}
		b.accepting = nil
		for b.accepting == nil && len(b.waits) > 0 {
			in := b.waits[0]
			if !turn(&budget, m.costOf(in)) {
				return 0
			}
			b.waits[0] = nil
			b.waits, b.size = b.waits[1:], b.size-sizeOf(in)
			m.handle(in)
		}
		m.backlogs = m.backlogs[1:]
		if b.accepting != nil {
			m.backlogs = append(m.backlogs, b)
		} else {
			b.framework.backlog = nil
		}
	}
	return max(0, budget)
}

// acceptPart goes on with an ACCEPT, and reports whether it is done in whole.
func (m *Master) acceptPart(x *acceptance, budget *int) (whole bool) {
	if x.agent != nil { // tasks may have ended, and others have converted something
		x.held = x.remaining.Add(x.resized)
		x.scattered = pieces(x.held) + pieces(x.agent.row.Allocated) + pieces(x.agent.row.Total)
		x.at.Checkpointed = x.agent.row.Total.NeedingCheckpoint()
	}
	whole = m.goOnAccepting(x, budget)
	if !whole && x.agent != nil {
		m.settle(x)
	}
	return whole
}

// backlogOf returns the backlog that an input has to wait for, or nil. A call that is
// refused anyway is refused now.
func (m *Master) backlogOf(in Input) *backlog {
	if len(m.backlogs) == 0 {
		return nil
	}
	var id *mesos.FrameworkID
	switch in := in.(type) {
	case SchedulerCall:
		if _, err := m.caller(in); err != nil {
			return nil
		}
		id = in.Call.GetFrameworkId()
	case Subscribe:
		id = in.Call.GetFrameworkInfo().GetId()
	case DriverStopped:
		id = frameworkID(in.Framework)
	case PeerClosed:
		return m.backlogOfConn(in.Conn)
	default:
		return nil
	}
	if f := m.frameworks[ids.FrameworkID(id.GetValue())]; f != nil {
		return f.backlog
	}
	return nil
}

// backlogOfConn returns the backlog that the end of a stream has to wait for: that of
// its framework, or of one for which the stream waits to subscribe.
func (m *Master) backlogOfConn(conn ConnID) *backlog {
	if f := m.conns[conn]; f != nil {
		return f.backlog
	}
	for _, b := range m.backlogs {
		for _, in := range b.waits {
			if s, ok := in.(Subscribe); ok && s.Peer.Conn == conn {
				return b
			}
		}
	}
	return nil
}

// wait has an input wait for a backlog. Each stream ends once, so of those there are
// no more than of subscriptions.
func (m *Master) wait(b *backlog, in Input) {
	if b.size > maxBacklog {
		busy := fmt.Sprintf("The master is busy with an ACCEPT of the framework's, for which %d calls wait; try again in a moment", len(b.waits))
		switch in := in.(type) {
		case SchedulerCall:
			m.reply(in.Request, refusal.Unavailablef("%s", busy))
			return
		case Subscribe:
			m.turnAway(in.Peer, busy)
			return
		case DriverStopped:
			m.log.Warn("dropping DeactivateFrameworkMessage", slog.String("framework_id", string(in.Framework)), slog.String("reason", busy))
			return
		}
	}
	b.waits, b.size = append(b.waits, in), b.size+sizeOf(in)
}

// turnAway has who subscribes try again: an ERROR would be the end of it.
func (m *Master) turnAway(peer Peer, why string) {
	if peer.Driver == "" {
		m.emit(CloseFramework{peer})
	}
	m.log.Warn("dropping SUBSCRIBE", slog.String("reason", why))
}

// sizeOf returns how much of the memory something takes that waits, as counted in
// names of offers, tasks and operations; a message takes as much as one for 64 bytes.
func sizeOf(in Input) int {
	n := 1000
	if in, ok := in.(SchedulerCall); ok {
		call := in.Call
		n += len(call.GetDecline().GetOfferIds()) + len(call.GetReconcile().GetTasks()) +
			len(call.GetAccept().GetOfferIds()) + countTasks(call.GetAccept().GetOperations(), maxBacklog) +
			len(call.GetAcceptInverseOffers().GetInverseOfferIds()) + len(call.GetDeclineInverseOffers().GetInverseOfferIds()) +
			len(call.GetReconcileOperations().GetOperations()) + len(call.GetMessage().GetData())/64
	}
	return n
}

// costOf returns what it costs to do what has waited, beside what of it is done a part
// at a time, in looks at offers.
func (m *Master) costOf(in Input) int {
	call, ok := in.(SchedulerCall)
	if !ok {
		return 8
	}
	n := countTasks(call.Call.GetAccept().GetOperations(), m.few())
	if n > m.few() { // it has a turn of its own
		n = 0
	}
	return 8 + 4*n
}

// few is how many tasks are launched at once, at most, and how many an agent may have
// that comes or goes at once.
func (m *Master) few() int { return m.cfg.AllocationBudget / 2 }

// atOnce reports whether so much on an agent is few, and takes what it costs from a
// budget: more than there is left of it, if need be.
func (m *Master) atOnce(n int, budget *int) bool {
	if n > m.few() {
		return false
	}
	*budget -= 4 * n
	return true
}

// breakOff fails what is left of the ACCEPTs of an agent that is not what it was: it
// has gone away, or has registered again. What is left of their offers is free.
func (m *Master) breakOff(a *agent) {
	for _, b := range m.backlogs {
		if x := b.accepting; x != nil && x.agent == a {
			m.finish(x, nil)
			x.agent = nil
			if !x.checked && x.fails == nil { // of the one looked at, no task has been told
				x.task = 0
			}
			x.fail = b.framework.lost(mesos.TaskStatus_REASON_AGENT_DISCONNECTED, "Agent disconnected", "Agent disconnected")
		}
	}
}

// abandon gives up the ACCEPT of a framework that is over. There is nobody to tell,
// and who waits is told that by and by.
func (m *Master) abandon(f *framework) {
	if b := f.backlog; b != nil && b.accepting != nil {
		m.finish(b.accepting, nil)
		b.accepting = nil
	}
}

// accepts reports whether an ACCEPT for an agent is not done in whole.
func (m *Master) accepts(id ids.AgentID) bool {
	for _, b := range m.backlogs {
		if x := b.accepting; x != nil && x.agent != nil && x.agent.id == id {
			return true
		}
	}
	return false
}
