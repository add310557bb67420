package image

import (
	"strings"
	"testing"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

func TestCommand(t *testing.T) {
	images := []Runtime{{}, {Cmd: []string{"c0", "c1"}}, {Entrypoint: []string{"e0", "e1"}}, {Entrypoint: []string{"e0", "e1"}, Cmd: []string{"c0", "c1"}}}
	no := new(false)
	for _, test := range []struct {
		command *mesos.CommandInfo
		want    [4]string
	}{
		{&mesos.CommandInfo{Shell: no}, [4]string{"!", "c0: c0 c1", "e0: e0 e1", "e0: e0 e1 c0 c1"}},
		{&mesos.CommandInfo{Shell: no, Arguments: []string{"a"}}, [4]string{"!", "c0: c0 a", "e0: e0 e1 a", "e0: e0 e1 a"}},
		{&mesos.CommandInfo{Shell: no, Value: new("v")}, [4]string{"v: ", "v: ", "v: ", "v: "}},
		{&mesos.CommandInfo{Shell: no, Value: new("v"), Arguments: []string{"v", "a"}}, [4]string{"v: v a", "v: v a", "v: v a", "v: v a"}},
		{&mesos.CommandInfo{}, [4]string{"!", "!", "!", "!"}},
		{&mesos.CommandInfo{Arguments: []string{"a"}}, [4]string{"!", "!", "!", "!"}},
		{&mesos.CommandInfo{Value: new("v")}, [4]string{"v: ", "v: ", "v: ", "v: "}},
	} {
		for i, runtime := range images {
			got := "!"
			if c, err := runtime.Command(test.command); err == nil {
				got = c.GetValue() + ": " + strings.Join(c.GetArguments(), " ")
			}
			if got != test.want[i] {
				t.Errorf("%v with %+v: %q, want %q", test.command, runtime, got, test.want[i])
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	runtime := Runtime{Env: []string{"A=image", "B=image=x"}}
	if got := strings.Join(runtime.Environment([]string{"A=task", "C="}), " "); got != "A=task C= B=image=x" {
		t.Errorf("got %q", got)
	}
}
