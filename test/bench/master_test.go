package bench

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// A leader is a master's core with agents that each run one task, which uses all
// of its agent, so that nothing is offered until one ends.
type leader struct {
	b       testing.TB
	core    *master.Master
	now     time.Time
	peers   map[ids.FrameworkID]master.Peer
	offers  []*mesos.Offer // to be answered
	inverse map[ids.FrameworkID][]*mesos.OfferID
	tasks   []*mesos.TaskInfo
	of      map[string]ids.FrameworkID // task → its framework
	uuids   uint64
}

func newLeader(b *testing.B, agents, frameworks int) *leader {
	b.Helper()
	l := lead(b, master.DefaultConfig(), allocator.DefaultConfig(), registry.New())
	for i := range frameworks {
		l.subscribe(i, "*")
	}
	l.register(agents, "cpus:1;mem:64")
	l.launchAll()
	if len(l.tasks) != agents {
		b.Fatalf("%d tasks on %d agents", len(l.tasks), agents)
	}
	return l
}

// lead returns a leader without agents and frameworks.
func lead(b testing.TB, cfg master.Config, policy allocator.Config, known *registry.Registry) *leader {
	l := standBy(b, cfg, policy)
	l.recover(master.Inherit(known))
	l.settle()
	return l
}

// standBy returns one that does not lead yet.
func standBy(b testing.TB, cfg master.Config, policy allocator.Config) *leader {
	rng := rand.New(rand.NewPCG(1, 2))
	l := &leader{
		b: b, now: time.Unix(1_000_000, 0), peers: map[ids.FrameworkID]master.Peer{},
		inverse: map[ids.FrameworkID][]*mesos.OfferID{}, of: map[string]ids.FrameworkID{},
	}
	l.core = master.New(cfg, master.Deps{
		Rand: rng, Log: slog.New(slog.DiscardHandler), Allocator: allocator.New(policy, rng),
	})
	return l
}

func (l *leader) recover(known *master.Legacy) {
	l.core.Recover(l.now, known, &mesos.MasterInfo{Id: new("m"), Ip: proto.Uint32(1), Port: proto.Uint32(5050)})
}

// subscribe has a framework subscribe to a role.
func (l *leader) subscribe(i int, role string) {
	l.core.Step(l.now, master.Subscribe{
		Peer: master.Peer{Conn: master.ConnID(i + 1), StreamID: strconv.Itoa(i)},
		Call: &schedulerpb.Call_Subscribe{FrameworkInfo: &mesos.FrameworkInfo{User: new("u"), Name: new("f"), Role: &role, FailoverTimeout: new(3600.0)}},
	})
	l.settle()
}

// register has agents register, each with the resources.
func (l *leader) register(agents int, each string) {
	rs := resources.MustParse(each).Endpoint()
	for i := range agents {
		l.core.Step(l.now, master.AgentMessage{
			From: agentPID(i), To: "master",
			Message: &messages.RegisterSlaveMessage{
				Slave: &mesos.AgentInfo{Hostname: new("h"), Resources: rs}, Version: new("1.11.0"),
				ResourceVersionUuid: &mesos.UUID{Value: make([]byte, 16)},
			},
		})
		if i%1000 == 999 {
			l.settle()
		}
	}
	l.settle()
}

// agentPID is where an agent that registered is.
func agentPID(i int) ids.UPID {
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5051)
	return ids.UPID("slave(1)@" + address.String())
}

// settle does what the core asks for, until it is still.
func (l *leader) settle() {
	for more := true; more; {
		fx := l.core.Effects()
		more = l.look(fx) || !fx.Wake.IsZero() && !fx.Wake.After(l.now)
		if fx.Persist != nil {
			l.core.Step(l.now, master.Committed{Seq: fx.Persist.Seq})
			more = true
		}
	}
}

// look takes note of what frameworks are sent, and reports whether they were
// offered anything.
func (l *leader) look(fx master.Effects) (offered bool) {
	for _, m := range fx.Messages {
		to, ok := m.(master.ToFramework)
		if !ok {
			continue
		}
		if s := to.Event.GetSubscribed(); s != nil {
			l.peers[ids.FrameworkID(s.GetFrameworkId().GetValue())] = to.Peer
		}
		if o := to.Event.GetOffers(); o != nil {
			l.offers, offered = append(l.offers, o.Offers...), true
		}
		for _, o := range to.Event.GetInverseOffers().GetInverseOffers() {
			l.inverse[to.Framework] = append(l.inverse[to.Framework], o.Id)
		}
	}
	return offered
}

// launchAll answers offers by tasks that use all of them.
func (l *leader) launchAll() {
	for len(l.offers) > 0 {
		o := l.offers[0]
		l.offers = l.offers[1:]
		id := fmt.Sprintf("t%d", l.uuids)
		l.uuids++
		t := &mesos.TaskInfo{
			Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: o.AgentId, Resources: o.Resources,
			Command: &mesos.CommandInfo{Value: new("true")},
		}
		l.tasks = append(l.tasks, t)
		f := ids.FrameworkID(o.GetFrameworkId().GetValue())
		l.of[id] = f
		l.call(f, &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: &schedulerpb.Call_Accept{
			OfferIds: []*mesos.OfferID{o.Id}, Filters: &mesos.Filters{RefuseSeconds: new(0.0)},
			Operations: []*mesos.Offer_Operation{{
				Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{t}},
			}},
		}})
	}
}

func (l *leader) call(f ids.FrameworkID, call *schedulerpb.Call) {
	call.FrameworkId = &mesos.FrameworkID{Value: (*string)(&f)}
	l.core.Step(l.now, master.SchedulerCall{Peer: l.peers[f], Call: call})
	l.settle()
}

// end tells the master that a task has ended.
func (l *leader) end(t *mesos.TaskInfo, uuid []byte) {
	f := string(l.of[t.GetTaskId().GetValue()])
	l.core.Step(l.now, master.AgentMessage{From: "slave(1)@10.0.0.1:5051", To: "master", Message: &messages.StatusUpdateMessage{
		Update: &messages.StatusUpdate{
			FrameworkId: &mesos.FrameworkID{Value: &f}, SlaveId: t.AgentId, Uuid: uuid, Timestamp: new(1.0),
			Status: &mesos.TaskStatus{TaskId: t.TaskId, State: mesos.TaskState_TASK_FINISHED.Enum(), Uuid: uuid},
		},
	}})
}

// BenchmarkFreedToOffer is the time from the news that a task has ended to the
// offer of what it had, encoded as it is written to the framework's stream: all
// that the master's loop does for it. p99-ns is of single tasks.
func BenchmarkFreedToOffer(b *testing.B) {
	for _, agents := range []int{1000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("agents=%d/frameworks=1000", agents), func(b *testing.B) {
			l := newLeader(b, agents, 1000)
			rng := rand.New(rand.NewPCG(3, 4))
			var took []time.Duration
			for b.Loop() {
				i := rng.IntN(len(l.tasks))
				t, uuid := l.tasks[i], fmt.Appendf(nil, "%016d", l.uuids)
				l.tasks[i] = l.tasks[len(l.tasks)-1]
				l.tasks = l.tasks[:len(l.tasks)-1]
				begin := time.Now()
				l.end(t, uuid)
				bytes := 0
				for _, m := range l.effects() {
					text, err := m.MarshalVT()
					if err != nil {
						b.Fatal(err)
					}
					bytes += len(text)
				}
				took = append(took, time.Since(begin))
				if bytes == 0 || len(l.offers) == 0 {
					b.Fatal("nothing was offered")
				}
				b.StopTimer()
				l.call(l.of[t.GetTaskId().GetValue()], &schedulerpb.Call{Type: schedulerpb.Call_ACKNOWLEDGE.Enum(), Acknowledge: &schedulerpb.Call_Acknowledge{
					AgentId: t.AgentId, TaskId: t.TaskId, Uuid: uuid,
				}})
				l.launchAll()
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100]), "p99-ns")
			b.ReportMetric(float64(took[len(took)-1]), "max-ns")
		})
	}
}

// effects returns the events that the core wants sent to frameworks now.
func (l *leader) effects() (events []*schedulerpb.Event) {
	fx := l.core.Effects()
	l.look(fx)
	for _, m := range fx.Messages {
		if to, ok := m.(master.ToFramework); ok {
			events = append(events, to.Event)
		}
	}
	return events
}
