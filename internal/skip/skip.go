// Package skip is for tests that need what a machine may lack: they are skipped
// there, but where CI is set, and everything is to be tested, they fail.
package skip

import (
	"os"
	"testing"
)

// Lacking ends a test on a machine that lacks something.
func Lacking(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("this machine lacks " + what)
	}
	t.Skip("this machine lacks " + what)
}

// UnlessRoot ends a test that is not run as root.
func UnlessRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		Lacking(t, "root")
	}
}
