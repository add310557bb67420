package master

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/resources"
)

// BenchmarkTasks is the life of a task: offered, accepted, running, finished,
// both acknowledged, with a reader's snapshot every 100 tasks.
func BenchmarkTasks(b *testing.B) {
	for _, agents := range []int{1, 1000} {
		b.Run(fmt.Sprintf("agents=%d", agents), func(b *testing.B) { benchmarkTasks(b, agents) })
	}
}

func benchmarkTasks(b *testing.B, agents int) {
	c := newBenchCluster(b, agents)
	task := testTask("t", "cpus:1;mem:32", nil)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		o := <-c.offers
		id := fmt.Sprintf("t%d", i)
		c.call(&schedulerpb.Call{
			Type: schedulerpb.Call_ACCEPT.Enum(),
			Accept: &schedulerpb.Call_Accept{
				OfferIds: []*mesos.OfferID{o.Id},
				Operations: []*mesos.Offer_Operation{{
					Type: mesos.Offer_Operation_LAUNCH.Enum(),
					Launch: &mesos.Offer_Operation_Launch{TaskInfos: []*mesos.TaskInfo{{
						Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: o.AgentId,
						Resources: task.Resources, Command: task.Command,
					}}},
				}},
				Filters: &mesos.Filters{RefuseSeconds: new(1e6)},
			},
		})
		c.update(o.AgentId, id, mesos.TaskState_TASK_RUNNING, uint64(2*i))
		c.update(o.AgentId, id, mesos.TaskState_TASK_FINISHED, uint64(2*i+1))
		if i%100 == 0 {
			c.m.Snapshot()
		}
	}
}

type benchCluster struct {
	m      *Master
	now    time.Time
	offers chan *mesos.Offer
	id     *mesos.FrameworkID
}

func newBenchCluster(b *testing.B, agents int) *benchCluster {
	rng := rand.New(rand.NewPCG(1, 1))
	c := &benchCluster{now: start, offers: make(chan *mesos.Offer, 10*agents+100)}
	c.m = New(DefaultConfig(), Deps{
		Rand: rng, Log: slog.New(slog.DiscardHandler),
		Allocator: allocator.New(allocator.DefaultConfig(), rng),
	})
	c.m.Recover(c.now, Inherit(registry.New()), &mesos.MasterInfo{Id: new("m"), Ip: new(uint32(1)), Port: new(uint32(1))})
	for i := range agents {
		c.step(AgentMessage{
			From: ids.UPID(fmt.Sprintf("slave(1)@10.0.%d.%d:5051", i/250, i%250)),
			To:   "master",
			Message: &messages.RegisterSlaveMessage{
				Slave:   &mesos.AgentInfo{Hostname: new("h"), Resources: resources.MustParse("cpus:4;mem:4096;disk:1000").Proto()},
				Version: new("1.11.0"),
			},
		})
	}
	c.step(Subscribe{Peer: Peer{Conn: 1, StreamID: "s"}, Call: &schedulerpb.Call_Subscribe{
		FrameworkInfo: &mesos.FrameworkInfo{User: new("u"), Name: new("n"), Role: new("*")},
	}})
	return c
}

func (c *benchCluster) call(call *schedulerpb.Call) {
	call.FrameworkId = c.id
	c.step(SchedulerCall{Request: 1, Peer: Peer{StreamID: "s"}, Call: call})
}

func (c *benchCluster) update(agent *mesos.AgentID, id string, state mesos.TaskState, n uint64) {
	uuid := fmt.Appendf(nil, "%-16d", n)
	c.step(AgentMessage{From: "slave(1)@10.0.0.0:5051", To: "master", Message: &messages.StatusUpdateMessage{
		Pid: new("slave(1)@10.0.0.0:5051"),
		Update: &messages.StatusUpdate{
			FrameworkId: c.id, SlaveId: agent, Timestamp: new(1.0), Uuid: uuid, LatestState: state.Enum(),
			Status: &mesos.TaskStatus{
				TaskId: &mesos.TaskID{Value: &id}, State: state.Enum(), AgentId: agent, Uuid: uuid, Timestamp: new(1.0),
			},
		},
	}})
	c.call(&schedulerpb.Call{
		Type:        schedulerpb.Call_ACKNOWLEDGE.Enum(),
		Acknowledge: &schedulerpb.Call_Acknowledge{AgentId: agent, TaskId: &mesos.TaskID{Value: &id}, Uuid: uuid},
	})
}

func (c *benchCluster) step(in Input) {
	c.now = c.now.Add(time.Microsecond)
	c.m.Step(c.now, in)
	for {
		e := c.m.Effects()
		for _, msg := range e.Messages {
			f, ok := msg.(ToFramework)
			if !ok {
				continue
			}
			if s := f.Event.Subscribed; s != nil {
				c.id = s.FrameworkId
			}
			for _, o := range f.Event.Offers.GetOffers() {
				c.offers <- o
			}
		}
		if e.Persist == nil {
			return
		}
		c.m.Step(c.now, Committed{e.Persist.Seq})
	}
}

// BenchmarkReregister is an agent with ten tasks that comes back to a new
// leader.
func BenchmarkReregister(b *testing.B) {
	c := newBenchCluster(b, 0)
	info := &mesos.FrameworkInfo{User: new("u"), Name: new("n"), Role: new("*"), Id: c.id}
	msgs := make([]*messages.ReregisterSlaveMessage, b.N)
	for i := range msgs {
		agent := fmt.Sprintf("old-S%d", i)
		msgs[i] = &messages.ReregisterSlaveMessage{
			Slave: &mesos.AgentInfo{
				Hostname: new("h"), Id: &mesos.AgentID{Value: &agent},
				Resources: resources.MustParse("cpus:16;mem:65536;disk:1000").Proto(),
			},
			Version:    new("1.11.0"),
			Frameworks: []*mesos.FrameworkInfo{info},
		}
		for j := range 10 {
			msgs[i].Tasks = append(msgs[i].Tasks, &mesos.Task{
				Name: new("t"), TaskId: &mesos.TaskID{Value: new(fmt.Sprintf("t%d-%d", i, j))}, FrameworkId: c.id,
				AgentId: msgs[i].Slave.Id, State: mesos.TaskState_TASK_RUNNING.Enum(),
				Resources: resources.MustParse("cpus:1;mem:1024").AllocatedTo("*").Proto(),
			})
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i, msg := range msgs {
		from := ids.UPID(fmt.Sprintf("slave(1)@10.%d.%d.%d:5051", i>>16, i>>8&0xff, i&0xff))
		c.step(AgentMessage{From: from, To: "master", Message: msg})
		for len(c.offers) > 0 {
			<-c.offers
		}
	}
}
