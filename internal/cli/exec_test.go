package cli

import (
	"strings"
	"syscall"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
)

func TestLeavingKeys(t *testing.T) {
	for typed, want := range map[string]struct {
		data  string
		leave bool
	}{
		"ls\r": {"ls\r", false}, "\x10\x11": {"", true}, "a\x10\x11b": {"a", true}, "\x10a": {"\x10a", false},
		"\x11": {"\x11", false}, "\x10\x10\x11": {"\x10", true}, "\x10\x10a": {"\x10\x10a", false},
	} {
		whole, pieces := leaver{on: true}, leaver{on: true}
		data, leave := whole.filter([]byte(typed))
		if string(data) != want.data || leave != want.leave {
			t.Errorf("%q: %q %v, want %q %v", typed, data, leave, want.data, want.leave)
		}
		got := ""
		for _, key := range []byte(typed) {
			data, leave = pieces.filter([]byte{key})
			got += string(data)
			if leave {
				break
			}
		}
		if got != want.data || leave != want.leave {
			t.Errorf("%q key by key: %q %v, want %q %v", typed, got, leave, want.data, want.leave)
		}
	}
}

func TestExitOf(t *testing.T) {
	for raw, want := range map[int]string{0: "", 7 << 8: "exit status 7", 9: "exit status 137"} {
		got := ""
		if err := exitOf(syscall.WaitStatus(raw), true); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%d: %q, want %q", raw, got, want)
		}
	}
	if exitOf(0, false) == nil {
		t.Error("an unknown status is a success")
	}
}

// TestFindInside: a task is entered where it runs, and only then.
func TestFindInside(t *testing.T) {
	text := func(s string) *string { return &s }
	task := func(name string, state mesos.TaskState, container string) *mesos.Task {
		task := &mesos.Task{
			TaskId: &mesos.TaskID{Value: text(name)}, FrameworkId: &mesos.FrameworkID{Value: text("f")},
			AgentId: &mesos.AgentID{Value: text("a")}, State: &state,
		}
		if container != "" {
			task.Statuses = []*mesos.TaskStatus{
				{ContainerStatus: &mesos.ContainerStatus{ContainerId: &mesos.ContainerID{Value: text(container)}}}, {},
			}
		}
		return task
	}
	port, pid := int32(5051), "slave(1)@127.0.0.1:5051"
	state := &masterpb.Response_GetState{
		GetTasks: &masterpb.Response_GetTasks{
			Tasks: []*mesos.Task{
				task("runs", mesos.TaskState_TASK_RUNNING, "c"), task("waits", mesos.TaskState_TASK_STAGING, ""),
			},
			CompletedTasks: []*mesos.Task{task("over", mesos.TaskState_TASK_FINISHED, "d")},
		},
		GetAgents: &masterpb.Response_GetAgents{Agents: []*masterpb.Response_GetAgents_Agent{{
			AgentInfo: &mesos.AgentInfo{Id: &mesos.AgentID{Value: text("a")}, Hostname: text("127.0.0.1"), Port: &port}, Pid: &pid,
		}}},
	}
	var o insideOptions
	if _, id, err := o.findIn(state, "runs"); err != nil || id.GetValue() != "c" {
		t.Errorf("container %v, %v", id, err)
	}
	for name, want := range map[string]string{"waits": "does not run: it is TASK_STAGING", "over": "does not run: it is TASK_FINISHED", "none": "there is no task none"} {
		if _, _, err := o.findIn(state, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
