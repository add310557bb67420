package sim

import (
	"fmt"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/status"
)

// offered takes offers, and answers each in its time.
func (s *schedulerNode) offered(offers []*mesos.Offer) {
	for _, o := range offers {
		id := o.Id.GetValue()
		s.w.history.offered(s, o)
		s.offers[id] = o
		s.held = append(s.held, id)
		if s.hoard {
			continue
		}
		wait := s.w.between("schedulers", 0, 300*time.Millisecond)
		if s.w.once("schedulers", 0.1) {
			wait = s.w.between("schedulers", 0, 8*time.Second)
		}
		s.after(wait, func() { s.answer(id) })
	}
}

func (s *schedulerNode) forgetOffer(id string) {
	delete(s.offers, id)
	s.held = slices.DeleteFunc(s.held, func(held string) bool { return held == id })
}

// answer accepts an offer, if there is something to run, or declines it.
func (s *schedulerNode) answer(id string) {
	o := s.offers[id]
	if o == nil {
		return // rescinded
	}
	s.forgetOffer(id)
	p := purse{offer: o}
	if s.todo == 0 || s.w.once("schedulers", 0.2) {
		s.decline(o)
		s.suppressIfDone()
		return
	}
	before := s.operations(&p)
	ops, launched := s.launches(&p)
	if len(launched)+len(before) == 0 {
		s.decline(o)
		return
	}
	s.accept(o, append(before, ops...), launched)
}

// launches makes tasks out of what an offer has.
func (s *schedulerNode) launches(p *purse) (ops []*mesos.Offer_Operation, launched []*wanted) {
	var infos []*mesos.TaskInfo
	executor := s.executorFor(p)
	if s.traits.custom && executor == nil {
		return nil, nil
	}
	for range 1 + s.w.rand("schedulers").IntN(3) {
		rs := p.take(0.1+0.1*float64(s.w.rand("schedulers").IntN(8)), 32)
		if s.todo == 0 || rs == nil {
			break
		}
		t := s.newTask(p.offer.AgentId)
		launched = append(launched, t)
		infos = append(infos, s.taskInfo(t, rs, executor))
	}
	switch {
	case len(infos) == 0:
		return nil, nil
	case executor != nil && s.traits.groups:
		for _, info := range infos {
			info.Executor = nil
		}
		return []*mesos.Offer_Operation{{
			Type:        mesos.Offer_Operation_LAUNCH_GROUP.Enum(),
			LaunchGroup: &mesos.Offer_Operation_LaunchGroup{Executor: executor, TaskGroup: &mesos.TaskGroupInfo{Tasks: infos}},
		}}, launched
	}
	return []*mesos.Offer_Operation{{
		Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: infos},
	}}, launched
}

func (s *schedulerNode) newTask(agent *mesos.AgentID) *wanted {
	s.todo--
	s.made++
	t := &wanted{
		id: ids.TaskID(fmt.Sprintf("%s.t%d", s.name, s.made)), framework: s.id, agent: agent,
		since: s.w.now, heard: s.w.now, seen: map[string]bool{},
	}
	s.tasks[t.id] = t
	s.order = append(s.order, t)
	s.current = append(s.current, t)
	return t
}

func (s *schedulerNode) taskInfo(t *wanted, rs []*mesos.Resource, executor *mesos.ExecutorInfo) *mesos.TaskInfo {
	info := &mesos.TaskInfo{
		Name: (*string)(&t.id), TaskId: &mesos.TaskID{Value: (*string)(&t.id)}, AgentId: t.agent, Resources: rs,
		Executor: executor,
	}
	if executor == nil {
		info.Command = &mesos.CommandInfo{Value: new("true")}
	}
	return info
}

// executorFor returns the framework's executor on the offer's agent, new if
// there is none; nil if it uses none, or cannot pay for it.
func (s *schedulerNode) executorFor(p *purse) *mesos.ExecutorInfo {
	if !s.traits.custom {
		return nil
	}
	agent := ids.AgentID(p.offer.AgentId.GetValue())
	if x := s.execs[agent]; x != nil {
		for _, id := range p.offer.ExecutorIds {
			if id.GetValue() == x.ExecutorId.GetValue() {
				return x
			}
		}
	}
	rs := p.take(0.1, 32)
	if rs == nil {
		return nil
	}
	s.nexec++
	x := &mesos.ExecutorInfo{
		ExecutorId: &mesos.ExecutorID{Value: new(fmt.Sprintf("%s.x%d", s.name, s.nexec))},
		Type:       mesos.ExecutorInfo_CUSTOM.Enum(), FrameworkId: &mesos.FrameworkID{Value: (*string)(new(s.id))},
		Command: &mesos.CommandInfo{Value: new("./executor")}, Resources: rs,
	}
	s.execs[agent] = x
	return x
}

// accept launches tasks. If nobody says what became of that, the offer is
// declined, in case that it still stands, and the tasks are asked for.
func (s *schedulerNode) accept(o *mesos.Offer, ops []*mesos.Offer_Operation, launched []*wanted) {
	s.call(&schedulerpb.Call{
		Type: schedulerpb.Call_ACCEPT.Enum(),
		Accept: &schedulerpb.Call_Accept{
			OfferIds: []*mesos.OfferID{o.Id}, Operations: ops, Filters: s.filters(),
		},
	}, func(err *refusal.Error, known bool) {
		for _, t := range launched {
			s.launchAnswered(t, err, known)
		}
		if !known {
			s.decline(o)
		}
	})
}

func (s *schedulerNode) launchAnswered(t *wanted, err *refusal.Error, known bool) {
	switch {
	case !known:
		t.launch = doubtful
	case err != nil && !t.over:
		t.launch, t.over = refused, true
		s.todo++
	case err == nil:
		t.launch = taken
		if s.w.once("schedulers", 0.15) {
			s.w.after(s.w.between("schedulers", 0, 10*time.Second), func() { t.kill = true })
		}
	}
}

func (s *schedulerNode) filters() *mesos.Filters {
	return &mesos.Filters{RefuseSeconds: new(float64(s.w.rand("schedulers").IntN(6)))}
}

// decline gives an offer back, again and again until it is known to be.
func (s *schedulerNode) decline(o *mesos.Offer) {
	st := s.stream
	s.call(&schedulerpb.Call{
		Type:    schedulerpb.Call_DECLINE.Enum(),
		Decline: &schedulerpb.Call_Decline{OfferIds: []*mesos.OfferID{o.Id}, Filters: s.filters()},
	}, func(_ *refusal.Error, known bool) {
		if !known {
			s.after(time.Second, func() {
				if s.stream == st && st != nil {
					s.decline(o)
				}
			})
		}
	})
}

// suppressIfDone asks for no more offers when there is nothing to run.
func (s *schedulerNode) suppressIfDone() {
	if s.quiet || s.todo > 0 {
		return
	}
	s.quiet = true
	s.call(&schedulerpb.Call{Type: schedulerpb.Call_SUPPRESS.Enum(), Suppress: &schedulerpb.Call_Suppress{}},
		func(_ *refusal.Error, known bool) { s.quiet = s.quiet && known })
}

// updated takes a status, remembers it, and acknowledges it in its time.
func (s *schedulerNode) updated(st *mesos.TaskStatus) {
	t := s.tasks[ids.TaskID(st.TaskId.GetValue())]
	if t == nil || t.framework != s.id {
		fail("updates", "%s was told of task %s, which is not its own", s.name, st.TaskId.GetValue())
	}
	s.w.history.told(s, t, st)
	t.heard, t.told = s.w.now, true
	t.unknown = st.GetState() == mesos.TaskState_TASK_UNKNOWN
	if !t.unknown {
		t.state = st.GetState()
	}
	t.over = t.ended(st)
	s.robbed = s.robbed || t.over && st.GetReason() == mesos.TaskStatus_REASON_AGENT_REMOVED
	if len(st.Uuid) > 0 {
		t.seen[string(st.Uuid)] = true
		s.after(s.ackDelay(), func() { s.acknowledge(t, st) })
	}
	s.teardownIfDone()
}

// ended reports whether a scheduler need not wait for more of a task.
func (t *wanted) ended(st *mesos.TaskStatus) bool {
	if st.GetState() == mesos.TaskState_TASK_UNKNOWN {
		return t.launch == doubtful || t.over
	}
	return final(st.GetState())
}

func (s *schedulerNode) ackDelay() time.Duration {
	if s.traits.slowAcks && !s.w.healed {
		return s.w.between("schedulers", 0, 25*time.Second)
	}
	return s.w.between("schedulers", 0, 200*time.Millisecond)
}

func (s *schedulerNode) acknowledge(t *wanted, st *mesos.TaskStatus) {
	s.w.history.acknowledged(t, st)
	s.call(&schedulerpb.Call{
		Type:        schedulerpb.Call_ACKNOWLEDGE.Enum(),
		Acknowledge: &schedulerpb.Call_Acknowledge{AgentId: st.AgentId, TaskId: st.TaskId, Uuid: st.Uuid},
	}, nil)
}

// done reports whether all that the framework wanted to run has run.
func (s *schedulerNode) done() bool {
	return s.todo == 0 && !slices.ContainsFunc(s.current, func(t *wanted) bool { return !t.over })
}

// teardownIfDone ends the framework, if it is of that kind.
func (s *schedulerNode) teardownIfDone() {
	if !s.traits.teardown || s.gone || !s.done() {
		return
	}
	s.call(&schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()}, func(err *refusal.Error, known bool) {
		if known && err == nil {
			s.gone = true
		} else {
			s.after(5*time.Second, s.teardownIfDone)
		}
	})
}

// killLater has the tasks killed that are to be, again and again. At last those
// are that would run for ever.
func (s *schedulerNode) killLater() {
	s.after(s.w.between("schedulers", time.Second, 10*time.Second), func() {
		for _, t := range s.current {
			late := s.w.healed && s.w.now.Sub(t.since) > 2*time.Minute
			if (t.kill || late) && !t.over {
				s.killTask(t)
			}
		}
		s.killLater()
	})
}

func (s *schedulerNode) killTask(t *wanted) {
	kill := &schedulerpb.Call_Kill{TaskId: &mesos.TaskID{Value: (*string)(&t.id)}}
	if s.w.once("schedulers", 0.8) {
		kill.AgentId = t.agent
	}
	s.call(&schedulerpb.Call{Type: schedulerpb.Call_KILL.Enum(), Kill: kill}, nil)
}

// reconcileLater asks about tasks of which nothing was heard for long, with
// growing pauses; and about all if it was told that tasks are lost which may be there
// after all: with an agent that comes back to another leader, or because the store
// went back. That leader does not know that it was told so.
func (s *schedulerNode) reconcileLater() {
	s.after(s.backoff+s.w.between("schedulers", 0, s.backoff), func() {
		s.backoff = min(2*s.backoff, 2*time.Minute)
		var ask []*schedulerpb.Call_Reconcile_Task
		for _, t := range s.current {
			if !t.over && t.launch != sent && s.w.now.Sub(t.heard) > 8*time.Second {
				ask = append(ask, &schedulerpb.Call_Reconcile_Task{TaskId: &mesos.TaskID{Value: (*string)(&t.id)}, AgentId: t.agent})
			}
		}
		if len(ask) > 0 {
			s.reconcile(ask)
		}
		if s.w.history.wentBack || s.robbed {
			s.reconcile(nil)
		}
		s.reconcileLater()
	})
}

// reconcileAll asks about all tasks that the master knows.
func (s *schedulerNode) reconcileAll() {
	s.backoff = 10 * time.Second
	s.reconcile(nil)
}

func (s *schedulerNode) reconcile(tasks []*schedulerpb.Call_Reconcile_Task) {
	s.call(&schedulerpb.Call{
		Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: &schedulerpb.Call_Reconcile{Tasks: tasks},
	}, nil)
}

// final reports whether a task in the state is over for good.
func final(state mesos.TaskState) bool { return status.IsTerminal(state) }
