package agent

import (
	"fmt"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/api/messages"
)

// registeredWorld returns an agent that runs one executor, "x" of "f".
func registeredWorld(t testing.TB, checkpoint bool) *world {
	t.Helper()
	w := newWorld()
	w.start(nil)
	w.step(MasterDetected{Master: master})
	w.now = w.now.Add(time.Second)
	w.step(Tick{})
	w.step(MasterMessage{From: master, Message: w.message(parse("registered"))})
	words := "framework f pa"
	if checkpoint {
		words += " ck"
	}
	w.framework(parse(words))
	w.step(MasterMessage{From: master, Message: w.run(parse("run f first executor=x"))})
	w.step(w.subscribe(parse("subscribe f x conn=1")))
	w.a.Effects()
	return w
}

// BenchmarkInstantTask is a task's life in a long-lived executor: launched,
// finished, acknowledged.
func BenchmarkInstantTask(b *testing.B) {
	for _, checkpoint := range []bool{false, true} {
		b.Run(fmt.Sprintf("checkpoint=%t", checkpoint), func(b *testing.B) {
			w := registeredWorld(b, checkpoint)
			order := w.run(parse("run f t executor=x launch=false")).(*messages.RunTaskMessage)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				id := fmt.Sprintf("t%d", i)
				m := &messages.RunTaskMessage{Framework: order.Framework, Pid: order.Pid, ResourceVersionUuids: order.ResourceVersionUuids, LaunchExecutor: order.LaunchExecutor}
				m.Task = order.Task.CloneVT()
				m.Task.TaskId = tid(id)
				w.step(MasterMessage{From: master, Message: m})
				w.a.Effects()
				w.step(ExecutorCall{Request: 1, Call: instant(id)})
				w.a.Effects()
				w.step(MasterMessage{From: master, Message: &messages.StatusUpdateAcknowledgementMessage{
					SlaveId: &mesos.AgentID{Value: new("m-S0")}, FrameworkId: fid("f"), TaskId: tid(id), Uuid: []byte(fmt.Sprintf("%-16s", id)),
				}})
				w.a.Effects()
			}
			w.a.Check()
		})
	}
}

func instant(id string) *executorpb.Call {
	return &executorpb.Call{
		Type: executorpb.Call_UPDATE.Enum(), FrameworkId: fid("f"), ExecutorId: xid("x"),
		Update: &executorpb.Call_Update{Status: &mesos.TaskStatus{
			TaskId: tid(id), State: mesos.TaskState_TASK_FINISHED.Enum(), Source: mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
			Uuid: []byte(fmt.Sprintf("%-16s", id)), ExecutorId: xid("x"),
		}},
	}
}
