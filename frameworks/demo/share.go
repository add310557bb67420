package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/resources"
)

// A line is what a framework logs.
type line struct {
	who       *framework
	Msg       string // subscribed, offered, launched, status, result
	Framework string // its id
	Agent     string
	Resources string
	Fits      bool
	Task      string
	State     string
	Pi        float64
	Darts     uint64
}

// A framework is what we know of one that runs.
type framework struct {
	name    string
	id      string
	other   *framework
	has     resources.Quantities
	tasks   map[string]resources.Quantities // that it has
	running map[string]bool
	places  map[string]string // agents of its tasks
}

// share lets the frameworks share the cluster until both have what is theirs.
func share(ctx context.Context, c *cluster, screen *screen) error {
	batch, service := newFramework("batch"), newFramework("service")
	batch.other, service.other = service, batch
	lines := make(chan line, 100)
	for _, start := range []struct {
		who  *framework
		args []string
	}{
		{batch, []string{"-tasks=0", "-time=20s", "-resources=cpus:1;mem:4096"}},
		{service, []string{"-instances=9", "-resources=cpus:3;mem:1024", "--", output}},
	} {
		out := eachLine(func(text []byte) { lines <- parse(start.who, text) })
		defer out.Close()
		args := append([]string{"-json", "-master=" + c.address}, start.args...)
		if err := c.launch(start.who.name, os.Interrupt, out, start.who.name, args...); err != nil {
			return err
		}
	}
	for settled := false; !settled; {
		select {
		case l := <-lines:
			l.who.note(l)
			screen.line(c, l)
		case <-time.After(100 * time.Millisecond):
			if err := c.alive(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		settled = len(batch.running) == 3 && len(service.running) == 2
	}
	go drain(lines)
	if err := tail(ctx, c, service, screen); err != nil {
		return err
	}
	return final(ctx, c, screen)
}

// output is what a service writes.
const output = `i=0; while true; do i=$((i+1)); echo "request $i served by process $$"; sleep 0.5; done`

func newFramework(name string) *framework {
	return &framework{name: name, tasks: map[string]resources.Quantities{}, running: map[string]bool{}, places: map[string]string{}}
}

func parse(who *framework, text []byte) line {
	l := line{who: who}
	if err := json.Unmarshal(text, &l); err != nil {
		l.Msg = string(text)
	}
	return l
}

func drain(lines <-chan line) {
	for range lines {
	}
}

// note keeps account of what the framework has.
func (f *framework) note(l line) {
	switch {
	case l.Msg == "subscribed":
		f.id = l.Framework
	case l.Msg == "launched":
		has, err := resources.ParseQuantities(l.Resources)
		if err != nil {
			return
		}
		f.tasks[l.Task], f.places[l.Task] = has, l.Agent
		f.has = f.has.Add(has)
	case l.Msg == "status" && l.State == "TASK_RUNNING":
		f.running[l.Task] = true
	case l.Msg == "status" && l.State != "TASK_STARTING":
		f.has = f.has.Sub(f.tasks[l.Task])
		delete(f.tasks, l.Task)
		delete(f.running, l.Task)
	}
}

// dominant returns what of the cluster a framework that has some of it uses
// most, and its share of that.
func dominant(has, total resources.Quantities) (name string, share float64) {
	for each, amount := range has.All() {
		if part := amount.Float64() / total.Get(each).Float64(); part > share {
			name, share = each, part
		}
	}
	return name, share
}

// tail shows what a task of f writes, for a while.
func tail(ctx context.Context, c *cluster, f *framework, screen *screen) error {
	for task := range f.running {
		path := operator.Sandbox(f.id, task) + "/stdout"
		screen.tail(f, task, c.names[f.places[task]])
		out := eachLine(func(text []byte) { screen.output(text) })
		defer out.Close()
		enough := make(chan struct{})
		time.AfterFunc(hold, func() { close(enough) })
		if err := operator.Follow(ctx, c.agents[f.places[task]], path, out, enough); err != nil {
			return fmt.Errorf("read the output of %s: %w", task, err)
		}
		return nil
	}
	return errors.New("no task runs")
}

// final shows what the master says that each framework has.
func final(ctx context.Context, c *cluster, screen *screen) error {
	answer, err := c.master.Frameworks(ctx)
	if err != nil {
		return err
	}
	screen.say("\nWhat the master says that each has:")
	for _, f := range answer.GetFrameworks() {
		has := resources.Trusted(f.GetAllocatedResources()).ScalarQuantities()
		screen.final(f.GetFrameworkInfo().GetName(), has, c.total)
	}
	return nil
}
