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
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
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
	for _, amount := range []float64{1, 0} {
		configs := make([]*quotapb.QuotaConfig, manyRoles)
		for i := range configs {
			configs[i] = &quotapb.QuotaConfig{Role: new("role" + strconv.Itoa(i))}
			if amount > 0 {
				amounts := map[string]*mesos.Value_Scalar{"cpus": {Value: &amount}, "mem": {Value: new(64.0)}}
				configs[i].Guarantees, configs[i].Limits = amounts, amounts
			}
		}
		w.operatorCall(&masterpb.Call{
			Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: &masterpb.Call_UpdateQuota{QuotaConfigs: configs, Force: new(true)},
		})
	}
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
