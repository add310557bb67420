package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// launches is how many containers TestContainersLeaveNothing makes with each
// runtime, seed what is done to them.
var (
	launches = flag.Int("launches", 25, "containers to launch and kill with each runtime")
	seed     = flag.Uint64("seed", 1, "what happens to them")
)

// launcherFlags are those of an agent for each of who starts containers: the OCI
// runtimes, and LXC.
var launcherFlags = withSystemd(map[string][]string{
	"crun": {"--launcher=oci", "--oci_runtime=crun"}, "runc": {"--launcher=oci", "--oci_runtime=runc"}, "lxc": {"--launcher=lxc"},
})

// needRuntime ends the test where there is none such, or no root.
func needRuntime(t *testing.T, runtime string) {
	t.Helper()
	program := map[string]string{"lxc": "lxc-start"}[runtime]
	if _, err := exec.LookPath(cmp.Or(program, strings.TrimSuffix(runtime, underSystemd))); err != nil || os.Getuid() != 0 {
		cluster.Unavailable(t, "containers need root and %s", runtime)
	}
}

// eachRuntime runs a test with an agent of each OCI runtime, and of LXC.
func eachRuntime(t *testing.T, test func(t *testing.T, c *containers)) {
	eachRuntimeWith(t, nil, test)
}

// eachRuntimeWith is eachRuntime with flags of the agent's.
func eachRuntimeWith(t *testing.T, flags []string, test func(t *testing.T, c *containers)) {
	withRuntimes(t, slices.Sorted(maps.Keys(launcherFlags)), flags, test)
}

// eachOCIRuntimeWith is eachRuntimeWith for what LXC is not asked for: an agent with
// LXC says so when it starts.
func eachOCIRuntimeWith(t *testing.T, flags []string, test func(t *testing.T, c *containers)) {
	runtimes := slices.Sorted(maps.Keys(launcherFlags))
	withRuntimes(t, slices.DeleteFunc(runtimes, func(name string) bool { return name == "lxc" }), flags, test)
	t.Run("lxc", func(t *testing.T) {
		needRuntime(t, "lxc")
		dir := t.TempDir()
		args := slices.Concat([]string{"agent", "--master=127.0.0.1:1", "--work_dir=" + dir, "--runtime_dir=" + dir}, flags, launcherFlags["lxc"])
		out, err := exec.Command(cluster.Binary(t), args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "need --launcher=oci") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

func withRuntimes(t *testing.T, runtimes, flags []string, test func(t *testing.T, c *containers)) {
	for _, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			needRuntime(t, runtime)
			c := &containers{root: fmt.Sprintf("meseta-e2e-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"))}
			t.Cleanup(func() { c.removeGroups(t) })
			c.Master = cluster.StartMaster(t)
			c.agent = cluster.StartAgent(t, c.Master, slices.Concat(flags, launcherFlags[runtime], []string{"--cgroups_root=" + c.root})...)
			test(t, c)
		})
	}
}

// containers is a cluster of one agent that isolates.
type containers struct {
	Master, agent *cluster.Node
	root          string // of control groups
	rooms         []J    // containers that mistreat gives tasks
}

// output returns what the task of a command has written.
func (c *containers) output(task string) string {
	files, _ := filepath.Glob(filepath.Join(c.agent.WorkDir, "slaves/*/frameworks/*/executors", task, "runs/latest/stdout"))
	if len(files) != 1 {
		return ""
	}
	text, _ := os.ReadFile(files[0])
	return string(text)
}

func (c *containers) removeGroups(t *testing.T) {
	c.stopSlice(t)
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/" + c.root)
	for _, dir := range groups {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	}
}

// left returns what containers have left on the machine.
func (c *containers) left() error {
	var left []string
	patterns := []string{
		filepath.Join(c.agent.WorkDir, "run/*/bundles/*"), filepath.Join(c.agent.WorkDir, "run/*/state/*"),
		filepath.Join(c.agent.WorkDir, "run/containers/*"), filepath.Join(c.agent.WorkDir, "provisioner/containers/*"),
	}
	if c.root != "" {
		patterns = append(patterns, "/sys/fs/cgroup/*/"+c.root+"/*", "/sys/fs/cgroup/"+c.root+"/*")
	}
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern)
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				left = append(left, path)
			}
		}
	}
	if units, err := c.units(); units != "" || err != nil {
		left = append(left, fmt.Sprintf("units %s, %v", units, err))
	}
	for _, pid := range cluster.Inside(c.agent.WorkDir) {
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)) // says whose it is
		left = append(left, fmt.Sprintf("process %q in %s, %s", command, dir, stat))
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), c.agent.WorkDir) {
		left = append(left, "a mount")
	}
	shims, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range shims {
		if text, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(text), "meseta-shim") && strings.Contains(string(text), c.agent.WorkDir) {
			left = append(left, filepath.Dir(path))
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %q", left)
	}
	return nil
}

func (c *containers) checkNothingLeft(t *testing.T) {
	t.Helper()
	cluster.Eventually(t, 3*soon, c.left)
}

// TestContainerAgentKilled kills the agent under running containers: they go on,
// and what ended meanwhile is told with its exit status.
func TestContainerAgentKilled(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s, ends := cluster.Subscribe(t, c.Master, durable("survivor")), newGate(t)
		offer := s.AwaitOffer()
		own := cluster.Task(offer, "own", "")
		delete(own, "command")
		own["executor"] = cluster.Executor("executor")
		s.Launch(offer, 0, cluster.Task(offer, "runs", "exec sleep 1000"), cluster.Task(offer, "ends", ends.command()+"; exit 3"), own)
		awaitAll(t, s, "TASK_RUNNING", "runs", "ends", "own")
		c.agent.Kill9()
		ends.open(t)
		c.agent.Restart(t)
		status := s.AwaitState("ends", "TASK_FAILED")
		if got := status.Text("message"); got != "Command exited with status 3" {
			t.Errorf("message %q", got)
		}
		for _, task := range []string{"runs", "own"} {
			cluster.Eventually(t, soon, func() error { return reconciled(s, task, "TASK_RUNNING") })
		}
		s.Kill("runs")
		s.AwaitState("runs", "TASK_KILLED")
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestLateExecutors restarts an agent that does not get round to its own executors in
// the time that executors have: it goes on with them, as nobody but it is late.
func TestLateExecutors(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--executor_reregistration_timeout=1ns")
	s := cluster.Subscribe(t, master, durable("patient"))
	tasks := []string{"a", "b", "c"}
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "a", "exec sleep 1000"), cluster.Task(offer, "b", "exec sleep 1000"), cluster.Task(offer, "c", "exec sleep 1000"))
	awaitAll(t, s, "TASK_RUNNING", tasks...)
	agent.Kill9()
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(master, agent) })
	for _, task := range tasks {
		cluster.Eventually(t, soon, func() error { return reconciled(s, task, "TASK_RUNNING") })
		s.Kill(task)
	}
	awaitAll(t, s, "TASK_KILLED", tasks...)
}

// TestContainerMemory runs a task that wants more memory than it has.
func TestContainerMemory(t *testing.T) {
	t.Parallel()
	eachRuntime(t, func(t *testing.T, c *containers) {
		s := cluster.Subscribe(t, c.Master, durable("hungry"))
		offer := s.AwaitOffer()
		s.Launch(offer, 0, cluster.Task(offer, "hog", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"))
		status := s.AwaitState("hog", "TASK_FAILED")
		if status.Text("reason") != "REASON_CONTAINER_LIMITATION_MEMORY" || !strings.HasPrefix(status.Text("message"), "Memory limit exceeded: Requested: ") {
			t.Errorf("%v", status)
		}
		if got := status.At("limitation.resources"); got == nil {
			t.Error("the amount is not told")
		}
		s.Teardown()
		c.checkNothingLeft(t)
	})
}

// TestContainersLeaveNothing launches and kills containers of all sorts while the
// agent is killed, and looks at what is left of them on the machine.
func TestContainersLeaveNothing(t *testing.T) {
	inNetwork(t, func() {
		n := newNetworks(t)
		n.bridge(t, 1)
		n.bridge(t, 2)
		t.Run("posix", func(t *testing.T) {
			c := &containers{Master: cluster.StartMaster(t)}
			c.agent = cluster.StartAgent(t, c.Master)
			mistreat(t, c, nil, nil)
		})
		p := cluster.StartVolumePlugin(t)
		images := t.TempDir()
		cluster.WriteImage(t, images, "box:1", J{})
		flags := append(n.flags(), "--image_providers=DOCKER", "--docker_registry="+images, "--docker_store_dir="+filepath.Join(images, "store"),
			"--isolation=cgroups/cpu,cgroups/mem,cgroups/pids,cgroups/devices,namespaces/pid,namespaces/ipc,linux/capabilities,posix/rlimits,docker/volume",
			"--docker_volume_checkpoint_dir="+filepath.Join(images, "volumes"))
		eachRuntimeWith(t, flags, func(t *testing.T, c *containers) {
			mistreat(t, c, n, p)
			cluster.Eventually(t, 3*soon, n.left)
			cluster.Eventually(t, 3*soon, p.Left)
			cluster.Eventually(t, 8*soon, func() error { return volumesForgotten(c) }) // plugins have two minutes
		})
	})
}

// TestDockersContainersLeaveNothing does the same with containers of the Docker Engine.
func TestDockersContainersLeaveNothing(t *testing.T) {
	inNetwork(t, func() {
		p := cluster.StartVolumePlugin(t)
		engine := cluster.StartDocker(t)
		engine.Load(t)
		c := &containers{Master: cluster.StartMaster(t), rooms: []J{nil}}
		for _, network := range []string{"NONE", "BRIDGE", "HOST"} {
			plain := J{"type": "DOCKER", "docker": J{"image": "box:1", "network": network}}
			kept := maps.Clone(plain)
			kept["volumes"] = []J{driven(p, "kept", "/v", "late", "50ms")}
			c.rooms = append(c.rooms, plain, kept)
		}
		c.agent = cluster.StartAgent(t, c.Master, "--containerizers=docker,mesos", "--docker_socket="+engine.Socket, "--docker_remove_delay=1ms")
		mistreat(t, c, nil, nil)
		cluster.Eventually(t, 3*soon, func() error {
			if names := engine.Names(); len(names) > 0 {
				return fmt.Errorf("the Engine has %v", names)
			}
			return p.Left()
		})
	})
}

// mistreat launches and kills containers, some of them in networks, some with volumes,
// some in pods, and others in those, and kills the agent at random moments.
func mistreat(t *testing.T, c *containers, n *networks, p *cluster.VolumePlugin) {
	t.Helper()
	// While the agent is dead nobody's connection is to get its port.
	_, port, _ := strings.Cut(c.agent.Addr, ":")
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_reserved_ports", []byte(port), 0o644); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(*seed, *seed))
	k := &keeper{r: r}
	s := cluster.Subscribe(t, c.Master, k.framework())
	commands := []string{"true", "exec sleep 1000", "setsid sleep 1000 & sleep 1000", "trap '' TERM; sleep 1000 & wait; wait", "exit 3", "kill -9 $$"}
	places := []J{nil, nil, inNetworks("net1"), inNetworks("net2", "net1"), inNetworks("nowhere")}
	var rooms, podRooms []J // which the executor of a pod cannot have
	if n == nil {
		places, rooms = nil, c.rooms
	} else {
		podRooms = append(drive(p), nil, nil, boxed("box:1"))
		rooms = slices.Concat(places, drive(p), []J{boxed("box:1"), boxed("none:1"), furnished(t.TempDir())})
	}
	inner := &nester{c: c, r: r, commands: commands}
	const each, podded = 5, 2 // tasks, and those of them that are a pod
	for i := 0; i < *launches; i += each {
		offer := roomy(s, 1)
		var tasks []J
		for j := range each {
			tasks = append(tasks, cluster.Task(offer, fmt.Sprintf("t%d", i+j), commands[r.IntN(len(commands))]))
		}
		pod := groupOf(s, fmt.Sprintf("pod%d", i), tasks[:podded]...)
		contain(r, pod["launch_group"].(J)["executor"].(J), places)
		for _, task := range tasks[:podded] {
			contain(r, task, podRooms)
		}
		for _, task := range tasks[podded:] {
			contain(r, task, rooms)
		}
		s.Accept(offer, 0, append(k.give(offer, tasks), J{"type": "LAUNCH", "launch": J{"task_infos": tasks[podded:]}}, pod)...)
		listen(s, i, r.IntN(3*each), time.Duration(r.IntN(2000))*time.Millisecond, inner.running)
		c.agent.Kill9()
		inner.sessions.Wait() // cut off
		c.agent.Restart(t)
		cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, c.agent) })
		for j := max(0, i-10*each); j < i+each; j++ { // some more than once: a kill may be lost with the agent
			if j < i || r.IntN(2) == 0 {
				s.Kill(fmt.Sprintf("t%d", j))
			}
		}
	}
	for i := 0; inner.launched == 0; i++ { // on a slow machine the agent may have died too early each time
		offer, id := roomy(s, 1), fmt.Sprintf("last%d", i)
		s.Launch(offer, 0, cluster.Task(offer, id, "exec sleep 1000"))
		inner.running(s.AwaitState(id, "TASK_RUNNING"))
	}
	s.Teardown()
	inner.sessions.Wait()
	c.checkNothingLeft(t)
	k.end(t, c)
	states := map[string]int{}
	for _, e := range s.Events() {
		if e.Type != "UPDATE" {
			continue
		}
		status := e.Get("update.status")
		states[strings.TrimSpace(status.Text("state")+" "+status.Text("reason"))]++
		// Tasks whose launch the agent had not written down are TASK_DROPPED; what runs
		// has an executor of the agent's own, which is never missing.
		if status.Text("state") == "TASK_GONE" {
			t.Errorf("an agent that came back gave up a task: %v", status)
		}
	}
	t.Logf("%d launches, %d more in them, %d persistent volumes made and %d used again, updates %v", *launches, inner.launched, k.made, k.used, states)
	if k.made == 0 {
		t.Error("no task had a persistent volume")
	}
	if p != nil && p.Count("shared1", "Mount") == 0 {
		t.Error("no task had a Docker volume")
	}
}

// contain gives a task or an executor a container at random.
func contain(r *rand.Rand, of J, places []J) {
	if len(places) == 0 {
		return
	}
	if place := places[r.IntN(len(places))]; place != nil {
		of["container"] = place
	}
}

// furnished is a ContainerInfo with an image and volumes of all sorts.
func furnished(dir string) J {
	all := boxed("box:1")
	all["network_infos"] = []J{{"name": "net1"}}
	all["volumes"] = []J{
		{"container_path": "/mnt/host", "mode": "RW", "host_path": dir},
		{"container_path": "/mnt/own", "mode": "RW", "source": J{"type": "SANDBOX_PATH", "sandbox_path": J{"type": "SELF", "path": "own"}}},
		{"container_path": "/mnt/secret", "mode": "RO", "source": J{"type": "SECRET", "secret": secretValue()}},
		{"container_path": "/mnt/image", "mode": "RW", "image": boxed("box:1")["mesos"].(J)["image"]},
	}
	return all
}

// nester launches containers in those of tasks.
type nester struct {
	c        *containers
	r        *rand.Rand
	commands []string
	launched int
	sessions sync.WaitGroup
}

// running is told of a task that runs. What it asks for may come when the task is
// over: then it is refused.
func (n *nester) running(status cluster.Value) {
	id, command := J{"value": "in" + status.Text("task_id.value"), "parent": status.At("container_status.container_id")}, n.commands[n.r.IntN(len(n.commands))]
	kind := []string{"LAUNCH_NESTED_CONTAINER", "LAUNCH_CONTAINER", "LAUNCH_NESTED_CONTAINER_SESSION"}[n.r.IntN(3)]
	call := J{"type": kind, strings.ToLower(kind): J{"container_id": id, "command": J{"value": command}}}
	post := func() bool {
		reply, err := cluster.Post(n.c.agent.URL+"/api/v1", nil, call)
		return err == nil && reply.Status == 200
	}
	if kind == "LAUNCH_NESTED_CONTAINER_SESSION" {
		n.sessions.Go(func() { post() })
	} else if post() {
		n.launched++
	}
}

// roomy returns an offer of so much CPU at least: what a task gives back may come in
// an offer of its own.
func roomy(s *cluster.Scheduler, cpus float64) cluster.Value {
	for {
		offer := s.AwaitOffer()
		if offer.Find("resources", "name", "cpus").Number("scalar.value") >= cpus {
			return offer
		}
		s.Decline(offer, 0)
	}
}

// listen acknowledges updates until so many came of tasks that were launched last,
// or a time is over.
func listen(s *cluster.Scheduler, first, updates int, most time.Duration, running func(status cluster.Value)) {
	for end := time.Now().Add(most); updates > 0; {
		update, err := s.Poll("UPDATE", nil, time.Until(end))
		if err != nil {
			return
		}
		status := update.Get("update.status")
		s.Acknowledge(status)
		if status.Text("state") == "TASK_RUNNING" {
			running(status)
		}
		var task int
		if _, err := fmt.Sscanf(status.Text("task_id.value"), "t%d", &task); err == nil && task >= first {
			updates--
		}
	}
}

// TestDiskQuota runs a task that fills its sandbox.
func TestDiskQuota(t *testing.T) {
	t.Parallel()
	master := cluster.StartMaster(t)
	cluster.StartAgent(t, master, "--isolation=posix/cpu,posix/mem,disk/du", "--enforce_container_disk_quota", "--container_disk_watch_interval=50ms")
	s := cluster.Subscribe(t, master, durable("fat"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "fat", "head -c 3000000 /dev/zero > file; exec sleep 1000")
	task["resources"] = append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 2}})
	s.Launch(offer, 0, task)
	status := s.AwaitState("fat", "TASK_FAILED")
	if status.Text("reason") != "REASON_CONTAINER_LIMITATION_DISK" || !strings.HasPrefix(status.Text("message"), "Disk usage (") {
		t.Errorf("%v", status)
	}
}
