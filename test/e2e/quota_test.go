package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// inRole is a FrameworkInfo in one role that survives its scheduler's and its
// master's deaths.
func inRole(name, role string) J {
	info := durable(name)
	info["roles"] = []string{role}
	return info
}

// cpusOf returns how many CPUs an offer has.
func cpusOf(offer cluster.Value) float64 {
	cpus := 0.0
	for _, r := range offer.List("resources") {
		if r.Text("name") == "cpus" {
			cpus += r.Number("scalar.value")
		}
	}
	return cpus
}

// mostCPUs returns the most CPUs that a framework was ever offered at once.
func mostCPUs(s *cluster.Scheduler) float64 {
	most := 0.0
	for _, event := range s.Events() {
		for _, offer := range event.List("offers.offers") {
			most = max(most, cpusOf(offer))
		}
	}
	return most
}

// TestQuota: a framework keeps every offer it gets. Once another role has a
// quota, its guarantee is taken from the offers, kept for the framework that
// comes, and still kept for it after a restart of the master.
func TestQuota(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--weights=served=3")
	cluster.StartAgent(t, master, "--resources=cpus:4;mem:1024")
	request(t, master, "PUT", "/weights", `[{"role":"greedy","weight":2.5}]`, 200, "")
	hog := cluster.Subscribe(t, master, inRole("hog", "greedy"))
	hog.AwaitOffer()

	const quota = `{"role":"served","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":3}},{"name":"mem","type":"SCALAR","scalar":{"value":512}}]}`
	request(t, master, "POST", "/quota", quota, 200, "")
	request(t, master, "POST", "/quota", quota, 400, "Failed to validate set quota request: Cannot set quota for role 'served' which already has quota")
	hog.Await("RESCIND", nil)
	rest := hog.Await("OFFERS", func(e cluster.Event) bool { return cpusOf(e.List("offers.offers")[0]) == 1 }).List("offers.offers")[0]
	hog.Launch(rest, 0, withResources(cluster.Task(rest, "eats", "sleep 1000"), 1, 512))
	hog.AwaitState("eats", "TASK_RUNNING")

	server := cluster.Subscribe(t, master, inRole("server", "served"))
	offer := server.AwaitOffer()
	if cpusOf(offer) != 3 {
		t.Fatalf("the guarantee of 3 CPUs is offered as %v", offer)
	}
	server.Launch(offer, 0, withResources(cluster.Task(offer, "serves", "sleep 1000"), 3, 512))
	server.AwaitState("serves", "TASK_RUNNING")
	before := quotas(t, master)

	master.Kill9()
	hog.AwaitEnd()
	server.AwaitEnd()
	master.Restart(t)
	if after := quotas(t, master); after != before {
		t.Errorf("before the restart\n%s\nafter it\n%s", before, after)
	}
	hog = cluster.Subscribe(t, master, withID(inRole("hog", "greedy"), hog.ID))
	server = cluster.Subscribe(t, master, withID(inRole("server", "served"), server.ID))
	cluster.Eventually(t, soon, func() error { return reconciled(server, "serves", "TASK_RUNNING") })
	server.Kill("serves")
	server.AwaitState("serves", "TASK_KILLED")
	if offer := server.AwaitOffer(); cpusOf(offer) != 3 {
		t.Errorf("the guarantee of 3 CPUs is offered again as %v", offer)
	}
	if most := mostCPUs(hog); most != 0 {
		t.Errorf("the hog was offered %g CPUs, which are guaranteed to another", most)
	}
	request(t, master, "DELETE", "/quota/served", "", 200, "")
	request(t, master, "GET", "/quota", "", 200, "{}")
}

func withResources(task J, cpus, mem float64) J {
	task["resources"] = cluster.Resources(cpus, mem)
	return task
}

// quotas returns what a master says of quotas and weights.
func quotas(t *testing.T, master *cluster.Node) string {
	t.Helper()
	text := ""
	for _, path := range []string{"/quota", "/weights"} {
		reply, err := cluster.Get(master.URL + path)
		if err != nil || reply.Status != 200 {
			t.Fatalf("%s: %d, %v", path, reply.Status, err)
		}
		text += reply.Body + "\n"
	}
	if !strings.Contains(text, "served") || !strings.Contains(text, "greedy") {
		t.Errorf("quotas and weights are\n%s", text)
	}
	return text
}

// request makes a request and checks the answer, in whose text … stands for
// anything.
func request(t *testing.T, master *cluster.Node, method, path, body string, status int, text string) {
	t.Helper()
	reply, err := cluster.Do(method, master.URL+path, map[string]string{"Content-Type": "application/json"}, body)
	if err != nil || reply.Status != status || !like(strings.TrimSpace(reply.Body), text) {
		t.Errorf("%s %s %s: %v, %d %s; want %d %s", method, path, body, err, reply.Status, reply.Body, status, text)
	}
}

// TestQuotaRefused: nothing comes of quotas and weights that are refused, not
// even of the parts of them that are right.
func TestQuotaRefused(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--roles=a,b")
	cluster.StartAgent(t, master)
	for configs, want := range map[string]string{
		`{"role":"a","guarantees":{"cpus":{"value":2}},"limits":{"cpus":{"value":1}}}`: "Invalid QuotaConfig: 'QuotaConfig.guarantees' …is not contained within the 'QuotaConfig.limits' …",
		`{"role":"a","guarantees":{"cpus":{"value":5}}}`:                               "Invalid QuotaConfig: total quota guarantees 'cpus:5' exceed cluster capacity 'cpus:4; disk:8192; mem:4096' (use 'force' flag to bypass this check)",
		`{"role":"a","guarantees":{"cpus":{"value":-1}}}`:                              "Invalid QuotaConfig: Invalid guarantee configuration {'cpus': -1}: Negative values not supported",
		`{"role":"a","limits":{"cpus":{"value":"NaN"}}}`:                               "…",
		`{"role":"a","limits":{"cpus":{"value":"Infinity"}}}`:                          "…",
		`{"role":"a","limits":{"cpus":{"value":1e300}}}`:                               "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'cpus': …} is invalid: values greater than 1 trillion (1000000000000) are not supported",
		`{"role":"a","limits":{"mem":{"value":1e13}}}`:                                 "Invalid QuotaConfig: Invalid 'QuotaConfig.limits': {'mem': …} is invalid: values greater than 1 exabyte (1099511627776) are not supported",
		`{"role":"a/b","limits":{}}`:                                                   "Invalid QuotaConfig: 'a/b' is not on the roles whitelist",
		`{"role":"c"}`:                                                                 "Invalid QuotaConfig: 'c' is not on the roles whitelist",
		`{}`:                                                                           "…",
	} {
		call := fmt.Sprintf(`{"type":"UPDATE_QUOTA","update_quota":{"quota_configs":[{"role":"b","limits":{"cpus":{"value":1}}},%s]}}`, configs)
		request(t, master, "POST", "/api/v1", call, 400, want)
	}
	for _, refused := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "/quota", `{}`, 400, "Failed to validate set quota request: QuotaInfo with invalid role: Role names cannot be the empty string"},
		{"POST", "/quota", `{"role":"c","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1}}]}`, 400, "Failed to validate set quota request: Unknown role 'c'"},
		{"POST", "/quota", `{"role":"a","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":9}}]}`, 409, "Quota guarantees overcommit the cluster (use 'force' to bypass this check): …"},
		{"POST", "/quota", `{"role":"a","guarantee":[{"name":"cpus","type":"SCALAR","scalar":{"value":1e300}}]}`, 400, "Failed to validate set quota request: …"},
		{"POST", "/quota", `nonsense`, 400, "Failed to parse set quota request JSON 'nonsense': …"},
		{"DELETE", "/quota/a", "", 400, "Failed to remove quota: Role 'a' has no quota set"},
		{"DELETE", "/quota", "", 400, "Failed to parse remove quota request for path '/quota': …"},
		{"PATCH", "/quota", "", 405, "…"},
		{"PUT", "/weights", `[{"role":"a","weight":2},{"role":"b","weight":0}]`, 400, "Failed to validate update weights request JSON for role 'b': Invalid weight '0': Weights must be positive"},
		{"PUT", "/weights", `[{"role":"a","weight":2},{"role":"c","weight":1}]`, 400, "Failed to validate update weights request JSON: Unknown role 'c'"},
		{"PUT", "/weights", `[{"role":"a","weight":-1e308}]`, 400, "…Weights must be positive"},
		{"PUT", "/weights", `{}`, 400, "Failed to parse update weights request JSON '{}': …"},
	} {
		request(t, master, refused.method, refused.path, refused.body, refused.status, refused.text)
	}
	request(t, master, "GET", "/quota", "", 200, "{}")
	request(t, master, "GET", "/weights", "", 200, "[]")
	cluster.Healthy(t, master)
}
