package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// findings asks the master why a framework, or a role, is offered what it is,
// and returns the findings of the first explanation.
func findings(t *testing.T, master *cluster.Node, query url.Values) []cluster.Value {
	t.Helper()
	reply, err := cluster.Get(master.URL + "/explain?" + query.Encode())
	if err != nil || reply.Status != 200 {
		t.Fatalf("/explain?%s: %v %d %s", query.Encode(), err, reply.Status, reply.Body)
	}
	return reply.JSON().List("explanations")[0].List("findings")
}

// explains waits until a question is answered with a reason, and returns the
// message.
func explains(t *testing.T, master *cluster.Node, reason string, query url.Values) string {
	t.Helper()
	var message string
	cluster.Eventually(t, cluster.Patience, func() error {
		var others []string
		for _, f := range findings(t, master, query) {
			if f.Text("reason") == reason {
				message = f.Text("message")
				return nil
			}
			others = append(others, f.String())
		}
		return fmt.Errorf("%s is not among the reasons %s", reason, others)
	})
	return message
}

// about makes the query of a question; what is empty is not asked.
func about(framework *cluster.Scheduler, agent *cluster.Node, master *cluster.Node) url.Values {
	q := url.Values{}
	if framework != nil {
		q.Set("framework_id", framework.ID)
	}
	if agent != nil {
		row, err := cluster.AgentRow(master, agent)
		if err != nil {
			panic(err)
		}
		q.Set("agent_id", row.Text("agent_info.id.value"))
	}
	return q
}

// TestExplain sets up what may stand between a framework and an offer, one
// after the other, and asks for the reason.
func TestExplain(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=4")
	info := cluster.Framework("asks", "eng")
	info["failover_timeout"] = 1000
	asks := cluster.Subscribe(t, master, info)
	explains(t, master, "no agents", about(asks, nil, nil))

	agent := cluster.StartAgent(t, master, "--resources=cpus:4;mem:4096;disk:100")
	explains(t, master, "all in use", about(asks, agent, master))
	asks.Decline(asks.AwaitOffer(), 1000)
	if said := explains(t, master, "declined", about(asks, agent, master)); !strings.Contains(said, "for 16m40s") {
		t.Errorf("by which decline is not said: %s", said)
	}
	asks.Send(J{"type": "SUPPRESS"})
	explains(t, master, "role suppressed", about(asks, agent, master))

	t.Run("agents", func(t *testing.T) { explainAgents(t, master, asks) })
	t.Run("others", func(t *testing.T) { explainOthers(t, master, asks, agent) })
	t.Run("command", func(t *testing.T) { explainCommand(t, master, asks) })
	t.Run("refusals", func(t *testing.T) { explainRefusals(t, master, asks) })

	asks.Close()
	explains(t, master, "framework disconnected", about(asks, nil, nil))
	id := about(asks, agent, master)
	agent.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { agent.Signal(syscall.SIGCONT) })
	explains(t, master, "agent unreachable", id)
}

// explainAgents has agents that are of no use to the framework.
func explainAgents(t *testing.T, master *cluster.Node, asks *cluster.Scheduler) {
	reserved := cluster.StartAgent(t, master, "--resources=cpus(ops):4;mem(ops):4096;disk(ops):100;ports(ops):[1-2]")
	tiny := cluster.StartAgent(t, master, "--resources=cpus:0.001;mem:1;disk:100;ports:[1-2]")
	away := cluster.StartAgent(t, master)
	explains(t, master, "reserved for others", about(asks, reserved, master))
	explains(t, master, "too little", about(asks, tiny, master))
	row := about(asks, away, master)
	away.Kill9()
	explains(t, master, "agent disconnected", row)
}

// explainOthers has frameworks that are in the way, and one that is in its own.
func explainOthers(t *testing.T, master *cluster.Node, asks *cluster.Scheduler, agent *cluster.Node) {
	choosy := cluster.Framework("choosy", "ops")
	picky, err := cluster.Open(t, master.URL, J{"type": "SUBSCRIBE", "subscribe": J{
		"framework_info": choosy,
		"offer_constraints": J{"role_constraints": J{"ops": J{"groups": []J{{"attribute_constraints": []J{{
			"selector": J{"attribute_name": "rack"}, "predicate": J{"text_equals": J{"value": "nowhere"}},
		}}}}}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	picky.ID = picky.Await("SUBSCRIBED", nil).Text("subscribed.framework_id.value")
	if said := explains(t, master, "constraints unmet", about(picky, agent, master)); !strings.Contains(said, "rack") {
		t.Errorf("which constraint is not said: %s", said)
	}
	picky.Teardown()
	hog := cluster.Subscribe(t, master, cluster.Framework("hog", "ops"))
	hog.AwaitOffer()
	late := cluster.Subscribe(t, master, cluster.Framework("late", "ops"))
	said := explains(t, master, "all in use", about(late, agent, master))
	if !strings.Contains(said, hog.ID) {
		t.Errorf("who has it is not said: %s", said)
	}
	explains(t, master, "lower shares first", about(hog, agent, master))
	late.Teardown()
	hog.Teardown()
}

// TestExplainQuota has a role that has all it may, and one for which the rest is
// kept.
func TestExplainQuota(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	quota := func(config string) {
		t.Helper()
		call := `{"type":"UPDATE_QUOTA","update_quota":{"force":true,"quota_configs":[` + config + `]}}`
		reply, err := cluster.Do("POST", c.Master.URL+"/api/v1", map[string]string{"Content-Type": "application/json"}, call)
		if err != nil || reply.Status != 200 {
			t.Fatalf("%v %d %s", err, reply.Status, reply.Body)
		}
	}
	quota(`{"role":"capped","limits":{"cpus":{"value":0},"mem":{"value":0}}}`)
	capped := cluster.Subscribe(t, c.Master, cluster.Framework("capped", "capped"))
	if said := explains(t, c.Master, "quota limit", about(capped, nil, nil)); !strings.Contains(said, "role capped has reached its quota limit") {
		t.Error(said)
	}
	quota(`{"role":"owed","guarantees":{"cpus":{"value":4},"mem":{"value":4096}},"limits":{"cpus":{"value":4},"mem":{"value":4096}}}`)
	other := cluster.Subscribe(t, c.Master, cluster.Framework("other", "other"))
	if said := explains(t, c.Master, "held for guarantees", about(other, nil, nil)); !strings.Contains(said, "to role owed") {
		t.Error(said)
	}
}

// explainCommand asks by the command, in words and in JSON, of a role.
func explainCommand(t *testing.T, master *cluster.Node, asks *cluster.Scheduler) {
	text := meseta(t, "explain", asks.ID, "--master="+master.Addr)
	if status := text.Exit(time.Minute).ExitCode(); status != 0 || !strings.Contains(text.Log(), "suppressed offers") {
		t.Errorf("exit status %d and %s", status, text.Log())
	}
	role := meseta(t, "explain", "--role=eng", "--json", "--master="+master.Addr)
	if status := role.Exit(time.Minute).ExitCode(); status != 0 || !strings.Contains(role.Log(), `"reason":"role suppressed"`) {
		t.Errorf("exit status %d and %s", status, role.Log())
	}
	nobody := meseta(t, "explain", "nobody", "--master="+master.Addr)
	if status := nobody.Exit(time.Minute).ExitCode(); status != 1 || !strings.Contains(nobody.Log(), "There is no framework 'nobody'") {
		t.Errorf("exit status %d and %s", status, nobody.Log())
	}
}

// explainRefusals asks what cannot be answered.
func explainRefusals(t *testing.T, master *cluster.Node, asks *cluster.Scheduler) {
	for path, want := range map[string]int{
		"/explain":             400,
		"/explain?role=nobody": 404,
		"/explain?framework_id=" + asks.ID + "&agent_id=no": 404,
		"/explain?framework_id=" + asks.ID + "&role=ops":    404,
		"/explain?framework_id=" + asks.ID + "&format=text": 200,
		"/master/explain?role=eng":                          200,
	} {
		if reply, err := cluster.Get(master.URL + path); err != nil || reply.Status != want {
			t.Errorf("%s: %v %d %s, want %d", path, err, reply.Status, reply.Body, want)
		}
	}
	for body, want := range map[string]int{`{"role":"eng"}`: 200, `{"rôle":"eng"}`: 400, `[`: 400, `{}`: 400, `{"role":7}`: 400} {
		reply, err := cluster.Do("POST", master.URL+"/api/v1/explain", nil, body)
		if err != nil || reply.Status != want {
			t.Errorf("POST %s: %v %d %s, want %d", body, err, reply.Status, reply.Body, want)
		}
	}
	if reply, err := cluster.Do("POST", master.URL+"/explain?role=eng", nil, ""); err != nil || reply.Status != 405 {
		t.Errorf("POST /explain: %v %d", err, reply.Status)
	}
}
