package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/golden"
)

// TestMesosFlags: testdata has all flags that Mesos's master and agent know, one
// a line. Those that are unknown here have the reason beside them.
func TestMesosFlags(t *testing.T) {
	for name, set := range map[string]*flags.Set{"master": newMasterFlags().Set, "agent": newAgentFlags().Set} {
		newLogFlags(set, "INFO")
		known := pflag.NewFlagSet(name, pflag.ContinueOnError)
		set.AddTo(known)
		text, err := os.ReadFile("testdata/mesos-" + name + "-flags.txt")
		if err != nil {
			t.Fatal(err)
		}
		listed := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			flag, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
			listed[flag] = true
			switch ours := known.Lookup(flag) != nil; {
			case !ours && reason == "":
				t.Errorf("%s: --%s is unknown, and testdata does not say why", name, flag)
			case ours && reason != "":
				t.Errorf("%s: --%s is known, and testdata says why it is not: %s", name, flag, reason)
			}
		}
		t.Run(name, func(t *testing.T) {
			var sample struct{ Flags map[string]string }
			if err := json.Unmarshal(golden.Read(t, name+"/flags.json"), &sample); err != nil {
				t.Fatal(err)
			}
			for flag := range sample.Flags {
				if !listed[flag] {
					t.Errorf("testdata lacks --%s", flag)
				}
			}
		})
	}
}
