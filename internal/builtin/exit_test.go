package builtin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
)

func TestDescribe(t *testing.T) {
	for _, tc := range []struct {
		status int32
		want   string
	}{
		{0, "exited with status 0"},
		{7 << 8, "exited with status 7"},
		{255 << 8, "exited with status 255"},
		{9, "terminated with signal Killed"},
		{15, "terminated with signal Terminated"},
		{11 | 0x80, "terminated with signal Segmentation fault (core dumped)"},
		{35, "terminated with signal Real-time signal 1"},
		{32, "terminated with signal Unknown signal 32"},
		{19<<8 | 0x7f, "stopped on signal Stopped (signal)"},
	} {
		if got := describe(tc.status); got != tc.want {
			t.Errorf("describe(%#x) = %q, want %q", tc.status, got, tc.want)
		}
	}
}

// TestWordsOfMesos looks for our words in what Mesos's executor was seen to
// send.
func TestWordsOfMesos(t *testing.T) {
	for file, status := range map[string]int32{
		"inner_registration/02_task_to_the_end.txt": 0,
		"inner_registration/03_task_killed.txt":     15,
	} {
		want := fmt.Sprintf("message: %q", "Command "+describe(status))
		if !strings.Contains(string(golden.Read(t, file)), want) {
			t.Errorf("%s does not contain %s", file, want)
		}
	}
}
