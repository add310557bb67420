package sim

import (
	"fmt"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/refusal"
)

// A stream is a scheduler's connection to a master: events one way, calls the
// other. Its two ends learn at different times that it is broken.
type stream struct {
	scheduler  *schedulerNode
	master     *masterNode
	masterLife int
	conn       master.ConnID
	id         string
	down, up   *pipe
	subscribed bool
	over       bool
	pending    []func() // the calls that wait for an answer: what to do if it never comes
}

func openStream(s *schedulerNode, m *masterNode) *stream {
	st := &stream{
		scheduler: s, master: m, masterLife: m.life,
		down: &pipe{from: m.name, to: s.name}, up: &pipe{from: s.name, to: m.name},
	}
	m.conns++
	st.conn, st.id = m.conns, fmt.Sprintf("%s-%d-%d", m.name, m.life, m.conns)
	if m.core != nil {
		m.streams[st.conn] = st
	}
	s.w.net.streams = append(s.w.net.streams, st)
	return st
}

func (st *stream) peer() master.Peer { return master.Peer{Conn: st.conn, StreamID: st.id} }

// deliver sends the scheduler an event.
func (st *stream) deliver(e *schedulerpb.Event) {
	st.scheduler.w.net.send(st.down, func() { st.scheduler.event(st, e) })
}

// hangUp is the master's end of the stream, after what was sent on it.
func (st *stream) hangUp() {
	delete(st.master.streams, st.conn)
	st.scheduler.w.net.send(st.down, st.broken)
}

// broken breaks the stream: what is under way is lost, and both ends will
// notice.
func (st *stream) broken() {
	if st.over {
		return
	}
	st.over = true
	st.down.cut, st.up.cut = true, true
	w := st.scheduler.w
	w.net.streams = remove(w.net.streams, st)
	w.after(w.between("delays", 0, 2*time.Second), func() {
		if st.master.life == st.masterLife && st.master.core != nil && st.master.streams[st.conn] == st {
			delete(st.master.streams, st.conn)
			st.master.tell(st.id, master.PeerClosed{Conn: st.conn})
		}
	})
	w.after(w.between("delays", 0, 500*time.Millisecond), func() {
		for _, unanswered := range st.pending {
			unanswered()
		}
		st.pending = nil
		if st.scheduler.stream == st {
			st.scheduler.disconnected()
		}
	})
}

func remove(all []*stream, st *stream) []*stream {
	var left []*stream
	for _, s := range all {
		if s != st {
			left = append(left, s)
		}
	}
	return left
}

// call makes a call. done, unless nil, hears of the answer; known is false if
// none came, and the call was done or not.
func (s *schedulerNode) call(call *schedulerpb.Call, done func(err *refusal.Error, known bool)) {
	if done == nil {
		done = func(*refusal.Error, bool) {}
	}
	st := s.stream
	if st == nil || !st.subscribed || !s.alive {
		done(refusal.Unavailablef("not subscribed"), true)
		return
	}
	call.FrameworkId = &mesos.FrameworkID{Value: (*string)(new(s.id))}
	answered := false
	answer := func(err *refusal.Error, known bool) {
		if !answered {
			answered = true
			done(err, known)
		}
	}
	st.pending = append(st.pending, func() { answer(nil, false) })
	w := s.w
	if w.suffers(CallLoss, 0.15) {
		lost := w.between("delays", 0, time.Second)
		if w.once("delays", 0.5) {
			w.after(lost, func() { answer(nil, false) })
			return
		}
		w.net.send(st.up, func() {
			st.submit(call, func(master.Reply) { w.after(lost, func() { answer(nil, false) }) })
		})
		return
	}
	w.net.send(st.up, func() {
		st.submit(call, func(r master.Reply) {
			w.net.send(st.down, func() { answer(r.Err, true) })
		})
	})
}

// submit has the master hear a call.
func (st *stream) submit(call *schedulerpb.Call, done func(master.Reply)) {
	m := st.master
	if m.core == nil || m.life != st.masterLife {
		st.broken()
		return
	}
	m.w.note("%s    <- %s %s", m.name, st.scheduler.name, briefSchedulerCall(call))
	m.w.history.asks(call)
	m.requests++
	m.calls[m.requests] = done
	m.tell("calls of "+st.id, master.SchedulerCall{Request: m.requests, Peer: st.peer(), Call: call})
}

// A purse is what is left of an offer.
type purse struct {
	offer *mesos.Offer
	left  []*mesos.Resource
}

// take takes CPUs and memory, in MB, out of the purse; nil if there is not
// enough.
func (p *purse) take(cpus, mem float64) []*mesos.Resource {
	p.all()
	if p.sum("cpus") < cpus-1e-9 || p.sum("mem") < mem-1e-9 {
		return nil
	}
	return append(p.carve("cpus", cpus), p.carve("mem", mem)...)
}

func (p *purse) sum(name string) (sum float64) {
	for _, r := range p.left {
		if r.GetName() == name {
			sum += r.GetScalar().GetValue()
		}
	}
	return sum
}

func (p *purse) carve(name string, want float64) (out []*mesos.Resource) {
	for _, r := range p.left {
		n := milli(min(want, r.GetScalar().GetValue()))
		if r.GetName() != name || n <= 0 {
			continue
		}
		c := r.CloneVT()
		c.Scalar.Value = new(n)
		r.Scalar.Value = new(milli(r.GetScalar().GetValue() - n))
		out = append(out, c)
		want = milli(want - n)
	}
	return out
}

// milli rounds to thousandths.
func milli(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }
