package sim

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/role"
)

// A history is what the checkers know: what has happened, as seen from outside
// the cores. They end the run when something happens that must never.
type history struct {
	w             *world
	counts        Counts
	sandboxes     map[string]bool
	containers    map[ids.ContainerID]bool
	tasks         map[taskKey]*taskHistory
	order         []*taskHistory
	offers        map[string]*offerHistory
	asked         map[ids.TaskID][]string // the offers that a task was to be launched with
	admitted      map[ids.AgentID]bool
	heard         map[ids.AgentID]bool // that it was admitted, by the agent
	left          map[ids.AgentID]bool // said goodbye, or was replaced
	gone          map[ids.AgentID]bool
	shut          map[string]float64 // agent's name/framework → when a leader last had it shut down there
	frameworks    map[ids.FrameworkID]bool
	durable       uint64                 // the latest version of the store that a master was told it has made
	barred        map[ids.AgentID]*bar   // drained or deactivated
	barredGone    map[ids.AgentID]int    // marked gone, likewise
	reactivations map[ids.AgentID]int    // how often it was to be offered again
	home          map[ids.AgentID]string // the host that an agent was admitted at
	down          map[string]bool        // hosts that were taken down, once
	wentBack      bool                   // the store has
	inverse       map[string]bool        // inverse offers that were made → rescinded
	quotaAsked    int                    // how often quotas were asked for
	killAsked     map[taskKey]bool       // by its framework
	kills         kills
}

// Counts is how much of what a run has seen.
type Counts struct {
	Launched, Ended, Updates, Offers, Accepted, Rescinded, Quotas, Operations, Revoked int
	Barred, Gone, Inverse                                                              int
}

// taskHistory is what became of one task.
type taskHistory struct {
	key      taskKey
	started  int // processes
	running  int
	machine  string
	since    float64          // when it came to an agent
	cutOff   float64          // when the scheduler was last told that it is unreachable
	accepted []acceptedUpdate // by an agent, from the executor, in order
	told     []string         // uuids of what the scheduler was told, in order
	isTold   map[string]bool
	acked    map[string]bool // by the scheduler
	final    bool            // the scheduler was told of the end
	last     mesos.TaskState // as it was then
	finalAt  float64         // timestamp of the status that said so
}

type acceptedUpdate struct {
	uuid  string
	state mesos.TaskState
	at    float64
	safe  bool // the framework checkpoints
}

type offerHistory struct {
	agent     string
	accepted  bool
	rescinded bool
}

func newHistory(w *world) *history {
	return &history{
		w: w, sandboxes: map[string]bool{}, containers: map[ids.ContainerID]bool{}, tasks: map[taskKey]*taskHistory{},
		offers: map[string]*offerHistory{}, asked: map[ids.TaskID][]string{}, admitted: map[ids.AgentID]bool{}, heard: map[ids.AgentID]bool{}, left: map[ids.AgentID]bool{},
		barred: map[ids.AgentID]*bar{}, barredGone: map[ids.AgentID]int{}, reactivations: map[ids.AgentID]int{}, home: map[ids.AgentID]string{}, down: map[string]bool{}, inverse: map[string]bool{},
		gone: map[ids.AgentID]bool{}, shut: map[string]float64{}, frameworks: map[ids.FrameworkID]bool{}, killAsked: map[taskKey]bool{},
	}
}

func (h *history) task(k taskKey) *taskHistory {
	t := h.tasks[k]
	if t == nil {
		t = &taskHistory{key: k, isTold: map[string]bool{}, acked: map[string]bool{}}
		h.tasks[k] = t
		h.order = append(h.order, t)
	}
	return t
}

// launched: containers and sandboxes are never used twice.
func (h *history) launched(spec *agent.ContainerSpec) {
	if h.containers[spec.Run.Container] || h.sandboxes[spec.Sandbox] {
		fail("containers", "container %s is used twice, or its sandbox %s", spec.Run.Container, spec.Sandbox)
	}
	h.containers[spec.Run.Container], h.sandboxes[spec.Sandbox] = true, true
}

// processStarted: no task is started twice.
func (h *history) processStarted(k taskKey, machine string) {
	t := h.task(k)
	t.started++
	t.running++
	h.counts.Launched++
	h.w.note("%s    task %s runs", machine, k.task)
	if t.started > 1 {
		fail("launched twice", "task %s of %s was started on %s, and now on %s", k.task, k.framework, t.machine, machine)
	}
	t.machine = machine
}

func (h *history) processEnded(k taskKey) {
	t := h.task(k)
	t.running--
	h.counts.Ended++
}

// accepted notes that an agent has told an executor that an update is safe.
func (h *history) accepted(k taskKey, s *mesos.TaskStatus, safe bool) {
	t := h.task(k)
	t.accepted = append(t.accepted, acceptedUpdate{string(s.Uuid), s.GetState(), s.GetTimestamp(), safe})
}

// acknowledged notes that a scheduler acknowledges a status.
func (h *history) acknowledged(t *wanted, s *mesos.TaskStatus) {
	h.task(taskKey{t.framework, t.id}).acked[string(s.Uuid)] = true
}

// told: the scheduler is told of updates in their order, each only when those
// before are acknowledged, and of nothing else after the end.
func (h *history) told(s *schedulerNode, want *wanted, st *mesos.TaskStatus) {
	t := h.task(taskKey{want.framework, want.id})
	h.counts.Updates++
	h.toldGone(s, want, st)
	if st.GetState() == mesos.TaskState_TASK_UNREACHABLE {
		t.cutOff = h.w.seconds()
	}
	lost := t.last == mesos.TaskState_TASK_LOST && (!s.traits.partitionAware || h.away(ids.AgentID(want.agent.GetValue()))) ||
		t.last == mesos.TaskState_TASK_GONE_BY_OPERATOR && h.wentBack
	if t.final && st.GetState() != t.last && !lost && !forgotten(st) {
		fail("terminal is final", "%s was told that %s is %s, and now %s", s.name, want.id, t.last, st.GetState())
	}
	if final(st.GetState()) && !forgotten(st) {
		t.final, t.last, t.finalAt = true, st.GetState(), st.GetTimestamp()
	}
	uuid := string(st.Uuid)
	if uuid == "" || t.isTold[uuid] {
		return
	}
	for _, before := range t.told {
		if !t.acked[before] && s.traits.checkpoint && (!final(st.GetState()) || !t.final) && !h.w.replaced(want) {
			fail("updates in order", "%s was told %s of %s before it had acknowledged another", s.name, st.GetState(), want.id)
		}
	}
	t.isTold[uuid] = true
	t.told = append(t.told, uuid)
	h.inOrder(t)
}

// toldGone: who cannot know what it is that a task is gone is told that it is lost.
func (h *history) toldGone(s *schedulerNode, want *wanted, st *mesos.TaskStatus) {
	byOperator := st.GetReason() == mesos.TaskStatus_REASON_AGENT_REMOVED_BY_OPERATOR
	if st.GetState() == mesos.TaskState_TASK_GONE_BY_OPERATOR && !s.traits.partitionAware ||
		st.GetState() == mesos.TaskState_TASK_LOST && byOperator {
		fail("gone", "%s, PARTITION_AWARE %t, is told that %s is %s, %s", s.name, s.traits.partitionAware, want.id, st.GetState(), st.GetReason())
	}
}

// away reports whether an agent has left, or was sent away with its machine:
// what it had to say is of no concern any more.
func (h *history) away(id ids.AgentID) bool { return h.left[id] || h.down[h.home[id]] }

// forgotten reports whether a status is the answer of a master that has a task
// on no book any more, to a scheduler that asked before it had heard of the end.
func forgotten(st *mesos.TaskStatus) bool {
	if st.GetReason() != mesos.TaskStatus_REASON_RECONCILIATION || len(st.Uuid) > 0 {
		return false
	}
	return slices.Contains([]mesos.TaskState{
		mesos.TaskState_TASK_UNKNOWN, mesos.TaskState_TASK_UNREACHABLE, mesos.TaskState_TASK_GONE,
		mesos.TaskState_TASK_GONE_BY_OPERATOR, mesos.TaskState_TASK_LOST,
	}, st.GetState())
}

// inOrder: what the scheduler was told of an executor's updates is in the order
// in which the agent accepted them.
func (h *history) inOrder(t *taskHistory) {
	next := 0
	for _, uuid := range t.told {
		for i, u := range t.accepted {
			if u.uuid != uuid {
				continue
			}
			if i < next {
				fail("updates in order", "task %s: %s came after a later one", t.key.task, u.state)
			}
			next = i
		}
	}
}

// offered: what is reserved is offered to its role only.
func (h *history) offered(s *schedulerNode, o *mesos.Offer) {
	h.counts.Offers++
	to := s.traits.roles[0]
	if o.AllocationInfo != nil {
		to = o.AllocationInfo.GetRole()
	}
	for _, r := range o.Resources {
		reserved := r.GetRole()
		if n := len(r.Reservations); n > 0 {
			reserved = r.Reservations[n-1].GetRole()
		}
		if reserved != "" && reserved != "*" && reserved != to && !role.IsStrictSubrole(to, reserved) {
			fail("reservations", "%s of role %s was offered %s of role %s", s.name, to, r.GetName(), reserved)
		}
	}
}

// masterSends looks at what a master says: an offer is not accepted and
// rescinded both, and an agent is told that it is admitted when it is.
func (h *history) masterSends(m *masterNode, msg master.Message) {
	switch msg := msg.(type) {
	case master.ToFramework:
		h.masterTells(m, msg.Event)
		if st := msg.Event.GetUpdate().GetStatus(); st != nil && m.streams[msg.Peer.Conn] != nil {
			h.deniable(m.streams[msg.Peer.Conn].scheduler, st)
		}
	case master.ToProcess:
		h.agentIsTold(m, msg)
	}
}

// agentIsTold looks at what a master says to an agent.
func (h *history) agentIsTold(m *masterNode, to master.ToProcess) {
	switch msg := to.Message.(type) {
	case *messages.SlaveRegisteredMessage:
		id := ids.AgentID(msg.SlaveId.GetValue())
		h.welcomed(m, id)
		h.admitted[id] = true
		if name := h.at(id); name != "" {
			h.home[id] = name + ".test"
		}
		h.recorded(id)
	case *messages.SlaveReregisteredMessage:
		h.welcomed(m, ids.AgentID(msg.SlaveId.GetValue()))
	case *messages.ApplyOperationMessage:
		if msg.FrameworkId != nil {
			h.counts.Operations++
		}
	case *messages.KillTaskMessage:
		h.killSent(m, taskKey{ids.FrameworkID(msg.FrameworkId.GetValue()), ids.TaskID(msg.TaskId.GetValue())})
	case *messages.RunTaskMessage:
		h.launchedBy(ids.TaskID(msg.Task.TaskId.GetValue()))
		h.launchable(m, ids.AgentID(msg.Task.AgentId.GetValue()), "launches a task on")
	case *messages.RunTaskGroupMessage:
		for _, t := range msg.TaskGroup.Tasks {
			h.launchable(m, ids.AgentID(t.AgentId.GetValue()), "launches a task on")
		}
	}
}

// deniable: no task is denied that runs on an agent that belongs to the cluster.
func (h *history) deniable(s *schedulerNode, st *mesos.TaskStatus) {
	t := h.tasks[taskKey{s.id, ids.TaskID(st.TaskId.GetValue())}]
	if t == nil || t.running == 0 || !forgotten(st) {
		return
	}
	if t.cutOff > 0 && t.since > t.cutOff {
		return // it came so late that the agent was unreachable and back: the agent has yet to say that it has it
	}
	if agent := st.AgentId.GetValue(); h.w.store.records["agents/"+agent] != nil {
		fail("reconciliation", "%s is told that %s is %s, which runs on %s", s.name, st.TaskId.GetValue(), st.GetState(), agent)
	}
}

// asks notes by which offers a framework wants its tasks launched.
func (h *history) asks(call *schedulerpb.Call) {
	if kill := call.GetKill(); kill != nil {
		h.killAsked[taskKey{ids.FrameworkID(call.FrameworkId.GetValue()), ids.TaskID(kill.TaskId.GetValue())}] = true
	}
	for _, op := range call.GetAccept().GetOperations() {
		for _, t := range append(op.GetLaunch().GetTaskInfos(), op.GetLaunchGroup().GetTaskGroup().GetTasks()...) {
			for _, o := range call.Accept.OfferIds {
				id := ids.TaskID(t.TaskId.GetValue())
				h.asked[id] = append(h.asked[id], o.GetValue())
			}
		}
	}
}

// launchedBy: a task is launched by offers that stand.
func (h *history) launchedBy(task ids.TaskID) {
	for _, id := range h.asked[task] {
		o := h.offer(id)
		if o.rescinded {
			fail("offers", "offer %s was rescinded, and %s is launched by it", id, task)
		}
		if !o.accepted {
			h.counts.Accepted++
		}
		o.accepted = true
	}
}

func (h *history) masterTells(m *masterNode, e *schedulerpb.Event) {
	switch e.GetType() { //nolint:exhaustive // the others are none of the checkers' business
	case schedulerpb.Event_RESCIND:
		h.counts.Rescinded++
		o := h.offer(e.Rescind.OfferId.GetValue())
		if o.accepted || o.rescinded {
			fail("offers", "offer %s is rescinded, and was accepted or rescinded", e.Rescind.OfferId.GetValue())
		}
		o.rescinded = true
	case schedulerpb.Event_OFFERS:
		for _, o := range e.Offers.Offers {
			h.offer(o.Id.GetValue()).agent = o.AgentId.GetValue()
			h.launchable(m, ids.AgentID(o.AgentId.GetValue()), "offers")
		}
	case schedulerpb.Event_INVERSE_OFFERS:
		for _, o := range e.InverseOffers.InverseOffers {
			h.inverseMade(o.Id.GetValue())
		}
	case schedulerpb.Event_RESCIND_INVERSE_OFFER:
		h.inverseRescinded(e.RescindInverseOffer.InverseOfferId.GetValue())
	}
}

func (h *history) offer(id string) *offerHistory {
	o := h.offers[id]
	if o == nil {
		o = &offerHistory{}
		h.offers[id] = o
	}
	return o
}

// recorded: an agent that was admitted is in the registry, admitted or
// unreachable or gone, as long as it has not left.
func (h *history) recorded(id ids.AgentID) {
	r := h.w.store.records
	admitted, unreachable, gone := r["agents/"+string(id)] != nil, r["unreachable/"+string(id)] != nil, r["gone/"+string(id)] != nil
	switch {
	case h.gone[id] && !gone:
		fail("registry", "agent %s was marked gone, and is not", id)
	case h.away(id):
	case !admitted && !unreachable && !gone:
		fail("registry", "agent %s was admitted, and is forgotten", id)
	case admitted && (unreachable || gone), unreachable && gone:
		fail("registry", "agent %s is in two states at once", id)
	}
	h.gone[id] = h.gone[id] || gone
}

// stored looks at the registry after a write.
func (h *history) stored(_ map[string][]byte, puts []registry.Put) {
	for _, p := range puts {
		kind, id, ok := strings.Cut(p.Key, "/")
		if kind == "gone" && p.Value != nil { // it is sent away, whatever it had to say
			h.left[ids.AgentID(id)] = true
		}
		if !h.kept(ids.AgentID(id)) {
			delete(h.barred, ids.AgentID(id)) // it was removed, with all that was said of it
		}
		if ok && (kind == "agents" || kind == "unreachable" || kind == "gone") && h.heard[ids.AgentID(id)] {
			h.recorded(ids.AgentID(id))
		}
	}
}

// agentHears notes that an agent is admitted: if the process that asked for it is
// dead, nobody has that ID ever. And it notes which frameworks an agent is to shut
// down, by the master that it takes for the leader. Whatever a later master makes of
// them, the agent owes them nothing of what ran until then.
func (h *history) agentHears(a *agentNode, in agent.Input) {
	told, ok := in.(agent.MasterMessage)
	if !ok {
		return
	}
	heeds := func() bool { return a.core.Snapshot().Master == told.From }
	switch msg := told.Message.(type) {
	case *messages.SlaveRegisteredMessage:
		if id := ids.AgentID(msg.SlaveId.GetValue()); heeds() && h.admitted[id] {
			h.heard[id] = true
		}
	case *messages.ShutdownFrameworkMessage:
		if heeds() {
			h.shut[a.name+"/"+msg.FrameworkId.GetValue()] = h.w.seconds()
		}
	case *messages.RunTaskMessage:
		if heeds() {
			h.task(taskKey{ids.FrameworkID(msg.Framework.GetId().GetValue()), ids.TaskID(msg.Task.TaskId.GetValue())}).since = h.w.seconds()
		}
	}
}

// wasShut reports whether the framework of a task was shut down where it ran.
func (h *history) wasShut(t *taskHistory) bool {
	at, ok := h.shut[t.machine+"/"+string(t.key.framework)]
	return ok && at >= t.since
}

// agentSends notes which agents leave.
func (h *history) agentSends(a *agentNode, msg proto.Message) {
	switch msg := msg.(type) {
	case *messages.UnregisterSlaveMessage:
		h.left[ids.AgentID(msg.SlaveId.GetValue())] = true
	case *messages.RegisterSlaveMessage: // it has no ID: what was at its address is no more
		for id := range h.admitted {
			if h.w.store.records["agents/"+string(id)] != nil && h.at(id) == a.name {
				h.left[id] = true
			}
		}
	}
}

func (h *history) subscribed(id ids.FrameworkID) { h.frameworks[id] = true }

// at returns the name of the node that an agent's record says it is.
func (h *history) at(id ids.AgentID) string {
	for _, a := range h.w.agents {
		if strings.Contains(string(h.w.store.records["agents/"+string(id)]), a.name+".test") {
			return a.name
		}
	}
	return ""
}
