package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// many is how many containers TestManyContainers has on one agent: 1000 for the
// figures of docs/operator/containers.md, which it prints.
var many = flag.Int("many", 30, "containers on one agent")

// within is for machines that others use: where the test is in a group of much weight,
// what it starts is to be there as well.
var within = flag.String("within", "", "control group, in every hierarchy, that those of TestManyContainers are in")

// large is what an agent offers that has room for them.
const large = "--resources=cpus:1000;mem:1000000;disk:100000;ports:[31000-32000]"

// TestManyContainers launches containers one by one and many at once, each fully
// isolated, and ends them.
func TestManyContainers(t *testing.T) {
	t.Run("posix", func(t *testing.T) {
		master := cluster.StartMaster(t)
		manyContainers(t, &containers{Master: master, agent: cluster.StartAgent(t, master, large)})
	})
	for _, runtime := range slices.Sorted(maps.Keys(launcherFlags)) {
		t.Run(runtime, func(t *testing.T) {
			needRuntime(t, runtime)
			c := &containers{root: filepath.Join(*within, fmt.Sprintf("meseta-e2e-%d-many-%s", os.Getpid(), runtime))}
			t.Cleanup(func() { c.removeGroups(t) })
			c.Master = cluster.StartMaster(t)
			c.agent = cluster.StartAgent(t, c.Master, slices.Concat([]string{large, "--cgroups_root=" + c.root}, launcherFlags[runtime])...)
			manyContainers(t, c)
		})
	}
	if *many >= 1000 {
		t.Run("docker", dockerContainers)
	}
}

// dockerContainers is for the figures only: how long a launch takes with the Docker
// Engine.
func dockerContainers(t *testing.T) {
	engine := cluster.StartDocker(t)
	engine.Load(t)
	master := cluster.StartMaster(t)
	cluster.StartAgent(t, master, large, "--containerizers=docker,mesos", "--docker_socket="+engine.Socket, "--docker_remove_delay=1secs")
	s := cluster.Subscribe(t, master, durable("docker"))
	t.Logf("%s: one launch: %s", t.Name(), oneByOne(s, func(offer cluster.Value, id string) J { return dockered(offer, id, "exec sleep 100000", nil) }))
}

func manyContainers(t *testing.T, c *containers) {
	t.Helper()
	s := cluster.Subscribe(t, c.Master, durable("many"))
	one := oneByOne(s, sleeper)
	offer := roomy(s, 900)
	var tasks []J
	var names []string
	for i := range *many {
		names = append(names, fmt.Sprintf("t%d", i))
		tasks = append(tasks, sleeper(offer, names[i]))
	}
	before := resident(t, c.agent)
	begun := time.Now()
	s.Launch(offer, 0, tasks...)
	awaitMany(t, s, "TASK_RUNNING", names)
	up := time.Since(begun)
	with := resident(t, c.agent)
	begun = time.Now()
	for _, name := range names {
		s.Kill(name)
	}
	awaitMany(t, s, "TASK_KILLED", names)
	cluster.Eventually(t, cluster.Patience, c.left)
	down := time.Since(begun)
	t.Logf("%s: one launch: %v; %d containers: %v until all run, %v until nothing is left; agent %d KB before, %d KB with them",
		t.Name(), one, *many, up.Round(time.Millisecond), down.Round(time.Millisecond), before, with)
	s.Teardown()
	c.checkNothingLeft(t)
}

// oneByOne launches containers one after the other and returns how long that took
// them, from the call to TASK_RUNNING: the median and the least.
func oneByOne(s *cluster.Scheduler, task func(offer cluster.Value, id string) J) string {
	var took []time.Duration
	for i := range min(*many, 30) {
		offer, id := roomy(s, 900), fmt.Sprintf("one%d", i)
		begun := time.Now()
		s.Launch(offer, 0, task(offer, id))
		s.AwaitState(id, "TASK_RUNNING")
		took = append(took, time.Since(begun))
		s.Kill(id)
		s.AwaitState(id, "TASK_KILLED")
	}
	slices.Sort(took)
	return fmt.Sprintf("median %v, least %v", took[len(took)/2].Round(time.Millisecond/10), took[0].Round(time.Millisecond/10))
}

func sleeper(offer cluster.Value, id string) J {
	task := cluster.Task(offer, id, "exec sleep 100000")
	task["resources"] = cluster.Resources(0.01, 32)
	return task
}

// awaitMany waits until tasks are in a state, whichever order they come in.
func awaitMany(t *testing.T, s *cluster.Scheduler, state string, names []string) {
	t.Helper()
	waiting := map[string]bool{}
	for _, name := range names {
		waiting[name] = true
	}
	for len(waiting) > 0 {
		status := s.Await("UPDATE", nil).Get("update.status")
		s.Acknowledge(status)
		switch got := status.Text("state"); {
		case got == state:
			delete(waiting, status.Text("task_id.value"))
		case strings.HasSuffix(got, "FAILED"), strings.HasSuffix(got, "ERROR"), strings.HasSuffix(got, "DROPPED"):
			t.Fatalf("%v", status)
		}
	}
}

// resident returns the memory that a node has, in kilobytes.
func resident(t *testing.T, n *cluster.Node) (kb int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
