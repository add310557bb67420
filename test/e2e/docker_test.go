package e2e

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// dockered returns a task in a container of the Docker Engine's.
func dockered(offer cluster.Value, id, command string, info J) J {
	task := cluster.Task(offer, id, command)
	docker := J{"image": "box:1", "network": "NONE"}
	maps.Copy(docker, info)
	task["container"] = J{"type": "DOCKER", "docker": docker}
	return task
}

func sandboxText(t *testing.T, agent *cluster.Node, task, name string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves", "*", "frameworks", "*", "executors", task, "runs", "latest", name))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s of %s: %v, %v", name, task, found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocker runs tasks in containers of a real Docker Engine, kills the agent in
// between, and looks for what is left behind.
func TestDocker(t *testing.T) {
	t.Parallel()
	engine := cluster.StartDocker(t)
	engine.Load(t)
	c := cluster.New(t, 0)
	agent := cluster.StartAgent(t, c.Master, "--containerizers=docker,mesos", "--docker_socket="+engine.Socket, "--docker_remove_delay=1secs")
	s := cluster.Subscribe(t, c.Master, durable("docker"))

	t.Run("life", func(t *testing.T) { dockerLife(t, s, agent) })
	t.Run("bridge", func(t *testing.T) { dockerBridge(t, s, agent, engine) })
	t.Run("refused", func(t *testing.T) { dockerRefused(t, s) })
	t.Run("killed", func(t *testing.T) { dockerKilled(t, s, agent) })
	t.Run("recovered", func(t *testing.T) { dockerRecovered(t, s, agent) })
	t.Run("probed", func(t *testing.T) { dockerProbed(t, s, agent) })
	t.Run("orphans", func(t *testing.T) {
		cluster.Eventually(t, cluster.Patience, func() error {
			for _, name := range engine.Names() {
				if strings.HasPrefix(name, "mesos-") {
					return os.ErrExist
				}
			}
			return nil
		})
	})
}

// dockerLife runs a task with fetched files, an environment, and an exit status.
func dockerLife(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	script := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(script, []byte("fetched\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	offer := s.AwaitOffer()
	task := dockered(offer, "life", `cat $MESOS_SANDBOX/words; echo $A; ls /etc; echo oops >&2; exit 3`, nil)
	task["command"].(J)["uris"] = []J{{"value": script}}
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "A", "value": "b"}}}
	s.Launch(offer, 0, task)
	if got := s.AwaitState("life", "TASK_FAILED").Text("message"); got != "Container exited with status 3" {
		t.Errorf("message %q", got)
	}
	if got := sandboxText(t, agent, "life", "stdout"); !strings.HasPrefix(got, "fetched\nb\nbox\n") {
		t.Errorf("stdout %q", got)
	}
	if got := sandboxText(t, agent, "life", "stderr"); !strings.HasSuffix(got, "oops\n") {
		t.Errorf("stderr %q", got)
	}
}

// dockerBridge runs a task with an address of its own, which its framework is told,
// and which is reached at the port that was mapped.
func dockerBridge(t *testing.T, s *cluster.Scheduler, agent *cluster.Node, engine *cluster.Docker) {
	offer := (&probing{s, agent}).offer()
	task := dockered(offer, "bridge", "while :; do echo hello | busybox nc -l -p 80; done", J{
		"network": "BRIDGE", "port_mappings": []J{{"host_port": 31000, "container_port": 80}},
	})
	task["kill_policy"] = J{"grace_period": J{"nanoseconds": 200_000_000}}
	task["resources"] = append(cluster.Resources(0.1, 32), J{"name": "ports", "type": "RANGES", "ranges": J{"range": []J{{"begin": 31000, "end": 31000}}}})
	s.Launch(offer, 0, task)
	status := s.AwaitState("bridge", "TASK_RUNNING")
	var address string
	for _, network := range status.List("container_status.network_infos") {
		for _, ip := range network.List("ip_addresses") {
			address = ip.Text("ip_address")
		}
	}
	if !strings.HasPrefix(address, "10.213.0.") {
		t.Errorf("the status has address %q: %v", address, status)
	}
	inspected, err := base64.StdEncoding.DecodeString(status.Text("data"))
	if err != nil || !strings.Contains(string(inspected), `"IPAddress": "`+address+`"`) {
		t.Errorf("data %s, %v", inspected, err)
	}
	inside := func(address string, port string) error {
		text, err := exec.Command("nsenter", "--net=/proc/"+strconv.Itoa(engine.Pid())+"/ns/net", "/bin/busybox", "nc", address, port).CombinedOutput()
		if err == nil && string(text) != "hello\n" {
			err = fmt.Errorf("it says %q", text)
		}
		return err
	}
	cluster.Eventually(t, cluster.Patience, func() error { return inside(address, "80") })
	cluster.Eventually(t, cluster.Patience, func() error { return inside("127.0.0.1", "31000") })
	measured(t, agent, "net_rx_bytes", "mem_total_bytes")
	s.Kill("bridge")
	status = s.AwaitState("bridge", "TASK_KILLED") // of which Mesos says that it was where the agent is
	if text := fmt.Sprint(status.At("container_status.network_infos")); !strings.Contains(text, "127.0.0.1") || strings.Contains(text, address) {
		t.Errorf("the last status has %s", text)
	}
}

// measured waits until the statistics of the only container have some figures, which a
// busy Engine tells later.
func measured(t *testing.T, agent *cluster.Node, figures ...string) {
	t.Helper()
	cluster.Eventually(t, cluster.Patience, func() error {
		containers := cluster.MustGet(t, agent.URL+"/containers").List("")
		for _, name := range figures {
			if len(containers) != 1 || containers[0].Number("statistics."+name) == 0 {
				return fmt.Errorf("no %s: %v", name, containers)
			}
		}
		return nil
	})
}

func dockerRefused(t *testing.T, s *cluster.Scheduler) {
	offer := s.AwaitOffer()
	s.Launch(offer, 0, dockered(offer, "refused", "true", J{"parameters": []J{{"key": "no-such", "value": "x"}}}))
	if got := s.AwaitState("refused", "TASK_FAILED").Text("message"); !strings.Contains(got, "'no-such' is not supported") {
		t.Errorf("message %q", got)
	}
}

func dockerKilled(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	offer := (&probing{s, agent}).offer()
	task := dockered(offer, "killed", "trap '' TERM; while :; do sleep 0.1; done", nil)
	task["kill_policy"] = J{"grace_period": J{"nanoseconds": 200_000_000}}
	s.Launch(offer, 0, task)
	s.AwaitState("killed", "TASK_RUNNING")
	measured(t, agent, "mem_rss_bytes")
	s.Kill("killed")
	s.AwaitState("killed", "TASK_KILLED")
}

// dockerRecovered kills the agent while two tasks run, of which one ends before
// the agent is back.
func dockerRecovered(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	offer := (&probing{s, agent}).offer()
	await := "; while [ ! -e $MESOS_SANDBOX/go ]; do sleep 0.1; done; echo after; exit 0"
	s.Launch(offer, 0, dockered(offer, "ends", "echo before"+await, nil), dockered(offer, "runs", "echo before"+await, nil))
	awaitAll(t, s, "TASK_RUNNING", "ends", "runs")
	opens := func(task string) {
		found, _ := filepath.Glob(filepath.Join(agent.WorkDir, "slaves", "*", "frameworks", "*", "executors", task, "runs", "latest"))
		if len(found) != 1 || os.WriteFile(filepath.Join(found[0], "go"), nil, 0o644) != nil {
			t.Fatal("no sandbox of ", task, found)
		}
	}
	agent.Kill9()
	opens("ends")
	agent.Restart(t)
	s.AwaitState("ends", "TASK_FINISHED")
	opens("runs")
	s.AwaitState("runs", "TASK_FINISHED")
	for _, task := range []string{"ends", "runs"} {
		if got := sandboxText(t, agent, task, "stdout"); got != "before\nafter\n" {
			t.Errorf("%s wrote %q", task, got)
		}
		if slices.Contains(s.History(task), "TASK_LOST") {
			t.Errorf("%s: %v", task, s.History(task))
		}
	}
}

// dockerProbed probes a task from within its container, whose network is no other's.
func dockerProbed(t *testing.T, s *cluster.Scheduler, agent *cluster.Node) {
	p := &probing{s, agent}
	offer := p.offer()
	task := dockered(offer, "probed", "echo hello >index.html; exec busybox httpd -f -p 127.0.0.1:80 -h .", nil)
	task["command"].(J)["environment"] = J{"variables": []J{{"name": "A", "value": "b"}}}
	task["check"] = often(J{"type": "COMMAND", "command": J{"command": J{"value": `echo tried >&2; test -e /etc/box && test "$A" = b && exit 7`}}})
	task["health_check"] = often(J{"type": "HTTP", "http": J{"port": 80, "path": "/index.html"}})
	p.s.Launch(offer, 0, task)
	for exit, well := false, false; !exit || !well; {
		status := p.s.AwaitUpdate("probed")
		exit = exit || status.Text("check_status.command.exit_code") == "7"
		well = well || status.At("healthy") == true
	}
	p.end(t, "probed")
	if got := sandboxText(t, agent, "probed", "stderr"); !strings.Contains(got, "tried\n") {
		t.Errorf("stderr %q", got)
	}

	offer = p.offer()
	task = dockered(offer, "hangs", "exec sleep 1000", nil)
	task["health_check"] = often(J{
		"type": "COMMAND", "command": J{"value": "exec sleep 1234567"}, "timeout_seconds": 0.5, "grace_period_seconds": 0.0, "consecutive_failures": 1,
	})
	p.s.Launch(offer, 0, task)
	if got := p.s.AwaitState("hangs", "TASK_KILLED"); got.At("healthy") != false {
		t.Errorf("%v", got)
	}
}

// TestDockerNotEnabled: who asks for what the agent has not is told so.
func TestDockerNotEnabled(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, dockered(offer, "t", "true", nil))
	if got := s.AwaitState("t", "TASK_FAILED").Text("message"); !strings.Contains(got, "None of the enabled containerizers (mesos)") {
		t.Errorf("message %q", got)
	}
}

// TestPruneImages is the call, on an agent without images and on one with.
func TestPruneImages(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	store := filepath.Join(t.TempDir(), "store")
	agent := cluster.StartAgent(t, c.Master, "--image_providers=DOCKER", "--docker_store_dir="+store)
	for _, node := range []*cluster.Node{c.Agents[0], agent} {
		reply, err := cluster.Post(node.URL+"/api/v1", nil, J{"type": "PRUNE_IMAGES", "prune_images": J{"excluded_images": []J{{"type": "DOCKER", "docker": J{"name": "busybox"}}}}})
		if err != nil || reply.Status != http.StatusOK {
			t.Errorf("%v, %v", reply, err)
		}
	}
	if _, err := os.Stat(filepath.Join(store, "layers")); err != nil {
		t.Error(err)
	}
}
