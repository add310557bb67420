package kernel

import (
	"fmt"
	"os"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestPressure: a container that is kept from its CPU, and has no memory for the cache of
// what it writes, is seen to wait for both, and one that sleeps is not; so are a pod and
// a task in it that has its own limits.
func TestPressure(t *testing.T) {
	if os.Getenv("MESETA_INSIDE") == "" {
		t.Skip("TestInside runs it in its machine")
	}
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--launcher=oci", "--isolation=cgroups/cpu,cgroups/mem,namespaces/pid", "--cgroups_enable_cfs")
	s := cluster.Subscribe(t, master, cluster.Framework("presses", "*"))
	const busy = "while :; do :; done & while :; do head -c 64m /dev/zero >file; done"
	use := func(task J) J {
		task["resources"] = cluster.Resources(1, 32)
		return task
	}
	launch := func(id, command string) {
		offer := s.AwaitOffer()
		s.Launch(offer, 0, use(cluster.Task(offer, id, command)))
		s.AwaitState(id, "TASK_RUNNING")
	}
	launch("sleeps", "exec sleep 1000")
	launch("works", busy)

	offer := s.AwaitOffer()
	inner := use(cluster.Task(offer, "inner", busy))
	inner["container"] = J{"type": "MESOS", "linux_info": J{"share_cgroups": false}}
	s.Accept(offer, 0, J{"type": "LAUNCH_GROUP", "launch_group": J{
		"executor":   J{"type": "DEFAULT", "executor_id": J{"value": "pod"}, "framework_id": J{"value": s.ID}, "resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}})},
		"task_group": J{"tasks": []J{inner}},
	}})
	s.AwaitState("inner", "TASK_RUNNING")

	for _, path := range []string{"/containers", "/monitor/statistics"} {
		cluster.Eventually(t, cluster.Patience, func() error {
			for _, x := range cluster.MustGet(t, agent.URL+path).List("") {
				cpu, memory := x.Number("pressure.cpu.some.total_secs"), x.Number("pressure.memory.some.total_secs")
				quiet := x.Text("executor_id") == "sleeps"
				if quiet != (memory == 0) || !quiet && cpu == 0 {
					return fmt.Errorf("%s: %v", path, x)
				}
			}
			return nil
		})
	}
}
