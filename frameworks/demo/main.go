// Demo shows Dominant Resource Fairness at work. On this machine it starts a
// master and two agents, with nine CPUs and 18 GB between them, and two
// frameworks that want as much as they can get: "batch", whose tasks need one
// CPU and 4 GB, and "service", whose tasks need three CPUs and 1 GB. It tells
// who is offered what, and why, until both have the same share of what they use
// most. Then it stops everything.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	patience = time.Minute     // for the whole of it
	hold     = 3 * time.Second // that the end is looked at
)

func main() {
	bin := flag.String("bin", "", "folder of the programs meseta, batch and service (default: where this one is)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *bin)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string) (err error) {
	if bin == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		bin = filepath.Dir(self)
	}
	dir, err := os.MkdirTemp("", "meseta-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("it takes too long"))
	defer cancel()
	screen := newScreen(os.Stdout)
	c := &cluster{bin: bin, dir: dir}
	defer func() { err = errors.Join(err, c.stop()) }()
	screen.say("Starting a master and two agents …")
	if err := c.start(ctx); err != nil {
		return c.explain(err)
	}
	screen.cluster(c)
	if err := share(ctx, c, screen); err != nil {
		return c.explain(err)
	}
	screen.say("Stopping everything …")
	return nil
}
