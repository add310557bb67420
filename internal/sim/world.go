package sim

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/meseta-project/meseta/internal/invariant"
)

// epoch is when every run begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Bounds of a run.
const (
	// patience is the virtual time that a healed cluster has to come to rest. It
	// is longer than anything waits by itself: the retries of updates reach ten
	// minutes, and an agent may be given up once, before it is let in again.
	patience = 40 * time.Minute
	// mostEvents ends a run that never rests.
	mostEvents = 400_000
)

// A world is one run. It is not safe for concurrent use.
type world struct {
	plan   Plan
	now    time.Time
	events events
	seq    uint64
	count  int
	trace  trace
	log    *slog.Logger
	healed bool
	jumps  int // how often a clock was set

	net        *network
	store      *store
	masters    []*masterNode
	leader     *masterNode // as the election service has it
	terms      int
	agents     []*agentNode
	schedulers []*schedulerNode
	history    *history

	chance map[string]*rand.Rand
}

// newWorld returns the cluster of a plan, with nothing started yet.
func newWorld(p Plan, verbose bool) *world {
	w := &world{plan: p, now: epoch, chance: map[string]*rand.Rand{}, log: slog.New(slog.DiscardHandler)}
	w.trace.hash = fnv.New64a()
	if verbose {
		w.log = slog.New(&traceHandler{w: w})
	}
	w.net = newNetwork(w)
	w.store = newStore(w)
	w.history = newHistory(w)
	for i := range p.Masters {
		w.masters = append(w.masters, newMaster(w, i))
	}
	for i := range p.Agents {
		w.agents = append(w.agents, newAgent(w, i))
	}
	for i := range p.Schedulers {
		w.schedulers = append(w.schedulers, newScheduler(w, i))
	}
	return w
}

// rand returns the chance of one concern. Concerns do not share theirs, so that
// a run with one of them left out differs as little as possible.
func (w *world) rand(concern string) *rand.Rand {
	r := w.chance[concern]
	if r == nil {
		h := fnv.New64a()
		h.Write([]byte(concern))
		r = rand.New(rand.NewPCG(w.plan.Seed, h.Sum64()))
		w.chance[concern] = r
	}
	return r
}

// coreRand returns chance for a core, in one of its lives.
func (w *world) coreRand(name string, life int) *rand.Rand {
	r := w.rand("cores of " + name)
	return rand.New(rand.NewPCG(r.Uint64(), uint64(life)))
}

// between draws a duration in [lo, hi).
func (w *world) between(concern string, lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rand(concern).Int64N(int64(hi-lo)))
}

// seconds returns the time that has passed, in seconds.
func (w *world) seconds() float64 { return w.now.Sub(epoch).Seconds() }

// once reports true with a probability of p.
func (w *world) once(concern string, p float64) bool { return w.rand(concern).Float64() < p }

// suffers is once, for a kind of fault that happens now and then.
func (w *world) suffers(f Fault, p float64) bool {
	return !w.healed && w.plan.Faults.Has(f) && w.once(f.String(), p)
}

// after has do happen that much later.
func (w *world) after(d time.Duration, do func()) {
	w.seq++
	w.events.push(event{w.now.Add(max(d, 0)).Sub(epoch), w.seq, do})
}

// step does the next thing that happens, unless that is after limit.
func (w *world) step(limit time.Time) bool {
	if len(w.events) == 0 || w.events[0].at > limit.Sub(epoch) {
		w.now = limit
		return false
	}
	if w.count++; w.count > mostEvents {
		fail("rest", "%d events, and no end", w.count)
	}
	e := w.events.pop()
	w.now = epoch.Add(e.at)
	e.do()
	return true
}

// runUntil lets time pass.
func (w *world) runUntil(t time.Time) {
	for w.step(t) {
	}
}

// run is a whole run.
func (w *world) run() {
	for _, m := range w.masters {
		m.start()
	}
	for _, a := range w.agents {
		w.after(w.between("start", 0, 2*time.Second), a.start)
	}
	for _, s := range w.schedulers {
		w.after(w.between("start", 0, 4*time.Second), s.start)
	}
	w.startFaults()
	w.operate()
	w.apportion()
	w.runUntil(epoch.Add(w.plan.Horizon))
	w.heal()
	w.converge()
}

// A Failure is what is wrong with a run.
type Failure struct { //nolint:errname // it names what happened, not a kind of error
	Checker string
	Detail  string
}

// Error returns the failure as one line.
func (f *Failure) Error() string { return f.Checker + ": " + f.Detail }

// fail ends the run.
func fail(checker, format string, args ...any) {
	panic(&Failure{checker, fmt.Sprintf(format, args...)})
}

// A Result is what became of a run.
type Result struct {
	Plan    Plan
	Failure *Failure // nil: none
	Hash    uint64   // of everything that happened
	Events  int
	Elapsed time.Duration // virtual
	Log     []string      // of the last events
	Counts  Counts
}

// Run does a run. With verbose the cores' logs are among the events.
func Run(p Plan, verbose bool) (res Result) {
	w := newWorld(p, verbose)
	defer func() {
		switch f := recover().(type) {
		case nil:
		case *Failure:
			res.Failure = f
		case *invariant.Violation:
			res.Failure = &Failure{"invariant", f.Error()}
		default:
			panic(fmt.Sprintf("%v: %v\n%s", p, f, w.trace.text()))
		}
		res.Plan, res.Hash, res.Events, res.Elapsed = p, w.trace.hash.Sum64(), w.count, w.now.Sub(epoch)
		res.Log, res.Counts = w.trace.lines(), w.history.counts
	}()
	w.run()
	return res
}

// An event is something that happens at a time. Those of the same time happen
// in the order in which they were decided.
type event struct {
	at  time.Duration // since epoch
	seq uint64
	do  func()
}

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.seq < o.seq }

// events is a binary heap: each event is before the two at twice its place. It
// does without container/heap, which allocates for each event.
type events []event

func (h *events) push(e event) {
	*h = append(*h, e)
	all, i := *h, len(*h)-1
	for i > 0 && e.before(&all[(i-1)/2]) {
		all[i], i = all[(i-1)/2], (i-1)/2
	}
	all[i] = e
}

// pop takes out the first event: the last takes its place, and sinks.
func (h *events) pop() event {
	n := len(*h) - 1
	first, e, all := (*h)[0], (*h)[n], (*h)[:n]
	(*h)[n] = event{}
	*h = all
	for i := 0; n > 0; {
		child := 2*i + 1
		if child+1 < n && all[child+1].before(&all[child]) {
			child++
		}
		if child >= n || e.before(&all[child]) {
			all[i] = e
			break
		}
		all[i], i = all[child], child
	}
	return first
}

// A waker ticks a core when it asked for it.
type waker struct {
	at  time.Time
	gen int
}

// set has tick happen at the given time, and not when asked for before; zero is
// never.
func (k *waker) set(w *world, at time.Time, tick func()) {
	if at.Equal(k.at) {
		return
	}
	k.at = at
	k.gen++
	if at.IsZero() {
		return
	}
	gen := k.gen
	w.after(at.Sub(w.now), func() {
		if k.gen == gen {
			k.at = time.Time{}
			tick()
		}
	})
}

// stop ends what was asked for.
func (k *waker) stop() {
	k.gen++
	k.at = time.Time{}
}
