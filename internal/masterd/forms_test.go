package masterd

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// TestForms: the older endpoints make the calls that mean the same.
func TestForms(t *testing.T) {
	const cpus = `[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]`
	for _, test := range []struct {
		read       func([]byte) (*masterpb.Call, error)
		body, want string
	}{
		{form(teardownOf), "frameworkId=f", `{"type":"TEARDOWN","teardown":{"framework_id":{"value":"f"}}}`},
		{form(teardownOf), "", "Missing 'frameworkId' query parameter in the request body"},
		{
			form(reserveOf), "slaveId=a&resources=" + cpus,
			`{"type":"RESERVE_RESOURCES","reserve_resources":{"agent_id":{"value":"a"},"resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}}]}}`,
		},
		{
			form(reserveOf), "slaveId=a&resources=[]&source=" + cpus,
			`{"type":"RESERVE_RESOURCES","reserve_resources":{"agent_id":{"value":"a"},"source":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.0}}]}}`,
		},
		{form(reserveOf), "slaveId=a&resources=[]&source=x", "Error in parsing 'source' query parameter in the request body: syntax error at line 1 near: x"},
		{form(reserveOf), "slaveId=a", "Missing 'resources' query parameter in the request body"},
		{form(onAgent("resources", unreserveOf)), "slaveId=a&resources=[]", `{"type":"UNRESERVE_RESOURCES","unreserve_resources":{"agent_id":{"value":"a"}}}`},
		{form(onAgent("volumes", createOf)), "slaveId=a", "Missing 'volumes' query parameter in the request body"},
		{form(onAgent("volumes", destroyOf)), "volumes=[]", "Missing 'slaveId' query parameter in the request body"},
		{form(onAgent("volumes", createOf)), "slaveId=a&volumes={}", "Error in parsing 'volumes' query parameter in the request body: Expecting a JSON array"},
		{form(teardownOf), "%zz", `Unable to decode query string: invalid URL escape "%zz"`},
		{weightsOf, `[{"role":"r","weight":2}]`, `{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"weight":2.0,"role":"r"}]}}`},
		{quotaOf, `{"role":"r","force":true}`, `{"type":"SET_QUOTA","set_quota":{"quota_request":{"force":true,"role":"r"}}}`},
		{scheduleOf, `{}`, `{"type":"UPDATE_MAINTENANCE_SCHEDULE","update_maintenance_schedule":{"schedule":{}}}`},
		{downOf, `[{"hostname":"h"}]`, `{"type":"START_MAINTENANCE","start_maintenance":{"machines":[{"hostname":"h"}]}}`},
		{upOf, `[{"ip":"1.2.3.4"}]`, `{"type":"STOP_MAINTENANCE","stop_maintenance":{"machines":[{"ip":"1.2.3.4"}]}}`},
	} {
		call, err := test.read([]byte(test.body))
		got := string(wire.AppendJSON(nil, call))
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: %s; want %s", test.body, got, test.want)
		}
	}
}

// TestTaskPages: which tasks are listed, by the time of their first status.
func TestTaskPages(t *testing.T) {
	v, rows := newView(&Server{}, &master.Snapshot{}), &tables{}
	for _, id := range []string{"old", "new", "staging"} {
		task := &mesos.Task{TaskId: &mesos.TaskID{Value: &id}, Name: &id}
		if id != "staging" {
			at := map[string]float64{"old": 1, "new": 2}[id]
			task.Statuses = []*mesos.TaskStatus{{Timestamp: &at}}
		}
		rows.tasks(&masterpb.Response_GetTasks{Tasks: []*mesos.Task{task}})
	}
	v.Tasks = rows.task.Snapshot()
	for query, want := range map[string]string{
		"":                            "new old staging",
		"?order=des":                  "new old staging",
		"?order=asc":                  "staging old new",
		"?limit=1":                    "new",
		"?limit=-1&offset=1":          "old staging",
		"?limit=x&offset=y":           "new old staging",
		"?offset=7":                   "",
		"?order=asc&limit=1":          "staging",
		"?task_id=old":                "old",
		"?framework_id=nobody":        "",
		"?limit=99999999999999999999": "new old staging",
	} {
		got := text(t, func(w *wire.Writer) {
			writeTasks(v, w, httptest.NewRequest(http.MethodGet, "/tasks"+query, http.NoBody))
		})
		var ids []string
		for part := range strings.SplitSeq(got, `{"id":"`) {
			if id, _, ok := strings.Cut(part, `","name"`); ok {
				ids = append(ids, id)
			}
		}
		if strings.Join(ids, " ") != want {
			t.Errorf("%s: %v, want %s", query, ids, want)
		}
	}
}

// TestRoleTree: what a role uses counts for those above it, and reservations
// count against their quota whether they are used or not.
func TestRoleTree(t *testing.T) {
	parse := func(text string) resources.Resources {
		rs, err := resources.Parse(text, "*")
		if err != nil {
			t.Fatal(err)
		}
		return rs
	}
	rows, s := &tables{}, &master.Snapshot{Weights: map[string]float64{"c/d": 2}}
	rows.agent.Put("a", &master.AgentRow{
		ID: "a", Total: parse("cpus:10;cpus(a/b):4"), Allocated: parse("cpus(a/b):1;cpus:2").AllocatedTo("a/b"),
	})
	rows.framework.Put("f", &master.FrameworkRow{
		ID: "f", Info: &mesos.FrameworkInfo{Roles: []string{"a/b"}, Capabilities: []*mesos.FrameworkInfo_Capability{
			{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()},
		}},
		Allocated: parse("cpus(a/b):1;cpus:2").AllocatedTo("a/b"), Offered: parse("cpus:5").AllocatedTo("a/b"),
	})
	s.Agents, s.Frameworks = rows.agent.Snapshot(), rows.framework.Snapshot()
	var got []string
	for _, u := range newView(&Server{}, s).roles() {
		got = append(got, strings.Join([]string{
			u.name, "used", u.allocated.String(), "offered", u.offered.String(), "reserved", u.reserved.String(), "consumed", u.consumed().String(),
		}, " "))
	}
	want := []string{
		"a used cpus:3 offered cpus:5 reserved cpus:4 consumed cpus:6",
		"a/b used cpus:3 offered cpus:5 reserved cpus:4 consumed cpus:6",
		"c used {} offered {} reserved {} consumed {}",
		"c/d used {} offered {} reserved {} consumed {}",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%q", got)
	}
}
