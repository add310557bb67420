package e2e

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestPriority: the role with the higher priority gets all that it takes, though
// it has the larger share.
func TestPriority(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t, "--allocator=priority", "--allocation_priorities=prod=10")
	batch := cluster.Subscribe(t, master, cluster.Framework("batch", "batch"))
	prod := cluster.Subscribe(t, master, cluster.Framework("prod", "prod"))
	for range 2 {
		cluster.StartAgent(t, master)
		prod.AwaitOffer()
	}
	if offers := batch.Waiting("OFFERS"); len(offers) != 0 {
		t.Errorf("batch was offered %v", offers)
	}
	said := explains(t, master, "lower ranks first", url.Values{"framework_id": {batch.ID}})
	if !strings.Contains(said, "rank 0 against -10 of role prod") {
		t.Error(said)
	}
}

// TestModule serves by the example module, kills it, stops it, and looks at what
// is offered meanwhile.
func TestModule(t *testing.T) {
	t.Parallel()
	program := firstcome(t)
	master := cluster.StartMaster(t, "--allocator=module", "--allocation_module="+program+" -first=prod",
		"--allocation_module_failure=stop", "--allocation_module_timeout=1secs", "--allocation_interval=100ms")
	batch := cluster.Subscribe(t, master, cluster.Framework("batch", "batch"))
	explains(t, master, "no agents", url.Values{"framework_id": {batch.ID}})
	answers(t, master, "answers", 1)

	// Dead, and not to be started again: nothing is offered.
	if err := os.Rename(program, program+".gone"); err != nil {
		t.Fatal(err)
	}
	signal(t, program, syscall.SIGKILL)
	explains(t, master, "allocation module", url.Values{"framework_id": {batch.ID}})
	cluster.StartAgent(t, master)
	if offers := batch.Waiting("OFFERS"); len(offers) != 0 {
		t.Errorf("offered without the module: %v", offers)
	}
	if err := os.Rename(program+".gone", program); err != nil {
		t.Fatal(err)
	}
	batch.AwaitOffer()

	// Stalled: it is ended, and another one started.
	signal(t, program, syscall.SIGSTOP)
	answers(t, master, "failures", 2)
	cluster.StartAgent(t, master)
	batch.AwaitOffer()
}

// TestModuleMissing: a master whose module is missing says so and ends.
func TestModuleMissing(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]string{
		"/nonexistent/module": "there is no allocation module /nonexistent/module",
		"/bin/true":           "/bin/true is no allocation module",
	} {
		p := meseta(t, "master", "--registry=in_memory", "--ip=127.0.0.1", "--port=0", "--allocator=module", "--allocation_module="+program)
		if status := p.Exit(time.Minute).ExitCode(); status != 1 || !strings.Contains(p.Log(), want) {
			t.Errorf("%s: exit status %d and %s", program, status, p.Log())
		}
	}
}

// firstcome builds the example module.
func firstcome(t *testing.T) string {
	t.Helper()
	root, err := cluster.Root()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "firstcome")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/firstcome")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// answers waits until a counter of the module's has grown, beyond what it is.
func answers(t *testing.T, master *cluster.Node, counter string, least float64) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		reply, err := cluster.Get(master.URL + "/metrics/prometheus")
		if err != nil {
			return err
		}
		for line := range strings.Lines(reply.Body) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			var n float64
			if strings.HasSuffix(name, "policy_"+counter) {
				if _, err := fmt.Sscan(value, &n); err != nil || n < least {
					return fmt.Errorf("%s is %s", counter, value)
				}
				return nil
			}
		}
		return fmt.Errorf("no counter %s", counter)
	})
}

// signal sends a signal to the module's process.
func signal(t *testing.T, program string, sig syscall.Signal) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return err
		}
		for _, path := range all {
			line, err := os.ReadFile(path)
			if err != nil || !strings.HasPrefix(string(line), program+"\x00") {
				continue // it has ended
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				return err
			}
			return syscall.Kill(pid, sig)
		}
		return errors.New("the module does not run")
	})
}
