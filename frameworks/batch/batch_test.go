package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/scheduler"
)

func TestThrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*pause)
		defer cancel()
		b := batch{sum: throw(ctx)}
		if b.sum.Darts < 100_000 || math.Abs(b.pi()-math.Pi) > 0.05 {
			t.Errorf("π is about %v by %d darts", b.pi(), b.sum.Darts)
		}
	})
}

// Results are summed, once each, and what failed is wanted again.
func TestUpdate(t *testing.T) {
	client, err := scheduler.New(scheduler.Config{Masters: []string{"127.0.0.1:1"}, Framework: &mesos.FrameworkInfo{}})
	if err != nil {
		t.Fatal(err)
	}
	b := &batch{
		log: slog.New(slog.DiscardHandler), client: client, tasks: 2, live: map[string]bool{"a": true, "b": true},
	}
	data, err := json.Marshal(result{Darts: 4, Inside: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		task   string
		state  mesos.TaskState
		data   []byte
		wanted bool
	}{
		{"a", mesos.TaskState_TASK_RUNNING, nil, false},
		{"a", mesos.TaskState_TASK_FINISHED, data, false},
		{"a", mesos.TaskState_TASK_FINISHED, data, false},
		{"b", mesos.TaskState_TASK_LOST, nil, true},
		{"c", mesos.TaskState_TASK_FINISHED, data, true},
	} {
		// The calls fail, as nobody is subscribed; the books are kept all the same.
		_ = b.update(t.Context(), &mesos.TaskStatus{
			TaskId: &mesos.TaskID{Value: &s.task}, State: s.state.Enum(), Data: s.data,
		})
		if b.wanted() != s.wanted {
			t.Errorf("after %s %v: wanted %t", s.task, s.state, b.wanted())
		}
	}
	if b.finished != 1 || b.sum != (result{4, 3}) || b.pi() != 3 {
		t.Errorf("%+v", b)
	}
}

func TestExecutor(t *testing.T) {
	for program, want := range map[string]string{"/bin/batch": "/bin/batch", "http://host/path/batch": "./batch"} {
		e := (&batch{program: program, work: work{time.Second}}).executor()
		if e.GetCommand().GetValue() != want || (len(e.GetCommand().GetUris()) > 0) == (program == want) {
			t.Errorf("%s: %v", program, e.GetCommand())
		}
	}
}
