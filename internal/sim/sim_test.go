package sim

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	oneSeed  = flag.Uint64("seed", 0, "run only this seed, and print what happened if it fails")
	seeds    = flag.Uint64("seeds", 300, "how many seeds to run")
	from     = flag.Uint64("from", 1, "the first seed to run")
	whole    = flag.Bool("whole", false, "do not shrink")
	most     = flag.Int("most", 10, "end after so many failures")
	logLines = flag.Int("lines", 200, "how many of the last events to print")
)

// TestSeeds runs many seeds, or the one that -seed names.
func TestSeeds(t *testing.T) {
	first, last := *from, *from+*seeds-1
	if *oneSeed != 0 {
		first, last = *oneSeed, *oneSeed
	}
	var next atomic.Uint64
	next.Store(first)
	var mu sync.Mutex
	var failed []Result
	var total Counts
	p := newProgress(t, last-first+1)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1) - 1; seed <= last; seed = next.Add(1) - 1 {
				r := Run(NewPlan(seed), false)
				mu.Lock()
				total.add(r.Counts)
				if r.Failure != nil {
					failed = append(failed, r)
					t.Logf("seed %d: %s", seed, r.Failure)
				}
				p.ran(len(failed))
				enough := len(failed) >= *most
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	wg.Wait()
	t.Logf("seeds %d to %d: %+v", first, last, total)
	report(t, failed)
}

// A progress says now and then how far many seeds are, to who looks on.
type progress struct {
	t           *testing.T
	done, seeds uint64
	began, said time.Time
}

func newProgress(t *testing.T, seeds uint64) *progress {
	now := time.Now()
	return &progress{t: t, seeds: seeds, began: now, said: now}
}

// ran is told of each seed, when it has run.
func (p *progress) ran(failed int) {
	p.done++
	if !testing.Verbose() || time.Since(p.said) < time.Minute {
		return
	}
	p.said = time.Now()
	passed := p.said.Sub(p.began)
	p.t.Logf("%d of %d seeds in %s, %.0f a second, %d failed",
		p.done, p.seeds, passed.Truncate(time.Second), float64(p.done)/passed.Seconds(), failed)
}

// report shows what failed, and the first of it in full.
func report(t *testing.T, failed []Result) {
	slices.SortFunc(failed, func(a, b Result) int { return int(a.Plan.Seed) - int(b.Plan.Seed) })
	for i, r := range failed {
		t.Errorf("%s\n\t%s", r.Plan, r.Failure)
		if i > 0 {
			continue
		}
		if !*whole {
			r = Shrink(r, 200)
			t.Logf("shrunk to %s\n\t%s", r.Plan, r.Failure)
		}
		log := Run(r.Plan, true).Log
		for _, line := range log[max(0, len(log)-*logLines):] {
			fmt.Println(line)
		}
		t.Logf("%s\n\t%s\nrepeat with: go test ./internal/sim -seed %d", r.Plan, r.Failure, r.Plan.Seed)
	}
}

func (c *Counts) add(o Counts) {
	c.Launched += o.Launched
	c.Ended += o.Ended
	c.Updates += o.Updates
	c.Offers += o.Offers
	c.Accepted += o.Accepted
	c.Rescinded += o.Rescinded
	c.Quotas += o.Quotas
	c.Operations += o.Operations
	c.Revoked += o.Revoked
	c.Barred += o.Barred
	c.Gone += o.Gone
	c.Inverse += o.Inverse
}

// TestRepeats: the same seed is the same run, whoever reads along.
func TestRepeats(t *testing.T) {
	for seed := range uint64(10) {
		a, b := Run(NewPlan(seed+1), false), Run(NewPlan(seed+1), true)
		if a.Hash != b.Hash || a.Events != b.Events || a.Elapsed != b.Elapsed {
			t.Errorf("seed %d: %d events with hash %x, and %d with %x", seed+1, a.Events, a.Hash, b.Events, b.Hash)
		}
	}
}
