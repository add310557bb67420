package masterd

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	allocatorpb "github.com/meseta-project/meseta/api/mesos/v1/allocator"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// writeRoles is /roles.
func writeRoles(v *view, w *wire.Writer, _ *http.Request) {
	w.BeginObject()
	w.Key("roles").BeginArray()
	for _, u := range v.roles() {
		v.writeRole(w, u)
	}
	w.EndArray()
	w.EndObject()
}

func (v *view) writeRole(w *wire.Writer, u *usage) {
	quota := v.Quotas[u.name]
	w.BeginObject()
	w.Key("name").String(u.name)
	w.Key("weight").Double(u.weight)
	w.Key("quota").BeginObject()
	w.Key("role").String(u.name)
	w.Key("guarantee").Limits(resources.LimitsFromProto(quota.GetGuarantees()))
	w.Key("limit").Limits(resources.LimitsFromProto(quota.GetLimits()))
	w.Key("consumed").Quantities(u.consumed())
	w.EndObject()
	w.Key("resources").Quantities(u.allocated.Add(u.offered))
	w.Key("allocated").Quantities(u.allocated)
	w.Key("offered").Quantities(u.offered)
	w.Key("reserved").Quantities(u.reserved)
	w.Key("frameworks").BeginArray()
	for _, id := range u.frameworks {
		w.String(string(id))
	}
	w.EndArray()
	w.EndObject()
}

// writeQuota is GET /quota.
func writeQuota(v *view, w *wire.Writer, _ *http.Request) { w.SortedMessage(v.quota()) }

// quota returns the quotas of all roles that have one, by role, in the present
// form and in the one of before there were limits.
func (v *view) quota() *quotapb.QuotaStatus {
	out := &quotapb.QuotaStatus{}
	for _, name := range slices.Sorted(maps.Keys(v.Quotas)) {
		config := v.Quotas[name]
		info := &quotapb.QuotaInfo{Role: &name}
		for kind, value := range config.GetGuarantees() {
			info.Guarantee = append(info.Guarantee, &mesos.Resource{
				Name: &kind, Type: mesos.Value_SCALAR.Enum(), Scalar: value,
			})
		}
		slices.SortFunc(info.Guarantee, func(a, b *mesos.Resource) int {
			return cmp.Compare(a.GetName(), b.GetName())
		})
		out.Infos = append(out.Infos, info)
		out.Configs = append(out.Configs, config)
	}
	return out
}

// writeWeights is GET /weights.
func writeWeights(v *view, w *wire.Writer, _ *http.Request) {
	w.BeginArray()
	for _, info := range v.weights() {
		w.SortedMessage(info)
	}
	w.EndArray()
}

// weights returns the weights that were set, by role.
func (v *view) weights() []*mesos.WeightInfo {
	out := make([]*mesos.WeightInfo, 0, len(v.Weights))
	for _, name := range slices.Sorted(maps.Keys(v.Weights)) {
		weight := v.Weights[name]
		out = append(out, &mesos.WeightInfo{Role: &name, Weight: &weight})
	}
	return out
}

// writeSchedule is GET /maintenance/schedule.
func writeSchedule(v *view, w *wire.Writer, _ *http.Request) { w.SortedMessage(v.schedule()) }

func (v *view) schedule() *maintenancepb.Schedule {
	if len(v.Schedules) == 0 {
		return &maintenancepb.Schedule{}
	}
	return v.Schedules[0]
}

// writeMaintenance is GET /maintenance/status.
func writeMaintenance(v *view, w *wire.Writer, _ *http.Request) { w.SortedMessage(v.maintenance()) }

// maintenance returns which machines are draining, with what frameworks said to
// that, or down.
func (v *view) maintenance() *maintenancepb.ClusterStatus {
	out := &maintenancepb.ClusterStatus{}
	answers := map[registry.MachineKey][]*allocatorpb.InverseOfferStatus{}
	known := map[ids.FrameworkID]bool{}
	for _, f := range v.frameworks {
		known[f.ID] = true
	}
	for _, a := range v.agents {
		if len(a.Answers) == 0 {
			continue
		}
		machine := registry.KeyOfMachine(a.Info.GetHostname(), a.PID.AddrPort().Addr().String())
		for _, said := range a.Answers {
			if known[ids.FrameworkID(said.GetFrameworkId().GetValue())] {
				answers[machine] = append(answers[machine], said)
			}
		}
	}
	for _, m := range registry.InOrder(v.Machines.All()) {
		switch m.GetMode() {
		case mesos.MachineInfo_DRAINING:
			out.DrainingMachines = append(out.DrainingMachines, &maintenancepb.ClusterStatus_DrainingMachine{
				Id: m.Id, Statuses: answers[registry.KeyOfMachine(m.GetId().GetHostname(), m.GetId().GetIp())],
			})
		case mesos.MachineInfo_UP: // nobody asks
		case mesos.MachineInfo_DOWN:
			out.DownMachines = append(out.DownMachines, m.Id)
		}
	}
	return out
}

// writeOfferConstraints is /allocator/offer_constraints_debug: for each role of
// each framework, the agents that its offer constraints exclude.
func writeOfferConstraints(v *view, w *wire.Writer, _ *http.Request) {
	w.BeginObject()
	w.Key("frameworks").BeginObject()
	for _, row := range v.frameworks {
		w.Key(string(row.ID)).BeginObject()
		w.Key("suppressed_roles").Strings(row.Suppressed)
		w.Key("excluded_by_attribute_constraints").BeginObject()
		v.writeExcluded(w, row)
		w.EndObject()
		w.EndObject()
	}
	w.EndObject()
	w.EndObject()
}

func (v *view) writeExcluded(w *wire.Writer, row *master.FrameworkRow) {
	// They were compiled when the framework subscribed, with the same limits.
	constraints, _ := allocator.CompileConstraints(row.Constraints, v.server.cfg.Master.RegexLimits)
	for _, name := range row.Roles() {
		w.Key(name).BeginArray()
		for _, a := range v.agents {
			if constraints.Exclude(name, a.Info) {
				w.String(string(a.ID))
			}
		}
		w.EndArray()
	}
}
