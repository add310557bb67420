package bench

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
)

// A watched leader is one whose steps are timed: a slice is what the master's
// loop does before it looks for the next input.
type watched struct {
	*leader
	slices     []timed
	kills      int
	outcomes   int // of operations, that frameworks are told of
	agents     int
	frameworks int
}

// A timed slice is what it was, and how long it took of the CPU and by the clock.
type timed struct {
	what       string
	cpu, clock time.Duration
}

// slice times a slice.
func (w *watched) slice(what string, do func()) {
	begun, at := cpuTime(), time.Now()
	do()
	w.slices = append(w.slices, timed{what, cpuTime() - begun, time.Since(at)})
}

// least returns the same slices of two runs, each as it was when it took less.
func least(a, b []timed) []timed {
	for i := range a {
		a[i].cpu, a[i].clock = min(a[i].cpu, b[i].cpu), min(a[i].clock, b[i].clock)
	}
	return a
}

// step times what the core does with an input, and with what comes of it, as the
// master's loop has it done.
func (w *watched) step(what string, in master.Input) {
	w.run(what, func() { w.core.Step(w.now, in) })
}

// run is step for anything that the core does first.
func (w *watched) run(what string, first func()) {
	for do := first; do != nil; {
		var fx master.Effects
		w.slice(what, func() {
			do()
			fx = w.core.Effects()
		})
		do = nil
		if w.look(fx) || !fx.Wake.IsZero() && !fx.Wake.After(w.now) {
			do = func() { w.core.Step(w.now, master.Tick{}) }
		}
		if fx.Persist != nil {
			do = func() { w.core.Step(w.now, master.Committed{Seq: fx.Persist.Seq}) }
		}
		w.count(fx.Messages)
	}
}

func (w *watched) count(sent []master.Message) {
	for _, m := range sent {
		switch m := m.(type) {
		case master.ToProcess:
			if _, ok := m.Message.(*messages.KillTaskMessage); ok {
				w.kills++
			}
		case master.ToFramework:
			if m.Event.UpdateOperationStatus != nil {
				w.outcomes++
			}
		default:
		}
	}
}

func (w *watched) schedulerCall(f ids.FrameworkID, call *schedulerpb.Call) {
	call.FrameworkId = &mesos.FrameworkID{Value: (*string)(&f)}
	w.step(call.GetType().String(), master.SchedulerCall{Peer: w.peers[f], Call: call})
}

// quota guarantees a role so many CPUs.
func (w *watched) quota(role string, cpus int) {
	w.step("quota", master.OperatorCall{Request: 1, Call: &masterpb.Call{
		Type: masterpb.Call_UPDATE_QUOTA.Enum(),
		UpdateQuota: &masterpb.Call_UpdateQuota{QuotaConfigs: []*quotapb.QuotaConfig{
			{Role: &role, Guarantees: map[string]*mesos.Value_Scalar{"cpus": {Value: new(float64(cpus))}}},
		}},
	}})
}

// pings is how often agents are pinged: in the situation of that name only, and all
// of them at once then.
const pings = 24 * time.Hour

// newWatched returns a leader with agents of one task each, or, if they are idle,
// with an offer of each. Each framework has a role of its own.
func newWatched(b *testing.B, agents, frameworks int, idle bool) *watched {
	b.Helper()
	cfg := master.DefaultConfig()
	cfg.Reclaim, cfg.ReclaimAfter = true, time.Second
	cfg.AgentPingTimeout = pings
	l := lead(b, cfg, allocator.DefaultConfig(), registry.New())
	for i := range frameworks {
		l.subscribe(i, "role"+strconv.Itoa(i))
	}
	l.register(agents, "cpus:1;mem:64")
	if !idle {
		l.launchAll()
	}
	if got := max(len(l.tasks), len(l.offers)); got != agents {
		b.Fatalf("%d tasks or offers on %d agents", got, agents)
	}
	return &watched{leader: l, agents: agents, frameworks: frameworks}
}

// first returns the framework that subscribed first.
func (w *watched) first() ids.FrameworkID { return frameworkID(0) }

// situations are what may keep the master's loop for long where there is much of
// everything.
var situations = []struct {
	name string
	idle bool // everything is offered, and nothing runs
	do   func(*watched)
}{
	{"quota", true, func(w *watched) {
		w.quota("absent", len(w.offers)/2)
		w.quota("absent", 0)
	}},
	{"reclaim", false, func(w *watched) {
		for i := range w.frameworks {
			w.quota("role"+strconv.Itoa(i), 1)
		}
		want := len(w.tasks) / 10
		w.quota("starved", want)
		w.step("subscribe", master.Subscribe{
			Peer: master.Peer{Conn: 1 << 32, StreamID: "s"},
			Call: &schedulerpb.Call_Subscribe{FrameworkInfo: &mesos.FrameworkInfo{User: new("u"), Name: new("f"), Role: new("starved")}},
		})
		for range 10 {
			w.now = w.now.Add(time.Second)
			w.step("tick", master.Tick{})
		}
		if w.kills != want {
			w.b.Fatalf("%d tasks are revoked, not %d", w.kills, want)
		}
	}},
	{"recovery", false, func(w *watched) { // of a new leader, to which no agent comes back
		known := w.core.Registry()
		w.leader = lead(w.b, master.DefaultConfig(), allocator.DefaultConfig(), known)
		for i := range w.frameworks {
			w.subscribe(i, "role"+strconv.Itoa(i))
		}
		w.now = w.now.Add(master.DefaultConfig().AgentReregisterTimeout)
		w.step("recovery", master.Tick{})
	}},
	{"elect", false, elect},
	{"operations", true, operations},
	{"pings", false, func(w *watched) {
		w.now = w.now.Add(pings)
		w.step("pings", master.Tick{})
	}},
	{"maintenance", true, func(w *watched) {
		w.step("schedule", master.OperatorCall{Request: 1, Call: &masterpb.Call{
			Type: masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(),
			UpdateMaintenanceSchedule: &masterpb.Call_UpdateMaintenanceSchedule{Schedule: &maintenancepb.Schedule{Windows: []*maintenancepb.Window{{
				MachineIds:     []*mesos.MachineID{{Hostname: new("h"), Ip: new("10.0.0.0")}},
				Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: new(w.now.Add(time.Hour).UnixNano())}},
			}}}},
		}})
	}},
	{"snapshot", false, func(w *watched) {
		for range 3 {
			w.slice("snapshot", func() { w.core.Snapshot() })
			w.end(w.tasks[0], []byte("0123456789abcdef"))
			w.step("tick", master.Tick{})
		}
	}},
	{"whitelist", false, func(w *watched) {
		w.step("whitelist", master.Whitelist{Hosts: map[string]bool{"h": true}})
		w.now = w.now.Add(time.Second)
		w.step("tick", master.Tick{})
	}},
	{"leave-role", true, leaveRole},
	{"roles", true, manyRolesOfOne},
	{"decline", true, declineAll},
	{"launch", false, func(w *watched) { w.launch(w.roomy(), w.agents) }},
	{"launch-group", false, func(w *watched) { w.launchGroup(w.roomy(), w.agents) }},
	{"launch-ports", false, launchPorts},
	{"reserve", false, reserveMany},
	{"launch-vain", false, func(w *watched) {
		o := w.roomy()
		o.Id = &mesos.OfferID{Value: new("another")}
		w.launch(o, w.agents)
	}},
	{"many-tasks-lost", false, manyTasksLost},
	{"many-tasks-gone", false, manyTasksGone},
	{"many-tasks-back", false, manyTasksBack},
	{"decline-inverse", false, declineInverse},
	{"disconnect-inverse", false, disconnectInverse},
	{"take-down", true, takeDown},
	{"quotas", true, manyQuotas},
	{"weights", true, manyWeights},
	{"gone", false, markGone},
	{"forget", false, forgetAll},
	{"reclaim-vain", false, reclaimVain},
	{"disconnect", true, func(w *watched) {
		w.step("disconnect", master.PeerClosed{Conn: w.peers[w.first()].Conn})
	}},
	{"resubscribe", false, func(w *watched) {
		f := w.first()
		w.step("subscribe", master.Subscribe{
			Peer: master.Peer{Conn: 1 << 32, StreamID: "s"},
			Call: &schedulerpb.Call_Subscribe{FrameworkInfo: &mesos.FrameworkInfo{
				Id: &mesos.FrameworkID{Value: (*string)(&f)}, User: new("u"), Name: new("f"), Role: new("role0"),
			}},
		})
	}},
	{"reconcile", false, reconcile},
	{"teardown", false, func(w *watched) {
		w.schedulerCall(w.first(), &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()})
	}},
	{"suppress", true, func(w *watched) {
		for f := range w.peers {
			w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_SUPPRESS.Enum(), Suppress: &schedulerpb.Call_Suppress{}})
		}
	}},
	{"revive", false, func(w *watched) {
		for i := range min(10, len(w.peers)) {
			w.schedulerCall(frameworkID(i), &schedulerpb.Call{Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{}})
		}
	}},
}

// BenchmarkSlices is how long the master's loop is kept by one step. The time of
// an operation is mostly that of setting the cluster up. slowest-slice-ns is CPU
// time, which other programs on the machine do not add to, but for what they cost in
// caches, and work for the garbage collector does. A run is like the one before to the
// slice: of several, each slice counts as it was in the run that it took least in.
func BenchmarkSlices(b *testing.B) {
	shapes := []shape{{agents: 1000, frameworks: 10}}
	if full() {
		shapes = append(shapes, shape{agents: 50_000, frameworks: 1}, shape{agents: 50_000, frameworks: 1000},
			shape{agents: 50_000, frameworks: 6000}, shape{agents: 100_000, frameworks: 1000})
	}
	for _, situation := range situations {
		for _, s := range shapes {
			b.Run(situation.name+"/"+s.String(), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				var all []timed
				for b.Loop() {
					w := newWatched(b, s.agents, s.frameworks, situation.idle)
					runtime.GC()
					situation.do(w)
					if all == nil {
						all = w.slices
					} else if len(all) != len(w.slices) {
						b.Fatalf("%d slices, %d in another run", len(w.slices), len(all))
					}
					all = least(all, w.slices)
				}
				var cpu, clock time.Duration
				for i, s := range all {
					cpu, clock = max(cpu, s.cpu), max(clock, s.clock)
					if s.cpu > 10*time.Millisecond {
						b.Logf("slice %d of %d, in %s: %s", i, len(all), s.what, s.cpu)
					}
				}
				b.ReportMetric(float64(cpu.Nanoseconds()), "slowest-slice-ns")
				b.ReportMetric(float64(clock.Nanoseconds()), "slowest-clock-ns")
			})
		}
	}
}
