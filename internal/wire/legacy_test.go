package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/resources"
)

// rendered returns what render writes.
func rendered(t *testing.T, render func(*Writer)) string {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	render(w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !json.Valid(out.Bytes()) {
		t.Errorf("not JSON: %s", &out)
	}
	return out.String()
}

// object returns what render writes into an object.
func object(t *testing.T, render func(*Writer)) string {
	return rendered(t, func(w *Writer) {
		w.BeginObject()
		render(w)
		w.EndObject()
	})
}

// sample is a GET_STATE reply, read, beside the text of the older endpoint.
func sample(t *testing.T, name string, reply proto.Message, old string) string {
	t.Helper()
	if err := UnmarshalJSON(golden.Read(t, name), reply); err != nil {
		t.Fatal(err)
	}
	return string(golden.Read(t, old))
}

// contains checks that a part that we rendered is, byte for byte, in what Mesos
// rendered. Braces at its ends are left out: more members may come.
func contains(t *testing.T, whole, part string) {
	t.Helper()
	if part = strings.TrimSuffix(part, "}"); !strings.Contains(whole, part) {
		t.Errorf("Mesos did not write\n%s", part)
	}
}

func TestGoldenMasterState(t *testing.T) {
	var reply masterpb.Response
	state := sample(t, "v1master/GET_STATE.json", &reply, "master/state.json")
	tasks := reply.GetState.GetTasks
	if len(tasks.Tasks) == 0 || len(tasks.CompletedTasks) == 0 {
		t.Fatal("no tasks in the sample")
	}
	for _, task := range append(tasks.Tasks, tasks.CompletedTasks...) {
		contains(t, state, rendered(t, func(w *Writer) { w.Task(task) }))
	}
	for _, e := range reply.GetState.GetExecutors.Executors {
		contains(t, state, object(t, func(w *Writer) {
			w.ExecutorInfoFields(e.ExecutorInfo)
			w.Key("slave_id").String(e.AgentId.GetValue())
		}))
	}
	for _, f := range reply.GetState.GetFrameworks.Frameworks {
		contains(t, state, object(t, func(w *Writer) {
			w.FrameworkFields(FrameworkSummary{
				Info: f.FrameworkInfo, Used: resources.Trusted(f.AllocatedResources),
				Offered: resources.Trusted(f.OfferedResources), Active: f.GetActive(), Connected: f.GetConnected(), Recovered: f.GetRecovered(),
			})
		}))
		contains(t, state, strings.TrimPrefix(object(t, func(w *Writer) { w.FrameworkRoles(f.FrameworkInfo) }), "{"))
	}
	for _, a := range reply.GetState.GetAgents.Agents {
		contains(t, state, object(t, func(w *Writer) { agentFields(w, a) }))
	}
}

// agentFields writes an agent as /state does.
func agentFields(w *Writer, a *masterpb.Response_GetAgents_Agent) {
	total := resources.Trusted(a.TotalResources)
	w.AgentInfoFields(a.AgentInfo)
	w.Key("pid").String(a.GetPid())
	w.Key("registered_time").Double(float64(a.GetRegisteredTime().GetNanoseconds()) / 1e9)
	w.Key("resources").ResourceSum(total)
	w.Key("used_resources").ResourceSum(resources.Trusted(a.AllocatedResources))
	w.Key("offered_resources").ResourceSum(resources.Trusted(a.OfferedResources))
	w.Key("reserved_resources").Reserved(total, nil)
	w.Key("unreserved_resources").ResourceSum(total)
	w.Key("active").Bool(a.GetActive())
	w.Key("deactivated").Bool(a.GetDeactivated())
	w.Key("version").String(a.GetVersion())
	w.Key("capabilities").AgentCapabilities(a.GetCapabilities())
}

func TestGoldenMasterSlaves(t *testing.T) {
	var reply masterpb.Response
	slaves := sample(t, "v1master/GET_AGENTS.json", &reply, "master/slaves.json")
	for _, a := range reply.GetAgents.Agents {
		contains(t, slaves, object(t, func(w *Writer) {
			agentFields(w, a)
			total := resources.Trusted(a.TotalResources)
			w.Key("reserved_resources_full").ReservedFull(total, nil)
			w.Key("unreserved_resources_full").ResourcesFull(total)
			w.Key("used_resources_full").ResourcesFull(resources.Trusted(a.AllocatedResources))
			w.Key("offered_resources_full").ResourcesFull(resources.Resources{})
		}))
	}
}

func TestGoldenLeaderInfo(t *testing.T) {
	var reply masterpb.Response
	state := sample(t, "v1master/GET_MASTER.json", &reply, "master/state.json")
	contains(t, state, rendered(t, func(w *Writer) { w.MasterInfo(reply.GetMaster.MasterInfo) })+"}")
	contains(t, state, rendered(t, func(w *Writer) { w.MasterCapabilities(reply.GetMaster.MasterInfo.Capabilities) }))
}

func TestGoldenAgentState(t *testing.T) {
	var reply agentpb.Response
	state := sample(t, "v1agent/GET_STATE.json", &reply, "agent/state.json")
	for _, task := range reply.GetState.GetTasks.LaunchedTasks {
		contains(t, state, rendered(t, func(w *Writer) { w.Task(task) }))
	}
}

// TestGoldenZooKeeper compares the MasterInfo that a candidate publishes.
func TestGoldenZooKeeper(t *testing.T) {
	var nodes any
	if err := json.Unmarshal(golden.Read(t, "zookeeper/znodes_1_two_masters.json"), &nodes); err != nil {
		t.Fatal(err)
	}
	found := 0
	eachString(nodes, func(s string) {
		if !strings.Contains(s, `"pid":"master@`) {
			return
		}
		found++
		var info mesos.MasterInfo
		if err := UnmarshalJSON([]byte(s), &info); err != nil {
			t.Fatal(err)
		}
		if got := string(AppendSortedJSON(nil, &info)); got != s {
			t.Errorf("got\n%s, Mesos\n%s", got, s)
		}
	})
	if found == 0 {
		t.Error("no candidates in the sample")
	}
}

// eachString calls f for every string in a JSON tree.
func eachString(tree any, f func(string)) {
	switch v := tree.(type) {
	case string:
		f(v)
	case []any:
		for _, e := range v {
			eachString(e, f)
		}
	case map[string]any:
		for _, e := range v {
			eachString(e, f)
		}
	}
}

// TestGoldenContainers compares the statistics in /containers.
func TestGoldenContainers(t *testing.T) {
	text := string(golden.Read(t, "agent/containers.json"))
	var containers []struct{ Statistics, Status json.RawMessage }
	if err := json.Unmarshal([]byte(text), &containers); err != nil || len(containers) == 0 {
		t.Fatal("no containers in the sample", err)
	}
	for _, c := range containers {
		for _, part := range []struct {
			text json.RawMessage
			m    proto.Message
		}{{c.Statistics, &mesos.ResourceStatistics{}}, {c.Status, &mesos.ContainerStatus{}}} {
			if err := UnmarshalJSON(part.text, part.m); err != nil {
				t.Fatal(err)
			}
			if got := rendered(t, func(w *Writer) { w.SortedMessage(part.m) }); got != string(part.text) {
				t.Errorf("got\n%s, Mesos\n%s", got, part.text)
			}
		}
	}
}

func TestRenderers(t *testing.T) {
	for name, test := range map[string]struct {
		render func(*Writer)
		want   string
	}{
		"no resources": {
			func(w *Writer) { w.Resources(nil) },
			`{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}`,
		},
		"all sorts of resources": {
			func(w *Writer) {
				w.ResourceSum(resources.MustParse("cpus:0.1;cpus(a):0.2;mem:1;ports:[1-2,5-7];zoo:{b,a};apples:3"))
			},
			`{"disk":0.0,"mem":1.0,"gpus":0.0,"cpus":0.3,"apples":3.0,"ports":"[1-2, 5-7]","zoo":"{a, b}"}`,
		},
		"revocable": {
			func(w *Writer) {
				w.Resources([]*mesos.Resource{{
					Name: new("cpus"), Type: mesos.Value_SCALAR.Enum(),
					Scalar: &mesos.Value_Scalar{Value: proto.Float64(2)}, Revocable: &mesos.Resource_RevocableInfo{},
				}})
			},
			`{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0,"cpus_revocable":2.0}`,
		},
		"reserved, some hidden": {
			func(w *Writer) {
				w.Reserved(resources.MustParse("cpus:1;cpus(b):2;cpus(a):3;mem(c):4"), func(role string) bool { return role != "a" })
			},
			`{"b":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":2.0},"c":{"disk":0.0,"mem":4.0,"gpus":0.0,"cpus":0.0}}`,
		},
		"attributes": {
			func(w *Writer) {
				w.Attributes([]*mesos.Attribute{
					{Name: new("n"), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: new(1.5)}},
					{Name: new("r"), Type: mesos.Value_RANGES.Enum(), Ranges: &mesos.Value_Ranges{Range: []*mesos.Value_Range{
						{Begin: proto.Uint64(1), End: proto.Uint64(2)}, {Begin: proto.Uint64(9), End: proto.Uint64(9)},
					}}},
					{Name: new("t"), Type: mesos.Value_TEXT.Enum(), Text: &mesos.Value_Text{Value: new(`a"b`)}},
				})
			},
			`{"n":1.5,"r":"[1-2, 9-9]","t":"a\"b"}`,
		},
		"command": {
			func(w *Writer) {
				w.CommandInfo(&mesos.CommandInfo{
					Shell: new(false), Value: new("/bin/true"), Arguments: []string{"true"}, User: new("u"),
					Uris: []*mesos.CommandInfo_URI{{Value: new("http://x/y"), Extract: new(true)}},
				})
			},
			`{"shell":false,"value":"/bin/true","argv":["true"],"uris":[{"value":"http://x/y","executable":false}]}`,
		},
		"domain": {
			func(w *Writer) {
				w.DomainInfo(&mesos.DomainInfo{FaultDomain: &mesos.DomainInfo_FaultDomain{
					Region: &mesos.DomainInfo_FaultDomain_RegionInfo{Name: new("r")},
					Zone:   &mesos.DomainInfo_FaultDomain_ZoneInfo{Name: new("z")},
				}})
			},
			`{"fault_domain":{"region":{"name":"r"},"zone":{"name":"z"}}}`,
		},
		"offer": {
			func(w *Writer) {
				w.Offer(&mesos.Offer{
					Id: &mesos.OfferID{Value: new("o")}, FrameworkId: &mesos.FrameworkID{Value: new("f")},
					AgentId: &mesos.AgentID{Value: new("s")}, AllocationInfo: &mesos.Resource_AllocationInfo{Role: new("r")},
				})
			},
			`{"id":"o","framework_id":"f","allocation_info":{"role":"r"},"slave_id":"s",` +
				`"resources":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.0}}`,
		},
		"a task with all it can have": {
			func(w *Writer) { w.Task(fullTask()) },
			`{"id":"t","name":"n","framework_id":"f","executor_id":"e","slave_id":"s","state":"TASK_RUNNING",` +
				`"resources":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.5},"limits":{"cpus":"Infinity","mem":64.0},"role":"r",` +
				`"statuses":[{"state":"TASK_RUNNING","timestamp":1.5,"labels":[{"key":"k"}],"container_status":{` +
				`"container_id":{"value":"c"},"network_infos":[{"groups":["g"],"labels":[{"key":"k"}],` +
				`"ip_addresses":[{"protocol":"IPv4","ip_address":"127.0.0.1"}],"name":"net",` +
				`"port_mappings":[{"host_port":31000,"container_port":80}]}],"cgroup_info":{"net_cls":{"classid":7}}},"healthy":false}],` +
				`"user":"u","labels":[{"key":"k"}],"discovery":{"visibility":"CLUSTER"},"container":{"type":"MESOS"},` +
				`"health_check":{"delay_seconds":15.0,"interval_seconds":10.0,"timeout_seconds":20.0,"consecutive_failures":3,` +
				`"grace_period_seconds":10.0}}`,
		},
		"a queued task": {
			func(w *Writer) {
				w.TaskInfo(&mesos.TaskInfo{
					Name: new("n"), TaskId: &mesos.TaskID{Value: new("t")}, AgentId: &mesos.AgentID{Value: new("s")},
					Resources: fullTask().Resources, Command: &mesos.CommandInfo{Value: new("true")},
					Executor:  &mesos.ExecutorInfo{ExecutorId: &mesos.ExecutorID{Value: new("e")}},
					Discovery: &mesos.DiscoveryInfo{Visibility: mesos.DiscoveryInfo_EXTERNAL.Enum()},
				})
			},
			`{"id":"t","name":"n","slave_id":"s","resources":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":0.5},"role":"r",` +
				`"command":{"value":"true","argv":[],"uris":[]},"executor_id":"e","discovery":{"visibility":"EXTERNAL"}}`,
		},
		"quantities and limits": {
			func(w *Writer) {
				w.BeginArray()
				w.Quantities(resources.QuantitiesOf(resources.Quantity{Name: "mem", Amount: 5000}, resources.Quantity{Name: "cpus", Amount: 300}))
				w.Limits(resources.LimitsOf(resources.Quantity{Name: "cpus"}))
				w.EndArray()
			},
			`[{"cpus":0.3,"mem":5.0},{"cpus":0.0}]`,
		},
		"flags": {
			func(w *Writer) { w.StringMap(map[string]string{"b": "2", "a": "1"}) },
			`{"a":"1","b":"2"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := rendered(t, test.render); got != test.want {
				t.Errorf("got\n%s, want\n%s", got, test.want)
			}
		})
	}
}

// fullTask returns a task with everything that is shown.
func fullTask() *mesos.Task {
	labels := &mesos.Labels{Labels: []*mesos.Label{{Key: new("k")}}}
	return &mesos.Task{
		Name: new("n"), TaskId: &mesos.TaskID{Value: new("t")}, FrameworkId: &mesos.FrameworkID{Value: new("f")},
		ExecutorId: &mesos.ExecutorID{Value: new("e")}, AgentId: &mesos.AgentID{Value: new("s")},
		State: mesos.TaskState_TASK_RUNNING.Enum(), User: new("u"), Labels: labels,
		Resources: []*mesos.Resource{{
			Name: new("cpus"), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: new(0.5)},
			AllocationInfo: &mesos.Resource_AllocationInfo{Role: new("r")},
		}},
		Limits:    map[string]*mesos.Value_Scalar{"mem": {Value: new(64.0)}, "cpus": {Value: new(math.Inf(1))}},
		Discovery: &mesos.DiscoveryInfo{Visibility: mesos.DiscoveryInfo_CLUSTER.Enum()},
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum()}, HealthCheck: &mesos.HealthCheck{},
		Statuses: []*mesos.TaskStatus{{
			State: mesos.TaskState_TASK_RUNNING.Enum(), Timestamp: new(1.5), Labels: labels, Healthy: new(false), Message: new("not shown"),
			ContainerStatus: &mesos.ContainerStatus{
				ContainerId: &mesos.ContainerID{Value: new("c")},
				CgroupInfo:  &mesos.CgroupInfo{NetCls: &mesos.CgroupInfo_NetCls{Classid: new(uint32(7))}},
				NetworkInfos: []*mesos.NetworkInfo{{
					Groups: []string{"g"}, Labels: labels, Name: new("net"),
					IpAddresses:  []*mesos.NetworkInfo_IPAddress{{IpAddress: new("127.0.0.1")}},
					PortMappings: []*mesos.NetworkInfo_PortMapping{{HostPort: new(uint32(31000)), ContainerPort: new(uint32(80))}},
				}},
			},
		}},
	}
}

// TestGoldenExecutor compares an executor in the agent's /state.
func TestGoldenExecutor(t *testing.T) {
	var reply agentpb.Response
	state := sample(t, "v1agent/GET_EXECUTORS.json", &reply, "agent/state.json")
	var old struct {
		Frameworks []struct {
			Executors []struct {
				ID, Container, Directory string
				Resources                map[string]float64
			}
		}
	}
	if err := json.Unmarshal([]byte(state), &old); err != nil {
		t.Fatal(err)
	}
	infos := map[string]*mesos.ExecutorInfo{}
	for _, e := range reply.GetExecutors.Executors {
		infos[e.ExecutorInfo.ExecutorId.GetValue()] = e.ExecutorInfo
	}
	for _, f := range old.Frameworks {
		for _, e := range f.Executors {
			text := fmt.Sprintf("cpus:%v;mem:%v;disk:%v", e.Resources["cpus"], e.Resources["mem"], e.Resources["disk"])
			contains(t, state, object(t, func(w *Writer) {
				w.ExecutorFields(ExecutorSummary{
					Info: infos[e.ID], ContainerID: e.Container, Directory: e.Directory, Resources: resources.MustParse(text),
				})
			}))
		}
	}
}

// TestGoldenTaskStates compares the counts in /state-summary.
func TestGoldenTaskStates(t *testing.T) {
	summary := string(golden.Read(t, "master/state-summary.json"))
	contains(t, summary, strings.TrimPrefix(object(t, func(w *Writer) {
		w.TaskStateFields(func(state mesos.TaskState) int {
			if state == mesos.TaskState_TASK_RUNNING {
				return 3
			}
			return 0
		})
	}), "{"))
}

// TestNamesInLegacy checks that the messages that renderers write whole have
// the names of v0, where slave stands for agent.
func TestNamesInLegacy(t *testing.T) {
	seen := map[*plan]bool{}
	for _, m := range []proto.Message{
		&mesos.Resource{}, &mesos.DiscoveryInfo{}, &mesos.ContainerInfo{}, &mesos.HealthCheck{}, &mesos.ContainerID{},
		&mesos.CgroupInfo{}, &mesos.NetworkInfo{}, &mesos.Environment{}, &mesos.Label{}, &mesos.DrainInfo{},
		&mesos.DrainConfig{}, &schedulerpb.OfferConstraints{}, &mesos.MasterInfo{}, &mesos.ResourceStatistics{},
	} {
		reaches(planFor(m.ProtoReflect().Descriptor()), seen, func(p *plan) bool {
			for _, f := range p.fields {
				agentless(t, f)
			}
			return false
		})
	}
}

func agentless(t *testing.T, f *field) {
	names := []protoreflect.Name{f.desc.Name()}
	if f.enum != nil {
		for name := range f.enum.numbers {
			names = append(names, protoreflect.Name(name))
		}
	}
	for _, name := range names {
		if strings.Contains(strings.ToLower(string(name)), "agent") && name != "AGENT_UPDATE" && name != "AGENT_DRAINING" {
			t.Errorf("%s: %s is called otherwise in v0", f.desc.FullName(), name)
		}
	}
}
