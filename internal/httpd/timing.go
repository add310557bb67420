package httpd

import (
	"slices"
	"sync"
	"time"
)

// timingWindow is how many of the latest durations a timing looks back to.
const timingWindow = 1000

// A Timing gathers durations for their statistics. The zero value is ready for
// use, by several goroutines.
type Timing struct {
	mu     sync.Mutex
	count  int
	window []float64 // milliseconds; a ring once full
	latest float64
}

// Add adds one.
func (t *Timing) Add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.window) < timingWindow {
		t.window = append(t.window, ms)
	} else {
		t.window[t.count%timingWindow] = ms
	}
	t.count++
	t.latest = ms
}

// Metrics adds the last duration under the name and statistics below it, or
// nothing if there was none.
func (t *Timing) Metrics(name string, to map[string]float64) {
	t.mu.Lock()
	sorted, last, count := slices.Clone(t.window), t.latest, t.count
	t.mu.Unlock()
	if count == 0 {
		return
	}
	slices.Sort(sorted)
	to[name] = last
	to[name+"/count"] = float64(count)
	to[name+"/min"], to[name+"/max"] = sorted[0], sorted[len(sorted)-1]
	for _, p := range percentiles {
		to[name+p.name] = percentile(sorted, p.part)
	}
}

var percentiles = []struct {
	name string
	part float64
}{{"/p50", 0.5}, {"/p90", 0.9}, {"/p95", 0.95}, {"/p99", 0.99}, {"/p999", 0.999}, {"/p9999", 0.9999}}

// percentile interpolates between the closest of the sorted values.
func percentile(sorted []float64, p float64) float64 {
	at := p * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
