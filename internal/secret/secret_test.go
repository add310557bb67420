package secret

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

const word = "open sesame"

func value() *mesos.Secret {
	return &mesos.Secret{Type: mesos.Secret_VALUE.Enum(), Value: &mesos.Secret_Value{Data: []byte(word)}}
}

func command() *mesos.CommandInfo {
	return &mesos.CommandInfo{Environment: &mesos.Environment{Variables: []*mesos.Environment_Variable{
		{Name: new("A"), Value: new("plain")}, {Name: new("B"), Type: mesos.Environment_Variable_SECRET.Enum(), Secret: value()},
	}}}
}

func container() *mesos.ContainerInfo {
	return &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), Volumes: []*mesos.Volume{
		{ContainerPath: new("v"), Mode: mesos.Volume_RO.Enum(), Source: &mesos.Volume_Source{Type: mesos.Volume_Source_SECRET.Enum(), Secret: value()}},
	}}
}

// TestNoneIsLeft: a secret in each place that there is for one in a task is taken
// out, and what was given is as before.
func TestNoneIsLeft(t *testing.T) {
	task := &mesos.TaskInfo{
		Name: new("t"), TaskId: &mesos.TaskID{Value: new("t")}, AgentId: &mesos.AgentID{Value: new("a")},
		Command: command(), Container: container(), Labels: &mesos.Labels{},
		HealthCheck: &mesos.HealthCheck{Command: command()}, Check: &mesos.CheckInfo{Command: &mesos.CheckInfo_Command{Command: command()}},
		Executor: &mesos.ExecutorInfo{ExecutorId: &mesos.ExecutorID{Value: new("x")}, Command: command(), Container: container()},
	}
	before := proto.Clone(task)
	got := WithoutInTask(task)
	text, err := proto.Marshal(got)
	if err != nil || strings.Contains(string(text), word) || strings.Count(string(text), "plain") != 4 {
		t.Errorf("%v: %q", err, text)
	}
	if !proto.Equal(task, before) {
		t.Error("the task has changed")
	}
	if again := WithoutInTask(got); again != got {
		t.Error("nothing was to be taken out any more")
	}
	if v := got.Command.Environment.Variables[1].Secret; v.GetType() != mesos.Secret_VALUE {
		t.Errorf("%v", v)
	} else if _, err := Value(v); !errors.Is(err, ErrForgotten) {
		t.Errorf("error %v", err)
	}
}

// TestAllFieldsAreKept: a field of TaskInfo that is new must be told here.
func TestAllFieldsAreKept(t *testing.T) {
	if n := (&mesos.TaskInfo{}).ProtoReflect().Descriptor().Fields().Len(); n != 15 {
		t.Errorf("TaskInfo has %d fields: see WithoutInTask", n)
	}
}

func TestValue(t *testing.T) {
	for want, s := range map[string]*mesos.Secret{
		"Default secret resolver cannot resolve references": {Reference: &mesos.Secret_Reference{Name: new("n")}},
		"Secret has no value":                               {},
	} {
		if _, err := Value(s); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if got, err := Value(value()); string(got) != word || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Value(&mesos.Secret{Value: &mesos.Secret_Value{Data: []byte{}}}); len(got) != 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
