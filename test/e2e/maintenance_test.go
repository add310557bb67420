package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// post sends a body and returns the status and the text of the answer.
func post(t *testing.T, url, body string) (int, string) {
	t.Helper()
	reply, err := cluster.Do(http.MethodPost, url, map[string]string{"Content-Type": "application/json"}, body)
	if err != nil {
		t.Fatal(err)
	}
	return reply.Status, reply.Body
}

// TestMaintenance takes a machine down and brings it back, over a restart of the
// master; what runs on it is lost when it goes down, and not before.
func TestMaintenance(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	slave := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves")[0]
	_, at, _ := strings.Cut(slave.Text("pid"), "@")
	ip, _, _ := strings.Cut(at, ":")
	machine := fmt.Sprintf(`{"hostname":%q,"ip":%q}`, slave.Text("hostname"), ip)
	schedule := `{"windows":[{"machine_ids":[` + machine + `],"unavailability":{"start":{"nanoseconds":4102444800000000000}}}]}`
	task := meseta(t, "run", "--master="+c.Master.Addr, "--", "sh", "-c", "echo up; sleep 1000")
	task.WaitLog("up", time.Minute)

	for _, bad := range []struct{ path, body string }{
		{"/maintenance/schedule", `{"windows":[{"machine_ids":[],"unavailability":{"start":{"nanoseconds":1}}}]}`},
		{"/maintenance/schedule", `{"windows":[{"machine_ids":[{}],"unavailability":{"start":{"nanoseconds":1}}}]}`},
		{"/maintenance/schedule", `{"windows":[{"machine_ids":[` + machine + `],"unavailability":{"start":{"nanoseconds":1},"duration":{"nanoseconds":-1}}}]}`},
		{"/maintenance/schedule", `no JSON`},
		{"/machine/down", "[" + machine + "]"},
		{"/machine/up", "[" + machine + "]"},
		{"/machine/down", "[]"},
		{"/machine/down", "{}"},
	} {
		if status, text := post(t, c.Master.URL+bad.path, bad.body); status != http.StatusBadRequest || text == "" {
			t.Errorf("POST %s %s: %d %s", bad.path, bad.body, status, text)
		}
	}
	if got := cluster.MustGet(t, c.Master.URL+"/maintenance/schedule"); len(got.List("windows")) != 0 {
		t.Errorf("refused schedules left %v", got)
	}

	if status, text := post(t, c.Master.URL+"/maintenance/schedule", schedule); status != http.StatusOK {
		t.Fatalf("schedule: %d %s", status, text)
	}
	c.Master.Kill9()
	c.Master.Restart(t)
	cluster.Eventually(t, soon, func() error {
		status := cluster.MustGet(t, c.Master.URL+"/maintenance/status")
		if machines := status.List("draining_machines"); len(machines) != 1 {
			return fmt.Errorf("draining are %v", machines)
		}
		if agents := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves"); len(agents) != 1 {
			return fmt.Errorf("%d agents are back", len(agents))
		}
		return nil
	})
	if status, text := post(t, c.Master.URL+"/machine/down", "["+machine+"]"); status != http.StatusOK {
		t.Fatalf("down: %d %s", status, text)
	}
	if state := task.Exit(time.Minute); state.Success() {
		t.Error("the task outlived its machine")
	}
	down := cluster.MustGet(t, c.Master.URL+"/maintenance/status").List("down_machines")
	if len(down) != 1 || down[0].Text("hostname") != slave.Text("hostname") {
		t.Errorf("down are %v", down)
	}
	if status, text := post(t, c.Master.URL+"/machine/up", "["+machine+"]"); status != http.StatusOK {
		t.Fatalf("up: %d %s", status, text)
	}
	if got := cluster.MustGet(t, c.Master.URL+"/maintenance/schedule"); len(got.List("windows")) != 0 {
		t.Errorf("still scheduled are %v", got)
	}
}

// TestInverseOffers: who has something on a machine that is to be taken down is
// asked to leave, over and over until it agrees, and operators see the answers.
// Its offers say when the machine will be unavailable. When the schedule is
// dropped, what is asked is taken back.
func TestInverseOffers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	slave := cluster.MustGet(t, c.Master.URL+"/slaves").List("slaves")[0]
	_, at, _ := strings.Cut(slave.Text("pid"), "@")
	ip, _, _ := strings.Cut(at, ":")
	const when = "4102444800000000000"
	schedule := func(windows string) {
		t.Helper()
		if status, text := post(t, c.Master.URL+"/maintenance/schedule", `{"windows":[`+windows+`]}`); status != http.StatusOK {
			t.Fatalf("schedule: %d %s", status, text)
		}
	}
	s := cluster.Subscribe(t, c.Master, durable("asked"))
	offer := s.AwaitOffer()
	if offer.At("unavailability") != nil {
		t.Errorf("an offer of a machine that stays: %v", offer)
	}
	s.Launch(offer, 0, cluster.Task(offer, "t", "sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")

	schedule(fmt.Sprintf(`{"machine_ids":[{"hostname":%q,"ip":%q}],"unavailability":{"start":{"nanoseconds":%s}}}`, slave.Text("hostname"), ip, when))
	answer := func(call, member string, want string) {
		t.Helper()
		asked := s.Await("INVERSE_OFFERS", nil).List("inverse_offers.inverse_offers")
		if len(asked) != 1 || asked[0].Text("agent_id.value") != slave.Text("id") || asked[0].Text("unavailability.start.nanoseconds") != when {
			t.Fatalf("the framework is asked %v", asked)
		}
		s.Call(J{"type": call, member: J{
			"inverse_offer_ids": []J{{"value": asked[0].Text("id.value")}}, "filters": J{"refuse_seconds": 0.1},
		}})
		cluster.Eventually(t, soon, func() error {
			machines := cluster.MustGet(t, c.Master.URL+"/maintenance/status").List("draining_machines")
			if len(machines) != 1 || len(machines[0].List("statuses")) != 1 || machines[0].List("statuses")[0].Text("status") != want {
				return fmt.Errorf("draining are %v, want %s", machines, want)
			}
			return nil
		})
	}
	answer("DECLINE_INVERSE_OFFERS", "decline_inverse_offers", "DECLINE")
	answer("ACCEPT_INVERSE_OFFERS", "accept_inverse_offers", "ACCEPT")
	again := s.Await("OFFERS", func(e cluster.Event) bool { return e.List("offers.offers")[0].At("unavailability") != nil })
	if got := again.List("offers.offers")[0].Text("unavailability.start.nanoseconds"); got != when {
		t.Errorf("an offer of the machine says %s", got)
	}
	if state := s.History("t"); state[len(state)-1] != "TASK_RUNNING" {
		t.Errorf("the task, which nobody has ended, was %v", state)
	}

	asked := s.Await("INVERSE_OFFERS", nil).List("inverse_offers.inverse_offers")[0].Text("id.value")
	schedule("")
	if got := s.Await("RESCIND_INVERSE_OFFER", nil).Text("rescind_inverse_offer.inverse_offer_id.value"); got != asked {
		t.Errorf("%s is rescinded, %s was asked", got, asked)
	}
}
