package compat

import (
	"strconv"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

func itoa(n int) string { return strconv.Itoa(n) }

// endpoint is a GET whose answer is compared with a sample.
type endpoint struct {
	sample string // in the golden folder, without .json
	path   string
	rules  Rules
}

// legacyRules look away where a name is data, and where a build tells what it
// was built from.
func legacyRules() Rules {
	return Rules{
		Open: []string{
			"flags", "slaves[].attributes", "frameworks[].labels", "roles[].resources",
			"roles[].quota.guarantee", "roles[].quota.limit", "roles[].quota.consumed",
			"roles[].allocated", "roles[].offered", "roles[].reserved",
		},
		Missing: []string{"git_sha", "git_branch", "git_tag", "log_dir", "external_log_file"},
	}
}

var masterEndpoints = []endpoint{
	{"master/health", "/health", Rules{}},
	{"master/version", "/version", buildRules},
	{"master/state", "/state", legacyRules()},
	{"master/state", "/master/state", legacyRules()},
	{"v0alias/master_state", "/master/state", legacyRules()},
	{"master/state", "/state.json", legacyRules()}, // not in Mesos any more, but clients ask
	{"master/state", "/master/state.json", legacyRules()},
	{"master/state-summary", "/state-summary", legacyRules()},
	{"v0alias/master_state-summary", "/master/state-summary", legacyRules()},
	{"v0alias/master_health", "/master/health", Rules{}},
	{"v0alias/master_roles", "/master/roles", legacyRules()},
	{"v0alias/master_slaves", "/master/slaves", legacyRules()},
	{"master/slaves", "/slaves", legacyRules()},
	{"master/frameworks", "/frameworks", legacyRules()},
	{"master/frameworks", "/master/frameworks/", legacyRules()},
	{"master/tasks", "/tasks", legacyRules()},
	{"master/tasks_limit1_asc", "/tasks?limit=1&order=asc", legacyRules()},
	{"master/roles", "/roles", legacyRules()},
	{"master/flags", "/flags", Rules{Open: []string{"flags"}}},
	{"master/redirect", "/redirect", Rules{}},
	{"v0alias/master_redirect", "/master/redirect", Rules{}},
	{"master/metrics_snapshot", "/metrics/snapshot", Rules{Open: []string{""}}},
}

var agentEndpoints = []endpoint{
	{"agent/health", "/health", Rules{}},
	{"agent/slave1_health", "/slave(1)/health", Rules{}},
	{"agent/version", "/version", buildRules},
	{"agent/state", "/state", agentRules()},
	{"agent/slave1_state", "/slave(1)/state", agentRules()},
	{"agent/flags", "/flags", Rules{Open: []string{"flags"}}},
	{"agent/containers", "/containers", Rules{}},
	{"agent/monitor_statistics", "/monitor/statistics", Rules{}},
	{"agent/metrics_snapshot", "/metrics/snapshot", Rules{Open: []string{""}}},
}

// buildRules: what is known of a build differs, and we add our own version.
var buildRules = Rules{Missing: []string{"git_sha", "git_branch", "git_tag"}, Extra: []string{"meseta_version"}}

func agentRules() Rules {
	rules := legacyRules()
	rules.Open = append(rules.Open, "attributes", "reserved_resources", "reserved_resources_full", "reserved_resources_allocated")
	return rules
}

// TestLive compares what master and agent say of a cluster in the state in which
// the samples were taken.
func TestLive(t *testing.T) {
	t.Parallel()
	l := startLive(t)
	for name, test := range map[string]func(*testing.T, *live){
		"endpoints": testEndpoints, "metrics": testMetricNames, "calls": testOperatorCalls,
		"protobuf": testOperatorCallsInProtobuf, "jsonp": testJSONP,
	} {
		t.Run(name, func(t *testing.T) { test(t, l) })
	}
}

// testEndpoints compares the older GET endpoints.
func testEndpoints(t *testing.T, l *live) {
	for node, endpoints := range map[*cluster.Node][]endpoint{l.Master: masterEndpoints, l.Agents[0]: agentEndpoints} {
		for _, e := range endpoints {
			t.Run(strings.ReplaceAll(e.sample+e.path, "/", " "), func(t *testing.T) {
				reply, err := cluster.Get(node.URL + e.path)
				if err != nil {
					t.Fatal(err)
				}
				checkHead(t, string(golden.Read(t, e.sample+".hdr")), reply)
				checkShape(t, golden.Read(t, e.sample+".json"), []byte(reply.Body), e.rules)
			})
		}
	}
}

// checkShape compares JSON with a sample; two empty texts are alike.
func checkShape(t *testing.T, want, got []byte, rules Rules) {
	t.Helper()
	if len(want) == 0 || len(got) == 0 {
		if len(want) != len(got) {
			t.Errorf("the body is %.80q, in Mesos %.80q", got, want)
		}
		return
	}
	theirs, err := ShapeOf(want)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ShapeOf(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range Diff(theirs, ours, rules) {
		t.Error(line)
	}
}

// testMetricNames: a metric that Mesos has and that counts something we have
// must be there under its name.
func testMetricNames(t *testing.T, l *live) {
	for node, sample := range map[*cluster.Node]string{l.Master: "master/metrics_snapshot.json", l.Agents[0]: "agent/metrics_snapshot.json"} {
		reply, err := cluster.Get(node.URL + "/metrics/snapshot")
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := reply.JSON().V.(map[string]any)
		var missing []string
		theirs, err := ShapeOf(golden.Read(t, sample))
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range theirs.fields {
			if _, ok := ours[field.name]; !ok && counted(field.name) {
				missing = append(missing, field.name)
			}
		}
		if len(missing) > 0 {
			t.Errorf("%s lacks the metrics %s", node.Name, strings.Join(missing, " "))
		}
	}
}

// counted says whether a metric of Mesos has a meaning here: not those of its
// replicated log, of its inner queues, or that bear an id.
func counted(name string) bool {
	for _, other := range []string{
		"registrar/log/", "event_queue_", "allocator/mesos/", "frameworks/", "gpus", "containerizer/",
		"allocator/event", "resource_provider", "http_cache", "csi", "overlay/", "/recovery", "latency_ms/", "/operator_event", "master/messages_",
		"master/task_", // of these there are as many as there were reasons
	} {
		if strings.Contains(name, other) {
			return false
		}
	}
	return true
}

// operatorCalls are the read calls of the v1 operator API compared, on masters
// and on agents.
var operatorCalls = map[string][]string{
	"v1master": {
		"GET_HEALTH", "GET_VERSION", "GET_FLAGS", "GET_METRICS", "GET_STATE", "GET_AGENTS",
		"GET_FRAMEWORKS", "GET_EXECUTORS", "GET_TASKS", "GET_ROLES", "GET_MASTER",
	},
	"v1agent": {
		"GET_HEALTH", "GET_VERSION", "GET_FLAGS", "GET_METRICS", "GET_STATE", "GET_AGENT",
		"GET_FRAMEWORKS", "GET_EXECUTORS", "GET_TASKS", "GET_CONTAINERS",
	},
}

// v1Rules: a build differs in what it knows of itself, and a command task is
// starting before there is a process, since its executor is within the agent.
var v1Rules = Rules{
	Missing: []string{"get_version.version_info.git_sha", "get_version.version_info.git_branch", ".container_status.executor_pid"},
	Extra:   []string{"get_version.version_info.meseta_version"},
}

// testOperatorCalls compares the v1 read calls, in JSON.
func testOperatorCalls(t *testing.T, l *live) {
	for folder, calls := range operatorCalls {
		node := map[string]*cluster.Node{"v1master": l.Master, "v1agent": l.Agents[0]}[folder]
		for _, call := range calls {
			t.Run(folder+" "+call, func(t *testing.T) {
				body := J{"type": call}
				if call == "GET_METRICS" {
					body["get_metrics"] = J{"timeout": J{"nanoseconds": 1000000000}}
				}
				reply, err := cluster.Post(node.URL+"/api/v1", nil, body)
				if err != nil {
					t.Fatal(err)
				}
				checkHead(t, string(golden.Read(t, folder+"/"+call+".hdr")), reply)
				checkShape(t, golden.Read(t, folder+"/"+call+".json"), []byte(reply.Body), v1Rules)
			})
		}
	}
}

// testJSONP: a browser's GET may name a function to call with the answer.
func testJSONP(t *testing.T, l *live) {
	reply, err := cluster.Get(l.Master.URL + "/state-summary?jsonp=cb")
	if err != nil {
		t.Fatal(err)
	}
	checkHead(t, string(golden.Read(t, "master/state_jsonp.hdr")), reply)
	unwrap := func(text string) []byte {
		inner, ok := strings.CutPrefix(strings.TrimSuffix(text, ")"), "cb(")
		if !ok || inner == text {
			t.Errorf("%.40q is no call of cb", text)
		}
		return []byte(inner)
	}
	checkShape(t, unwrap(string(golden.Read(t, "master/state_jsonp.json"))), unwrap(reply.Body), legacyRules())
}

// testOperatorCallsInProtobuf compares the v1 calls that were captured in
// protobuf: which fields the answers have.
func testOperatorCallsInProtobuf(t *testing.T, l *live) {
	for call, number := range map[string]string{"GET_HEALTH": "\x01", "GET_VERSION": "\x03", "GET_AGENTS": "\x0a", "GET_MASTER": "\x11"} {
		header := map[string]string{"Content-Type": "application/x-protobuf", "Accept": "application/x-protobuf"}
		reply, err := cluster.Do("POST", l.Master.URL+"/api/v1", header, "\x08"+number)
		if err != nil {
			t.Fatal(err)
		}
		checkHead(t, string(golden.Read(t, "v1master/"+call+".pb.hdr")), reply)
		theirs, ours := places(t, golden.Read(t, "v1master/"+call+".pb")), places(t, []byte(reply.Body))
		for place := range theirs {
			if !ours[place] && !unbuilt[call+" "+place] {
				t.Errorf("%s: lacks field %s", call, place)
			}
		}
		for place := range ours {
			if !theirs[place] {
				t.Errorf("%s: has field %s, in Mesos it has not", call, place)
			}
		}
	}
}

// unbuilt are the fields of VersionInfo that tell where Mesos was built from.
var unbuilt = map[string]bool{"GET_VERSION 4.1.5": true, "GET_VERSION 4.1.6": true, "GET_VERSION 4.1.7": true}

// places are the fields that a message has, at all depths.
func places(t *testing.T, message []byte) map[string]bool {
	t.Helper()
	lines, err := Lines(message)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, line := range lines {
		set[line.Path] = true
	}
	return set
}
