package sim

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain lets garbage gather: a run keeps next to nothing of what it allocates,
// so that collecting as often as Go does takes a fifth of the time.
func TestMain(m *testing.M) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(1000)
	}
	os.Exit(m.Run())
}
