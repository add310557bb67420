package bench

import (
	"slices"
	"strconv"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
)

// roomyAgent has room for 100,000 small tasks and an executor.
const (
	roomyAgent = "cpus:200;mem:200000;disk:100;ports:[1-65535]"
	smallTask  = "cpus:0.001;mem:1"
	at         = "slave(1)@11.0.0.1:5051"
)

// roomy has a large agent register, and returns the offer of all that it has.
func (w *watched) roomy() *mesos.Offer {
	w.offers = nil
	w.core.Step(w.now, master.AgentMessage{From: at, To: "master", Message: &messages.RegisterSlaveMessage{
		Slave:   &mesos.AgentInfo{Hostname: new("roomy"), Resources: resources.MustParse(roomyAgent).Endpoint()},
		Version: new("1.11.0"), ResourceVersionUuid: &mesos.UUID{Value: make([]byte, 16)},
	}})
	w.settle()
	if len(w.offers) != 1 {
		w.b.Fatalf("%d offers", len(w.offers))
	}
	return w.offers[0]
}

// small returns so many small tasks, for an offer.
func small(o *mesos.Offer, n int) []*mesos.TaskInfo {
	all := make([]*mesos.TaskInfo, n)
	rs := resources.MustParse(smallTask).Proto()
	for i := range all {
		id := "small" + strconv.Itoa(i)
		all[i] = &mesos.TaskInfo{
			Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: o.AgentId, Resources: rs,
			Command: &mesos.CommandInfo{Value: new("true")},
		}
	}
	return all
}

func (w *watched) accept(o *mesos.Offer, op *mesos.Offer_Operation) {
	w.schedulerCall(ids.FrameworkID(o.GetFrameworkId().GetValue()), &schedulerpb.Call{
		Type:   schedulerpb.Call_ACCEPT.Enum(),
		Accept: &schedulerpb.Call_Accept{OfferIds: []*mesos.OfferID{o.Id}, Operations: []*mesos.Offer_Operation{op}, Filters: forADay()},
	})
}

// launch launches so many small tasks by one LAUNCH.
func (w *watched) launch(o *mesos.Offer, n int) []*mesos.TaskInfo {
	tasks := small(o, n)
	w.accept(o, &mesos.Offer_Operation{
		Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	})
	return tasks
}

// launchPorts launches many small tasks, each of which has a port that is not next to
// another's.
func launchPorts(w *watched) {
	o := w.roomy()
	tasks := small(o, min(5000, w.agents))
	for i, t := range tasks {
		port := uint64(1 + 2*i)
		t.Resources = append(slices.Clone(t.Resources), &mesos.Resource{
			Name: new("ports"), Type: mesos.Value_RANGES.Enum(),
			Ranges: &mesos.Value_Ranges{Range: []*mesos.Value_Range{{Begin: &port, End: &port}}},
		})
	}
	w.accept(o, &mesos.Offer_Operation{
		Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	})
	if n := w.core.Snapshot().Tasks.Len(); n != w.agents+len(tasks) {
		w.b.Fatalf("%d tasks", n)
	}
}

// reserveMany reserves by very many operations, of which no two are alike.
func reserveMany(w *watched) {
	o := w.roomy()
	f := ids.FrameworkID(o.GetFrameworkId().GetValue())
	call := &schedulerpb.Call_Accept{OfferIds: []*mesos.OfferID{o.Id}, Filters: forADay()}
	for i := range min(500, w.agents) {
		rs := resources.MustParse("cpus:0.001").Proto()
		rs[0].Reservations = []*mesos.Resource_ReservationInfo{{
			Type: mesos.Resource_ReservationInfo_DYNAMIC.Enum(), Role: new("role" + strconv.Itoa(number(f))),
			Labels: &mesos.Labels{Labels: []*mesos.Label{{Key: new("l"), Value: new(strconv.Itoa(i))}}},
		}}
		call.Operations = append(call.Operations, &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_RESERVE.Enum(), Reserve: &mesos.Offer_Operation_Reserve{Resources: rs},
		})
	}
	w.schedulerCall(f, &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: call})
	for a := range w.core.Snapshot().Agents.All() {
		if string(a.ID) == o.AgentId.GetValue() && !a.Total.Any(resources.Resource.IsReserved) {
			w.b.Fatal("nothing is reserved")
		}
	}
}

// launchGroup launches so many small tasks as one group.
func (w *watched) launchGroup(o *mesos.Offer, n int) {
	w.accept(o, &mesos.Offer_Operation{
		Type: mesos.Offer_Operation_LAUNCH_GROUP.Enum(),
		LaunchGroup: &mesos.Offer_Operation_LaunchGroup{
			Executor: &mesos.ExecutorInfo{
				Type: mesos.ExecutorInfo_DEFAULT.Enum(), ExecutorId: &mesos.ExecutorID{Value: new("e")},
				FrameworkId: o.FrameworkId, Resources: resources.MustParse("cpus:1;mem:32;disk:1").Proto(),
			},
			TaskGroup: &mesos.TaskGroupInfo{Tasks: small(o, n)},
		},
	})
	if n := w.core.Snapshot().Tasks.Len(); n != 2*w.agents {
		w.b.Fatalf("%d tasks", n)
	}
}

// manyTasks has an agent with many tasks: a fifth of as many as there are agents.
func (w *watched) manyTasks() (o *mesos.Offer, tasks []*mesos.TaskInfo) {
	o = w.roomy()
	tasks = w.launch(o, w.agents/5)
	w.slices = nil // only what follows counts
	return o, tasks
}

// lose has the agent of an offer not come back in time.
func (w *watched) lose() {
	w.step("exit", master.Exited{Address: at[len("slave(1)@"):]})
	w.now = w.now.Add(master.DefaultConfig().AgentReregisterTimeout)
	w.step("lost", master.Tick{})
	if w.core.Snapshot().Unreachable != 1 {
		w.b.Fatal("the agent is not unreachable")
	}
}

// manyTasksLost has an agent with many tasks be unreachable.
func manyTasksLost(w *watched) {
	w.manyTasks()
	w.lose()
}

// manyTasksGone marks an agent with many tasks gone.
func manyTasksGone(w *watched) {
	o, _ := w.manyTasks()
	w.operatorCall(&masterpb.Call{
		Type: masterpb.Call_MARK_AGENT_GONE.Enum(), MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: o.AgentId},
	})
}

// manyTasksBack has an agent with many tasks register again: it was disconnected, and
// then unreachable.
func manyTasksBack(w *watched) {
	o, tasks := w.manyTasks()
	msg := &messages.ReregisterSlaveMessage{
		Slave: &mesos.AgentInfo{
			Hostname: new("roomy"), Id: o.AgentId, Resources: resources.MustParse(roomyAgent).Endpoint(),
		},
		Version: new("1.11.0"), ResourceVersionUuid: &mesos.UUID{Value: make([]byte, 16)},
		Frameworks: []*mesos.FrameworkInfo{{Id: o.FrameworkId, User: new("u"), Name: new("f")}},
	}
	for _, t := range tasks {
		msg.Tasks = append(msg.Tasks, &mesos.Task{
			Name: t.Name, TaskId: t.TaskId, AgentId: t.AgentId, FrameworkId: o.FrameworkId,
			State: mesos.TaskState_TASK_RUNNING.Enum(), Resources: t.Resources,
		})
	}
	back := func() {
		w.step("back", master.AgentMessage{From: at, To: "master", Message: msg})
		w.now = w.now.Add(time.Second)
		w.step("tick", master.Tick{})
	}
	w.step("exit", master.Exited{Address: at[len("slave(1)@"):]})
	back()
	w.lose()
	back()
}
