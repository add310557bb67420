package masterd

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// sampled returns the master that the samples were taken of: what GET_STATE
// said, put back into the rows that it must have been made of.
func sampled(t *testing.T) *view {
	t.Helper()
	state, leader := &masterpb.Response{}, &masterpb.Response{}
	load(t, "v1master/GET_STATE.json", state)
	load(t, "v1master/GET_MASTER.json", leader)
	s := &master.Snapshot{
		Info:    leader.GetMaster.MasterInfo,
		Elected: seconds(leader.GetMaster.GetElectedTime()),
	}
	rows := &tables{}
	rows.agents(state.GetState.GetAgents)
	rows.frameworks(state.GetState.GetFrameworks, s)
	rows.tasks(state.GetState.GetTasks)
	rows.executors(state.GetState.GetExecutors)
	s.Agents, s.Frameworks, s.Tasks = rows.agent.Snapshot(), rows.framework.Snapshot(), rows.task.Snapshot()
	s.Executors = rows.executor.Snapshot()
	var flags struct{ Flags map[string]string }
	if err := json.Unmarshal(golden.Read(t, "master/flags.json"), &flags); err != nil {
		t.Fatal(err)
	}
	server := &Server{
		started: seconds(leader.GetMaster.GetStartTime()),
		cfg:     Config{Flags: flags.Flags, LogDir: flags.Flags["log_dir"], Log: slog.New(slog.DiscardHandler)},
	}
	return newView(server, s)
}

func load(t *testing.T, sample string, response *masterpb.Response) {
	t.Helper()
	if err := wire.UnmarshalJSON(golden.Read(t, sample), response); err != nil {
		t.Fatal(err)
	}
}

func seconds(s float64) time.Time { return time.UnixMicro(int64(s*1e6 + 0.5)) }

func at(info *mesos.TimeInfo) time.Time {
	if info == nil {
		return time.Time{}
	}
	return time.Unix(0, info.GetNanoseconds())
}

// owned returns resources in the form in which rows have them.
func owned(rs []*mesos.Resource) resources.Resources {
	for _, r := range rs {
		resources.Upgrade(r)
	}
	return resources.Trusted(rs)
}

// tables are the rows of a master, numbered in the order in which they came.
type tables struct {
	agent     cow.Table[ids.AgentID, master.AgentRow]
	framework cow.Table[ids.FrameworkID, master.FrameworkRow]
	task      cow.Table[uint64, master.TaskRow]
	executor  cow.Table[uint64, master.ExecutorRow]
	serial    uint64
}

func (r *tables) next() uint64 {
	r.serial++
	return r.serial
}

func (r *tables) agents(sample *masterpb.Response_GetAgents) {
	for _, a := range sample.Agents {
		row := &master.AgentRow{
			Serial: r.next(), ID: ids.AgentID(a.AgentInfo.GetId().GetValue()), Info: a.AgentInfo, PID: ids.UPID(a.GetPid()),
			Version: a.GetVersion(), Registered: at(a.RegisteredTime), Connected: true, Active: a.GetActive(),
			Total: owned(a.TotalResources), Allocated: owned(a.AllocatedResources), Offered: owned(a.OfferedResources),
		}
		for _, c := range a.Capabilities {
			row.Capabilities = append(row.Capabilities, c.GetType())
		}
		r.agent.Put(row.ID, row)
	}
}

func (r *tables) frameworks(sample *masterpb.Response_GetFrameworks, s *master.Snapshot) {
	row := func(f *masterpb.Response_GetFrameworks_Framework) *master.FrameworkRow {
		return &master.FrameworkRow{
			Serial: r.next(), ID: ids.FrameworkID(f.FrameworkInfo.GetId().GetValue()), Info: f.FrameworkInfo,
			Connected: f.GetConnected(), Active: f.GetActive(), Registered: at(f.RegisteredTime),
			Unregistered: at(f.UnregisteredTime), Allocated: owned(f.AllocatedResources), Offered: owned(f.OfferedResources),
		}
	}
	for _, f := range sample.Frameworks {
		one := row(f)
		r.framework.Put(one.ID, one)
	}
	for _, f := range sample.CompletedFrameworks {
		s.Completed = append(s.Completed, row(f))
	}
}

func (r *tables) tasks(sample *masterpb.Response_GetTasks) {
	put := func(tasks []*mesos.Task, place master.Place) {
		for _, t := range tasks {
			row := &master.TaskRow{
				Serial: r.next(), ID: ids.TaskID(t.GetTaskId().GetValue()), Framework: ids.FrameworkID(t.GetFrameworkId().GetValue()),
				Agent: ids.AgentID(t.GetAgentId().GetValue()), Place: place, State: t.GetState(), UpdateState: t.StatusUpdateState,
				UpdateUUID: t.StatusUpdateUuid, Statuses: t.Statuses, Desc: t,
			}
			r.task.Put(row.Serial, row)
		}
	}
	put(sample.Tasks, master.Running)
	put(sample.UnreachableTasks, master.Unreachable)
	put(sample.CompletedTasks, master.Completed)
}

func (r *tables) executors(sample *masterpb.Response_GetExecutors) {
	for _, e := range sample.Executors {
		row := &master.ExecutorRow{
			Serial: r.next(), Framework: ids.FrameworkID(e.ExecutorInfo.GetFrameworkId().GetValue()),
			Agent: ids.AgentID(e.AgentId.GetValue()), Info: e.ExecutorInfo,
		}
		r.executor.Put(row.Serial, row)
	}
}

// text returns what is written of a view.
func text(t *testing.T, write func(*wire.Writer)) string {
	t.Helper()
	var b bytes.Buffer
	w := wire.NewWriter(&b)
	write(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares two long texts, and shows where they part.
func same(t *testing.T, name, got, want string) {
	t.Helper()
	n := 0
	for n < len(got) && n < len(want) && got[n] == want[n] {
		n++
	}
	if got != want {
		t.Errorf("%s: after %q we write\n%.200s\nand Mesos\n%.200s", name, got[max(0, n-60):n], got[n:], want[n:])
	}
}

// TestGoldenEndpoints renders the sampled master on the older endpoints, to the
// byte.
func TestGoldenEndpoints(t *testing.T) {
	for path, write := range map[string]func(*view, *wire.Writer, *http.Request){
		"slaves": writeAgents, "frameworks": writeFrameworks, "state-summary": writeSummary, "roles": writeRoles,
		"tasks": writeTasks, "tasks?limit=1&order=asc": writeTasks, "quota": writeQuota, "weights": writeWeights,
		"maintenance/schedule": writeSchedule, "maintenance/status": writeMaintenance,
	} {
		sample := strings.NewReplacer("tasks?limit=1&order=asc", "tasks_limit1_asc", "/", "_").Replace(path)
		got := text(t, func(w *wire.Writer) { write(sampled(t), w, httptest.NewRequest(http.MethodGet, "/"+path, http.NoBody)) })
		same(t, path, got, string(golden.Read(t, "master/"+sample+".json")))
	}
}

// TestGoldenState does the same for /state, but for what tells of the build.
func TestGoldenState(t *testing.T) {
	got := text(t, func(w *wire.Writer) { writeState(sampled(t), w, nil) })
	_, got, _ = strings.Cut(got, `"start_time"`)
	_, want, _ := strings.Cut(string(golden.Read(t, "master/state.json")), `"start_time"`)
	same(t, "state", got, want)
}

// TestGoldenLists renders the sampled master in the v1 API, in both encodings.
func TestGoldenLists(t *testing.T) {
	for call, l := range lists {
		v := sampled(t)
		got := text(t, func(w *wire.Writer) {
			w.BeginObject()
			w.Key("type").String(call.String())
			l.write(v, w.Key(l.member))
			w.EndObject()
		})
		want := golden.Read(t, "v1master/"+call.String()+".json")
		same(t, call.String(), got, string(want))
		response := l.response(v)
		response.Type = responseType(&masterpb.Call{Type: call.Enum()})
		theirs := &masterpb.Response{}
		load(t, "v1master/"+call.String()+".json", theirs)
		same(t, call.String()+" as a message", string(wire.AppendJSON(nil, response)), string(wire.AppendJSON(nil, theirs)))
	}
}

// TestGoldenReads does the same for the calls whose answers are small.
func TestGoldenReads(t *testing.T) {
	v := sampled(t)
	for call, response := range map[string]*masterpb.Response{
		"GET_MASTER":               {GetMaster: v.masterResponse()},
		"GET_ROLES":                {GetRoles: v.rolesResponse()},
		"GET_OPERATIONS":           {GetOperations: v.operationsResponse()},
		"GET_QUOTA":                {GetQuota: &masterpb.Response_GetQuota{Status: v.quota()}},
		"GET_MAINTENANCE_SCHEDULE": {GetMaintenanceSchedule: &masterpb.Response_GetMaintenanceSchedule{Schedule: v.schedule()}},
		"GET_MAINTENANCE_STATUS":   {GetMaintenanceStatus: &masterpb.Response_GetMaintenanceStatus{Status: v.maintenance()}},
	} {
		response.Type = masterpb.Response_Type(masterpb.Response_Type_value[call]).Enum()
		same(t, call, string(wire.AppendJSON(nil, response)), string(golden.Read(t, "v1master/"+call+".json")))
	}
}

// TestGoldenMetrics: every metric that Mesos has of what the master knows is
// there, and tells the same of what the sample shows.
func TestGoldenMetrics(t *testing.T) {
	var want metrics
	if err := json.Unmarshal(golden.Read(t, "master/metrics_snapshot.json"), &want); err != nil {
		t.Fatal(err)
	}
	v, got := sampled(t), metrics{}
	v.agentMetrics(got)
	v.resourceMetrics(got)
	v.frameworkCounts(got)
	v.taskMetrics(got)
	v.allocatorMetrics(got)
	v.counterMetrics(got)
	v.operationMetrics(got)
	for name := range want {
		if _, ok := got[name]; !ok && !elsewhere(name) {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range []string{
		"master/cpus_used", "master/mem_percent", "master/tasks_running", "master/frameworks_active", "master/slaves_active",
		"allocator/mesos/roles/*/shares/dominant", "allocator/mesos/roles/eng/shares/dominant",
		"allocator/mesos/quota/roles//resources/cpus/consumed", "allocator/mesos/quota/roles/eng/resources/mem/consumed",
	} {
		if got[name] != want[name] {
			t.Errorf("%s is %v, in Mesos %v", name, got[name], want[name])
		}
	}
}

// elsewhere says which metrics are not made of rows alone.
func elsewhere(name string) bool {
	for _, prefix := range []string{
		"system/", "registrar/", "master/frameworks/", "master/event_queue_", "master/task_", "master/uptime", "master/elected",
		"master/http_cache", "master/operator_event_stream", "allocator/event", "allocator/mesos/event", "allocator/mesos/allocation_run",
		"allocator/mesos/offer_filters/",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
