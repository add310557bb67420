package checkpoint

import (
	"syscall"
	"testing"
)

// umask sets the usual one for a test.
func umask(t *testing.T) {
	t.Helper()
	was := syscall.Umask(0o022)
	t.Cleanup(func() { syscall.Umask(was) })
}
