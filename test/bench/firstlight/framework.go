package main

import (
	"context"
	"fmt"
	"iter"
	"os"
	"strconv"
	"sync"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/executor"
	"github.com/meseta-project/meseta/scheduler"
	"github.com/meseta-project/meseta/test/cluster"
)

// framework is a scheduler that reads its events one by one. What goes wrong
// ends the measurement.
type framework struct {
	t       cluster.TB
	client  *scheduler.Client
	next    func() (*schedulerpb.Event, error, bool)
	holding *mesos.Offer // the offer that launch accepts, nil when there is none
}

// subscribe starts a cluster of its own and subscribes a framework with it.
func subscribe(ctx context.Context, t cluster.TB, name string) *framework {
	c := cluster.New(t, 1)
	user := "root"
	client, err := scheduler.New(scheduler.Config{
		Masters: []string{c.Master.Addr}, ManualAcknowledge: true,
		Framework: &mesos.FrameworkInfo{Name: &name, User: &user},
	})
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(client.Events(ctx))
	t.Cleanup(stop)
	return &framework{t: t, client: client, next: next}
}

func (f *framework) event() *schedulerpb.Event {
	event, err, ok := f.next()
	if err != nil || !ok {
		f.t.Fatalf("the events have ended: %v", err)
	}
	if offers := event.GetOffers().GetOffers(); len(offers) > 0 { // of one agent there is one
		f.holding = offers[0]
	}
	return event
}

// offer waits for an offer unless there is one.
func (f *framework) offer() *mesos.Offer {
	for f.holding == nil {
		f.event()
	}
	return f.holding
}

// update waits for a status update.
func (f *framework) update() *mesos.TaskStatus {
	for {
		if status := f.event().GetUpdate().GetStatus(); status != nil {
			f.ended(status)
			return status
		}
	}
}

// ended says whether a task has finished, and lets no task end otherwise.
func (f *framework) ended(status *mesos.TaskStatus) bool {
	switch status.GetState() {
	case mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING:
		return false
	case mesos.TaskState_TASK_FINISHED:
		return true
	default:
		f.t.Fatalf("%v", status)
		return false
	}
}

// launch accepts the offer at hand for tasks, and what is left at once again.
func (f *framework) launch(tasks ...*mesos.TaskInfo) {
	launch := &mesos.Offer_Operation{
		Type: mesos.Offer_Operation_LAUNCH.Enum(), Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	}
	if err := f.client.Accept(context.Background(), []*mesos.OfferID{f.holding.GetId()}, scheduler.RefuseFor(0), launch); err != nil {
		f.t.Fatal(err)
	}
	f.holding = nil
}

func (f *framework) acknowledge(status *mesos.TaskStatus) {
	if err := f.client.Acknowledge(context.Background(), status); err != nil {
		f.t.Error(err)
	}
}

// acknowledger acknowledges what it is sent, beside the reading of events. It
// has done so when the channel is closed and done has been waited for.
func (f *framework) acknowledger() (statuses chan<- *mesos.TaskStatus, done *sync.WaitGroup) {
	waiting := make(chan *mesos.TaskStatus, 1000)
	done = new(sync.WaitGroup)
	for range 4 {
		done.Go(func() {
			for status := range waiting {
				f.acknowledge(status)
			}
		})
	}
	return waiting, done
}

// commandTask is a task that runs a shell command, with 0.1 CPUs and 32 MB.
func commandTask(offer *mesos.Offer, id, command string) *mesos.TaskInfo {
	return &mesos.TaskInfo{
		Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: offer.GetAgentId(),
		Resources: resources(0.1, 32), Command: &mesos.CommandInfo{Value: &command},
	}
}

// executorTask is a task for one of the long-lived executors, which are this
// program itself.
func (f *framework) executorTask(offer *mesos.Offer, id string, executor int, cpus float64) *mesos.TaskInfo {
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	name, mark, set, command := "executor"+strconv.Itoa(executor), executorMark, "1", "exec "+self
	return &mesos.TaskInfo{
		Name: &id, TaskId: &mesos.TaskID{Value: &id}, AgentId: offer.GetAgentId(), Resources: resources(cpus, 1),
		Executor: &mesos.ExecutorInfo{
			ExecutorId: &mesos.ExecutorID{Value: &name}, Resources: resources(0.1, 32),
			Command: &mesos.CommandInfo{Value: &command, Environment: &mesos.Environment{
				Variables: []*mesos.Environment_Variable{{Name: &mark, Value: &set}},
			}},
		},
	}
}

func resources(cpus, mem float64) []*mesos.Resource {
	scalar := func(name string, value float64) *mesos.Resource {
		return &mesos.Resource{Name: &name, Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: &value}}
	}
	return []*mesos.Resource{scalar("cpus", cpus), scalar("mem", mem)}
}

// executorMark is set in the environment of this program as an executor.
const executorMark = "FIRSTLIGHT_EXECUTOR"

// runExecutor finishes every task that it is given, at once.
func runExecutor(ctx context.Context) error {
	cfg, err := executor.FromEnvironment()
	if err != nil {
		return err
	}
	client, err := executor.New(cfg)
	if err != nil {
		return err
	}
	for event, err := range client.Events(ctx) {
		switch {
		case err != nil:
			return err
		case event.GetType() == executorpb.Event_SHUTDOWN:
			client.Stop()
		case event.GetType() == executorpb.Event_LAUNCH:
			status := &mesos.TaskStatus{TaskId: event.GetLaunch().GetTask().GetTaskId(), State: mesos.TaskState_TASK_FINISHED.Enum()}
			if err := client.Update(status); err != nil {
				return fmt.Errorf("update: %w", err)
			}
		}
	}
	return nil
}
