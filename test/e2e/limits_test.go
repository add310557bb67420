package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// limited is a task with limits beside what it was given: 0.1 CPUs and 32 MB, to
// which Mesos adds the same for the executor of a command, and to the limits as well.
func limited(offer cluster.Value, id, command string, limits J) J {
	task := cluster.Task(offer, id, command)
	for name, value := range limits {
		limits[name] = J{"value": value}
	}
	task["limits"] = limits
	return task
}

// TestLimits runs tasks that may use more than they were given.
func TestLimits(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("bursts"))
		memoryLimits(t, c, s)
		cpuLimits(t, c, s)
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// memoryLimits: a task lives between what it was given and its limit, and is killed
// beyond. One that may burst is the first to go when the machine has no memory left.
func memoryLimits(t *testing.T, c *containers, s *cluster.Scheduler) {
	use := func(megabytes int) string {
		return fmt.Sprintf("dd if=/dev/zero of=/dev/null bs=%dM count=1 2>/dev/null && cat /proc/self/oom_score_adj", megabytes)
	}
	offer := roomy(s, 1)
	s.Launch(offer, 0,
		cluster.Task(offer, "given", use(1)),
		limited(offer, "between", use(90), J{"mem": 96}),
		limited(offer, "endless", use(300), J{"mem": "Infinity"}))
	awaitAll(t, s, "TASK_FINISHED", "given", "between", "endless")
	for task, bursts := range map[string]bool{"given": false, "between": true, "endless": true} {
		score := strings.TrimSpace(c.output(task))
		if (score != "0") != bursts || score == "" {
			t.Errorf("%s has the score %q", task, score)
		}
	}
	offer = roomy(s, 1)
	s.Launch(offer, 0, limited(offer, "beyond", use(300), J{"mem": 96}))
	status := s.AwaitState("beyond", "TASK_FAILED")
	amount := cluster.Value{}
	for _, r := range status.List("limitation.resources") {
		amount = r
	}
	if status.Text("reason") != "REASON_CONTAINER_LIMITATION_MEMORY" || !strings.HasPrefix(status.Text("message"), "Memory limit exceeded: Requested: 128MB") {
		t.Errorf("%v", status)
	}
	if got := amount.Number("scalar.value"); amount.Text("name") != "mem" || got < 120 || got > 128 {
		t.Errorf("the amount is %v of %s", got, amount.Text("name"))
	}
}

// cpuLimits: a task with a limit above what it was given is never throttled while it
// keeps within that.
func cpuLimits(t *testing.T, c *containers, s *cluster.Scheduler) {
	const spins = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo up; exec sleep 1000"
	offer := roomy(s, 1)
	s.Launch(offer, 0,
		limited(offer, "held", spins, J{"cpus": 0.1}),
		limited(offer, "burst", spins, J{"cpus": 3.9}),
		limited(offer, "free", spins, J{"cpus": "Infinity"}))
	awaitAll(t, s, "TASK_RUNNING", "held", "burst", "free")
	for _, task := range []string{"held", "burst", "free"} {
		cluster.Eventually(t, cluster.Patience, func() error {
			if got := c.output(task); got != "up\n" {
				return fmt.Errorf("%s has written %q", task, got)
			}
			return nil
		})
	}
	reply := cluster.MustGet(t, c.agent.URL+"/containers")
	for task, want := range map[string]struct {
		limit float64
		quota string
		holds bool // whether it may be throttled: on a busy machine it is not, for it does not get that much
	}{"held": {0.2, "20000", true}, "burst": {4, "400000", false}, "free": {0, "-1", false}} {
		of := cluster.Value{}
		for _, one := range reply.List("") {
			if one.Text("executor_id") == task {
				of = one
			}
		}
		told := of.Number("statistics.cpus_limit")
		if throttled := of.Number("statistics.cpus_nr_throttled") > 0; throttled && !want.holds || want.limit != 0 && told != want.limit || told <= 0 {
			t.Errorf("%s: limit %v, throttled %t", task, told, throttled)
		}
		if got := c.quota(t, of.Text("container_id")); got != want.quota {
			t.Errorf("%s: quota %s, want %s", task, got, want.quota)
		}
	}
	for _, task := range []string{"held", "burst", "free"} {
		s.Kill(task)
		s.AwaitState(task, "TASK_KILLED")
	}
}

// quota returns how many microseconds in 100 ms a container may use, -1 for any.
func (c *containers) quota(t *testing.T, id string) string {
	t.Helper()
	if text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup", c.group(id), "cpu.max")); err == nil {
		of, _, _ := strings.Cut(string(text), " ")
		return strings.Replace(of, "max", "-1", 1)
	}
	text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/cpu", c.group(id), "cpu.cfs_quota_us"))
	if err != nil {
		t.Error(err)
	}
	return strings.TrimSpace(string(text))
}
