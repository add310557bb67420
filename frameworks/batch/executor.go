package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	executorpb "github.com/meseta-project/meseta/api/mesos/v1/executor"
	"github.com/meseta-project/meseta/executor"
)

var errTime = errors.New("the time is up")

// player is the executor: it throws darts for each task in a goroutine.
type player struct {
	client *executor.Client
	work   sync.WaitGroup

	mu    sync.Mutex
	kills map[string]context.CancelFunc // of the tasks that run
}

// execute runs tasks until the agent ends the executor.
func execute(ctx context.Context) error {
	cfg, err := executor.FromEnvironment()
	if err != nil {
		return err
	}
	client, err := executor.New(cfg)
	if err != nil {
		return err
	}
	p := &player{client: client, kills: map[string]context.CancelFunc{}}
	tasks, killAll := context.WithCancel(ctx)
	defer p.work.Wait()
	defer killAll()
	for event, err := range client.Events(ctx) {
		if err != nil {
			return err
		}
		switch event.GetType() {
		case executorpb.Event_LAUNCH:
			p.launch(tasks, event.GetLaunch().GetTask())
		case executorpb.Event_KILL:
			p.kill(event.GetKill().GetTaskId().GetValue())
		case executorpb.Event_SHUTDOWN:
			killAll()
			p.work.Wait()
			client.Stop()
		default:
		}
	}
	return nil
}

func (p *player) launch(ctx context.Context, task *mesos.TaskInfo) {
	id := task.GetTaskId().GetValue()
	ctx, kill := context.WithCancel(ctx)
	p.mu.Lock()
	p.kills[id] = kill
	p.mu.Unlock()
	p.work.Go(func() {
		defer p.kill(id)
		p.play(ctx, task)
	})
}

// kill ends a task if it runs.
func (p *player) kill(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kill := p.kills[id]; kill != nil {
		kill()
	}
	delete(p.kills, id)
}

// play runs a task from its start to its end.
func (p *player) play(ctx context.Context, task *mesos.TaskInfo) {
	var w work
	if err := json.Unmarshal(task.GetData(), &w); err != nil {
		p.tell(task, mesos.TaskState_TASK_FAILED, err.Error(), nil)
		return
	}
	p.tell(task, mesos.TaskState_TASK_RUNNING, "", nil)
	ctx, done := context.WithTimeoutCause(ctx, w.Time, errTime)
	defer done()
	r := throw(ctx)
	if context.Cause(ctx) != errTime { //nolint:errorlint // it is the cause itself
		p.tell(task, mesos.TaskState_TASK_KILLED, "killed", nil)
		return
	}
	data, err := json.Marshal(r)
	if err != nil {
		p.tell(task, mesos.TaskState_TASK_FAILED, err.Error(), nil)
		return
	}
	p.tell(task, mesos.TaskState_TASK_FINISHED, "", data)
}

// tell tells the agent a task's state; what cannot be told is said on standard
// output.
func (p *player) tell(task *mesos.TaskInfo, state mesos.TaskState, message string, data []byte) {
	status := &mesos.TaskStatus{TaskId: task.GetTaskId(), State: state.Enum(), Data: data}
	if message != "" {
		status.Message = &message
	}
	if err := p.client.Update(status); err != nil {
		fmt.Println(task.GetTaskId().GetValue(), state, err)
	}
}

// pause is how long a player rests between two rounds, so that a demonstration
// leaves the machine to others.
const pause = 5 * time.Millisecond

// throw throws darts until ctx ends.
func throw(ctx context.Context) (r result) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) //nolint:forbidigo // nobody replays it
	for {
		for range 10_000 {
			x, y := random.Float64(), random.Float64()
			if x*x+y*y < 1 {
				r.Inside++
			}
			r.Darts++
		}
		select {
		case <-ctx.Done():
			return r
		case <-time.After(pause):
		}
	}
}
