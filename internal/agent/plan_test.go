package agent

import (
	"fmt"
	"slices"
	"testing"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// TestPlan goes through what can be found after a restart.
func TestPlan(t *testing.T) {
	type found struct {
		run       meta.RunState
		generated bool
		replaced  bool // a later run of the executor is remembered
	}
	alive := []ids.ContainerID{"c"}
	for _, tc := range []struct {
		name              string
		found             *found
		running           []ids.ContainerID
		rebooted, cleanup bool
		want              []string
	}{
		{"nothing", nil, nil, false, false, nil},
		{"a container of which nothing is remembered", nil, alive, false, false, []string{"destroy c"}},
		{"one nested in another", nil, []ids.ContainerID{"c.d"}, false, false, nil},
		{"an executor that runs", &found{run: meta.RunState{ForkedPID: 7, HTTP: true}}, alive, false, false, []string{"adopt c"}},
		{"one that never subscribed", &found{run: meta.RunState{ForkedPID: 7}}, alive, false, false, []string{"adopt c"}},
		{"one whose container is gone", &found{run: meta.RunState{ForkedPID: 7}}, nil, false, false, []string{"bury c"}},
		{"one from before a reboot", &found{run: meta.RunState{ForkedPID: 7}}, alive, true, false, []string{"bury c", "destroy c"}},
		{"one that was never started", &found{}, nil, false, false, []string{"bury c"}},
		{"a command task that was never started", &found{generated: true}, nil, false, false, []string{"drop c"}},
		{"a command task whose sandbox was being made", &found{generated: true}, alive, false, false, []string{"drop c", "destroy c"}},
		{"one that had ended", &found{run: meta.RunState{ForkedPID: 7, Ended: true}}, nil, false, false, []string{"recall c"}},
		{"one that had ended, and is still there", &found{run: meta.RunState{Ended: true}}, alive, false, false, []string{"recall c", "destroy c"}},
		{"one that another has replaced", &found{replaced: true}, nil, false, false, []string{"collect c", "bury later"}},
		{"cleanup", &found{run: meta.RunState{ForkedPID: 7}}, alive, false, true, []string{"end c"}},
		{"cleanup of what is gone", &found{run: meta.RunState{ForkedPID: 7}}, nil, false, true, []string{"bury c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &meta.State{}
			if tc.found != nil {
				x := &meta.ExecutorState{Generated: tc.found.generated, Latest: "c", Runs: map[ids.ContainerID]*meta.RunState{"c": &tc.found.run}}
				if tc.found.replaced {
					x.Latest, x.Runs["later"] = "later", &meta.RunState{}
				}
				s.Frameworks = map[ids.FrameworkID]*meta.FrameworkState{"f": {Executors: map[ids.ExecutorID]*meta.ExecutorState{"x": x}}}
			}
			names := [...]string{actAdopt: "adopt", actDrop: "drop", actEnd: "end", actBury: "bury", actRecall: "recall", actDestroy: "destroy", actCollect: "collect"}
			var got []string
			for _, a := range plan(s, tc.running, tc.rebooted, tc.cleanup) {
				got = append(got, fmt.Sprintf("%s %s", names[a.kind], a.run.Container))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestDurationText compares with how Mesos writes durations.
func TestDurationText(t *testing.T) {
	for text, want := range map[string]string{
		"15m": "15mins", "5s": "5secs", "1h": "1hrs", "168h": "1weeks", "1500ms": "1.5secs", "0s": "0ns", "100ms": "100ms", "36h": "1.5days", "-90s": "-1.5mins",
	} {
		if got := durationText(mustDuration(text)); got != want {
			t.Errorf("%s is written %q, want %q", text, got, want)
		}
	}
}

// TestCommandName compares the names of executors with how Mesos shortens
// commands.
func TestCommandName(t *testing.T) {
	for _, tc := range []struct {
		line string
		want string
	}{
		{"echo hello", "(Command: sh -c 'echo hello')"},
		{"123456789012345", "(Command: sh -c '123456789012345')"},
		{"1234567890123456", "(Command: sh -c '123456789012...')"},
		{"12345678901é3456", "(Command: sh -c '12345678901...')"},
	} {
		c := command("A", "1")
		c.Value = &tc.line
		if got := commandName(c); got != tc.want {
			t.Errorf("%q is named %q, want %q", tc.line, got, tc.want)
		}
	}
}
