package httpd

import (
	"context"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

const (
	// snapshotEvery is the time between two answers of /metrics/snapshot,
	// which Mesos limits to two a second by delaying.
	snapshotEvery = 500 * time.Millisecond
	// snapshotWait is how long a request may be delayed; beyond, it is
	// refused.
	snapshotWait = time.Minute
)

// MetricsSnapshot serves the metrics as one JSON object, its names sorted, at
// most twice a second; the other requests wait their turn.
func MetricsSnapshot(read func(*http.Request) (map[string]float64, error)) http.Handler {
	return Paced(func(w http.ResponseWriter, r *http.Request) error {
		metrics, err := read(r)
		if err != nil {
			return err
		}
		Render(w, r, func(out *wire.Writer) error {
			WriteMetrics(out, metrics)
			return nil
		})
		return nil
	})
}

// Paced serves what is dear to find out, at most twice a second; the other
// requests wait their turn. The error of serve is refused.
func Paced(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	var turns pacer
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := turns.wait(r.Context())
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			Refuse(w, err)
		}
	})
}

// WriteMetrics writes metrics as the JSON object that Mesos has of them: names
// sorted, every number with a fraction. What is no number is left out.
func WriteMetrics(out *wire.Writer, metrics map[string]float64) {
	out.BeginObject()
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if v := metrics[name]; !math.IsNaN(v) && !math.IsInf(v, 0) {
			out.Key(name).Double(v)
		}
	}
	out.EndObject()
}

// Prometheus answers with metrics in Prometheus's text format: those of Mesos's
// names with "mesos_" before them and "_" for what Prometheus does not allow.
func Prometheus(w http.ResponseWriter, r *http.Request, metrics map[string]float64) {
	Body(w, r, "text/plain; version=0.0.4; charset=utf-8", prometheus(metrics))
}

func prometheus(metrics map[string]float64) []byte {
	var b []byte
	written := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		legal := "mesos_" + strings.Map(legalRune, name)
		if written[legal] {
			continue // two names of ours that Prometheus cannot tell apart
		}
		written[legal] = true
		b = append(append(append(b, "# TYPE "...), legal...), " untyped\n"...)
		b = append(append(b, legal...), ' ')
		b = strconv.AppendFloat(b, metrics[name], 'g', -1, 64)
		b = append(b, '\n')
	}
	return b
}

func legalRune(r rune) rune {
	if r < 0x80 && alphanumeric(byte(r)) {
		return r
	}
	return '_'
}

// A pacer gives turns, snapshotEvery apart.
type pacer struct {
	mu   sync.Mutex
	next time.Time
}

// wait returns when it is the caller's turn.
func (p *pacer) wait(ctx context.Context) error {
	delay, ok := p.turn(time.Now())
	if !ok {
		return refusal.Overloadedf("Too many requests: the next turn is more than %v away", snapshotWait)
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pacer) turn(now time.Time) (delay time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	if delay = p.next.Sub(now); delay > snapshotWait {
		return 0, false
	}
	p.next = p.next.Add(snapshotEvery)
	return delay, true
}
