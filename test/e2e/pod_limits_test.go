package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// inContainer gives a task a container with these things of Linux's.
func inContainer(task, linux J) J {
	task["container"] = J{"type": "MESOS", "linux_info": linux}
	return task
}

// withMemory gives a task that many megabytes.
func withMemory(task J, mem float64) J {
	task["resources"] = cluster.Resources(0.1, mem)
	return task
}

// holding takes 40 megabytes of the pod's /dev/shm, and stays.
const holding = "head -c 40000000 /dev/zero > $(mktemp -p /dev/shm) && exec sleep 1000"

const hog = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"

// TestPodMemory: the tasks of a pod may take what it has together. One of two takes its
// part, and the other ends the pod although alone it would have found enough.
func TestPodMemory(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("hungry"))
		offer := s.AwaitOffer()
		// With the 32 of the executor's own that is 72 in all.
		launchPod(s, offer, "pod", withMemory(cluster.Task(offer, "a", holding), 20), withMemory(cluster.Task(offer, "b", holding), 20))
		for _, task := range []string{"a", "b"} {
			status := s.AwaitState(task, "TASK_FAILED")
			if status.Text("reason") != "REASON_CONTAINER_LIMITATION_MEMORY" || !strings.HasPrefix(status.Text("message"), "Memory limit exceeded: Requested: 72MB ") {
				t.Errorf("%s: %v", task, status)
			}
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestPodGrows: a group that joins a pod brings what it was given; the agent that is
// killed meanwhile finds the pod as it was, and leaves nothing of it.
func TestPodGrows(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("growing"))
		offer := s.AwaitOffer()
		launchPod(s, offer, "pod", withMemory(cluster.Task(offer, "a", holding), 20))
		s.AwaitState("a", "TASK_RUNNING")
		c.agent.Kill9()
		c.agent.Restart(t)
		offer = s.AwaitOffer()
		launchPod(s, offer, "pod", withMemory(cluster.Task(offer, "b", "head -c 40000000 /dev/zero > /dev/shm/b"), 64))
		s.AwaitState("b", "TASK_FINISHED")
		offer = s.AwaitOffer()
		launchPod(s, offer, "pod", withMemory(cluster.Task(offer, "c", hog), 32))
		if status := s.AwaitState("a", "TASK_FAILED"); status.Text("reason") != "REASON_CONTAINER_LIMITATION_MEMORY" {
			t.Errorf("%v", status)
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestOwnLimitOfTask: a task of a pod that is to have its own limits passes them, and
// ends with its group. The pod goes on.
func TestOwnLimitOfTask(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("hungry"))
		offer := s.AwaitOffer()
		own := J{"share_cgroups": false}
		launchPod(s, offer, "pod", withMemory(inContainer(cluster.Task(offer, "stays", "exec sleep 1000"), own), 64))
		s.AwaitState("stays", "TASK_RUNNING")
		offer = s.AwaitOffer()
		launchPod(s, offer, "pod", withMemory(inContainer(cluster.Task(offer, "hog", hog), own), 40), withMemory(inContainer(cluster.Task(offer, "mate", "exec sleep 1000"), own), 40))
		status := s.AwaitState("hog", "TASK_FAILED")
		if status.Text("reason") != "REASON_CONTAINER_LIMITATION_MEMORY" || status.At("limitation.resources") == nil ||
			!strings.HasPrefix(status.Text("message"), "Command terminated with signal Killed: Memory limit exceeded: Requested: 40MB Maximum Used: 40MB\n") {
			t.Errorf("%v", status)
		}
		s.AwaitState("mate", "TASK_KILLED")
		cluster.Eventually(t, soon, func() error { return reconciled(s, "stays", "TASK_RUNNING") })
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestPodNamespaces: the tasks of a pod share what is in memory, and processes if they
// ask for that, with each other and not with the machine.
func TestPodNamespaces(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("sharing"))
		offer := s.AwaitOffer()
		shared := J{"share_pid_namespace": true, "ipc_mode": "SHARE_PARENT"}
		says := "until [ -e /dev/shm/word ]; do sleep 0.1; done; cat /dev/shm/word; readlink /proc/self/ns/pid /proc/self/ns/ipc"
		launchPod(s, offer, "pod", cluster.Task(offer, "a", "echo hello > /dev/shm/word; exec sleep 1000"),
			inContainer(cluster.Task(offer, "b", says), shared), inContainer(cluster.Task(offer, "c", says), shared))
		for _, task := range []string{"b", "c"} {
			s.AwaitState(task, "TASK_FINISHED")
		}
		b, other := taskOutput(t, c.agent, "pod", "b"), taskOutput(t, c.agent, "pod", "c")
		if b != other || !strings.HasPrefix(b, "hello\n") {
			t.Errorf("they see %q and %q", b, other)
		}
		for _, kind := range []string{"pid", "ipc"} {
			if machines := namespaceOf(t, kind); strings.Contains(b, machines) {
				t.Errorf("%s is the machine's", machines)
			}
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestLimitOfContainer: how a container ended for want of memory is told to those who
// wait for it, and that is no end of the one that it is in. One without resources of its
// own has those of the other.
func TestLimitOfContainer(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		alone := J{"value": "alone"}
		in := func(name string) J { return J{"value": name, "parent": alone} }
		containerCall(t, c.agent, 200, "LAUNCH_CONTAINER", alone, J{"command": J{"value": "exec sleep 1000"}, "resources": cluster.Resources(0.1, 128)})
		containerCall(t, c.agent, 200, "LAUNCH_CONTAINER", in("hog"), J{
			"command": J{"value": hog}, "resources": cluster.Resources(0.1, 40),
			"container": J{"type": "MESOS", "linux_info": J{"share_cgroups": false}},
		})
		wait := containerCall(t, c.agent, 200, "WAIT_CONTAINER", in("hog"), nil).Body
		for _, want := range []string{`"exit_status":9`, `"state":"TASK_FAILED"`, `"reason":"REASON_CONTAINER_LIMITATION_MEMORY"`, `"limitation":{"resources":[{`, `Requested: 40MB`} {
			if !strings.Contains(wait, want) {
				t.Errorf("%s is not in %s", want, wait)
			}
		}
		containerCall(t, c.agent, 200, "LAUNCH_NESTED_CONTAINER", in("shares"), shell("head -c 60000000 /dev/zero > /dev/shm/much && rm /dev/shm/much"))
		if wait = containerCall(t, c.agent, 200, "WAIT_NESTED_CONTAINER", in("shares"), nil).Body; !strings.Contains(wait, `"exit_status":0`) {
			t.Errorf("one without limits of its own: %s", wait)
		}
		containerCall(t, c.agent, 200, "KILL_CONTAINER", alone, nil)
		if wait = containerCall(t, c.agent, 200, "WAIT_CONTAINER", alone, nil).Body; strings.Contains(wait, "reason") {
			t.Errorf("the one that they were in: %s", wait)
		}
		containerCall(t, c.agent, 200, "REMOVE_CONTAINER", alone, nil)
		c.checkNothingLeft(t)
	})
}

// namespaceOf returns the machine's namespace of that kind, as the tests see it.
func namespaceOf(t *testing.T, kind string) string {
	t.Helper()
	name, err := os.Readlink("/proc/self/ns/" + kind)
	if err != nil {
		t.Fatal(err)
	}
	return name
}
