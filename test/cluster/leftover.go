package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

func lockThread() { runtime.LockOSThread() }

// Inside returns the ids of the processes whose environment names a path below
// dir: an agent's executors and tasks, whose sandboxes are there.
func Inside(dir string) []int {
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, path := range environments {
		environment, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(environment, []byte("="+dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killInside ends what an agent has left behind, so that a test that kills its
// agent leaves no tasks on the machine.
func killInside(dir string) {
	for range 10 {
		pids := Inside(dir)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
