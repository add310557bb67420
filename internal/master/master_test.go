package master

import (
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/refusal"
)

// TestNotLeading checks that a master which has not read its registry yet
// refuses whoever waits for an answer, and does nothing.
func TestNotLeading(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	m := New(DefaultConfig(), Deps{
		Rand: rng, Log: slog.New(slog.DiscardHandler), Allocator: allocator.New(allocator.DefaultConfig(), rng),
	})
	m.Step(start, SchedulerCall{Request: 7, Call: &schedulerpb.Call{}})
	m.Step(start, OperatorCall{Request: 8})
	m.Step(start, Subscribe{Peer: Peer{Conn: 1}, Call: &schedulerpb.Call_Subscribe{}})
	e := m.Effects()
	if len(e.Messages) != 4 || e.Persist != nil || !e.Wake.IsZero() {
		t.Fatalf("effects %+v", e)
	}
	for i, id := range []RequestID{7, 8} {
		r, ok := e.Messages[i].(Reply)
		if !ok || r.Request != id || r.Err == nil || r.Err.Reason != refusal.Unavailable {
			t.Errorf("reply %+v", e.Messages[i])
		}
	}
	if f, ok := e.Messages[2].(ToFramework); !ok || f.Event.GetError().GetMessage() != "Master has not finished recovery" {
		t.Errorf("event %+v", e.Messages[2])
	}
	if _, ok := e.Messages[3].(CloseFramework); !ok {
		t.Errorf("message %+v", e.Messages[3])
	}
}

func TestDurationText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		10 * time.Minute:        "10mins",
		15 * time.Second:        "15secs",
		90 * time.Second:        "90secs",
		1500 * time.Millisecond: "1500ms",
		14 * 24 * time.Hour:     "2weeks",
		25 * time.Hour:          "25hrs",
		1:                       "1ns",
		0:                       "0ns",
		1500:                    "1.5us",
	} {
		if got := durationText(d); got != want {
			t.Errorf("durationText(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestTypedHealthCheck(t *testing.T) {
	command, http := &mesos.CommandInfo{}, &mesos.HealthCheck_HTTPCheckInfo{}
	tests := []struct {
		in   *mesos.HealthCheck
		want *mesos.HealthCheck_Type
	}{
		{&mesos.HealthCheck{Command: command}, mesos.HealthCheck_COMMAND.Enum()},
		{&mesos.HealthCheck{Http: http}, mesos.HealthCheck_HTTP.Enum()},
		{&mesos.HealthCheck{Command: command, Http: http}, nil},
		{&mesos.HealthCheck{}, nil},
		{&mesos.HealthCheck{Type: mesos.HealthCheck_TCP.Enum(), Command: command}, mesos.HealthCheck_TCP.Enum()},
	}
	for _, tt := range tests {
		before := tt.in.CloneVT()
		got := typedHealthCheck(tt.in)
		if got.GetType() != (&mesos.HealthCheck{Type: tt.want}).GetType() || (got.Type == nil) != (tt.want == nil) {
			t.Errorf("%v: type %v, want %v", tt.in, got.Type, tt.want)
		}
		if !tt.in.EqualVT(before) {
			t.Errorf("%v was changed from %v", tt.in, before)
		}
	}
}

// TestSnapshotStays checks that what a reader holds does not change.
func TestSnapshotStays(t *testing.T) {
	w := newWorld(DefaultConfig())
	w.register(w.addAgent("a1", "cpus:4;mem:1024", "h"), "1.11.0")
	f := &testFramework{name: "f", info: &mesos.FrameworkInfo{User: new("u"), Name: new("f"), Role: new("dev")}}
	w.frameworks["f"] = f
	w.subscribe(f, &schedulerpb.Call_Subscribe{})
	before := w.m.Snapshot()
	w.call(f, &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: &schedulerpb.Call_Accept{
		OfferIds: offerIDs("m1-O0"),
		Operations: []*mesos.Offer_Operation{{
			Type:   mesos.Offer_Operation_LAUNCH.Enum(),
			Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{testTask("t1", "cpus:1;mem:32", agentID("m1-S0"))}},
		}},
	}})
	launched := w.m.Snapshot()
	w.update("t1", mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_RUNNING, nil)
	for row := range before.Agents.All() {
		if !row.Allocated.IsEmpty() || row.Offered.IsEmpty() {
			t.Errorf("before: allocated %s, offered %s", row.Allocated, row.Offered)
		}
	}
	if before.Tasks.Len() != 0 || launched.Tasks.Len() != 1 || launched.Offers.Len() != 0 {
		t.Errorf("before: %d tasks; launched: %d tasks, %d offers", before.Tasks.Len(), launched.Tasks.Len(), launched.Offers.Len())
	}
	for row := range launched.Tasks.All() {
		if task := row.Task(); task.GetState() != mesos.TaskState_TASK_STAGING || len(task.Statuses) != 0 {
			t.Errorf("launched: %v", task)
		}
	}
}

// TestOfferForm checks that offers are in the form of the framework's
// capabilities: who knows of one role only is told of no allocation, who knows
// of no refined reservations gets the older form.
func TestOfferForm(t *testing.T) {
	multi, refined := mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT
	for _, caps := range [][]mesos.FrameworkInfo_Capability_Type{nil, {multi}, {refined}, {multi, refined}} {
		w := newWorld(DefaultConfig())
		info := &mesos.FrameworkInfo{User: new("u"), Name: new("f"), Role: new("dev")}
		for _, c := range caps {
			info.Capabilities = append(info.Capabilities, &mesos.FrameworkInfo_Capability{Type: &c})
			if c == multi {
				info.Role, info.Roles = nil, []string{"dev"}
			}
		}
		w.m.Step(w.now, Subscribe{Peer: Peer{Conn: 1}, Call: &schedulerpb.Call_Subscribe{FrameworkInfo: info}})
		w.register(w.addAgent("a1", "cpus(dev):4;mem:1024", "h"), "1.11.0")
		var o *offer
		for _, o = range w.m.offers {
		}
		p := o.proto()
		caps := frameworkCapsOf(info)
		if (p.AllocationInfo != nil) != caps.multiRole {
			t.Errorf("%+v: allocation_info of the offer: %v", caps, p.AllocationInfo)
		}
		for _, r := range p.Resources {
			if (r.AllocationInfo != nil) != caps.multiRole {
				t.Errorf("%+v: allocation_info: %v", caps, r)
			}
			if (r.Role == nil) != caps.reservationRefinement {
				t.Errorf("%+v: role: %v", caps, r)
			}
			if (len(r.Reservations) > 0) != (caps.reservationRefinement && r.GetName() == "cpus") {
				t.Errorf("%+v: reservations: %v", caps, r)
			}
		}
	}
}
