package executor_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/executor"
)

// An executor whose tasks are over as soon as they are there.
func Example() {
	server := httptest.NewServer(oneTaskAgent()) // stands for an agent

	// A real one takes this from executor.FromEnvironment.
	e, err := executor.New(executor.Config{Agent: server.URL, FrameworkID: "F", ExecutorID: "E"})
	if err != nil {
		log.Fatal(err)
	}
	for event, err := range e.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		switch event.GetType() {
		case executorpb.Event_LAUNCH:
			task := event.GetLaunch().GetTask()
			fmt.Println("task", task.GetTaskId().GetValue())
			for _, state := range []mesos.TaskState{mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_FINISHED} {
				if err := e.Update(&mesos.TaskStatus{TaskId: task.GetTaskId(), State: state.Enum()}); err != nil {
					log.Fatal(err)
				}
			}
		case executorpb.Event_SHUTDOWN:
			fmt.Println("shutdown")
			e.Stop()
		default:
		}
	}
	server.Close()
	// Output:
	// task hello
	// shutdown
}

// oneTaskAgent launches a task and, when that is finished, ends the executor.
func oneTaskAgent() *agent {
	a := newAgent()
	go func() {
		s := <-a.subscribed
		s.welcome()
		s.launch("hello")
		for call := range a.calls {
			s.acknowledge(call.GetUpdate().GetStatus())
			if call.GetUpdate().GetStatus().GetState() == mesos.TaskState_TASK_FINISHED {
				s.events <- &executorpb.Event{Type: executorpb.Event_SHUTDOWN.Enum()}
			}
		}
	}()
	return a
}
