package main

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// one measures single `true` command tasks, one after the other.
func one(t cluster.TB, tasks int) []figure {
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("one", "*"))
	var running, finished []time.Duration
	for i := range tasks {
		id := fmt.Sprint("t", i)
		offer := s.AwaitOffer()
		start := time.Now()
		s.Launch(offer, 0, cluster.Task(offer, id, "true"))
		for over := false; !over; {
			event := s.Await("UPDATE", func(e cluster.Event) bool { return e.Text("update.status.task_id.value") == id })
			switch event.Text("update.status.state") {
			case "TASK_RUNNING":
				running = append(running, event.Read.Sub(start))
			case "TASK_FINISHED":
				finished = append(finished, event.Read.Sub(start))
				over = true
			}
			s.Acknowledge(event.Get("update.status"))
		}
	}
	return []figure{
		{"one `true` task, ACCEPT to TASK_RUNNING", median(running), "ms", "97 ms", "under 20 ms"},
		{"one `true` task, ACCEPT to TASK_FINISHED", median(finished), "ms", "190 ms", "under 40 ms"},
	}
}

// median returns the middle one in milliseconds.
func median(durations []time.Duration) float64 {
	slices.Sort(durations)
	return float64(durations[len(durations)/2].Microseconds()) / 1000
}

// commands measures many `true` command tasks on one agent.
func commands(t cluster.TB, tasks int) []figure {
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("commands", "*"))
	rate := drive(t, s, tasks, 0.1, 32, func(offer cluster.Value, id string) cluster.J {
		return cluster.Task(offer, id, "true")
	})
	return []figure{{fmt.Sprintf("%d `true` tasks, one agent", tasks), rate, "tasks/s", "11–13 tasks/s", "over 150 tasks/s"}}
}

// executors is how many long-lived executors the instant tasks share.
const executors = 4

// instant measures tasks that cost nothing, inside executors that are there
// already: with next to no resources, and with so much that few fit at once.
func instant(t cluster.TB, tasks int) []figure {
	var figures []figure
	for _, m := range []struct {
		cpus        float64
		mesos, aims string
	}{{0.001, "361–438 tasks/s", "over 4,000 tasks/s"}, {0.1, "161 tasks/s", "over 4,000 tasks/s"}} {
		c := cluster.New(t, 1)
		s := cluster.Subscribe(t, c.Master, cluster.Framework("instant", "*"))
		warm(s)
		next := 0
		rate := drive(t, s, tasks, m.cpus, 1, func(offer cluster.Value, id string) cluster.J {
			next++
			return inExecutor(offer, id, next%executors, m.cpus, "instant")
		})
		figures = append(figures, figure{
			fmt.Sprintf("%d instant tasks of %g CPUs, %d executors", tasks, m.cpus, executors), rate, "tasks/s", m.mesos, m.aims,
		})
	}
	return figures
}

// warm starts the executors, with a task each that stays.
func warm(s *cluster.Scheduler) {
	offer := s.AwaitOffer()
	var tasks []cluster.J
	for i := range executors {
		tasks = append(tasks, inExecutor(offer, fmt.Sprint("stay", i), i, 0.001, ""))
	}
	s.Launch(offer, 0, tasks...)
	for range executors {
		status := s.Await("UPDATE", nil).Get("update.status")
		s.Acknowledge(status)
	}
}

func inExecutor(offer cluster.Value, id string, executor int, cpus float64, data string) cluster.J {
	task := cluster.Task(offer, id, "")
	delete(task, "command")
	task["executor"] = cluster.Executor(fmt.Sprint("executor", executor))
	task["resources"] = cluster.Resources(cpus, 1)
	task["data"] = []byte(data)
	return task
}

// drive launches tasks of the size given on every offer, as many as fit,
// acknowledges, and returns how many ended per second.
func drive(t cluster.TB, s *cluster.Scheduler, tasks int, cpus, mem float64, task func(cluster.Value, string) cluster.J) float64 {
	acknowledge, done := acknowledger(s)
	launched, finished := 0, 0
	start := time.Now()
	for finished < tasks {
		event, err := s.Next(cluster.Patience)
		if err != nil {
			t.Fatalf("%d of %d launched, %d finished: %v", launched, tasks, finished, err)
		}
		switch event.Type {
		case "OFFERS":
			for _, offer := range event.List("offers.offers") {
				var batch []cluster.J
				for range min(fit(offer, cpus, mem), tasks-launched) {
					batch = append(batch, task(offer, fmt.Sprint("d", launched)))
					launched++
				}
				s.Launch(offer, 0, batch...)
			}
		case "UPDATE":
			status := event.Get("update.status")
			acknowledge <- status
			switch state := status.Text("state"); state {
			case "TASK_FINISHED":
				finished++
			case "TASK_STARTING", "TASK_RUNNING":
			default:
				t.Fatalf("%v", status)
			}
		}
	}
	elapsed := time.Since(start)
	close(acknowledge)
	done.Wait()
	return float64(tasks) / elapsed.Seconds()
}

// acknowledger acknowledges what it is sent, beside the reading of events.
func acknowledger(s *cluster.Scheduler) (chan<- cluster.Value, *sync.WaitGroup) {
	statuses := make(chan cluster.Value, 1000)
	var done sync.WaitGroup
	for range 4 {
		done.Go(func() {
			for status := range statuses {
				s.Acknowledge(status)
			}
		})
	}
	return statuses, &done
}

// fit says how many tasks an offer holds.
func fit(offer cluster.Value, cpus, mem float64) int {
	count := func(name string, each float64) int {
		return int(offer.Find("resources", "name", name).Number("scalar.value")/each + 1e-6)
	}
	return min(count("cpus", cpus), count("mem", mem))
}
