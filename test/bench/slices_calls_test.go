package bench

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/validate"
)

// manyRoles is how many roles one call of an operator's names.
const manyRoles = 6000

func (w *watched) operatorCall(call *masterpb.Call) {
	w.step(call.GetType().String(), master.OperatorCall{Request: 1, Call: call})
}

// leaveRole has a framework that is offered everything leave its role.
func leaveRole(w *watched) {
	f := w.first()
	w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_UPDATE_FRAMEWORK.Enum(), UpdateFramework: &schedulerpb.Call_UpdateFramework{
		FrameworkInfo: &mesos.FrameworkInfo{
			Id: &mesos.FrameworkID{Value: (*string)(&f)}, User: new("u"), Name: new("f"), Roles: []string{"another"}, FailoverTimeout: new(3600.0),
			Capabilities: []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}},
		},
	}})
}

// manyRolesOfOne has a framework be in as many roles as one may, leave half of them,
// come again with those and end.
func manyRolesOfOne(w *watched) {
	all := make([]string, validate.MaxRoles)
	for i := range all {
		all[i] = "own" + strconv.Itoa(i)
	}
	info := func(id *mesos.FrameworkID, roles []string) *mesos.FrameworkInfo {
		return &mesos.FrameworkInfo{
			Id: id, User: new("u"), Name: new("f"), Roles: roles, FailoverTimeout: new(3600.0),
			Capabilities: []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}},
		}
	}
	subscribe := func(conn master.ConnID, id *mesos.FrameworkID, roles []string) {
		w.step("subscribe", master.Subscribe{
			Peer: master.Peer{Conn: conn, StreamID: "many"}, Call: &schedulerpb.Call_Subscribe{FrameworkInfo: info(id, roles)},
		})
	}
	before := len(w.peers)
	subscribe(1<<32, nil, all)
	if len(w.peers) == before {
		w.b.Fatal("it is not subscribed")
	}
	id := frameworkID(w.frameworks)
	named := &mesos.FrameworkID{Value: (*string)(&id)}
	w.schedulerCall(id, &schedulerpb.Call{Type: schedulerpb.Call_UPDATE_FRAMEWORK.Enum(), UpdateFramework: &schedulerpb.Call_UpdateFramework{
		FrameworkInfo: info(named, all[len(all)/2:]),
	}})
	subscribe(1<<33, named, all[len(all)/2:])
	w.schedulerCall(id, &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()})
}

// reconcile has a framework ask about all its tasks.
func reconcile(w *watched) {
	w.schedulerCall(w.first(), &schedulerpb.Call{Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: &schedulerpb.Call_Reconcile{}})
}

// declineAll has a framework decline all that it is offered in one call.
func declineAll(w *watched) {
	call := &schedulerpb.Call_Decline{}
	for _, o := range w.offers {
		if o.GetFrameworkId().GetValue() == string(w.first()) {
			call.OfferIds = append(call.OfferIds, o.Id)
		}
	}
	w.schedulerCall(w.first(), &schedulerpb.Call{Type: schedulerpb.Call_DECLINE.Enum(), Decline: call})
}

// machines returns the machines of all agents.
func (w *watched) machines() (all []*mesos.MachineID) {
	for i := range w.agents {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		all = append(all, &mesos.MachineID{Hostname: new("h"), Ip: new(address.String())})
	}
	return all
}

// schedule has all machines be taken down in an hour.
func (w *watched) schedule() {
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(),
		UpdateMaintenanceSchedule: &masterpb.Call_UpdateMaintenanceSchedule{Schedule: &maintenancepb.Schedule{Windows: []*maintenancepb.Window{{
			MachineIds:     w.machines(),
			Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: new(w.now.Add(time.Hour).UnixNano())}},
		}}}},
	})
	w.now = w.now.Add(time.Second)
	w.step("batch", master.Tick{})
}

// declineInverse has a framework say that it will not leave any machine.
func declineInverse(w *watched) {
	w.schedule()
	w.slice("snapshot", func() { w.core.Snapshot() })
	w.schedulerCall(w.first(), &schedulerpb.Call{
		Type: schedulerpb.Call_DECLINE_INVERSE_OFFERS.Enum(),
		DeclineInverseOffers: &schedulerpb.Call_DeclineInverseOffers{
			InverseOfferIds: w.inverse[w.first()], Filters: &mesos.Filters{RefuseSeconds: new(3600.0)},
		},
	})
	w.slice("snapshot", func() { w.core.Snapshot() })
	w.schedulerCall(w.first(), &schedulerpb.Call{Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{}})
}

// disconnectInverse has a framework go that is to leave all machines.
func disconnectInverse(w *watched) {
	w.schedule()
	w.step("disconnect", master.PeerClosed{Conn: w.peers[w.first()].Conn})
}

// takeDown schedules the maintenance of all machines, starts and stops it.
func takeDown(w *watched) {
	w.schedule()
	w.schedule()
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_START_MAINTENANCE.Enum(), StartMaintenance: &masterpb.Call_StartMaintenance{Machines: w.machines()},
	})
	w.slice("snapshot", func() { w.core.Snapshot() })
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_STOP_MAINTENANCE.Enum(), StopMaintenance: &masterpb.Call_StopMaintenance{Machines: w.machines()[1:]},
	})
}

// manyQuotas gives very many roles quotas, and takes them away.
func manyQuotas(w *watched) {
	w.quotas(1)
	w.quotas(0)
}

// quotas gives very many roles quotas of so many CPUs; of none are no quotas.
func (w *watched) quotas(cpus float64) {
	configs := make([]*quotapb.QuotaConfig, manyRoles)
	for i := range configs {
		configs[i] = &quotapb.QuotaConfig{Role: new("role" + strconv.Itoa(i))}
		if cpus > 0 {
			amounts := map[string]*mesos.Value_Scalar{"cpus": {Value: &cpus}, "mem": {Value: new(64.0)}}
			configs[i].Guarantees, configs[i].Limits = amounts, amounts
		}
	}
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: &masterpb.Call_UpdateQuota{QuotaConfigs: configs, Force: new(true)},
	})
}

// manyWeights gives very many roles weights.
func manyWeights(w *watched) {
	infos := make([]*mesos.WeightInfo, manyRoles)
	for i := range infos {
		infos[i] = &mesos.WeightInfo{Role: new("role" + strconv.Itoa(i)), Weight: new(float64(1 + i%3))}
	}
	w.operatorCall(&masterpb.Call{Type: masterpb.Call_UPDATE_WEIGHTS.Enum(), UpdateWeights: &masterpb.Call_UpdateWeights{WeightInfos: infos}})
}

// loseAll has no agent answer pings any more, for so long that all are unreachable.
func (w *watched) loseAll() {
	for range master.DefaultConfig().MaxAgentPingTimeouts + 1 {
		w.now = w.now.Add(pings)
		w.step("pings", master.Tick{})
	}
	if n := w.core.Snapshot().Unreachable; n != w.agents {
		w.b.Fatalf("%d agents are unreachable", n)
	}
	w.slices = nil // only what follows counts
}

// markGone marks an agent gone where all agents are unreachable.
func markGone(w *watched) {
	w.loseAll()
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_MARK_AGENT_GONE.Enum(), MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: w.tasks[0].AgentId},
	})
}

// forgetAll has all agents be unreachable for so long that they are forgotten.
func forgetAll(w *watched) {
	w.loseAll()
	cfg := master.DefaultConfig()
	w.now = w.now.Add(cfg.RegistryMaxAgentAge + cfg.RegistryGCInterval)
	w.step("forget", master.Tick{})
	if n := w.core.Snapshot().Unreachable; n != 0 {
		w.b.Fatalf("%d agents are remembered", n)
	}
}

// reclaimVain revokes for a role of very many frameworks, all of which have refused
// what could be revoked first.
func reclaimVain(w *watched) {
	refuses := map[string]bool{}
	for i := range manyRoles {
		w.subscribe(w.frameworks+i, "starved")
		refuses[string(frameworkID(w.frameworks+i))] = true
	}
	for i := range 3 {
		w.end(w.tasks[i], fmt.Appendf(nil, "%016d", i))
		for w.settle(); len(w.offers) > 0 && refuses[w.offers[0].GetFrameworkId().GetValue()]; {
			o := w.offers[0]
			w.offers = w.offers[1:]
			w.call(ids.FrameworkID(o.GetFrameworkId().GetValue()), &schedulerpb.Call{
				Type:    schedulerpb.Call_DECLINE.Enum(),
				Decline: &schedulerpb.Call_Decline{OfferIds: []*mesos.OfferID{o.Id}, Filters: forADay()},
			})
		}
		w.launchAll()
	}
	w.quota("starved", 10)
	for range 10 {
		w.now = w.now.Add(time.Second)
		w.step("tick", master.Tick{})
	}
	if w.kills == 0 {
		w.b.Fatal("nothing is revoked")
	}
}

// elect has another master lead, which finds all agents in the registry, and quotas
// and weights of very many roles.
func elect(w *watched) {
	w.quotas(1)
	manyWeights(w)
	w.slices = nil // only what follows counts
	known := master.Inherit(w.core.Registry())
	w.leader = standBy(w.b, master.DefaultConfig(), allocator.DefaultConfig())
	w.run("elect", func() { w.recover(known) })
	w.slice("snapshot", func() { w.core.Snapshot() })
}

// onOneAgent is how many operations an agent has that has very many.
const onOneAgent = 10_000

// operations has a framework ask for operations that it has on all agents, and
// acknowledge one; and an agent with very many of them be lost.
func operations(w *watched) {
	all := make([]*mesos.Operation, w.agents)
	for i := range all {
		all[i] = w.operation(i)
		w.list("list", i, all[i:i+1])
	}
	f := w.first()
	last := all[len(all)-1]
	status := &mesos.OperationStatus{
		OperationId: last.Info.Id, State: mesos.OperationState_OPERATION_FINISHED.Enum(), AgentId: last.AgentId, Uuid: last.Uuid,
	}
	w.step("outcome", master.AgentMessage{From: agentPID(w.agents - 1), To: "master", Message: &messages.UpdateOperationStatusMessage{
		FrameworkId: last.FrameworkId, SlaveId: last.AgentId, Status: status, LatestStatus: status, OperationUuid: last.Uuid,
	}})
	call := &schedulerpb.Call_ReconcileOperations{}
	w.outcomes = 0
	w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_RECONCILE_OPERATIONS.Enum(), ReconcileOperations: call})
	for _, op := range all {
		call.Operations = append(call.Operations, &schedulerpb.Call_ReconcileOperations_Operation{OperationId: op.Info.Id, AgentId: op.AgentId})
	}
	w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_RECONCILE_OPERATIONS.Enum(), ReconcileOperations: call})
	if w.outcomes != 2*len(all) {
		w.b.Fatalf("%d statuses of %d operations", w.outcomes, len(all))
	}
	w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS.Enum(), AcknowledgeOperationStatus: &schedulerpb.Call_AcknowledgeOperationStatus{
		AgentId: last.AgentId, OperationId: last.Info.Id, Uuid: last.Uuid.Value,
	}})
	if n := w.core.Snapshot().Operations.Len(); n != len(all)-1 {
		w.b.Fatalf("%d operations", n)
	}
	many := make([]*mesos.Operation, onOneAgent)
	for i := range many {
		many[i] = w.operation(len(all) + i*len(all))
	}
	w.list("list many", 0, many)
	w.list("list none", 0, nil)
	w.step("leave", master.AgentMessage{From: agentPID(0), To: "master", Message: &messages.UnregisterSlaveMessage{SlaveId: all[0].AgentId}})
	if n := w.core.Snapshot().Operations.Len(); n != len(all)-2 {
		w.b.Fatalf("%d operations are left", n)
	}
}

// operation returns one of many operations that the first framework has on agents.
func (w *watched) operation(i int) *mesos.Operation {
	f, name := string(w.first()), "op"+strconv.Itoa(i)
	on := &mesos.AgentID{Value: new(string(agentID(i % w.agents)))}
	return &mesos.Operation{
		FrameworkId: &mesos.FrameworkID{Value: &f}, AgentId: on,
		Info:         &mesos.Offer_Operation{Type: mesos.Offer_Operation_RESERVE.Enum(), Id: &mesos.OperationID{Value: &name}},
		LatestStatus: &mesos.OperationStatus{OperationId: &mesos.OperationID{Value: &name}, State: mesos.OperationState_OPERATION_PENDING.Enum(), AgentId: on},
		Uuid:         &mesos.UUID{Value: fmt.Appendf(nil, "%016d", i)},
	}
}

// list has an agent tell of operations.
func (w *watched) list(what string, agent int, ops []*mesos.Operation) {
	w.step(what, master.AgentMessage{From: agentPID(agent), To: "master", Message: &messages.UpdateSlaveMessage{
		SlaveId: &mesos.AgentID{Value: new(string(agentID(agent)))}, ResourceVersionUuid: &mesos.UUID{Value: make([]byte, 16)},
		UpdateOversubscribedResources: new(false), Operations: &messages.UpdateSlaveMessage_Operations{Operations: ops},
	}})
}
