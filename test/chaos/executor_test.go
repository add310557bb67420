package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/executor"
	"github.com/meseta-project/meseta/test/cluster"
)

// executorEnv makes this program an executor, of one task.
const executorEnv = "CHAOS_EXECUTOR"

// A kind is how a task is launched.
type kind int

const (
	command kind = iota
	custom       // by an executor of its own, which is a process that may be harmed
	pod          // two tasks
)

// launch returns the operation that launches tasks that run for a moment, all in
// one way, and write down that they have begun.
func (s *scheduler) launch(offer cluster.Value, how kind, tasks []string) J {
	infos := make([]J, len(tasks))
	for i, task := range tasks {
		infos[i] = cluster.Task(offer, task, fmt.Sprintf("echo began >> %s; exec sleep %.1f", filepath.Join(s.dir, "starts", task), moment().Seconds()))
	}
	switch how {
	case command:
	case custom:
		self, err := os.Executable()
		if err != nil {
			panic(err)
		}
		delete(infos[0], "command")
		infos[0]["data"] = []byte(filepath.Join(s.dir, "starts", tasks[0]))
		infos[0]["executor"] = J{
			"type": "CUSTOM", "executor_id": J{"value": "of-" + tasks[0]}, "resources": cluster.Resources(0.1, 32),
			"command": J{"value": "exec " + self, "environment": J{"variables": []J{{"name": executorEnv, "value": "1"}}}},
		}
	case pod:
		return J{"type": "LAUNCH_GROUP", "launch_group": J{
			"executor": J{
				"type": "DEFAULT", "executor_id": J{"value": "of-" + tasks[0]}, "framework_id": J{"value": s.id},
				"resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}}),
			},
			"task_group": J{"tasks": infos},
		}}
	}
	return J{"type": "LAUNCH", "launch": J{"task_infos": infos}}
}

// executorMain is the program of an executor's process.
func executorMain() {
	cfg, err := executor.FromEnvironment()
	if err == nil {
		var client *executor.Client
		if client, err = executor.New(cfg); err == nil {
			err = (&running{Client: client}).serve()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// running is an executor with its task.
type running struct {
	*executor.Client
	mu   sync.Mutex
	over bool // its end is told
}

// serve runs the task.
func (r *running) serve() error {
	for event, err := range r.Events(context.Background()) {
		if err != nil {
			return err
		}
		switch event.GetType() {
		case executorpb.Event_LAUNCH:
			if err := r.run(event.GetLaunch().GetTask()); err != nil {
				return err
			}
		case executorpb.Event_KILL:
			r.end(event.GetKill().GetTaskId(), mesos.TaskState_TASK_KILLED)
		case executorpb.Event_SHUTDOWN:
			r.Stop()
		default:
		}
	}
	return nil
}

func (r *running) run(task *mesos.TaskInfo) error {
	file, err := os.OpenFile(string(task.GetData()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := fmt.Fprintln(file, "began"); err != nil {
		return err
	}
	r.tell(task.GetTaskId(), mesos.TaskState_TASK_RUNNING)
	time.AfterFunc(moment(), func() { r.end(task.GetTaskId(), mesos.TaskState_TASK_FINISHED) })
	return nil
}

// end tells how the task ended, once.
func (r *running) end(id *mesos.TaskID, state mesos.TaskState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.over = true
		r.tell(id, state)
		r.Stop() // and it ends when the agent has it all
	}
}

// tell tells a state. What does not arrive is told again by the client.
func (r *running) tell(id *mesos.TaskID, state mesos.TaskState) {
	if err := r.Update(&mesos.TaskStatus{TaskId: id, State: state.Enum()}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// executors returns the processes of executors on all agents.
func (w *world) executors() (all []int) {
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, agent := range w.of("agent") {
		for _, pid := range cluster.Inside(agent.work) {
			if is, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && is == self {
				all = append(all, pid)
			}
		}
	}
	return all
}
