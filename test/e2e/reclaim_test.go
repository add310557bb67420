package e2e

import (
	"fmt"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestReclaim: a hog has all CPUs when others are guaranteed some. Its youngest
// tasks end for that, and it is told why; what it is guaranteed itself stays.
func TestReclaim(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--reclaim", "--reclaim_after=1secs", "--reclaim_grace_period=2secs")
	cluster.StartAgent(t, master, "--resources=cpus:4;mem:1024")
	hog := cluster.Subscribe(t, master, inRole("hog", "greedy"))
	offer := hog.AwaitOffer()
	names := []string{"first", "second", "third", "fourth"}
	var tasks []J
	for _, name := range names {
		tasks = append(tasks, withResources(cluster.Task(offer, name, "sleep 1000"), 1, 256))
	}
	hog.Launch(offer, 0, tasks...)
	for _, name := range names {
		hog.AwaitState(name, "TASK_RUNNING")
	}
	const quotas = `{"type":"UPDATE_QUOTA","update_quota":{"quota_configs":[
		{"role":"served","guarantees":{"cpus":{"value":2},"mem":{"value":512}}},
		{"role":"greedy","guarantees":{"cpus":{"value":2}}}]}}`
	request(t, master, "POST", "/api/v1", quotas, 200, "")

	server := cluster.Subscribe(t, master, inRole("server", "served"))
	for _, name := range names[2:] {
		status := hog.AwaitState(name, "TASK_KILLED")
		if why := status.Text("reason"); why != "REASON_CONTAINER_PREEMPTED" {
			t.Errorf("%s ended with %s: %v", name, why, status)
		}
	}
	for used := 0.0; used < 2; {
		one := server.AwaitOffer()
		cpus := cpusOf(one)
		if cpus == 0 {
			continue
		}
		name := fmt.Sprintf("serves-%g-from-%g", cpus, used)
		server.Launch(one, 0, withResources(cluster.Task(one, name, "sleep 1000"), cpus, 128))
		server.AwaitState(name, "TASK_RUNNING")
		used += cpus
	}
	for _, name := range names[:2] {
		cluster.Eventually(t, soon, func() error { return reconciled(hog, name, "TASK_RUNNING") })
	}
}
