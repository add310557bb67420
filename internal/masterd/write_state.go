package masterd

import (
	"net/http"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// writeState is /state.
func writeState(v *view, w *wire.Writer, _ *http.Request) {
	v.group()
	w.BeginObject()
	w.BuildFields(httpd.Build())
	v.writeMaster(w)
	w.Key("flags").StringMap(v.server.cfg.Flags)
	w.Key("slaves").BeginArray()
	for _, row := range v.agents {
		w.BeginObject()
		writeAgentFields(w, row)
		w.EndObject()
	}
	w.EndArray()
	v.writeRecovered(w, "")
	v.writeFrameworkLists(w, "")
	w.Key("orphan_tasks").Strings(nil)
	w.Key("unregistered_frameworks").Strings(nil)
	w.EndObject()
}

// writeMaster writes what /state tells of the master and of how many agents
// there are.
func (v *view) writeMaster(w *wire.Writer) {
	info, cfg := v.Info, &v.server.cfg
	w.Key("start_time").Time(v.server.started)
	w.Key("elected_time").Time(v.Elected)
	w.Key("id").String(info.GetId())
	w.Key("pid").String(info.GetPid())
	w.Key("hostname").String(info.GetHostname())
	w.Key("capabilities").MasterCapabilities(info.GetCapabilities())
	active := v.activeAgents()
	w.Key("activated_slaves").Double(float64(active))
	w.Key("deactivated_slaves").Double(float64(len(v.agents) - active))
	w.Key("unreachable_slaves").Double(float64(v.Unreachable))
	if info.GetDomain() != nil {
		w.Key("domain").DomainInfo(info.GetDomain())
	}
	w.Key("leader").String(info.GetPid())
	w.Key("leader_info").MasterInfo(info)
	optional(w, "cluster", cfg.Cluster)
	optional(w, "log_dir", cfg.LogDir)
	optional(w, "external_log_file", cfg.ExternalLogFile)
}

func optional(w *wire.Writer, key, value string) {
	if value != "" {
		w.Key(key).String(value)
	}
}

func (v *view) activeAgents() int {
	n := 0
	for _, row := range v.agents {
		if row.Active {
			n++
		}
	}
	return n
}

// writeAgents is /slaves.
func writeAgents(v *view, w *wire.Writer, r *http.Request) {
	only := r.URL.Query().Get("slave_id")
	w.BeginObject()
	w.Key("slaves").BeginArray()
	for _, row := range v.agents {
		if only != "" && only != string(row.ID) {
			continue
		}
		w.BeginObject()
		writeAgentFields(w, row)
		w.Key("reserved_resources_full").ReservedFull(row.Total, nil)
		w.Key("unreserved_resources_full").ResourcesFull(row.Total.Unreserved())
		w.Key("used_resources_full").ResourcesFull(row.Allocated)
		w.Key("offered_resources_full").ResourcesFull(row.Offered)
		w.EndObject()
	}
	w.EndArray()
	v.writeRecovered(w, only)
	w.EndObject()
}

// writeAgentFields writes what every list tells of an agent.
func writeAgentFields(w *wire.Writer, row *master.AgentRow) {
	w.AgentInfoFields(row.Info)
	w.Key("pid").String(string(row.PID))
	w.Key("registered_time").Time(row.Registered)
	if !row.Reregistered.IsZero() {
		w.Key("reregistered_time").Time(row.Reregistered)
	}
	w.Key("resources").ResourceSum(row.Total)
	w.Key("used_resources").ResourceSum(row.Allocated)
	w.Key("offered_resources").ResourceSum(row.Offered)
	w.Key("reserved_resources").Reserved(row.Total, nil)
	w.Key("unreserved_resources").ResourceSum(row.Total.Unreserved())
	w.Key("active").Bool(row.Active)
	w.Key("deactivated").Bool(row.Deactivated)
	w.Key("version").String(row.Version)
	w.Key("capabilities").AgentCapabilities(agentCapabilities(row))
	if row.Drain != nil {
		w.Key("drain_info").SortedMessage(row.Drain)
		w.Key("estimated_drain_start_time_seconds").Int(row.DrainStart.Unix())
	}
}

func agentCapabilities(row *master.AgentRow) []*mesos.AgentInfo_Capability {
	all := make([]*mesos.AgentInfo_Capability, 0, len(row.Capabilities))
	for _, c := range row.Capabilities {
		all = append(all, &mesos.AgentInfo_Capability{Type: c.Enum()})
	}
	return all
}

// writeRecovered writes the agents that an earlier leader knew and that are not
// back: all, or one.
func (v *view) writeRecovered(w *wire.Writer, only string) {
	w.Key("recovered_slaves").BeginArray()
	for info := range v.Recovered.All() {
		if only == "" || only == info.GetId().GetValue() {
			w.BeginObject()
			w.AgentInfoFields(info)
			w.EndObject()
		}
	}
	w.EndArray()
}

// writeFrameworks is /frameworks.
func writeFrameworks(v *view, w *wire.Writer, r *http.Request) {
	v.group()
	w.BeginObject()
	v.writeFrameworkLists(w, ids.FrameworkID(r.URL.Query().Get("framework_id")))
	w.Key("unregistered_frameworks").Strings(nil)
	w.EndObject()
}

// writeFrameworkLists writes the frameworks, all or one, as two members.
func (v *view) writeFrameworkLists(w *wire.Writer, only ids.FrameworkID) {
	for name, rows := range v.frameworkLists() {
		w.Key(name).BeginArray()
		for _, row := range rows {
			if w.Err() == nil && (only == "" || only == row.ID) {
				v.writeFramework(w, row)
			}
		}
		w.EndArray()
	}
}

func (v *view) writeFramework(w *wire.Writer, row *master.FrameworkRow) {
	w.BeginObject()
	writeFrameworkFields(w, row)
	b := v.belongings(row.ID)
	for place, name := range []string{"tasks", "unreachable_tasks", "completed_tasks"} {
		w.Key(name).BeginArray()
		for _, t := range b.tasks[place] {
			w.Task(t.Task())
		}
		w.EndArray()
	}
	w.Key("offers").BeginArray()
	for _, o := range b.offers {
		w.Offer(offerMessage(o))
	}
	w.EndArray()
	w.Key("executors").BeginArray()
	for _, e := range b.executors {
		w.BeginObject()
		w.ExecutorInfoFields(e.Info)
		w.Key("slave_id").String(string(e.Agent))
		w.EndObject()
	}
	w.EndArray()
	if row.Info.Labels != nil {
		w.Key("labels").Labels(row.Info.Labels)
	}
	w.Key("offer_constraints").Message(constraints(row))
	w.EndObject()
}

func writeFrameworkFields(w *wire.Writer, row *master.FrameworkRow) {
	info := row.Info
	w.FrameworkFields(summaryOf(row))
	w.Key("user").String(info.GetUser())
	w.Key("failover_timeout").Double(info.GetFailoverTimeout())
	w.Key("checkpoint").Bool(info.GetCheckpoint())
	w.Key("registered_time").Time(row.Registered)
	w.Key("unregistered_time").Time(row.Unregistered)
	if info.Principal != nil {
		w.Key("principal").String(info.GetPrincipal())
	}
	w.Key("resources").ResourceSum(row.Allocated.Add(row.Offered))
	if !row.Reregistered.IsZero() && !row.Reregistered.Equal(row.Registered) {
		w.Key("reregistered_time").Time(row.Reregistered)
	}
	w.FrameworkRoles(info)
}

func summaryOf(row *master.FrameworkRow) wire.FrameworkSummary {
	return wire.FrameworkSummary{
		Info: row.Info, PID: string(row.Peer.Driver), Used: row.Allocated, Offered: row.Offered,
		Active: row.Active, Connected: row.Connected, Recovered: row.Recovered,
	}
}

// constraints returns a framework's, which are shown even if there are none.
func constraints(row *master.FrameworkRow) *schedulerpb.OfferConstraints {
	if row.Constraints == nil {
		return &schedulerpb.OfferConstraints{}
	}
	return row.Constraints
}
