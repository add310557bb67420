// Firstlight measures how fast a small cluster runs small tasks, as a framework
// sees it: one master, one agent, everything on this machine.
//
//	go run ./test/bench/firstlight                  # all of them
//	go run ./test/bench/firstlight -what one -n 50  # ACCEPT to RUNNING, FINISHED
//	go run ./test/bench/firstlight -what commands   # 1,000 `true` tasks
//	go run ./test/bench/firstlight -what instant    # 5,000 tasks in 4 executors
//	go run ./test/bench/firstlight -json            # for machines
//
// The framework and its executors are on the public packages and run on the same
// machine, so their own cost is in the figures. Beside each stands what Apache
// Mesos did on two cores and what Meseta aims at.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/meseta-project/meseta/test/cluster"
)

// figure is one line of the result.
type figure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Mesos string  `json:"mesos"`
	Aim   string  `json:"aim"`
}

// measures by the name that -what knows them by, and how many tasks they run
// unless told.
var measures = []struct {
	name  string
	tasks int
	run   func(ctx context.Context, t cluster.TB, tasks int) []figure
}{
	{"one", 20, one},
	{"commands", 1000, commands},
	{"instant", 5000, instant},
}

func main() {
	if os.Getenv(executorMark) != "" {
		exit(runExecutor(context.Background()))
	}
	what := flag.String("what", "all", "one, commands, instant or all")
	tasks := flag.Int("n", 0, "number of tasks; 0 is the usual one")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	figures, err := run(*what, *tasks)
	if err == nil {
		err = show(figures, *asJSON)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "firstlight:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(what string, tasks int) ([]figure, error) {
	var figures []figure
	for _, m := range measures {
		if what != "all" && what != m.name {
			continue
		}
		n := m.tasks
		if tasks > 0 {
			n = tasks
		}
		ctx, cancel := context.WithCancel(context.Background())
		err := cluster.Script(func(t cluster.TB) { figures = append(figures, m.run(ctx, t, n)...) })
		cancel()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if figures == nil {
		return nil, fmt.Errorf("nothing is called %q", what)
	}
	return figures, nil
}

func show(figures []figure, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(figures)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT\tMESETA\tMESOS\tAIM")
	for _, f := range figures {
		fmt.Fprintf(table, "%s\t%.1f %s\t%s\t%s\n", f.What, f.Value, f.Unit, f.Mesos, f.Aim)
	}
	return table.Flush()
}
