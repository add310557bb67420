package sim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/refusal"
)

// What operators say of agents and machines. When all is healed, they take back
// all that can be taken back.

// ask has an operator make a call to the leader. done hears of the answer, if
// one comes.
func (w *world) ask(m *masterNode, about string, call *masterpb.Call, done func(*refusal.Error)) {
	w.note("%s    <- operator %s %s", m.name, call.GetType(), about)
	m.requests++
	m.calls[m.requests] = func(reply master.Reply) {
		if reply.Err != nil {
			w.note("%s    refuses %s %s: %s", m.name, call.GetType(), about, reply.Err.Message)
		}
		done(reply.Err)
	}
	m.tell("operator", master.OperatorCall{Request: m.requests, Principal: operator, Call: call})
}

// inCharge returns who leads, nil if nobody does.
func (w *world) inCharge() *masterNode {
	if m := w.leader; m != nil && m.core != nil && m.leads {
		return m
	}
	return nil
}

// listed returns the IDs in the registry that begin so, in order.
func (w *world) listed(kinds ...string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(w.store.records)) {
		if kind, id, ok := strings.Cut(key, "/"); ok && slices.Contains(kinds, kind) {
			all = append(all, id)
		}
	}
	return all
}

// drainSomeAgent drains, deactivates or reactivates an agent, known or
// unreachable.
func (w *world) drainSomeAgent() {
	m, known := w.inCharge(), w.listed("agents", "unreachable")
	if m == nil || len(known) == 0 {
		return
	}
	r := w.rand(AgentDrain.String())
	id := ids.AgentID(known[r.IntN(len(known))])
	switch r.IntN(4) {
	case 0:
		w.deactivate(m, id)
	case 1:
		w.drain(m, id, &masterpb.Call_DrainAgent{MarkGone: new(r.IntN(4) == 0)})
	case 2:
		w.drain(m, id, &masterpb.Call_DrainAgent{MaxGracePeriod: graces[r.IntN(len(graces))]})
	default:
		w.reactivate(m, id)
	}
}

// graces are what operators allow tasks to end in.
var graces = []*durationpb.Duration{nil, durationpb.New(0), durationpb.New(2 * time.Second), durationpb.New(time.Minute)}

func (w *world) deactivate(m *masterNode, id ids.AgentID) {
	bars := w.history.bars(m, id)
	w.ask(m, string(id), &masterpb.Call{
		Type:            masterpb.Call_DEACTIVATE_AGENT.Enum(),
		DeactivateAgent: &masterpb.Call_DeactivateAgent{AgentId: &mesos.AgentID{Value: (*string)(&id)}},
	}, bars)
}

func (w *world) drain(m *masterNode, id ids.AgentID, call *masterpb.Call_DrainAgent) {
	call.AgentId = &mesos.AgentID{Value: (*string)(&id)}
	w.ask(m, string(id), &masterpb.Call{Type: masterpb.Call_DRAIN_AGENT.Enum(), DrainAgent: call}, w.history.bars(m, id))
}

// A bar is what an operator was told: that an agent is not offered any more.
type bar struct {
	term   int // of the leader that said so
	doubts int // reactivations since that may have been done: those not refused
}

// reactivate has an agent offered again. Until the answer, and without one, it
// may be or not. A refusal says that this call did nothing; another leader may
// have done the next one meanwhile.
func (w *world) reactivate(m *masterNode, id ids.AgentID) {
	b := w.history.barred[id]
	if b != nil {
		b.doubts++
	}
	w.history.reactivations[id]++
	w.ask(m, string(id), &masterpb.Call{
		Type:            masterpb.Call_REACTIVATE_AGENT.Enum(),
		ReactivateAgent: &masterpb.Call_ReactivateAgent{AgentId: &mesos.AgentID{Value: (*string)(&id)}},
	}, func(err *refusal.Error) {
		if b != nil && err != nil && err.Reason == refusal.Invalid {
			b.doubts--
		}
	})
}

// markSomeAgentGone bars an agent for good, wherever it is.
func (w *world) markSomeAgentGone() {
	m, known := w.inCharge(), w.listed("agents", "unreachable", "gone")
	if m == nil || len(known) == 0 {
		return
	}
	id := ids.AgentID(known[w.rand(AgentGone.String()).IntN(len(known))])
	w.ask(m, string(id), &masterpb.Call{
		Type:          masterpb.Call_MARK_AGENT_GONE.Enum(),
		MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: &mesos.AgentID{Value: (*string)(&id)}},
	}, func(err *refusal.Error) {
		if err == nil {
			w.history.isGone(m, id)
		}
	})
}

// maintainSomething makes a schedule, or takes a machine of it down, or brings
// one back.
func (w *world) maintainSomething() {
	m := w.inCharge()
	if m == nil {
		return
	}
	r := w.rand(Maintenance.String())
	machines := read(w.store.records).Machines()
	if len(machines) == 0 || r.IntN(3) == 0 {
		w.schedule(m, machines)
		return
	}
	w.takeDownOrBringBack(m, machines[r.IntN(len(machines))])
}

// takeDownOrBringBack does with a machine what can be done next.
func (w *world) takeDownOrBringBack(m *masterNode, machine *mesos.MachineInfo) {
	call := &masterpb.Call{
		Type:            masterpb.Call_STOP_MAINTENANCE.Enum(),
		StopMaintenance: &masterpb.Call_StopMaintenance{Machines: []*mesos.MachineID{machine.Id}},
	}
	if machine.GetMode() == mesos.MachineInfo_DRAINING {
		w.history.down[machine.Id.GetHostname()] = true
		call = &masterpb.Call{
			Type:             masterpb.Call_START_MAINTENANCE.Enum(),
			StartMaintenance: &masterpb.Call_StartMaintenance{Machines: []*mesos.MachineID{machine.Id}},
		}
	}
	w.ask(m, machine.Id.GetHostname(), call, func(*refusal.Error) {})
}

// schedule replaces the schedule by one that has the machines that are down, and
// some others.
func (w *world) schedule(m *masterNode, machines []*mesos.MachineInfo) {
	r := w.rand(Maintenance.String())
	call := &masterpb.Call_UpdateMaintenanceSchedule{Schedule: &maintenancepb.Schedule{}}
	named := map[string]bool{}
	add := func(id *mesos.MachineID) {
		start := w.now.Add(w.between(Maintenance.String(), -10*time.Second, time.Minute))
		named[id.GetHostname()] = true
		call.Schedule.Windows = append(call.Schedule.Windows, &maintenancepb.Window{
			MachineIds:     []*mesos.MachineID{id},
			Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: new(start.UnixNano())}},
		})
	}
	for _, info := range machines {
		if info.GetMode() == mesos.MachineInfo_DOWN {
			add(info.Id)
		}
	}
	for _, a := range w.agents {
		host, ip := a.name+".test", strings.TrimSuffix(a.address, ":5051")
		if r.IntN(3) == 0 && !named[host] && !w.healed {
			add(&mesos.MachineID{Hostname: &host, Ip: &ip})
		}
	}
	w.ask(m, "", &masterpb.Call{
		Type: masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(), UpdateMaintenanceSchedule: call,
	}, func(*refusal.Error) {})
}

// bringBackLater has operators end all maintenance and have all agents offered
// again, again and again. What is draining has to be drained first, for which the
// ends of tasks have to be acknowledged: frameworks that nobody is any more are
// torn down.
func (w *world) bringBackLater() {
	w.after(20*time.Second, func() {
		if m := w.inCharge(); m != nil {
			w.tearDownLeftovers()
			w.bringBack(m)
		}
		w.bringBackLater()
	})
}

func (w *world) bringBack(m *masterNode) {
	known := read(w.store.records)
	scheduled := false
	for _, machine := range known.Machines() {
		if machine.GetMode() == mesos.MachineInfo_DOWN {
			w.takeDownOrBringBack(m, machine)
		} else {
			scheduled = true
		}
	}
	if scheduled {
		w.schedule(m, known.Machines()) // healed, it names what is down only
	}
	for _, text := range w.listed("agents", "unreachable") {
		id := ids.AgentID(text)
		if _, deactivated, _ := known.Availability(id); deactivated {
			w.reactivate(m, id)
		}
	}
}

// bars returns what notes that an operator was told that an agent is not offered
// any more: unless it was removed, or is to be offered again, by then.
func (h *history) bars(m *masterNode, id ids.AgentID) func(*refusal.Error) {
	asked := h.reactivations[id]
	return func(err *refusal.Error) {
		if err == nil && h.reactivations[id] == asked && h.kept(id) {
			h.counts.Barred++
			h.barred[id] = &bar{term: m.term}
		}
	}
}

// kept reports whether the registry has an agent, wherever it is.
func (h *history) kept(id ids.AgentID) bool {
	r := h.w.store.records
	return r["agents/"+string(id)] != nil || r["unreachable/"+string(id)] != nil || r["gone/"+string(id)] != nil
}

// isGone notes that an operator was told that an agent is gone.
func (h *history) isGone(m *masterNode, id ids.AgentID) {
	h.counts.Gone++
	h.barred[id], h.barredGone[id] = &bar{term: m.term}, m.term
	if h.w.store.records["gone/"+string(id)] == nil {
		fail("gone", "%s says that %s is gone, and the registry does not", m.name, id)
	}
}

// launchable: nothing is launched on an agent, nor offered of it, that operators
// were told is drained, deactivated or gone, by the leader that told them so or
// a later one.
func (h *history) launchable(m *masterNode, id ids.AgentID, what string) {
	if b := h.barred[id]; b != nil && b.doubts == 0 && m.term >= b.term {
		fail("draining", "%s %s %s, which operators were told is not offered any more", m.name, what, id)
	}
}

// welcomed: an agent that is gone never comes back.
func (h *history) welcomed(m *masterNode, id ids.AgentID) {
	if since, gone := h.barredGone[id]; gone && m.term >= since {
		fail("gone", "%s lets %s in, which operators were told is gone", m.name, id)
	}
}

// inverseMade: an inverse offer is made once.
func (h *history) inverseMade(id string) {
	h.counts.Inverse++
	if _, twice := h.inverse[id]; twice {
		fail("inverse offers", "inverse offer %s is made twice", id)
	}
	h.inverse[id] = false
}

// inverseRescinded: an inverse offer is rescinded once, and after it was made.
func (h *history) inverseRescinded(id string) {
	if rescinded, made := h.inverse[id]; !made || rescinded {
		fail("inverse offers", "inverse offer %s is rescinded, made %t, rescinded %t", id, made, rescinded)
	}
	h.inverse[id] = true
}

// acknowledgedBy notes that a master was told that a version is durable.
func (h *history) acknowledgedBy(version uint64) { h.durable = max(h.durable, version) }

// leadsWith: no leader begins with less than what was acknowledged to another.
func (h *history) leadsWith(m *masterNode, version uint64) {
	if version < h.durable {
		fail("registry", "%s leads with version %d of the registry, and version %d was said to be durable", m.name, version, h.durable)
	}
}

// storeWentBack forgets what was promised: a master cannot know what it has
// never heard of. What runs, and what is told of it, must be as it ever was.
func (h *history) storeWentBack() {
	h.durable = 0
	h.barred, h.barredGone, h.gone = map[ids.AgentID]*bar{}, map[ids.AgentID]int{}, map[ids.AgentID]bool{}
	h.admitted, h.heard = map[ids.AgentID]bool{}, map[ids.AgentID]bool{}
	h.wentBack = true
	h.quotaAsked++
}
