package master

import (
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/registry"
)

// A talker is a framework that names very much in its calls.
type talker struct {
	m *Master
	f *framework
}

func newTalker(t *testing.T, budget int) *talker {
	t.Helper()
	cfg := DefaultConfig()
	cfg.AllocationBudget = budget
	rng := rand.New(rand.NewPCG(1, 1))
	m := New(cfg, Deps{Rand: rng, Log: slog.New(slog.DiscardHandler), Allocator: allocator.New(allocator.DefaultConfig(), rng)})
	m.Recover(start, Inherit(registry.New()), &mesos.MasterInfo{Id: new("m"), Ip: new(uint32(1)), Port: new(uint32(5050))})
	m.Step(start, Subscribe{Peer: Peer{Conn: 1, StreamID: "s"}, Call: &schedulerpb.Call_Subscribe{
		FrameworkInfo: &mesos.FrameworkInfo{User: new("u"), Name: new("f"), Role: new("*")},
	}})
	m.Effects()
	for _, f := range m.frameworks {
		return &talker{m, f}
	}
	t.Fatal("there is no framework")
	return nil
}

// call returns what comes of a call in its own step.
func (k *talker) call(call *schedulerpb.Call) (err *refusal.Error, events []*schedulerpb.Event) {
	call.FrameworkId = frameworkID(k.f.id)
	k.m.Step(start, SchedulerCall{Request: 1, Peer: k.f.row.Peer, Call: call})
	for _, sent := range k.m.out.Messages {
		switch sent := sent.(type) {
		case Reply:
			err = sent.Err
		case ToFramework:
			events = append(events, sent.Event)
		default:
		}
	}
	k.m.out.Messages = nil
	return err, events
}

func (k *talker) decline(names []*mesos.OfferID) *refusal.Error {
	err, _ := k.call(&schedulerpb.Call{Type: schedulerpb.Call_DECLINE.Enum(), Decline: &schedulerpb.Call_Decline{OfferIds: names}})
	return err
}

// TestNamesOffers: responses that name far more offers than there are, are taken
// a part at a time, whatever waits already. What is nonsense beyond all measure is
// refused until they are.
func TestNamesOffers(t *testing.T) {
	const budget = 500
	k := newTalker(t, budget)
	many := slices.Repeat([]*mesos.OfferID{{Value: new("no offer")}}, 3*budget)
	for range 3 {
		if err := k.decline(many); err != nil {
			t.Fatal(err)
		}
	}
	for left := k.f.responding; left > 0; left = k.f.responding {
		k.m.Effects()
		if taken := left - k.f.responding; taken < 1 || taken > budget {
			t.Fatalf("%d are taken at a time", taken)
		}
	}
	if len(k.m.responses) > 0 {
		t.Fatalf("%d responses are never taken", len(k.m.responses))
	}
	if err := k.decline(slices.Repeat(many[:1], maxNamed+1)); err != nil {
		t.Fatal(err)
	}
	if err := k.decline(many); err == nil || err.Reason != refusal.Unavailable {
		t.Errorf("more is refused by %v", err)
	}
	if err := k.decline(many[:1]); err != nil {
		t.Errorf("little is refused: %s", err)
	}
	k.m.Effects()
	if err := k.decline(many); err != nil {
		t.Errorf("there is room again, and it is refused: %s", err)
	}
}

// TestAcceptsMany: of an ACCEPT that names far more offers than an agent has, no more
// are looked at than show that something is wrong.
func TestAcceptsMany(t *testing.T) {
	const budget = 500
	k := newTalker(t, budget)
	for _, same := range []bool{true, false} {
		names := make([]*mesos.OfferID, 10*budget)
		for i := range names {
			name := strings.Repeat("x", i)
			if same {
				name = "x"
			}
			names[i] = &mesos.OfferID{Value: &name}
		}
		if n := len(k.m.enough(names)); n != budget {
			t.Errorf("%d are looked at", n)
		}
		_, events := k.call(&schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: &schedulerpb.Call_Accept{
			OfferIds: names,
			Operations: []*mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{
				TaskInfos: []*mesos.TaskInfo{{TaskId: &mesos.TaskID{Value: new("t")}, AgentId: &mesos.AgentID{Value: new("a")}}},
			}}},
		}})
		want := map[bool]string{true: "Duplicate offer x in offer list", false: "Offer  is no longer valid"}[same]
		if len(events) != 1 || !strings.Contains(events[0].GetUpdate().GetStatus().GetMessage(), want) {
			t.Errorf("%v, not: %s", events, want)
		}
	}
}

// TestNamesTasks: the tasks that RECONCILE names, and the operations that
// RECONCILE_OPERATIONS does, are answered a part at a time, also if it is called again
// and again meanwhile.
func TestNamesTasks(t *testing.T) {
	const budget = 500
	task := &schedulerpb.Call_Reconcile_Task{TaskId: &mesos.TaskID{Value: new("t")}}
	operation := &schedulerpb.Call_ReconcileOperations_Operation{OperationId: &mesos.OperationID{Value: new("o")}}
	for _, typ := range []schedulerpb.Call_Type{schedulerpb.Call_RECONCILE, schedulerpb.Call_RECONCILE_OPERATIONS} {
		k := newTalker(t, budget)
		reconcile := func(n int) int {
			_, events := k.call(&schedulerpb.Call{
				Type: &typ, Reconcile: &schedulerpb.Call_Reconcile{Tasks: slices.Repeat([]*schedulerpb.Call_Reconcile_Task{task}, n)},
				ReconcileOperations: &schedulerpb.Call_ReconcileOperations{
					Operations: slices.Repeat([]*schedulerpb.Call_ReconcileOperations_Operation{operation}, n),
				},
			})
			return len(events)
		}
		answered, asked := 0, 0
		for range 5 {
			n := reconcile(3 * budget)
			if n > budget {
				t.Fatalf("%s: %d are answered at once", typ, n)
			}
			answered, asked = answered+n, asked+3*budget
		}
		for len(k.m.answers) > 0 {
			n := len(k.m.Effects().Messages)
			if n < 1 || n > budget {
				t.Fatalf("%s: %d are answered at once", typ, n)
			}
			answered += n
		}
		if answered != asked {
			t.Errorf("%s: %d are answered of %d", typ, answered, asked)
		}
		for range 2 {
			reconcile(maxNamed + 10*budget)
		}
		if n := len(k.f.answers.tasks.named) + len(k.f.answers.operations.named); n > maxNamed+10*budget {
			t.Errorf("%s: %d wait", typ, n)
		}
	}
}

// TestLaunchesMany: an ACCEPT of very many tasks is done a part at a time, and what
// the framework calls for meanwhile waits; of what would fill the memory no more than
// so much.
func TestLaunchesMany(t *testing.T) {
	const budget = 500
	k := newTalker(t, budget)
	task := &mesos.TaskInfo{TaskId: &mesos.TaskID{Value: new("t")}, AgentId: &mesos.AgentID{Value: new("a")}}
	launch := &mesos.Offer_Operation{Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{
		TaskInfos: slices.Repeat([]*mesos.TaskInfo{task}, 10*budget),
	}}
	accept := &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: &schedulerpb.Call_Accept{
		OfferIds: []*mesos.OfferID{{Value: new("no offer")}}, Operations: []*mesos.Offer_Operation{launch},
	}}
	for range 2 {
		if err, events := k.call(accept); err != nil || len(events) > 0 {
			t.Fatalf("%v, %d events", err, len(events))
		}
	}
	one := []*schedulerpb.Call_Reconcile_Task{{TaskId: &mesos.TaskID{Value: new("t")}}}
	reconcile := &schedulerpb.Call{Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: &schedulerpb.Call_Reconcile{Tasks: one}}
	waiting := 0
	for ; ; waiting++ {
		if err, _ := k.call(reconcile); err != nil {
			if err.Reason != refusal.Unavailable {
				t.Error(err)
			}
			break
		}
	}
	if waiting == 0 || waiting > maxBacklog {
		t.Errorf("%d calls wait", waiting)
	}
	events, replies := 0, 0
	for steps := 0; len(k.m.backlogs) > 0; steps++ {
		n := 0
		for _, sent := range k.m.Effects().Messages {
			switch sent.(type) {
			case ToFramework:
				n++
			case Reply:
				replies++
			default:
			}
		}
		if n > budget || steps > 20*budget {
			t.Fatalf("%d are answered in step %d", n, steps)
		}
		events += n
	}
	if want := 20*budget + waiting; events != want || replies != waiting+1 {
		t.Errorf("%d events, not %d, and %d replies, not %d", events, want, replies, waiting+1)
	}
	if _, events := k.call(reconcile); len(events) != 1 {
		t.Errorf("%d events when nothing waits any more", len(events))
	}
}

// TestBacklogIsBounded: calls wait for an ACCEPT by how much they name or send.
func TestBacklogIsBounded(t *testing.T) {
	const many = maxBacklog / 4
	offers := slices.Repeat([]*mesos.OfferID{{Value: new("o")}}, many)
	operations := slices.Repeat([]*schedulerpb.Call_ReconcileOperations_Operation{{OperationId: &mesos.OperationID{Value: new("o")}}}, many)
	tasks := slices.Repeat([]*mesos.TaskInfo{{TaskId: &mesos.TaskID{Value: new("t")}, AgentId: &mesos.AgentID{Value: new("a")}}}, 1000)
	for _, call := range []*schedulerpb.Call{
		{Type: schedulerpb.Call_DECLINE.Enum(), Decline: &schedulerpb.Call_Decline{OfferIds: offers}},
		{Type: schedulerpb.Call_ACCEPT_INVERSE_OFFERS.Enum(), AcceptInverseOffers: &schedulerpb.Call_AcceptInverseOffers{InverseOfferIds: offers}},
		{Type: schedulerpb.Call_DECLINE_INVERSE_OFFERS.Enum(), DeclineInverseOffers: &schedulerpb.Call_DeclineInverseOffers{InverseOfferIds: offers}},
		{Type: schedulerpb.Call_RECONCILE_OPERATIONS.Enum(), ReconcileOperations: &schedulerpb.Call_ReconcileOperations{Operations: operations}},
		{Type: schedulerpb.Call_MESSAGE.Enum(), Message: &schedulerpb.Call_Message{
			AgentId: &mesos.AgentID{Value: new("a")}, ExecutorId: &mesos.ExecutorID{Value: new("e")}, Data: make([]byte, 64*many),
		}},
	} {
		k := newTalker(t, 500)
		if err, _ := k.call(&schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: &schedulerpb.Call_Accept{
			Operations: []*mesos.Offer_Operation{{Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks}}},
		}}); err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for ; waiting < 10; waiting++ {
			if err, _ := k.call(call); err != nil {
				break
			}
		}
		if waiting == 0 || waiting > 5 {
			t.Errorf("%s: %d calls wait", call.GetType(), waiting)
		}
		k.subscribesAgain(t)
	}
}

// subscribesAgain: who subscribes and cannot wait is told nothing, as an ERROR would be
// the end of it. It tries again.
func (k *talker) subscribesAgain(t *testing.T) {
	t.Helper()
	k.m.out.Messages = nil
	k.m.Step(start, Subscribe{Peer: Peer{Conn: 2, StreamID: "s2"}, Call: &schedulerpb.Call_Subscribe{FrameworkInfo: k.f.row.Info}})
	k.m.Step(start, Subscribe{Peer: Peer{Driver: "driver@10.0.0.1:1"}, Call: &schedulerpb.Call_Subscribe{FrameworkInfo: k.f.row.Info}})
	if all := k.m.out.Messages; len(all) != 1 || all[0] != Message(CloseFramework{Peer{Conn: 2, StreamID: "s2"}}) {
		t.Errorf("%v is sent", all)
	}
}
