package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// boxed is a ContainerInfo with an image.
func boxed(image string) J {
	return J{"type": "MESOS", "mesos": J{"image": J{"type": "DOCKER", "docker": J{"name": image}}}}
}

// eachRoot runs a test with each runtime that gives containers roots in a way of
// its own.
func eachRoot(t *testing.T, test func(t *testing.T, runtime string)) {
	for _, runtime := range []string{"runc", "lxc"} {
		t.Run(runtime, func(t *testing.T) { test(t, runtime) })
	}
}

// withImages starts an agent that gets images from a folder with one, box:1.
func withImages(t *testing.T, master *cluster.Node, runtime string, flags ...string) *cluster.Node {
	t.Helper()
	dir := t.TempDir()
	cluster.WriteImage(t, dir, "box:1", J{"Cmd": []string{"sh", "-c", "echo from the image; pwd"}, "WorkingDir": "/tmp", "Env": []string{"A=image", "B=image"}})
	return withRegistry(t, master, runtime, dir, flags...)
}

// withRegistry starts an agent that gets images from a registry, or a folder.
func withRegistry(t *testing.T, master *cluster.Node, runtime, registry string, flags ...string) *cluster.Node {
	t.Helper()
	needRuntime(t, runtime)
	dir := t.TempDir()
	root := filepath.Base(filepath.Dir(dir))
	t.Cleanup(func() {
		groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + root)
		for _, group := range groups {
			_ = os.Remove(group) // a test that failed may have left containers in it
		}
	})
	return cluster.StartAgent(t, master, slices.Concat([]string{
		"--image_providers=DOCKER", "--docker_registry=" + registry, "--docker_store_dir=" + filepath.Join(dir, "store"), "--cgroups_root=" + root,
	}, launcherFlags[runtime], flags)...)
}

// unmounted waits until nothing is mounted below a folder.
func unmounted(t *testing.T, dir string) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err == nil && strings.Contains(string(mounts), dir+"/provisioner") {
			err = fmt.Errorf("there are mounts below %s:\n%s", dir, mounts)
		}
		return err
	})
}

// TestImages runs tasks and pods in roots made of an image, by both backends.
func TestImages(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"overlay", "copy"} {
		t.Run(backend, func(t *testing.T) {
			eachRoot(t, func(t *testing.T, runtime string) {
				c := cluster.New(t, 0)
				agent := withImages(t, c.Master, runtime, "--image_provisioner_backend="+backend)
				s := cluster.Subscribe(t, c.Master, durable("images"))
				imageTask(t, s, agent)
				imageRuntime(t, s, agent)
				imageRecovered(t, s, agent)
				imageMissing(t, s)
				unmounted(t, agent.WorkDir)
			})
		})
	}
}

func imageTask(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "task", "ls -d /etc/box /home; pwd; echo $A $B $MESOS_SANDBOX; echo mine >/etc/new; exit 3")
	task["container"] = boxed("box:1")
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "A", "value": "task"}}}
	s.Launch(offer, 0, task)
	if got := s.AwaitState("task", "TASK_FAILED").Text("message"); got != "Command exited with status 3" {
		t.Errorf("message %q", got)
	}
	if got, want := sandboxText(t, agent, "task", "stdout"), "/etc/box\n/tmp\ntask image /mnt/mesos/sandbox\n"; got != want {
		t.Errorf("stdout %q, want %q; stderr %q", got, want, sandboxText(t, agent, "task", "stderr"))
	}
}

func imageRuntime(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "runtime", "")
	task["command"] = J{"shell": false}
	task["container"] = boxed("box:1")
	s.Launch(offer, 0, task)
	s.AwaitState("runtime", "TASK_FINISHED")
	if got := sandboxText(t, agent, "runtime", "stdout"); got != "from the image\n/tmp\n" {
		t.Errorf("stdout %q", got)
	}
}

// imageRecovered kills the agent over a task in a root of its own.
func imageRecovered(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "stays", "until [ -e $MESOS_SANDBOX/go ]; do sleep 0.1; done; ls -d /etc/box")
	task["container"] = boxed("box:1")
	s.Launch(offer, 0, task)
	s.AwaitState("stays", "TASK_RUNNING")
	agent.Kill9()
	agent.Restart(t)
	found, _ := filepath.Glob(filepath.Join(agent.WorkDir, "slaves", "*", "frameworks", "*", "executors", "stays", "runs", "latest"))
	if len(found) != 1 || os.WriteFile(filepath.Join(found[0], "go"), nil, 0o644) != nil {
		t.Fatal("no sandbox", found)
	}
	s.AwaitState("stays", "TASK_FINISHED")
	if got := sandboxText(t, agent, "stays", "stdout"); got != "/etc/box\n" {
		t.Errorf("stdout %q", got)
	}
}

func imageMissing(t *testing.T, s *cluster.Scheduler) {
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "missing", "true")
	task["container"] = boxed("none:1")
	s.Launch(offer, 0, task)
	if got := s.AwaitState("missing", "TASK_FAILED"); got.Text("reason") != "REASON_CONTAINER_LAUNCH_FAILED" || !strings.Contains(got.Text("message"), "none:1") {
		t.Errorf("%v", got)
	}
}

// TestImagePod runs a pod whose tasks have an image, and one that has not.
func TestImagePod(t *testing.T) {
	t.Parallel()
	eachRoot(t, imagePod)
}

// TestImageOfContainer: containers that are asked for by calls can have an image, one that
// stands alone and one in that, also when the agent has been killed; their roots go with them.
func TestImageOfContainer(t *testing.T) {
	t.Parallel()
	eachRoot(t, imageOfContainer)
}

func imageOfContainer(t *testing.T, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	agent, alone := withImages(t, c.Master, runtime), J{"value": "alone"}
	in := func(name string) J { return J{"value": name, "parent": alone} }
	with := func(script string) J { return J{"command": J{"value": script}, "container": boxed("box:1")} }
	containerCall(t, agent, 200, "LAUNCH_CONTAINER", alone, with("ls -d /etc/box; echo mine > /etc/new; exec sleep 1000"))
	agent.Kill9()
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	containerCall(t, agent, 200, "LAUNCH_NESTED_CONTAINER", in("inner"), with("ls -d /etc/box; test ! -e /etc/new; echo $? > $MESOS_SANDBOX/found"))
	containerCall(t, agent, 200, "WAIT_NESTED_CONTAINER", in("inner"), nil)
	for file, want := range map[string]string{"stdout": "/etc/box\n", "containers/inner/stdout": "/etc/box\n", "containers/inner/found": "0\n"} {
		if text, err := os.ReadFile(filepath.Join(agent.WorkDir, "containers/alone", file)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", file, text, err)
		}
	}
	containerCall(t, agent, 400, "LAUNCH_NESTED_CONTAINER", in("missing"), J{"command": J{"value": "true"}, "container": boxed("none:1")})
	containerCall(t, agent, 200, "KILL_CONTAINER", alone, nil)
	containerCall(t, agent, 200, "WAIT_CONTAINER", alone, nil)
	containerCall(t, agent, 200, "REMOVE_CONTAINER", alone, nil)
	unmounted(t, agent.WorkDir)
}

func imagePod(t *testing.T, runtime string) {
	t.Helper()
	c := cluster.New(t, 0)
	agent := withImages(t, c.Master, runtime)
	s := cluster.Subscribe(t, c.Master, durable("images"))
	offer := s.AwaitOffer()
	inside := cluster.Task(offer, "inside", "ls -d /etc/box; echo done >>/mnt/mesos/sandbox/file; exit 0")
	inside["container"] = boxed("box:1")
	outside := cluster.Task(offer, "outside", "test ! -e /etc/box")
	launchPod(s, offer, "pod", inside, outside)
	for _, task := range []string{"inside", "outside"} {
		s.AwaitState(task, "TASK_FINISHED")
	}
	unmounted(t, agent.WorkDir)
}

// TestImageNeedsLauncher: an agent of plain processes says what it lacks.
func TestImageNeedsLauncher(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t", "true")
	task["container"] = boxed("box:1")
	s.Launch(offer, 0, task)
	if got := s.AwaitState("t", "TASK_FAILED").Text("message"); !strings.Contains(got, "--image_providers=DOCKER") {
		t.Errorf("message %q", got)
	}
}
