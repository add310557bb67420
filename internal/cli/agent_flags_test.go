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

// TestSafeDefaults: who sets no flag has tasks that run as the user whom their
// framework names, agents that take up what runs and start with nothing half read, a
// registry that outlives its master, and a master whom no framework keeps from others
// by declining.
func TestSafeDefaults(t *testing.T) {
	agent, master := newAgentFlags(), newMasterFlags()
	if _, err := agent.Set.Parse([]string{"--master=127.0.0.1:5050", "--work_dir=/w"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := master.Set.Parse([]string{"--work_dir=/w"}, nil); err != nil {
		t.Fatal(err)
	}
	for what, is := range map[string]bool{
		"tasks run as their user":    agent.Agent.SwitchUser,
		"what runs is taken up":      agent.Recover == "reconnect",
		"nothing is left out":        agent.Strict,
		"the registry is on disk":    master.Registry == "bolt",
		"declining in a row has end": master.Allocator.Patience > 0,
		"expressions are bounded":    master.core().RegexLimits.MaxMemory > 0 && master.core().RegexLimits.MaxProgram > 0,
	} {
		if !is {
			t.Errorf("not so: %s", what)
		}
	}
}
