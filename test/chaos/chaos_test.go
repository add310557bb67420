// Package chaos mistreats whole clusters of real processes, each in a network
// namespace of its own, and checks afterwards what became of every task that was
// ever launched.
package chaos

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

var (
	long = flag.Duration("chaos.for", 8*time.Second, "how long each cluster is mistreated")
	seed = flag.Uint64("chaos.seed", 0, "where the randomness begins; 0 for anywhere")
)

// settle is how long everything may take to be in order again.
const settle = 3 * time.Minute

func TestMain(m *testing.M) {
	if os.Getenv("CHAOS_SCHEDULER") != "" {
		schedulerMain()
	}
	if os.Getenv(executorEnv) != "" {
		executorMain()
	}
	flag.Parse()
	os.Exit(m.Run())
}

func TestChaosEmbedded(t *testing.T) { alone(t, func() { mistreat(t, embedded, cluster.Binary(t)) }) }

func TestChaosZooKeeper(t *testing.T) { alone(t, func() { mistreat(t, zookeeper, cluster.Binary(t)) }) }

func TestChaosEtcd(t *testing.T) { alone(t, func() { mistreat(t, etcd, cluster.Binary(t)) }) }

// alone runs a test in a network namespace of its own: this program again.
func alone(t *testing.T, test func()) {
	t.Helper()
	if os.Getenv("CHAOS_INSIDE") == t.Name() {
		test()
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err == nil {
		err = exec.Command(unshare, "--net", "ip", "link", "add", "hub", "type", "bridge").Run()
	}
	if err != nil {
		cluster.Unavailable(t, "no network namespaces: run as root, with Debian's package iproute2: %v", err)
	}
	cmd := exec.Command(unshare, "--net", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1",
		"-chaos.for="+long.String(), fmt.Sprintf("-chaos.seed=%d", *seed))
	cmd.Env = append(os.Environ(), "CHAOS_INSIDE="+t.Name())
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("inside: %v", err)
	}
}

// mistreat starts a cluster of a program under steady work, mistreats it, lets it
// settle, and checks the books.
func mistreat(t *testing.T, backend backend, program string) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	w := newWorld(t, backend, program)
	cluster.Eventually(t, cluster.Patience, func() error {
		began := w.history().starts
		for _, first := range []string{"a-1", "b-1", "c-1"} {
			if began[first] == 0 {
				return fmt.Errorf("%s has not begun", first)
			}
		}
		return nil
	})
	m := &monkey{w: w, rand: rand.New(rand.NewPCG(*seed, *seed)), done: map[string]int{}}
	m.run(*long)
	begun := time.Now()
	write(t, w.dir+"/enough", "")
	var h *history
	cluster.Eventually(t, settle, func() error {
		w.revive()
		awaited, err := w.awaited()
		if err != nil {
			return err
		}
		h = w.history()
		h.lose(awaited)
		if tasks, updates := open(h); tasks+updates > 0 {
			return fmt.Errorf("%d tasks have not ended, %d updates are not acknowledged: %v", tasks, updates, unfinished(h))
		}
		return w.idle()
	})
	t.Logf("harm done: %v", m.done)
	t.Logf("%d tasks launched, of which %d began and %d are on agents that never knew of themselves; all in order %v after the last harm",
		len(accounts(h))+h.lost, len(h.starts), h.lost, time.Since(begun))
	if faults := check(h); len(faults) > 0 {
		t.Error(errors.New(strings.Join(faults, "\n")))
	}
}

// unfinished says what is known of the tasks that are not over.
func unfinished(h *history) (known []record) {
	all := accounts(h)
	for _, r := range h.records {
		if a := all[r.Task]; a.end == "" || len(a.unacked) > 0 {
			known = append(known, r)
		}
	}
	return known
}
