package masterd

import (
	"net/http"
	"strings"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
)

// metrics are numbers by Mesos's names for them.
type metrics = map[string]float64

// readMetrics returns all metrics of the master as it is now.
func (s *Server) readMetrics(r *http.Request) (metrics, error) {
	v, err := s.view(r)
	if err != nil {
		return nil, err
	}
	all := metrics{}
	s.serverMetrics(all)
	v.agentMetrics(all)
	v.resourceMetrics(all)
	v.frameworkCounts(all)
	v.taskMetrics(all)
	v.allocatorMetrics(all)
	v.counterMetrics(all)
	v.operationMetrics(all)
	for _, rows := range [][]*master.FrameworkRow{v.Completed, v.frameworks} {
		for _, row := range rows {
			frameworkMetrics(all, row)
		}
	}
	httpd.ReadSystem().Metrics(all)
	return all, nil
}

// serverMetrics are those of the process around the core.
func (s *Server) serverMetrics(to metrics) {
	to["master/uptime_secs"] = s.clock().Sub(s.started).Seconds()
	to["master/elected"] = s.electedMetric()
	to["master/event_queue_messages"] = 0 // all that waits is in one queue
	to["master/event_queue_http_requests"] = 0
	to["master/event_queue_dispatches"] = float64(s.inbox.Len())
	to["master/http_cache_hits"] = 0 // nothing is cached
	to["master/operator_event_stream_subscribers"] = float64(s.watchers.len())
	to["registrar/queued_operations"] = float64(s.writes.len())
	to["registrar/registry_size_bytes"] = float64(s.registrySize.Load())
	to["registrar/log/recovered"] = 1
	to["registrar/log/ensemble_size"] = 1
	to["registrar/state_fetch_ms"] = time.Duration(s.fetchTime.Load()).Seconds() * 1000
	s.storeTime.Metrics("registrar/state_store_ms", to)
	s.allocationTime.Metrics("allocator/mesos/allocation_run_ms", to)
	s.allocationLatency.Metrics("allocator/mesos/allocation_run_latency_ms", to)
	to["allocator/mesos/allocation_runs"] = to["allocator/mesos/allocation_run_ms/count"]
	to["allocator/event_queue_dispatches"] = 0 // the allocator has no queue of its own
	to["allocator/mesos/event_queue_dispatches"] = 0
}

func (v *view) agentMetrics(to metrics) {
	connected, active := 0, v.activeAgents()
	for _, row := range v.agents {
		if row.Connected {
			connected++
		}
	}
	to["master/slaves_connected"] = float64(connected)
	to["master/slaves_disconnected"] = float64(len(v.agents) - connected)
	to["master/slaves_active"] = float64(active)
	to["master/slaves_inactive"] = float64(len(v.agents) - active)
	to["master/slaves_unreachable"] = float64(v.Unreachable)
	to["master/outstanding_offers"] = float64(v.Offers.Len())
}

func (v *view) resourceMetrics(to metrics) {
	var total, used, revocable, revocableUsed resources.Quantities
	for _, row := range v.agents {
		total = total.Add(row.Total.NonRevocable().ScalarQuantities())
		used = used.Add(row.Allocated.NonRevocable().ScalarQuantities())
		revocable = revocable.Add(row.Total.Revocable().ScalarQuantities())
		revocableUsed = revocableUsed.Add(row.Allocated.Revocable().ScalarQuantities())
	}
	httpd.ResourceMetrics(to, "master/", "", total, used)
	httpd.ResourceMetrics(to, "master/", "revocable_", revocable, revocableUsed)
}

func (v *view) frameworkCounts(to metrics) {
	connected, active := 0, 0
	for _, row := range v.frameworks {
		if row.Connected {
			connected++
		}
		if row.Active {
			active++
		}
	}
	to["master/frameworks_connected"] = float64(connected)
	to["master/frameworks_disconnected"] = float64(len(v.frameworks) - connected)
	to["master/frameworks_active"] = float64(active)
	to["master/frameworks_inactive"] = float64(len(v.frameworks) - active)
}

// present are the states whose tasks are counted as they are; of the others it
// is counted how often they were reached.
var present = []mesos.TaskState{
	mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING,
	mesos.TaskState_TASK_KILLING, mesos.TaskState_TASK_UNREACHABLE,
}

var final = []mesos.TaskState{
	mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLED,
	mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_ERROR, mesos.TaskState_TASK_DROPPED,
	mesos.TaskState_TASK_GONE, mesos.TaskState_TASK_GONE_BY_OPERATOR,
}

func (v *view) taskMetrics(to metrics) {
	var now counts
	for row := range v.Tasks.All() {
		if row.Place != master.Completed {
			now[row.State]++
		}
	}
	for _, state := range present {
		to["master/tasks_"+short(state)] = float64(now[state])
	}
	for _, state := range final {
		to["master/tasks_"+short(state)] = float64(v.Counters.Tasks[state])
	}
	for key, n := range v.Counters.TaskStates {
		name := "master/task_" + short(key.State) + "/" + strings.ToLower(key.Source.String())
		if key.Reason >= 0 {
			name += "/" + strings.ToLower(key.Reason.String())
		}
		to[name] = float64(n)
	}
}

// short returns "running" for TASK_RUNNING.
func short(state mesos.TaskState) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "TASK_"))
}

// allocatorMetrics are those of what is given to roles.
func (v *view) allocatorMetrics(to metrics) {
	const prefix = "allocator/mesos/"
	var total, given resources.Quantities
	for _, row := range v.agents {
		total = total.Add(row.Total.ScalarQuantities())
		given = given.Add(row.Allocated.ScalarQuantities()).Add(row.Offered.ScalarQuantities())
	}
	for _, kind := range []string{"cpus", "mem", "disk"} {
		to[prefix+"resources/"+kind+"/total"] = total.Get(kind).Float64()
		to[prefix+"resources/"+kind+"/offered_or_allocated"] = given.Get(kind).Float64()
	}
	for role, n := range v.Filters {
		to[prefix+"offer_filters/roles/"+role+"/active"] = float64(n)
	}
	var all resources.Quantities
	for _, u := range v.roles() {
		if !strings.Contains(u.name, "/") {
			all = all.Add(u.consumed())
		}
		v.roleMetrics(to, u, total)
	}
	quantityMetrics(to, prefix+"quota/roles//resources/", "/consumed", all)
}

func (v *view) roleMetrics(to metrics, u *usage, total resources.Quantities) {
	const prefix = "allocator/mesos/"
	quota := v.Quotas[u.name]
	below := prefix + "quota/roles/" + u.name + "/resources/"
	quantityMetrics(to, below, "/consumed", u.consumed())
	for kind, amount := range quota.GetGuarantees() {
		to[below+kind+"/guarantee"] = amount.GetValue()
	}
	for kind, amount := range quota.GetLimits() {
		to[below+kind+"/limit"] = amount.GetValue()
	}
	given := u.allocated.Add(u.offered)
	if quota != nil {
		quantityMetrics(to, below, "/offered_or_allocated", given)
	}
	if len(u.frameworks) > 0 {
		to[prefix+"roles/"+u.name+"/shares/dominant"] = dominant(given, total) / u.weight
	}
}

func quantityMetrics(to metrics, before, after string, q resources.Quantities) {
	for kind, amount := range q.All() {
		to[before+kind+after] = amount.Float64()
	}
}

// dominant returns the largest part that any kind of what is given is of the
// total.
func dominant(given, total resources.Quantities) float64 {
	share := 0.0
	for kind, amount := range total.All() {
		if amount > 0 {
			share = max(share, given.Get(kind).Float64()/amount.Float64())
		}
	}
	return share
}
