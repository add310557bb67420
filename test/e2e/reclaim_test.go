package e2e

import (
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestReclaim: a hog has all there is when another role gets a guarantee. It is
// met in time, by revoking as many of the hog's tasks as it takes, the youngest
// first, and none of who has no more than its own guarantee.
func TestReclaim(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--reclaim", "--reclaim_after=1secs", "--reclaim_grace_period=1secs")
	cluster.StartAgent(t, master, "--resources=cpus:4;mem:1024")
	hog := cluster.Subscribe(t, master, inRole("hog", "greedy"))
	offer := hog.AwaitOffer()
	var tasks []J
	for _, id := range []string{"t1", "t2", "t3"} {
		tasks = append(tasks, withResources(cluster.Task(offer, id, "sleep 1000"), 1, 256))
	}
	hog.Launch(offer, 0, tasks...)
	awaitAll(t, hog, "TASK_RUNNING", "t1", "t2", "t3")
	modest := cluster.Subscribe(t, master, inRole("modest", "modest"))
	small := modest.AwaitOffer()
	modest.Launch(small, 0, withResources(cluster.Task(small, "own", "sleep 1000"), 1, 256))
	modest.AwaitState("own", "TASK_RUNNING")

	request(t, master, "POST", "/api/v1", `{"type":"UPDATE_QUOTA","update_quota":{"quota_configs":[
		{"role":"modest","guarantees":{"cpus":{"value":1},"mem":{"value":256}}},
		{"role":"served","guarantees":{"cpus":{"value":2},"mem":{"value":512}}}]}}`, 200, "")
	server := cluster.Subscribe(t, master, inRole("server", "served"))
	for _, id := range []string{"t3", "t2"} {
		status := hog.AwaitState(id, "TASK_KILLED")
		if status.Text("reason") != "REASON_CONTAINER_PREEMPTED" || !strings.Contains(status.Text("message"), "Reclaimed for role 'served'") {
			t.Errorf("%s ended with %v", id, status)
		}
	}
	had := 0.0
	for had < 2 {
		got := server.AwaitOffer()
		had += cpusOf(got)
		server.Launch(got, 0, withResources(cluster.Task(got, "s"+got.Text("id.value"), "sleep 1000"), cpusOf(got), 256*cpusOf(got)))
	}
	metrics := cluster.MustGet(t, master.URL+"/metrics/snapshot")
	if n, ok := metrics.At("master/reclaim/tasks").(float64); ok && n != 2 {
		t.Errorf("%v tasks were revoked, want 2", n)
	}
	for s, id := range map[*cluster.Scheduler]string{hog: "t1", modest: "own"} {
		s.Reconcile(id)
		if status := s.AwaitUpdate(id); status.Text("state") != "TASK_RUNNING" {
			t.Errorf("%s is %v", id, status)
		}
	}
}
