package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestDemo runs what "make demo" runs: two frameworks of our own share a
// cluster by DRF, three tasks against two.
func TestDemo(t *testing.T) {
	t.Parallel()
	bin := frameworks(t)
	p := cluster.Start(t, "demo", nil, filepath.Join(bin, "demo"))
	if state := p.Exit(time.Minute); !state.Success() {
		t.Fatalf("%v", state)
	}
	for _, text := range []string{
		"batch    3 CPUs, 12 GB  dominant share 67% of the memory",
		"service  6 CPUs, 2 GB   dominant share 67% of the CPUs",
		"| request 2 served by process",
	} {
		if !strings.Contains(p.Log(), text) {
			t.Errorf("no %q in the output", text)
		}
	}
}

// TestBatch runs the example framework with an executor of its own to its end,
// though an agent dies while its tasks run: they live on, and their results come
// when it is back.
func TestBatch(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 2)
	p := cluster.Start(t, "batch", nil, filepath.Join(frameworks(t), "batch"), "-master="+c.Master.Addr, "-tasks=4", "-time=3s")
	p.WaitLog("task=darts-4 state=TASK_RUNNING", time.Minute)
	c.Agents[0].Kill9()
	c.Agents[0].Restart(t)
	if state := p.Exit(time.Minute); !state.Success() {
		t.Fatalf("%v", state)
	}
	p.WaitLog("msg=result pi=3.1", time.Minute)
	if strings.Contains(p.Log(), "task=darts-5") {
		t.Error("a task was lost and done again")
	}
}

// frameworks returns a folder with the example frameworks and our binary.
func frameworks(t *testing.T) string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./frameworks/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	if err := os.Symlink(cluster.Binary(t), filepath.Join(bin, "meseta")); err != nil {
		t.Fatal(err)
	}
	return bin
}
