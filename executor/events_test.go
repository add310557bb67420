package executor_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/executor"
)

func TestEvents(t *testing.T) {
	for _, json := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, a := newNetwork(t), newAgent()
			n.serve(a)
			c, events, ended := n.start(executor.Config{JSON: json})
			if err := c.Message(t.Context(), nil); !errors.Is(err, executor.ErrDisconnected) {
				t.Errorf("a message before the subscription: %v", err)
			}
			s := <-a.subscribed
			s.welcome()
			s.launch("t")
			for _, want := range []executorpb.Event_Type{executorpb.Event_SUBSCRIBED, executorpb.Event_LAUNCH} {
				if got := (<-events).GetType(); got != want {
					t.Errorf("got %v, want %v", got, want)
				}
			}
			ok(t, c.Message(t.Context(), []byte("hi")))
			if call := <-a.calls; string(call.GetMessage().GetData()) != "hi" || call.GetFrameworkId().GetValue() != "F" {
				t.Errorf("got %v", call)
			}
			ok(t, c.Update(status("t", mesos.TaskState_TASK_FINISHED)))
			sent := (<-a.calls).GetUpdate().GetStatus()
			if len(sent.GetUuid()) != 16 || sent.GetSource() != mesos.TaskStatus_SOURCE_EXECUTOR ||
				sent.GetExecutorId().GetValue() != "E" || sent.GetTimestamp() == 0 {
				t.Errorf("got %v", sent)
			}
			c.Stop()
			synctest.Wait()
			if len(ended) > 0 {
				t.Error("ended with an update that is not acknowledged")
			}
			s.acknowledge(sent)
			ok(t, <-ended)
		})
	}
}

// What the agent has not acknowledged it is told again when it is back, in
// order, and what comes while it is away too.
func TestAgentRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		stop := n.serve(a)
		c, events, ended := n.start(executor.Config{Checkpoint: true})
		s := <-a.subscribed
		s.welcome()
		for _, id := range []string{"known", "told", "new"} {
			s.launch(id)
		}
		for range 4 {
			<-events
		}
		ok(t, c.Update(status("known", mesos.TaskState_TASK_RUNNING)))
		s.acknowledge((<-a.calls).GetUpdate().GetStatus())
		ok(t, c.Update(status("told", mesos.TaskState_TASK_RUNNING)))
		<-a.calls
		synctest.Wait() // until the acknowledgement is there
		stop()
		ok(t, c.Update(status("told", mesos.TaskState_TASK_FINISHED)))
		ok(t, c.Update(status("known", mesos.TaskState_TASK_FINISHED)))
		time.Sleep(5 * time.Minute)
		n.serve(a)
		began := time.Now()
		s = <-a.subscribed
		// The agent waits for two seconds.
		if took := time.Since(began); took > time.Second {
			t.Errorf("back after %v", took)
		}
		tasks := map[string]bool{}
		for _, task := range s.call.GetUnacknowledgedTasks() {
			tasks[task.GetTaskId().GetValue()] = true
		}
		if len(tasks) != 2 || !tasks["told"] || !tasks["new"] {
			t.Errorf("unacknowledged tasks %v", tasks)
		}
		updates := ""
		for _, u := range s.call.GetUnacknowledgedUpdates() {
			updates += fmt.Sprintln(u.GetStatus().GetTaskId().GetValue(), u.GetStatus().GetState())
		}
		if want := "told TASK_RUNNING\ntold TASK_FINISHED\nknown TASK_FINISHED\n"; updates != want {
			t.Errorf("unacknowledged updates:\n%swant\n%s", updates, want)
		}
		// What comes between the subscription and its answer is sent after it.
		ok(t, c.Update(status("new", mesos.TaskState_TASK_FINISHED)))
		s.welcome()
		last := (<-a.calls).GetUpdate().GetStatus()
		if last.GetTaskId().GetValue() != "new" || len(a.calls) > 0 {
			t.Errorf("got %v and %d more", last, len(a.calls))
		}
		for _, u := range s.call.GetUnacknowledgedUpdates() {
			s.acknowledge(u.GetStatus())
		}
		s.acknowledge(last)
		c.Stop()
		ok(t, <-ended)
	})
}

// An update that is lost with its connection, or that an agent refuses which
// does not know of the subscription, makes the executor subscribe again, with it.
func TestUpdateFails(t *testing.T) {
	fail := map[string]func(http.ResponseWriter){
		"cut":            func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"not subscribed": func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) },
	}
	for name, fail := range fail {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, a := newNetwork(t), newAgent()
				a.answer = func(w http.ResponseWriter, call *executorpb.Call) bool {
					update := call.GetType() == executorpb.Call_UPDATE
					if update {
						fail(w)
					}
					return update
				}
				n.serve(a)
				c, _, _ := n.start(executor.Config{Checkpoint: true})
				(<-a.subscribed).welcome()
				ok(t, c.Update(status("t", mesos.TaskState_TASK_RUNNING)))
				if s := <-a.subscribed; len(s.call.GetUnacknowledgedUpdates()) != 1 {
					t.Errorf("got %v", s.call)
				}
			})
		})
	}
}

// An agent that recovers refuses subscriptions at first, and then, though it
// takes them, what else comes. An executor lives through both on one
// subscription, and what it had to say arrives in order; what may be lost its
// caller is told of.
func TestAgentRecovers(t *testing.T) {
	for _, checkpoint := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, a := newNetwork(t), newAgent()
			ready := time.Now().Add(time.Minute)
			recovered := ready.Add(time.Minute)
			var refused []time.Time // of one task's updates
			a.answer = func(w http.ResponseWriter, call *executorpb.Call) bool {
				subscribe := call.GetType() == executorpb.Call_SUBSCRIBE
				refuse := time.Now().Before(ready) || !subscribe && time.Now().Before(recovered)
				if refuse {
					http.Error(w, "Agent has not finished recovery", http.StatusServiceUnavailable)
				}
				if refuse && call.GetUpdate().GetStatus().GetTaskId().GetValue() == "t" {
					refused = append(refused, time.Now())
				}
				return refuse
			}
			n.serve(a)
			c, _, ended := n.start(executor.Config{Checkpoint: checkpoint})
			s := <-a.subscribed
			s.welcome()
			synctest.Wait()
			ok(t, c.Update(status("t", mesos.TaskState_TASK_RUNNING)))
			ok(t, c.Update(status("t", mesos.TaskState_TASK_FINISHED)))
			if err := c.Message(t.Context(), []byte("hi")); err == nil {
				t.Error("the message that was refused is no error")
			}
			for _, want := range []mesos.TaskState{mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_FINISHED} {
				got := (<-a.calls).GetUpdate().GetStatus()
				if got.GetState() != want {
					t.Errorf("got %v, want %v", got.GetState(), want)
				}
				s.acknowledge(got)
			}
			if n := len(refused); n < 20 || n > 200 {
				t.Errorf("an update was sent %d times within a minute", n)
			}
			if late := time.Since(recovered); late > 2*time.Second {
				t.Errorf("the updates are %v late", late)
			}
			if len(a.subscribed) > 0 {
				t.Error("subscribed more than once")
			}
			c.Stop()
			ok(t, <-ended)
		})
	}
}

// An agent that refuses subscriptions for longer than the recovery timeout is
// lost.
func TestNeverRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		asked := 0
		a.answer = func(w http.ResponseWriter, _ *executorpb.Call) bool {
			asked++
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		n.serve(a)
		began := time.Now()
		_, _, ended := n.start(executor.Config{Checkpoint: true, SubscriptionBackoffMax: 10 * time.Second})
		if _, lost := errors.AsType[*executor.LostError](<-ended); !lost {
			t.Error("not lost")
		}
		if took := time.Since(began); took < 10*time.Minute || took > 10*time.Minute+10*time.Second {
			t.Errorf("after %v", took)
		}
		if asked < 60 || asked > 600 {
			t.Errorf("asked %d times within ten minutes", asked)
		}
	})
}

// An update that the agent will never take does not hold up the others.
func TestUpdateRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		a.answer = func(w http.ResponseWriter, call *executorpb.Call) bool {
			refuse := call.GetType() == executorpb.Call_UPDATE && call.GetUpdate().GetStatus().GetState() == mesos.TaskState_TASK_STAGING
			if refuse {
				w.WriteHeader(http.StatusBadRequest)
			}
			return refuse
		}
		n.serve(a)
		c, _, ended := n.start(executor.Config{Checkpoint: true})
		s := <-a.subscribed
		s.welcome()
		ok(t, c.Update(status("t", mesos.TaskState_TASK_STAGING)))
		ok(t, c.Update(status("t", mesos.TaskState_TASK_RUNNING)))
		sent := (<-a.calls).GetUpdate().GetStatus()
		s.acknowledge(sent)
		c.Stop()
		ok(t, <-ended)
	})
}

// Thousands of updates arrive, those of each task in order.
func TestManyUpdates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tasks = 500
		n, a := newNetwork(t), newAgent()
		n.serve(a)
		c, _, _ := n.start(executor.Config{})
		(<-a.subscribed).welcome()
		states := []mesos.TaskState{mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_FINISHED}
		for i := range tasks {
			for _, state := range states {
				ok(t, c.Update(status(strconv.Itoa(i), state)))
			}
		}
		seen := map[string]int{}
		for range tasks * len(states) {
			got := (<-a.calls).GetUpdate().GetStatus()
			id := got.GetTaskId().GetValue()
			if got.GetState() != states[seen[id]] {
				t.Fatalf("update %d of task %s is %v", seen[id], id, got.GetState())
			}
			seen[id]++
		}
	})
}

func TestLost(t *testing.T) {
	for _, tc := range []struct {
		checkpoint bool
		after      time.Duration
	}{{false, 0}, {true, 10 * time.Minute}} {
		synctest.Test(t, func(t *testing.T) {
			n, a := newNetwork(t), newAgent()
			stop := n.serve(a)
			_, _, ended := n.start(executor.Config{Checkpoint: tc.checkpoint})
			(<-a.subscribed).welcome()
			synctest.Wait()
			began := time.Now()
			stop()
			if _, lost := errors.AsType[*executor.LostError](<-ended); !lost {
				t.Error("not lost")
			}
			if took := time.Since(began); took < tc.after || took > tc.after+2*time.Second {
				t.Errorf("after %v", took)
			}
		})
	}
}

// An agent that recovers answers 503, one that starts 404: neither is final.
func TestAgentNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		answers := []int{http.StatusNotFound, http.StatusServiceUnavailable}
		a.answer = func(w http.ResponseWriter, _ *executorpb.Call) bool {
			if len(answers) == 0 {
				return false
			}
			w.WriteHeader(answers[0])
			answers = answers[1:]
			return true
		}
		n.serve(a)
		n.start(executor.Config{})
		<-a.subscribed
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		n.serve(a)
		c, events, ended := n.start(executor.Config{Checkpoint: true, ShutdownGracePeriod: time.Minute})
		s := <-a.subscribed
		s.welcome()
		<-events
		s.events <- &executorpb.Event{Type: executorpb.Event_SHUTDOWN.Enum()}
		<-events
		ok(t, c.Update(status("t", mesos.TaskState_TASK_KILLED)))
		began := time.Now()
		ok(t, <-ended) // though the update is not acknowledged
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// A framework that is gone: the agent says so and hangs up.
func TestShutdownHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a := newNetwork(t), newAgent()
		n.serve(a)
		_, _, ended := n.start(executor.Config{})
		s := <-a.subscribed
		s.events <- &executorpb.Event{Type: executorpb.Event_SHUTDOWN.Enum()}
		close(s.events)
		ok(t, <-ended)
	})
}

func TestFromEnvironment(t *testing.T) {
	if _, err := executor.FromEnvironment(); err == nil {
		t.Error("no error outside of an agent")
	}
	for name, value := range map[string]string{
		"MESOS_SLAVE_PID": "slave(1)@10.0.0.1:5051", "MESOS_AGENT_ENDPOINT": "10.0.0.1:5051", "MESOS_FRAMEWORK_ID": "F",
		"MESOS_EXECUTOR_ID": "E", "MESOS_DIRECTORY": "/sandbox", "MESOS_CHECKPOINT": "1", "MESOS_RECOVERY_TIMEOUT": "15mins",
		"MESOS_SUBSCRIPTION_BACKOFF_MAX": "2secs", "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD": "5secs",
		"MESOS_EXECUTOR_AUTHENTICATION_TOKEN": "secret",
	} {
		t.Setenv(name, value)
	}
	got, err := executor.FromEnvironment()
	ok(t, err)
	want := executor.Config{
		Agent: "10.0.0.1:5051", Path: "/slave(1)/api/v1/executor", FrameworkID: "F", ExecutorID: "E", Directory: "/sandbox",
		Checkpoint: true, RecoveryTimeout: 15 * time.Minute, SubscriptionBackoffMax: 2 * time.Second,
		ShutdownGracePeriod: 5 * time.Second, Token: "secret",
	}
	if got != want {
		t.Errorf("got %+v", got)
	}
	t.Setenv("MESOS_RECOVERY_TIMEOUT", "soon")
	if _, err := executor.FromEnvironment(); err == nil {
		t.Error("a timeout that is none is taken")
	}
}
