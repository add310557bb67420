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
