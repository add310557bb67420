package cli

import (
	"testing"
	"time"
)

// TestReregistrationFlags: for how long executors are waited for, and how often
// drivers are asked in that time, reaches the agent.
func TestReregistrationFlags(t *testing.T) {
	for _, c := range []struct {
		given         []string
		timeout, each time.Duration
		err           string
	}{
		{nil, 2 * time.Second, 0, ""},
		{[]string{"--executor_reregistration_timeout=15secs", "--executor_reregistration_retry_interval=500ms"}, 15 * time.Second, 500 * time.Millisecond, ""},
		{[]string{"--executor_reregistration_timeout=16secs"}, 0, 0, "--executor_reregistration_timeout: at most 15secs"},
		{[]string{"--executor_reregistration_retry_interval=0secs"}, 0, 0, "--executor_reregistration_retry_interval: must be more than 0"},
	} {
		f := newAgentFlags()
		_, err := f.Set.Parse(append(c.given, "--master=127.0.0.1:5050", "--work_dir=/w"), nil)
		switch {
		case c.err != "":
			if err == nil || err.Error() != c.err {
				t.Errorf("%v: %v, want %s", c.given, err, c.err)
			}
		case err != nil || f.Agent.ExecutorReregistration != c.timeout || f.Agent.ExecutorReregistrationRetry != c.each:
			t.Errorf("%v: %v and %v (%v)", c.given, f.Agent.ExecutorReregistration, f.Agent.ExecutorReregistrationRetry, err)
		}
	}
}
