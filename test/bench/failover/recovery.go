package main

import (
	"fmt"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// recovery measures how long an agent with many running tasks takes to be back
// after a kill -9: until its master has it as active again.
func recovery(t cluster.TB) {
	err := cluster.Script(func(t cluster.TB) {
		master := cluster.StartMaster(t)
		a := cluster.StartAgent(t, master, "--resources=cpus:1000;mem:100000;disk:100000")
		info := cluster.Framework("bench", "*")
		info["checkpoint"], info["failover_timeout"] = true, 3600.0
		s := cluster.Subscribe(t, master, info)
		launch(s, *tasks)
		a.Kill9()
		begin := time.Now()
		cluster.Eventually(t, time.Minute, func() error { return active(master, 0) })
		a.Restart(t)
		cluster.Eventually(t, time.Minute, func() error { return cluster.Registered(master, a) })
		took := time.Since(begin)
		metrics := cluster.MustGet(t, a.URL+"/metrics/snapshot")
		fmt.Printf("recovery of an agent with %v running tasks: back after %v, of which it read and waited for executors %.0f ms\n",
			metrics.Number("slave/tasks_running"), took.Round(time.Millisecond), 1000*metrics.Number("slave/recovery_time_secs"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// launch runs n tasks until all are running.
func launch(s *cluster.Scheduler, n int) {
	const batch = 50
	for i := 0; i < n; i += batch {
		offer := s.AwaitOffer()
		var some []cluster.J
		for j := i; j < min(i+batch, n); j++ {
			some = append(some, cluster.Task(offer, fmt.Sprintf("t%d", j), "exec sleep 100000"))
		}
		s.Launch(offer, 0, some...)
		for j := i; j < min(i+batch, n); j++ {
			s.AwaitState(fmt.Sprintf("t%d", j), "TASK_RUNNING")
		}
	}
}
