package scheduler_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/resources"
	"github.com/meseta-project/meseta/scheduler"
)

// A framework that runs one command on the first offer that comes.
func Example() {
	server := httptest.NewServer(oneTaskMaster()) // stands for a master

	framework, err := scheduler.New(scheduler.Config{
		Masters:   []string{server.URL},
		Framework: &mesos.FrameworkInfo{Name: new("example")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for event, err := range framework.Events(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.GetType() {
		case schedulerpb.Event_SUBSCRIBED:
			fmt.Println("subscribed as", event.GetSubscribed().GetFrameworkId().GetValue())
		case schedulerpb.Event_OFFERS:
			for _, offer := range event.GetOffers().GetOffers() {
				if err := framework.Launch(ctx, []*mesos.OfferID{offer.GetId()}, hello(offer)); err != nil {
					log.Fatal(err)
				}
			}
		case schedulerpb.Event_UPDATE:
			status := event.GetUpdate().GetStatus()
			fmt.Println(status.GetTaskId().GetValue(), status.GetState())
			if status.GetState() == mesos.TaskState_TASK_FINISHED {
				if err := framework.Teardown(ctx); err != nil {
					log.Fatal(err)
				}
			}
		default:
		}
	}
	server.Close()
	// Output:
	// subscribed as F
	// hello TASK_RUNNING
	// hello TASK_FINISHED
}

func hello(offer *mesos.Offer) *mesos.TaskInfo {
	return &mesos.TaskInfo{
		Name: new("hello"), TaskId: &mesos.TaskID{Value: new("hello")}, AgentId: offer.GetAgentId(),
		Command:   &mesos.CommandInfo{Value: new("echo hello")},
		Resources: []*mesos.Resource{scalar("cpus", 0.1), scalar("mem", 32)},
	}
}

func scalar(name string, value float64) *mesos.Resource {
	return &mesos.Resource{
		Name: new(name), Type: mesos.Value_SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: new(value)},
	}
}

// oneTaskMaster makes one offer and plays the task that is launched on it.
func oneTaskMaster() *master {
	m := newMaster()
	go func() {
		s := <-m.subscribed
		s.welcome()
		s.events <- &schedulerpb.Event{Type: schedulerpb.Event_OFFERS.Enum(), Offers: &schedulerpb.Event_Offers{
			Offers: []*mesos.Offer{{
				Id: &mesos.OfferID{Value: new("O1")}, FrameworkId: &mesos.FrameworkID{Value: new("F")},
				AgentId: &mesos.AgentID{Value: new("S0")}, Hostname: new("localhost"),
			}},
		}}
		for call := range m.calls {
			switch call.GetType() {
			case schedulerpb.Call_ACCEPT:
				task := call.GetAccept().GetOperations()[0].GetLaunch().GetTaskInfos()[0]
				s.status(task.GetTaskId().GetValue(), mesos.TaskState_TASK_RUNNING)
				s.status(task.GetTaskId().GetValue(), mesos.TaskState_TASK_FINISHED)
			case schedulerpb.Call_TEARDOWN:
				close(s.events)
				return
			default:
			}
		}
	}()
	return m
}

func (s *subscription) status(task string, state mesos.TaskState) {
	s.events <- &schedulerpb.Event{Type: schedulerpb.Event_UPDATE.Enum(), Update: &schedulerpb.Event_Update{
		Status: &mesos.TaskStatus{
			TaskId: &mesos.TaskID{Value: new(task)}, State: state.Enum(),
			AgentId: &mesos.AgentID{Value: new("S0")}, Uuid: []byte("0123456789abcdef"),
		},
	}}
}

func ExampleTake() {
	offered := resources.MustParse("cpus:4;mem:1024;ports:[31000-32000]")
	want, err := resources.ParseQuantities("cpus:1.5;mem:512")
	if err != nil {
		log.Fatal(err)
	}
	for {
		task, rest, fits := scheduler.Take(offered, want)
		if !fits {
			break
		}
		fmt.Println("task:", task)
		offered = rest
	}
	fmt.Println("rest:", offered)
	// Output:
	// task: cpus:1.5; mem:512
	// task: cpus:1.5; mem:512
	// rest: cpus:1; ports:[31000-32000]
}
