package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestMesosGoV0 runs mesos-go's example of the libprocess drivers, scheduler and
// executor, which finds the master by its /state.
func TestMesosGoV0(t *testing.T) {
	t.Parallel()
	bin := cluster.MesosGoV0.Bin(t)
	c := cluster.New(t, 1)
	p := cluster.Start(t, "v0-scheduler", nil, filepath.Join(bin, "scheduler"),
		"-master", c.Master.Addr, "-address", "127.0.0.1", "-artifactPort", strconv.Itoa(cluster.FreePort(t)),
		"-executor", filepath.Join(bin, "executor"), "-task-count", "5", "-logtostderr")
	p.WaitLog("Total tasks completed, stopping framework", time.Minute)
	if code := p.Exit(cluster.Patience).ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for task := range 5 {
		if !strings.Contains(p.Log(), "task "+strconv.Itoa(task+1)+"  is in state  TASK_FINISHED") {
			t.Errorf("task %d did not finish", task+1)
		}
	}
}
