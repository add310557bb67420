package sim

import (
	"fmt"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
)

// A schedulerNode is a framework's scheduler: it wants to run so many tasks, and
// remembers, also when its process dies, what it has launched and what it was
// told. Its master's address it knows from the election.
type schedulerNode struct {
	w           *world
	name        string
	traits      traits
	id          ids.FrameworkID // "" until it knows
	reborn      int             // how often it had to begin as a new framework
	leader      *masterNode
	alive       bool
	life        int
	stream      *stream // nil: not subscribed
	trying      bool
	gone        bool // it wants nothing any more
	todo        int  // tasks to launch yet
	made        int  // tasks, ever
	tasks       map[ids.TaskID]*wanted
	order       []*wanted
	current     []*wanted // of the framework that it is now
	offers      map[string]*mesos.Offer
	held        []string // IDs of offers, in order
	execs       map[ids.AgentID]*mesos.ExecutorInfo
	nexec       int
	noperations int
	hoard       bool // keeps what it is offered, and wants no tasks
	quiet       bool // has suppressed offers
	robbed      bool // was told that tasks are lost with their agent, which may come back
	backoff     time.Duration
}

// traits are what a framework is like.
type traits struct {
	checkpoint, partitionAware, multiRole, killing bool
	custom, groups                                 bool // executors of its own; task groups for them
	roles                                          []string
	failover                                       time.Duration
	teardown                                       bool // when all is done
	slowAcks                                       bool
}

// wanted is a task as its scheduler sees it.
type wanted struct {
	id        ids.TaskID
	framework ids.FrameworkID
	agent     *mesos.AgentID
	launch    launchState
	state     mesos.TaskState
	told      bool // has been told of any state
	over      bool
	unknown   bool // the master says so
	kill      bool
	since     time.Time
	heard     time.Time
	seen      map[string]bool // uuids of the updates it was sent
}

// launchState is what a scheduler knows of its ACCEPT.
type launchState uint8

const (
	sent     launchState = iota // no answer yet
	taken                       // 202
	doubtful                    // the call failed; it may have been done
	refused                     // it was not done
)

func newScheduler(w *world, i int) *schedulerNode {
	r := w.rand("framework config")
	s := &schedulerNode{
		w: w, name: fmt.Sprintf("s%d", i), todo: w.plan.Tasks,
		tasks: map[ids.TaskID]*wanted{}, offers: map[string]*mesos.Offer{}, execs: map[ids.AgentID]*mesos.ExecutorInfo{},
		traits: traits{
			checkpoint:     r.IntN(4) > 0,
			partitionAware: r.IntN(2) == 0,
			multiRole:      r.IntN(2) == 0,
			killing:        r.IntN(2) == 0,
			custom:         r.IntN(3) == 0,
			groups:         r.IntN(2) == 0,
			roles:          [][]string{{"*"}, {"blue"}, {"green"}, {"blue/sky"}}[r.IntN(4)],
			failover:       []time.Duration{0, 5 * time.Second, 10 * time.Minute, 24 * time.Hour}[r.IntN(4)],
			teardown:       r.IntN(6) == 0,
			slowAcks:       r.IntN(4) == 0,
		},
	}
	if s.traits.multiRole && r.IntN(2) == 0 {
		s.traits.roles = append(s.traits.roles, "violet")
	}
	w.net.add(s.name, s)
	return s
}

func (s *schedulerNode) up() bool { return s.alive }

// exited implements [node]; schedulers have no links.
func (s *schedulerNode) exited(string) {}

// info describes the framework.
func (s *schedulerNode) info() *mesos.FrameworkInfo {
	t := s.traits
	info := &mesos.FrameworkInfo{
		User: new("nobody"), Name: &s.name, Checkpoint: &t.checkpoint, FailoverTimeout: new(t.failover.Seconds()),
		Hostname: new(s.name + ".test"),
	}
	if s.id != "" {
		info.Id = &mesos.FrameworkID{Value: (*string)(new(s.id))}
	}
	can := func(c mesos.FrameworkInfo_Capability_Type, really bool) {
		if really {
			info.Capabilities = append(info.Capabilities, &mesos.FrameworkInfo_Capability{Type: c.Enum()})
		}
	}
	can(mesos.FrameworkInfo_Capability_PARTITION_AWARE, t.partitionAware)
	can(mesos.FrameworkInfo_Capability_MULTI_ROLE, t.multiRole)
	can(mesos.FrameworkInfo_Capability_TASK_KILLING_STATE, t.killing)
	can(mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT, t.multiRole)
	if t.multiRole {
		info.Roles = t.roles
	} else {
		info.Role = &t.roles[0]
	}
	return info
}

// start starts the process.
func (s *schedulerNode) start() {
	if s.alive || s.gone {
		return
	}
	s.alive = true
	s.life++
	s.w.note("%s    starts, life %d", s.name, s.life)
	s.backoff = 10 * time.Second
	s.reconcileLater()
	s.killLater()
	s.connect()
}

// die ends the process at once; what it remembers stays.
func (s *schedulerNode) die() {
	if !s.alive {
		return
	}
	s.w.note("%s    dies", s.name)
	s.alive = false
	s.life++
	if s.stream != nil {
		s.stream.broken()
	}
	s.lost()
	s.w.after(s.w.between("start", 50*time.Millisecond, 20*time.Second), s.start)
}

// detected tells who leads.
func (s *schedulerNode) detected(leader *masterNode) {
	if s.leader == leader {
		return
	}
	s.leader = leader
	if s.alive && s.stream != nil && s.stream.master != leader {
		s.stream.broken()
	}
	s.connect()
}

// after does something later, if the process is still there.
func (s *schedulerNode) after(d time.Duration, do func()) {
	life := s.life
	s.w.after(d, func() {
		if s.life == life && s.alive {
			do()
		}
	})
}

// connect subscribes, unless it has.
func (s *schedulerNode) connect() {
	if !s.alive || s.gone || s.stream != nil || s.leader == nil {
		return
	}
	st := openStream(s, s.leader)
	s.stream = st
	call := &schedulerpb.Call_Subscribe{FrameworkInfo: s.info()}
	s.w.note("%s    subscribes with %s as %q", s.name, st.master.name, s.id)
	s.w.net.send(st.up, func() {
		if st.master.core == nil || st.master.life != st.masterLife {
			st.broken()
			return
		}
		st.master.tell(st.id, master.Subscribe{Peer: st.peer(), Call: call})
	})
	s.after(20*time.Second, func() {
		if s.stream == st && !st.subscribed {
			st.broken()
		}
	})
}

// lost forgets what ends with the event stream.
func (s *schedulerNode) lost() {
	s.stream = nil
	s.offers = map[string]*mesos.Offer{}
	s.held = nil
	s.quiet = false
}

// disconnected is the end of the event stream, as the scheduler sees it.
func (s *schedulerNode) disconnected() {
	s.lost()
	if s.trying {
		return
	}
	s.trying = true
	s.w.after(s.w.between("schedulers", 50*time.Millisecond, 3*time.Second), func() {
		s.trying = false
		s.connect()
	})
}

// event handles an event of the master.
func (s *schedulerNode) event(st *stream, e *schedulerpb.Event) {
	if s.stream != st || !s.alive {
		return
	}
	s.w.note("%s    <- %s %s", s.name, st.master.name, briefEvent(e))
	switch e.GetType() { //nolint:exhaustive // this framework has no use for the others
	case schedulerpb.Event_SUBSCRIBED:
		s.subscribed(st, ids.FrameworkID(e.Subscribed.FrameworkId.GetValue()))
	case schedulerpb.Event_OFFERS:
		s.offered(e.Offers.Offers)
	case schedulerpb.Event_RESCIND:
		s.forgetOffer(e.Rescind.OfferId.GetValue())
	case schedulerpb.Event_INVERSE_OFFERS:
		for _, o := range e.InverseOffers.InverseOffers {
			s.after(s.w.between("inverse offers", 0, 10*time.Second), func() { s.answerInverse(o.Id) })
		}
	case schedulerpb.Event_UPDATE:
		s.updated(e.Update.Status)
	case schedulerpb.Event_UPDATE_OPERATION_STATUS:
		s.operationUpdated(e.UpdateOperationStatus.Status)
	case schedulerpb.Event_FAILURE:
		s.failed(e.Failure)
	case schedulerpb.Event_ERROR:
		s.refusedBy(st, e.Error.GetMessage())
	}
}

func (s *schedulerNode) subscribed(st *stream, id ids.FrameworkID) {
	if s.id != "" && s.id != id {
		fail("frameworks", "%s is %s, and was subscribed as %s", s.name, s.id, id)
	}
	s.id = id
	st.subscribed = true
	s.w.history.subscribed(id)
	s.after(s.w.between("schedulers", 0, 2*time.Second), s.reconcileAll)
}

// refusedBy handles an ERROR: the framework is over, or another took its place,
// or the master was not ready.
func (s *schedulerNode) refusedBy(st *stream, why string) {
	if why == "Framework has been removed" {
		s.reborn++
		for _, t := range s.current {
			t.over = true // nobody will ever tell
		}
		s.id, s.current, s.execs = "", nil, map[ids.AgentID]*mesos.ExecutorInfo{}
	}
	st.broken()
}

// answerInverse says whether the framework will leave an agent.
func (s *schedulerNode) answerInverse(id *mesos.OfferID) {
	call := &schedulerpb.Call{
		Type:                 schedulerpb.Call_DECLINE_INVERSE_OFFERS.Enum(),
		DeclineInverseOffers: &schedulerpb.Call_DeclineInverseOffers{InverseOfferIds: []*mesos.OfferID{id}, Filters: s.filters()},
	}
	if s.w.once("inverse offers", 0.5) {
		call = &schedulerpb.Call{
			Type:                schedulerpb.Call_ACCEPT_INVERSE_OFFERS.Enum(),
			AcceptInverseOffers: &schedulerpb.Call_AcceptInverseOffers{InverseOfferIds: []*mesos.OfferID{id}, Filters: s.filters()},
		}
	}
	s.call(call, nil)
}

// failed handles a FAILURE: an executor or an agent is gone.
func (s *schedulerNode) failed(f *schedulerpb.Event_Failure) {
	delete(s.execs, ids.AgentID(f.AgentId.GetValue()))
}
