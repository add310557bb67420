// Failover measures how long a cluster does without a leader, and an agent
// without itself:
//
//	go run ./test/bench/failover                                # all of them
//	go run ./test/bench/failover -what embedded -agents 1000    # kill -9 of the leader to the first new offer
//	go run ./test/bench/failover -what zookeeper -session 10secs
//	go run ./test/bench/failover -what etcd                     # outside
//	go run ./test/bench/failover -what zookeeper -stop          # until the session is over
//	go run ./test/bench/failover -what recovery -tasks 500      # kill -9 of an agent to its return
//
// Masters and the recovering agent are real processes. The agents that a leader
// is lost by are simulated, many in this process: each is the core of an agent
// with a port of its own, and no disk.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

var (
	what    = flag.String("what", "all", "embedded, zookeeper, etcd, recovery or all")
	agents  = flag.Int("agents", 0, "number of simulated agents; 0 is 10, and then 1,000")
	session = flag.String("session", "2secs", "how long the store waits for a leader")
	stop    = flag.Bool("stop", false, "stop the leader instead of killing it: nobody can tell that from a machine that is cut off")
	backoff = flag.Duration("backoff", time.Second, "registration_backoff_factor of the simulated agents")
	times   = flag.Int("times", 3, "how often each loss of a leader is measured")
	tasks   = flag.Int("tasks", 500, "number of tasks of the agent that recovers")
)

func main() {
	flag.Parse()
	err := cluster.Script(func(t cluster.TB) {
		for _, backend := range []string{"embedded", "zookeeper", "etcd"} {
			if *what == backend || *what == "all" {
				leaders(t, backend)
			}
		}
		if *what == "recovery" || *what == "all" {
			recovery(t)
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

// leaders measures the loss of a leader with each number of agents.
func leaders(t cluster.TB, backend string) {
	sizes := []int{10, 1000}
	if *agents > 0 {
		sizes = []int{*agents}
	}
	for _, n := range sizes {
		var leads, offers, all []time.Duration
		for range *times {
			if err := cluster.Script(func(t cluster.TB) {
				l := lose(t, backend, n)
				leads, offers, all = append(leads, l.leads), append(offers, l.offer), append(all, l.all)
			}); err != nil {
				t.Fatal(err)
			}
		}
		fmt.Printf("%-9s session %-6s %4d agents: a standby leads after %v, the first offer comes after %v, all agents are back after %v\n",
			backend, *session, n, median(leads), median(offers), median(all))
	}
}

// median returns the middle one of some durations, in milliseconds.
func median(all []time.Duration) time.Duration {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	return all[len(all)/2].Round(time.Millisecond)
}
