package cli

import (
	"bytes"
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
)

func testTask(id, framework string, state mesos.TaskState, statuses ...*mesos.TaskStatus) *mesos.Task {
	return &mesos.Task{
		TaskId: &mesos.TaskID{Value: &id}, Name: new("a task"), FrameworkId: &mesos.FrameworkID{Value: &framework},
		AgentId: &mesos.AgentID{Value: new("a")}, State: state.Enum(), Statuses: statuses,
	}
}

func testStatus(state mesos.TaskState, message string) *mesos.TaskStatus {
	return &mesos.TaskStatus{State: state.Enum(), Message: &message}
}

// TestTasksTable: the end of a task is told by the status that said it, not by
// what the master added when the framework ended.
func TestTasksTable(t *testing.T) {
	const failed, running = mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_RUNNING
	answer := &masterpb.Response_GetTasks{
		Tasks: []*mesos.Task{
			testTask("up", "f-0001", running, testStatus(running, "old"), testStatus(running, "new\nmore")),
			testTask("other", "f-0002", running),
		},
		CompletedTasks: []*mesos.Task{
			testTask("over", "f-0001", failed, testStatus(failed, "exit 3"), testStatus(failed, "the framework is gone")),
		},
	}
	var b bytes.Buffer
	showTasks(&b, answer, true, "0001")
	want := "ID    NAME    STATE    WHY     FRAMEWORK  AGENT  CPUS  MEM\n" +
		"up    a task  running  new     f-0001     a      0     0\n" +
		"over  a task  failed   exit 3  f-0001     a      0     0\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &b, want)
	}
	b.Reset()
	if showTasks(&b, answer, false, ""); strings.Contains(b.String(), "over") || !strings.Contains(b.String(), "other") {
		t.Errorf("got\n%s", &b)
	}
}

// TestFindTask: what runs is meant before what is over, and the last of those.
func TestFindTask(t *testing.T) {
	const over = mesos.TaskState_TASK_FINISHED
	tasks := &masterpb.Response_GetTasks{
		Tasks:          []*mesos.Task{testTask("a", "f1", mesos.TaskState_TASK_RUNNING)},
		CompletedTasks: []*mesos.Task{testTask("a", "f2", over), testTask("b", "f1", over), testTask("b", "f2", over)},
	}
	for _, test := range []struct{ id, framework, want string }{
		{"a", "", "f1"}, {"a", "2", "f2"}, {"b", "", "f2"}, {"b", "f1", "f1"}, {"c", "", ""}, {"a", "f3", ""},
	} {
		found, err := findTask(tasks, test.id, test.framework)
		if got := found.GetFrameworkId().GetValue(); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%v: %s, %v", test, got, err)
		}
	}
}

func TestCopyStatuses(t *testing.T) {
	task := func(framework, id string, state mesos.TaskState, message string) *mesos.Task {
		out := &mesos.Task{TaskId: &mesos.TaskID{Value: &id}, FrameworkId: &mesos.FrameworkID{Value: &framework}, State: &state}
		if message != "" {
			out.Statuses = []*mesos.TaskStatus{{State: &state, Message: &message}}
		}
		return out
	}
	staging, running := mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_RUNNING
	to := []*mesos.Task{task("f", "a", staging, ""), task("g", "a", staging, ""), task("f", "b", running, "")}
	copyStatuses(to, []*mesos.Task{task("f", "a", staging, "Pulling image 'x'"), task("f", "b", staging, "Pulling image 'y'")})
	if message(to[0]) != "Pulling image 'x'" || message(to[1]) != "" || message(to[2]) != "" {
		t.Errorf("%v", to)
	}
}
