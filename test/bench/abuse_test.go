package bench

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// An abuse is a master's core in virtual time, most of whose frameworks do what
// they should not. Of a thousand, one never answers an offer, five hundred decline
// everything with the default filter and never suppress, one answers after half a
// minute, and the rest run tasks: one of each offer, after which they refuse the
// rest for no longer than by default.
type abuse struct {
	*leader
	rng   *rand.Rand
	queue events
	begun uint64 // of tasks

	held    map[string]heldOffer // by id, of offers that are not answered
	offered []int                // CPUs that each holds offers of, in such as hold a task
	running []int                // tasks of each framework
	late    int                  // tasks that the slow one has run

	filters *mesos.Filters // of those that decline everything
	revives bool           // they do after each

	ideal float64 // tasks of each framework that runs some

	since  []time.Time     // since when one has too few tasks, zero if it has enough
	waits  []time.Duration // the longest time that each has had
	noted  []time.Time     // when each was looked at last
	area   []float64       // tasks × seconds of each since the second began
	made   int             // offers
	behind time.Duration   // the longest time that one had too little, offers counted
	lacks  []time.Time     // since when it has
}

// A heldOffer is one that is not answered.
type heldOffer struct{ framework, tasks int }

const (
	abuseAgents = 200
	hoarder     = 0
	decliners   = 500 // and so many from 1 on
	slow        = 501
	workers     = 502 // and all after it
	abusers     = 1000
	roundTrip   = 10 * time.Millisecond
	slowAnswer  = 30 * time.Second
)

// An event is something that happens at a time.
type event struct {
	at  time.Time
	seq int
	do  func()
}

type events struct {
	of  []event
	seq int
}

func (e *events) Len() int { return len(e.of) }
func (e *events) Less(i, j int) bool {
	if !e.of[i].at.Equal(e.of[j].at) {
		return e.of[i].at.Before(e.of[j].at)
	}
	return e.of[i].seq < e.of[j].seq
}
func (e *events) Swap(i, j int) { e.of[i], e.of[j] = e.of[j], e.of[i] }
func (e *events) Push(x any)    { e.of = append(e.of, x.(event)) }
func (e *events) Pop() any {
	last := e.of[len(e.of)-1]
	e.of = e.of[:len(e.of)-1]
	return last
}

func (w *abuse) after(d time.Duration, do func()) {
	w.queue.seq++
	heap.Push(&w.queue, event{w.now.Add(d), w.queue.seq, do})
}

// newAbuse returns a cluster to which the frameworks come after a time for which
// the hoarder has all agents to itself.
func newAbuse(t testing.TB, cfg master.Config, policy allocator.Config, alone time.Duration) *abuse {
	cfg.AgentPingTimeout = pings // nobody is, in this test
	w := &abuse{
		leader:  lead(t, cfg, policy, registry.New()),
		rng:     rand.New(rand.NewPCG(3, 4)),
		held:    map[string]heldOffer{},
		offered: make([]int, abusers), running: make([]int, abusers),
		since: make([]time.Time, abusers), waits: make([]time.Duration, abusers), lacks: make([]time.Time, abusers),
		noted: make([]time.Time, abusers), area: make([]float64, abusers),
		ideal: float64(abuseAgents*8) / float64(abusers-workers),
	}
	come := func() {
		for i := 1; i < abusers; i++ {
			w.subscribe(i, "role"+strconv.Itoa(i))
		}
		w.takeOffers()
	}
	w.subscribe(hoarder, "role"+strconv.Itoa(hoarder))
	if alone == 0 {
		come()
	}
	w.register(abuseAgents, "cpus:8;mem:8192")
	w.takeOffers()
	if alone > 0 {
		w.live(alone)
		come()
	}
	return w
}

// live lets time pass.
func (w *abuse) live(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := w.work()
		if w.queue.Len() > 0 && (next.IsZero() || w.queue.of[0].at.Before(next)) {
			next = w.queue.of[0].at
		}
		if next.After(end) {
			w.now = end
			return
		}
		w.now = next
		for w.queue.Len() > 0 && !w.queue.of[0].at.After(w.now) {
			heap.Pop(&w.queue).(event).do()
		}
		w.core.Step(w.now, master.Tick{})
	}
}

// work does what the core asks for now, and returns when it wants to be asked again.
func (w *abuse) work() time.Time {
	for {
		fx := w.core.Effects()
		w.look(fx)
		for _, m := range fx.Messages {
			w.deliver(m)
		}
		w.takeOffers()
		if fx.Persist != nil {
			w.core.Step(w.now, master.Committed{Seq: fx.Persist.Seq})
		} else if fx.Wake.IsZero() || fx.Wake.After(w.now) {
			return fx.Wake
		}
	}
}

// deliver does what an agent or a framework does with a message.
func (w *abuse) deliver(m master.Message) {
	switch m := m.(type) {
	case master.ToProcess:
		if run, ok := m.Message.(*messages.RunTaskMessage); ok {
			w.run(run)
		}
	case master.ToFramework:
		if r := m.Event.GetRescind(); r != nil {
			w.forget(r.OfferId)
		}
		if s := m.Event.GetUpdate().GetStatus(); len(s.GetUuid()) > 0 {
			w.after(roundTrip, func() {
				w.tell(m.Framework, &schedulerpb.Call{Type: schedulerpb.Call_ACKNOWLEDGE.Enum(), Acknowledge: &schedulerpb.Call_Acknowledge{
					AgentId: s.AgentId, TaskId: s.TaskId, Uuid: s.Uuid,
				}})
			})
		}
	}
}

// tell has a framework call, if what it calls about is there still.
func (w *abuse) tell(f ids.FrameworkID, call *schedulerpb.Call) {
	call.FrameworkId = &mesos.FrameworkID{Value: (*string)(&f)}
	w.core.Step(w.now, master.SchedulerCall{Peer: w.peers[f], Call: call})
}

// takeOffers has each offer answered in its framework's way.
func (w *abuse) takeOffers() {
	for _, o := range w.offers {
		f := ids.FrameworkID(o.GetFrameworkId().GetValue())
		i := number(f)
		w.made++
		w.note(i)
		rs := resources.Trusted(o.Resources)
		tasks := min(int(rs.Scalar("cpus").Float64()), int(rs.Scalar("mem").Float64())/1024)
		w.held[o.GetId().GetValue()] = heldOffer{i, tasks}
		w.offered[i] += tasks
		w.note(i)
		switch {
		case i == hoarder:
		case i <= decliners:
			w.after(roundTrip, func() { w.decline(f, o) })
		case i == slow:
			w.after(slowAnswer, func() { w.launch(f, o) })
		default:
			w.after(roundTrip, func() { w.launch(f, o) })
		}
	}
	w.offers = nil
}

// number returns which framework one is.
func number(f ids.FrameworkID) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(f), "m-"))
	if err != nil {
		panic(err)
	}
	return n
}

// forget takes note that an offer is no more.
func (w *abuse) forget(id *mesos.OfferID) {
	if o, ok := w.held[id.GetValue()]; ok {
		w.note(o.framework)
		w.offered[o.framework] -= o.tasks
		w.note(o.framework)
		delete(w.held, id.GetValue())
	}
}

func (w *abuse) decline(f ids.FrameworkID, o *mesos.Offer) {
	w.forget(o.Id)
	call := &schedulerpb.Call_Decline{OfferIds: []*mesos.OfferID{o.Id}}
	if number(f) <= decliners {
		call.Filters = w.filters
	}
	w.tell(f, &schedulerpb.Call{Type: schedulerpb.Call_DECLINE.Enum(), Decline: call})
	if w.revives && number(f) <= decliners {
		w.tell(f, &schedulerpb.Call{Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{}})
	}
}

// launch runs a task on an offer, if it is large enough.
func (w *abuse) launch(f ids.FrameworkID, o *mesos.Offer) {
	if !resources.Trusted(o.Resources).Contains(resources.MustParse("cpus:1;mem:1024")) {
		w.decline(f, o)
		return
	}
	id := fmt.Sprintf("t%d", w.begun)
	w.begun++
	w.core.Step(w.now, master.SchedulerCall{Peer: w.peers[f], Call: &schedulerpb.Call{
		FrameworkId: o.FrameworkId, Type: schedulerpb.Call_ACCEPT.Enum(),
		Accept: &schedulerpb.Call_Accept{OfferIds: []*mesos.OfferID{o.Id}, Operations: []*mesos.Offer_Operation{{
			Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{{
				Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: o.AgentId, Resources: resources.MustParse("cpus:1;mem:1024").Proto(),
				Command: &mesos.CommandInfo{Value: new("true")},
			}}},
		}}},
	}})
	w.forget(o.Id)
}

// run runs a task that the master sends to an agent, for five to fifteen seconds.
func (w *abuse) run(m *messages.RunTaskMessage) {
	f := ids.FrameworkID(m.Framework.GetId().GetValue())
	i := number(f)
	w.note(i)
	w.running[i]++
	w.note(i)
	if i == slow {
		w.late++
	}
	w.of[m.Task.GetTaskId().GetValue()] = f
	uuid := fmt.Appendf(nil, "%16s", m.Task.GetTaskId().GetValue())
	w.after(5*time.Second+time.Duration(w.rng.Int64N(int64(10*time.Second))), func() {
		w.note(i)
		w.running[i]--
		w.note(i)
		w.end(m.Task, uuid)
	})
}

// note keeps for how long a framework runs more than a task less than its share
// is, and how much it runs. It is called before and after each change.
func (w *abuse) note(i int) {
	if !w.noted[i].IsZero() {
		w.area[i] += float64(w.running[i]) * w.now.Sub(w.noted[i]).Seconds()
	}
	w.noted[i] = w.now
	if i < workers {
		return
	}
	w.waits[i] = max(w.waits[i], w.lasts(&w.since[i], float64(w.running[i]) < w.ideal-1))
	w.behind = max(w.behind, w.lasts(&w.lacks[i], float64(w.running[i]+w.offered[i]) < w.ideal-1))
}

// lasts keeps since when something is so, and returns for how long it was.
func (w *abuse) lasts(since *time.Time, is bool) (was time.Duration) {
	if !since.IsZero() {
		was = w.now.Sub(*since)
	}
	switch {
	case !is:
		*since = time.Time{}
	case since.IsZero():
		*since = w.now
	}
	return was
}

// A second is what one of the cluster's was like, for those who work.
type second struct {
	wait  time.Duration // for which one had too few tasks, at the longest
	least float64       // tasks of the one that had the fewest, on average
	most  int           // tasks at its end, of the one that had the most
}

func (s second) String() string {
	return fmt.Sprintf("the longest wait is %s, the fewest tasks on average are %.2f, the most %d", s.wait, s.least, s.most)
}

// pass lets a second pass.
func (w *abuse) pass() second {
	clear(w.area)
	clear(w.waits)
	for i := range w.noted {
		w.noted[i] = w.now
	}
	w.live(time.Second)
	s := second{least: math.Inf(1)}
	for i := workers; i < abusers; i++ {
		w.note(i)
		s.wait, s.least, s.most = max(s.wait, w.waits[i]), min(s.least, w.area[i]), max(s.most, w.running[i])
	}
	return s
}

// What may befall those who work.
const (
	longestWait = time.Second    // to have a task less than one's share is, at least
	longestLack = 10 * roundTrip // the same, if offers count as they do for shares
)

// check lets seconds pass in which all goes well. On average, and at the top, the
// tasks of each are within one of its share. At single moments one may run fewer: two
// of its tasks end at about the same time, and what becomes free is no task before
// somebody has answered an offer. Offers count for shares, so it has what is its own
// again as soon as it is offered it: if need be after somebody who was asked whether it
// wants anything by now.
func (w *abuse) check(seconds int) {
	w.b.Helper()
	w.behind = 0
	before := w.made
	for range seconds {
		s := w.pass()
		if s.wait > longestWait || s.least < w.ideal-1 || float64(s.most) > w.ideal+1 || w.behind > longestLack {
			w.b.Fatalf("of shares of %.2f tasks %s; with offers the longest is %s", w.ideal, s, w.behind)
		}
		w.b.Log(s)
	}
	w.b.Logf("%d offers are made a second; with those that wait for an answer none has too little for longer than %s", (w.made-before)/seconds, w.behind)
}

// BenchmarkAbuse lives through half a minute after ten seconds in which the
// cluster fills up.
func BenchmarkAbuse(b *testing.B) {
	for b.Loop() {
		w := newAbuse(b, master.DefaultConfig(), allocator.DefaultConfig(), 0)
		w.live(10 * time.Second)
		w.check(30)
	}
}

// TestAbuse shows that those who behave get what is theirs, and soon, whatever
// others do, as a master is by default.
func TestAbuse(t *testing.T) {
	w := newAbuse(t, master.DefaultConfig(), allocator.DefaultConfig(), 0)
	w.live(10 * time.Second)
	w.check(25)
	if w.late == 0 {
		t.Error("who answers late runs nothing")
	}
}

// TestAbuseByRevive has those who decline everything revive after each refusal.
func TestAbuseByRevive(t *testing.T) {
	w := newAbuse(t, master.DefaultConfig(), allocator.DefaultConfig(), 0)
	w.revives = true
	w.live(10 * time.Second)
	w.check(6)
}

// TestAbuseWithoutFilters has them decline with filters that end at once.
func TestAbuseWithoutFilters(t *testing.T) {
	w := newAbuse(t, master.DefaultConfig(), allocator.DefaultConfig(), 0)
	w.filters = &mesos.Filters{RefuseSeconds: new(0.0)}
	w.live(10 * time.Second)
	w.check(6)
}

// TestAbuseOfAnEmptyCluster has the hoarder come first, to a cluster that it is
// offered all of. As in Mesos nothing is taken from it by default; the two flags that
// bound what it keeps, and for how long, are for that.
func TestAbuseOfAnEmptyCluster(t *testing.T) {
	cfg, policy := master.DefaultConfig(), allocator.DefaultConfig()
	cfg.OfferTimeout, policy.OfferBudget = 10*time.Second, 100
	w := newAbuse(t, cfg, policy, 5*time.Second)
	if n := w.offered[hoarder]; n != 8*policy.OfferBudget {
		t.Errorf("the hoarder holds %d CPUs", n)
	}
	w.live(15 * time.Second)
	w.check(8)
}
