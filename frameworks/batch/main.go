// Batch estimates π by throwing darts, in tasks that an executor of its own
// runs: both are this program. It shows how work gets to tasks and results come
// back: in TaskInfo.data and TaskStatus.data.
//
//	go run ./frameworks/batch -tasks 10
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// asExecutor is the argument that makes the program its own executor.
const asExecutor = "executor"

// work is what a task is told to do.
type work struct {
	Time time.Duration // how long to throw darts
}

// result is what came out of a task.
type result struct {
	Darts, Inside uint64 // thrown at a square, and those that hit the circle in it
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	if len(os.Args) == 2 && os.Args[1] == asExecutor {
		err = execute(ctx)
	} else {
		err = schedule(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "batch:", err)
		os.Exit(1)
	}
}

func schedule(ctx context.Context) error {
	b := &batch{live: map[string]bool{}}
	master := flag.String("master", "127.0.0.1:5050", "addresses of masters, with commas between")
	role := flag.String("role", "batch", "role whose share is used")
	needs := flag.String("resources", "cpus:1;mem:32", "what a task needs")
	asJSON := flag.Bool("json", false, "log as JSON")
	flag.IntVar(&b.tasks, "tasks", 1, "how many tasks to run; 0 goes on until Ctrl-C")
	flag.DurationVar(&b.work.Time, "time", time.Second, "how long a task throws darts")
	flag.StringVar(&b.program, "program", "", "where the agents find this program: a path or a URI (default: its path here)")
	flag.Parse()
	b.log = slog.New(slog.NewTextHandler(os.Stdout, nil))
	if *asJSON {
		b.log = slog.New(slog.NewJSONHandler(os.Stdout, nil))
	}
	if err := b.run(ctx, strings.Split(*master, ","), *role, *needs); err != nil {
		return err
	}
	b.log.Info("result", slog.Float64("pi", b.pi()), slog.Int("tasks", b.finished), slog.Uint64("darts", b.sum.Darts))
	return nil
}
