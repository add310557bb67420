package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// devMemory is what a cluster for developing may have resident, in bytes.
const devMemory = 60 << 20

// TestDev starts a whole cluster by one command, runs something on it, and ends
// it with Ctrl-C. Nothing of it may stay behind.
func TestDev(t *testing.T) {
	t.Parallel()
	dev := cluster.StartDev(t, 2)
	resident, err := cluster.RSS(dev.Process)
	if err != nil {
		t.Fatal(err)
	}
	if resident > devMemory && os.Getenv("MESETA_E2E_RACE") == "" {
		t.Errorf("%d MB are resident, more than %d", resident>>20, devMemory>>20)
	}
	if !strings.Contains(dev.Log(), dev.Addr) {
		t.Errorf("the banner does not say where the master is:\n%s", dev.Log())
	}
	p := meseta(t, "run", "--master="+dev.Addr, "--", "sh", "-c", "echo ran here")
	if status := p.Exit(time.Minute).ExitCode(); status != 0 || !strings.Contains(p.Log(), "ran here") {
		t.Errorf("exit status %d", status)
	}
	s := cluster.Subscribe(t, dev, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "exec sleep 1000"))
	s.AwaitState("t", "TASK_RUNNING")
	dev.Signal(syscall.SIGINT)
	if state := dev.Exit(cluster.Patience); !state.Success() {
		t.Errorf("ended with %v", state)
	}
	if left := cluster.Inside(dev.WorkDir); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}
