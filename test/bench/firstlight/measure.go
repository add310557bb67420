package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/test/cluster"
)

// one measures single `true` command tasks, one after the other.
func one(ctx context.Context, t cluster.TB, tasks int) []figure {
	f := subscribe(ctx, t, "one")
	var running, finished []time.Duration
	for i := range tasks {
		ran, ended := f.runOne(commandTask(f.offer(), "t"+strconv.Itoa(i), "true"))
		running, finished = append(running, ran), append(finished, ended)
	}
	return []figure{
		{"one `true` task, ACCEPT to TASK_RUNNING", median(running), "ms", "97 ms", "under 20 ms"},
		{"one `true` task, ACCEPT to TASK_FINISHED", median(finished), "ms", "190 ms", "under 40 ms"},
	}
}

// runOne launches a task on the offer at hand and returns after what times it
// was said to run and to have finished.
func (f *framework) runOne(task *mesos.TaskInfo) (running, finished time.Duration) {
	start := time.Now()
	f.launch(task)
	for {
		status := f.update()
		switch status.GetState() {
		case mesos.TaskState_TASK_RUNNING:
			running = time.Since(start)
		case mesos.TaskState_TASK_FINISHED:
			f.acknowledge(status)
			return running, time.Since(start)
		default:
		}
		f.acknowledge(status)
	}
}

// median returns the middle one in milliseconds.
func median(durations []time.Duration) float64 {
	slices.Sort(durations)
	return float64(durations[len(durations)/2].Microseconds()) / 1000
}

// commands measures many `true` command tasks on one agent.
func commands(ctx context.Context, t cluster.TB, tasks int) []figure {
	f := subscribe(ctx, t, "commands")
	rate := f.drive(tasks, 0.1, 32, func(offer *mesos.Offer, id string) *mesos.TaskInfo {
		return commandTask(offer, id, "true")
	})
	return []figure{{fmt.Sprintf("%d `true` tasks, one agent", tasks), rate, "tasks/s", "11–13 tasks/s", "over 150 tasks/s"}}
}

// executors is how many long-lived executors the instant tasks share.
const executors = 4

// instant measures tasks that cost nothing, inside executors that are there
// already: with next to no resources, and with so much that few fit at once.
func instant(ctx context.Context, t cluster.TB, tasks int) []figure {
	var figures []figure
	for _, m := range []struct {
		cpus  float64
		mesos string
	}{{0.001, "361–438 tasks/s"}, {0.1, "161 tasks/s"}} {
		f := subscribe(ctx, t, "instant")
		f.warm()
		next := 0
		rate := f.drive(tasks, m.cpus, 1, func(offer *mesos.Offer, id string) *mesos.TaskInfo {
			next++
			return f.executorTask(offer, id, next%executors, m.cpus)
		})
		what := fmt.Sprintf("%d instant tasks of %g CPUs, %d executors", tasks, m.cpus, executors)
		figures = append(figures, figure{what, rate, "tasks/s", m.mesos, "over 4,000 tasks/s"})
	}
	return figures
}

// warm starts the executors, with a task each, and waits for the tasks' end.
func (f *framework) warm() {
	offer := f.offer()
	var tasks []*mesos.TaskInfo
	for i := range executors {
		tasks = append(tasks, f.executorTask(offer, "warm"+strconv.Itoa(i), i, 0.001))
	}
	f.launch(tasks...)
	for range executors {
		f.acknowledge(f.update())
	}
}

// drive launches tasks on every offer, as many of the size given as fit, and
// returns how many ended per second.
func (f *framework) drive(tasks int, cpus, mem float64, task func(*mesos.Offer, string) *mesos.TaskInfo) float64 {
	acknowledge, done := f.acknowledger()
	defer done.Wait()
	defer close(acknowledge)
	launched, finished := 0, 0
	start := time.Now()
	for finished < tasks {
		if offer := f.holding; offer != nil && launched < tasks {
			var batch []*mesos.TaskInfo
			for range min(fit(offer, cpus, mem), tasks-launched) {
				batch = append(batch, task(offer, "d"+strconv.Itoa(launched)))
				launched++
			}
			f.launch(batch...)
		}
		if status := f.event().GetUpdate().GetStatus(); status != nil {
			acknowledge <- status
			if f.ended(status) {
				finished++
			}
		}
	}
	return float64(tasks) / time.Since(start).Seconds()
}

// fit says how many tasks an offer holds.
func fit(offer *mesos.Offer, cpus, mem float64) int {
	each := map[string]float64{"cpus": cpus, "mem": mem}
	count := map[string]float64{}
	for _, r := range offer.GetResources() {
		if each[r.GetName()] > 0 {
			count[r.GetName()] += r.GetScalar().GetValue() / each[r.GetName()]
		}
	}
	return int(min(count["cpus"], count["mem"]) + 1e-6)
}
