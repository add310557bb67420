package cluster

import (
	"fmt"
	"os"
)

// readProc returns /proc/<pid>/<name>.
func readProc(pid int, name string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return string(text), err
}

// Alive says whether a process exists and is not a zombie.
func Alive(pid int) bool {
	var id int
	var comm string
	var state byte
	text, err := readProc(pid, "stat")
	if err != nil {
		return false
	}
	fmt.Sscanf(text, "%d %s %c", &id, &comm, &state)
	return state != 'Z' && state != 'X'
}

// Unavailable ends a test whose third-party client cannot be had here: a skip
// on a developer's machine, a failure where CI is set.
func Unavailable(t TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
