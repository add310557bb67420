package agentd

import (
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/meta"
)

func TestProgress(t *testing.T) {
	s := &Server{}
	c := &container{s: s}
	s.containers.Store(meta.Run{Container: "c1"}.Container, c)
	v := &view{server: s}
	row := func(id string, state mesos.TaskState, statuses ...*mesos.TaskStatus) *agent.TaskRow {
		return &agent.TaskRow{Run: meta.Run{Container: "c1"}, Task: &mesos.Task{TaskId: &mesos.TaskID{Value: &id}, State: &state, Statuses: statuses}}
	}
	staging, starting, running := mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING
	first := row("a", staging)
	if got := v.shown(first); got != first.Task {
		t.Errorf("a task that waits for nothing: %v", got)
	}
	c.progress.of("")("all wait")
	c.progress.of("b")("b waits")
	for _, test := range []struct {
		row  *agent.TaskRow
		want string
	}{
		{first, "all wait"}, {row("b", staging), "b waits"}, {row("b", starting, &mesos.TaskStatus{State: &starting}), "b waits"}, {row("b", running), ""},
	} {
		got := v.shown(test.row).GetStatuses()
		if (len(got) > 0) != (test.want != "") || len(got) > 0 && (len(got) != 1 || got[0].GetMessage() != test.want || got[0].GetState() != test.row.Task.GetState()) {
			t.Errorf("%v: %v, want %q", test.row.Task, got, test.want)
		}
	}
	if len(first.Task.Statuses) != 0 {
		t.Error("what is shown has changed what is known")
	}
	c.progress.of("")("")
	if got := v.shown(first); got != first.Task {
		t.Errorf("after the wait: %v", got)
	}
}
