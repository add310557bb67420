package bench

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/resources"
)

// An abuse is a cluster in which many frameworks do what they should not, in
// virtual time: of a thousand, one keeps every offer until it is taken from
// it, five hundred decline everything with the default filter, one takes half
// a minute to answer, and the rest run tasks, one of each offer.
type abuse struct {
	*cluster
	rng     *rand.Rand
	queue   events
	running []int           // tasks of each framework
	since   []time.Time     // since when one that has too few waits, zero if it does not
	waits   []time.Duration // the longest time that each has waited
	offers  int             // made
	noted   []time.Time     // when each was looked at last
	area    []float64       // tasks × seconds of each since the second began
	ideal   float64         // tasks of each framework that runs some
}

const (
	abuseAgents  = 200
	hoarder      = 0
	decliners    = 500 // and so many from 1 on
	slow         = 501
	workers      = 502 // and all after it
	abusers      = 1000
	roundTrip    = 10 * time.Millisecond
	slowAnswer   = 30 * time.Second
	offerTimeout = 10 * time.Second
)

// An event is something that happens at a time.
type event struct {
	at time.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *abuse) after(d time.Duration, do func()) { heap.Push(&w.queue, event{w.now.Add(d), do}) }

func newAbuse() *abuse {
	s := shape{agents: abuseAgents, frameworks: abusers, resources: "cpus:8;mem:8192"}
	w := &abuse{
		cluster: newCluster(s),
		rng:     rand.New(rand.NewPCG(3, 4)),
		running: make([]int, abusers),
		since:   make([]time.Time, abusers),
		waits:   make([]time.Duration, abusers),
		noted:   make([]time.Time, abusers),
		area:    make([]float64, abusers),
	}
	w.ideal = float64(abuseAgents*8) / float64(abusers-workers)
	return w
}

// live lets time pass.
func (w *abuse) live(d time.Duration) {
	end := w.now.Add(d)
	for {
		w.allocate()
		next := w.Wake(w.now)
		if len(w.queue) > 0 && (next.IsZero() || w.queue[0].at.Before(next)) {
			next = w.queue[0].at
		}
		if next.After(end) {
			return
		}
		w.now = next
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			heap.Pop(&w.queue).(event).do()
		}
	}
}

// allocate makes offers, each of which is answered in its framework's way.
func (w *abuse) allocate() {
	for _, o := range w.cycle() {
		w.offers++
		switch i := number(o); {
		case i == hoarder:
			w.after(offerTimeout, func() { w.Recover(w.now, o.Framework, o.Agent, o.Resources, nil) })
		case i <= decliners:
			w.after(roundTrip, func() { w.Recover(w.now, o.Framework, o.Agent, o.Resources, &mesos.Filters{}) })
		case i == slow:
			w.after(slowAnswer, func() { w.launch(i, o) })
		default:
			w.after(roundTrip, func() { w.launch(i, o) })
		}
	}
}

// number returns which framework an offer is to.
func number(o allocator.Offer) int {
	n := 0
	for _, c := range o.Framework[len("m-"):] {
		n = 10*n + int(c-'0')
	}
	return n
}

// launch runs a task for five to fifteen seconds and returns the rest.
func (w *abuse) launch(i int, o allocator.Offer) {
	task := resources.MustParse("cpus:1;mem:1024").AllocatedTo(o.Role)
	seconds := 1.0
	if !o.Resources.Contains(task) {
		w.Recover(w.now, o.Framework, o.Agent, o.Resources, &mesos.Filters{RefuseSeconds: &seconds})
		return
	}
	w.Accepted(o.Framework, o.Role)
	w.Recover(w.now, o.Framework, o.Agent, o.Resources.Sub(task), &mesos.Filters{RefuseSeconds: &seconds})
	w.note(i)
	w.running[i]++
	w.note(i)
	w.after(5*time.Second+time.Duration(w.rng.Int64N(int64(10*time.Second))), func() {
		w.note(i)
		w.running[i]--
		w.note(i)
		w.Recover(w.now, o.Framework, o.Agent, task, nil)
	})
}

// note keeps for how long a framework runs more than a task less than its share
// is, and how much it runs. It is called before and after each change.
func (w *abuse) note(i int) {
	if !w.noted[i].IsZero() {
		w.area[i] += float64(w.running[i]) * w.now.Sub(w.noted[i]).Seconds()
	}
	w.noted[i] = w.now
	if float64(w.running[i]) >= w.ideal-1 {
		if !w.since[i].IsZero() {
			w.waits[i] = max(w.waits[i], w.now.Sub(w.since[i]))
		}
		w.since[i] = time.Time{}
	} else if w.since[i].IsZero() {
		w.since[i] = w.now
	}
}

// worst returns the longest wait of a worker, the least that one has run since it
// was asked last, on average, and the most that one runs.
func (w *abuse) worst(seconds float64) (wait time.Duration, least float64, most int) {
	least = math.Inf(1)
	for i := workers; i < abusers; i++ {
		w.note(i)
		if !w.since[i].IsZero() {
			w.waits[i] = max(w.waits[i], w.now.Sub(w.since[i]))
		}
		wait, least, most = max(wait, w.waits[i]), min(least, w.area[i]/seconds), max(most, w.running[i])
	}
	clear(w.area)
	return wait, least, most
}

// BenchmarkAbuse lives through half a minute after ten seconds in which the
// cluster fills up.
func BenchmarkAbuse(b *testing.B) {
	for b.Loop() {
		checkAbuse(b, 30)
	}
}

// TestAbuse shows that those who behave get what is theirs, and soon, whatever
// others do.
func TestAbuse(t *testing.T) { checkAbuse(t, 10) }

func checkAbuse(t testing.TB, seconds int) {
	w := newAbuse()
	w.live(10 * time.Second)
	clear(w.waits)
	clear(w.since)
	w.worst(1)
	before := w.offers
	for range seconds {
		w.live(time.Second)
		wait, least, most := w.worst(1)
		if wait > time.Second || least < w.ideal-1 || float64(most) > w.ideal+1 {
			t.Fatalf("somebody has waited %s for his share of %.1f tasks, runs %.2f in a second, or %d at once", wait, w.ideal, least, most)
		}
		t.Logf("the longest wait is %s, the fewest tasks of a second are %.2f, the most %d", wait, least, most)
	}
	t.Logf("%d offers are made a second", (w.offers-before)/seconds)
}
