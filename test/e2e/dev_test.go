package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
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
	dev.WaitLog(dev.Addr, cluster.Patience) // in the banner, which waits for the agents
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

var killMe = regexp.MustCompile(`(master[123]) leads: http://(\S+)\n\s+kill -9 (\d+)`)

// TestDevMasters starts a cluster of three masters by one command, and does what
// its banner proposes: it kills the leader. Another leads, the task does not
// notice, the dead one is started again, and all ends with Ctrl-C.
func TestDevMasters(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	dev := meseta(t, "dev", "--masters=3", "--agents=1", "--port=0", "--agent_port=0", "--work_dir="+work, "--resources="+cluster.AgentResources)
	dev.WaitLog("kill -9", cluster.Patience)
	_, address, pid := leading(t, dev, 1)
	masters := regexp.MustCompile(`--master (\S+)`).FindStringSubmatch(dev.Log())[1]
	status := cluster.Start(t, "watched", nil, cluster.Binary(t), "run", "--master="+masters, "--", "sh", "-c", "echo began; until [ -e "+work+"/end ]; do sleep 0.1; done; echo went through")
	status.WaitLog("began", cluster.Patience)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	name, next, _ := leading(t, dev, 2)
	if next == address {
		t.Errorf("%s leads again", next)
	}
	dev.WaitLog("has ended (signal: killed), and is started again", cluster.Patience)
	cluster.Eventually(t, cluster.Patience, func() error {
		return standsBy(&cluster.Node{URL: "http://" + address}, &cluster.Node{Addr: "localhost" + next[strings.LastIndexByte(next, ':'):]})
	})
	if err := os.WriteFile(filepath.Join(work, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := status.Exit(cluster.Patience).ExitCode(); code != 0 || !strings.Contains(status.Log(), "went through") {
		t.Errorf("under %s the task ended with %d:\n%s", name, code, status.Log())
	}
	dev.Signal(syscall.SIGINT)
	if state := dev.Exit(cluster.Patience); !state.Success() {
		t.Errorf("ended with %v", state)
	}
	if left := cluster.Inside(work); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// leading returns the nth leader that was told of.
func leading(t *testing.T, dev *cluster.Process, n int) (name, address string, pid int) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		all := killMe.FindAllStringSubmatch(dev.Log(), -1)
		if len(all) < n {
			return fmt.Errorf("%d leaders so far", len(all))
		}
		name, address = all[n-1][1], all[n-1][2]
		var err error
		pid, err = strconv.Atoi(all[n-1][3])
		return err
	})
	return name, address, pid
}
