package e2e

import (
	"encoding/binary"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/test/cluster"
)

// aloof has an executor's program run as Apache Mesos's agent would have it: as
// the child of a process that leads a session, waits, and writes down how it ended.
// That process's pid is in the sandbox. Nothing of ours holds it: what ends with our
// shim is only what started it.
func aloof(executor J) J {
	command := executor["command"].(J)
	program := strings.TrimPrefix(command["value"].(string), "exec ")
	command["value"] = "setsid sh -c 'echo $$ >pid; " + program + "; printf %d $(($? << 8)) >status' & wait"
	return executor
}

// becomeForeign makes the container of an aloof executor one of Apache Mesos's
// agent, while no agent is there, and returns its first process. near says that such an
// agent had the runtime folder that ours has.
func becomeForeign(t *testing.T, agent *cluster.Node, executor string, near, generated bool) int {
	t.Helper()
	pid := sandboxPid(t, agent, executor)
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "meta/slaves/latest/frameworks/*/executors", executor, "runs/latest"))
	if err != nil || len(found) != 1 {
		t.Fatalf("records of executor %s: %v %v", executor, found, err)
	}
	run, err := filepath.EvalSymlinks(found[0])
	if err != nil {
		t.Fatal(err)
	}
	forked := filepath.Join(run, "pids/forked.pid")
	shim, err := os.ReadFile(forked)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(string(shim))
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(number, syscall.SIGKILL)
	gone(t, number)
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(forked, strconv.Itoa(pid))
	if generated {
		write(filepath.Join(run, "../../executor_generated_for_command_task"), "1")
		info := filepath.Join(run, "tasks", executor, "task.info")
		write(info, withoutExecutor(t, info))
	}
	runtime := filepath.Join(agent.WorkDir, "run/containers", filepath.Base(run))
	if err := os.RemoveAll(runtime); err != nil {
		t.Fatal(err)
	}
	if !near {
		return pid
	}
	if err := os.MkdirAll(runtime, 0o755); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(runtime, "config"), "what Mesos launched")
	write(filepath.Join(runtime, "pid"), strconv.Itoa(pid))
	status := filepath.Join(agent.WorkDir, "slaves", strings.TrimPrefix(run, filepath.Join(agent.WorkDir, "meta/slaves")), "status")
	if err := os.Symlink(status, filepath.Join(runtime, "status")); err != nil {
		t.Fatal(err)
	}
	return pid
}

// withoutExecutor returns the record of a task as that of a command's, which names
// no executor.
func withoutExecutor(t *testing.T, path string) string {
	t.Helper()
	record, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	task := &mesos.Task{}
	if err := proto.Unmarshal(record[4:], task); err != nil {
		t.Fatal(err)
	}
	task.ExecutorId = nil
	return string(framed(t, task))
}

// framed returns a message as it is written down: its length in four bytes, and that.
func framed(t *testing.T, message proto.Message) []byte {
	t.Helper()
	text, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
}

// TestTakeOver: our agent starts on the work directory of another kind of agent,
// whose executors are processes without a shim: one on a libprocess driver, two on
// HTTP, of which one is a command's. They come back, their tasks run on, and what
// they say later is heard, over another restart as well. They end when they are told
// to; one that does not is killed, with all that it started, and nothing is left.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent := c.Agents[0]
	s := cluster.Subscribe(t, c.Master, durable("taken over"))
	tasks := launchOnDriver(t, s, aloof(driverExecutor(t)))
	offer := s.AwaitOffer()
	var more []J
	for _, id := range []string{"own", "command", "stays"} {
		task := cluster.Task(offer, id, "")
		delete(task, "command")
		task["executor"], task["resources"] = aloof(cluster.Executor(id)), cluster.Resources(0.1, 32)
		more = append(more, task)
	}
	s.Launch(offer, 0, more...)
	awaitAll(t, s, "TASK_RUNNING", "own", "command", "stays")
	driver := programs(t, agent)

	agent.Kill9()
	first := map[string]int{
		"driver": becomeForeign(t, agent, "driver", true, false), "own": becomeForeign(t, agent, "own", false, false),
		"command": becomeForeign(t, agent, "command", true, true), "stays": becomeForeign(t, agent, "stays", false, false),
	}
	for life := range 3 {
		agent.Restart(t)
		cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
		for _, task := range []string{tasks[0], "own", "command", "stays"} {
			cluster.Eventually(t, soon, func() error { return stillOn(s, task) })
		}
		if after := programs(t, agent); !slices.Equal(after, driver) {
			t.Fatalf("the driver's executor was process %v, and is %v", driver, after)
		}
		checkServed(t, agent, first)
		if life < 2 {
			agent.Kill9()
		}
	}
	awaitFinished(t, s)
	s.Kill("own")
	s.AwaitState("own", "TASK_KILLED")
	s.Kill("command")
	s.AwaitState("command", "TASK_KILLED")

	for _, pid := range cluster.Inside(agent.WorkDir) { // it does not listen
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && strings.Contains(string(text), "\x00MESOS_EXECUTOR_ID=stays\x00") {
			syscall.Kill(pid, syscall.SIGSTOP)
		}
	}
	s.Teardown()
	for _, pid := range first {
		gone(t, pid)
	}
	cluster.Eventually(t, soon, func() error {
		if left := cluster.Inside(agent.WorkDir); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	})
}

// TestTakeOverNested: what Mesos's agent has nested in an executor's container, the
// tasks of a pod, is taken up too: the executor waits for one and is told how it
// ended, and has another killed.
func TestTakeOverNested(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent := c.Agents[0]
	s := cluster.Subscribe(t, c.Master, durable("pod taken over"))
	offer := s.AwaitOffer()
	executor, nested := cluster.Executor("pod"), ""
	for _, id := range []string{"ends", "killed"} {
		nested += "mkdir -p containers/" + id + "; MESOS_SANDBOX=$MESOS_SANDBOX/containers/" + id + ` setsid sh -c "cd containers/` + id +
			`; echo \$\$ >pid; until [ -e stop ]; do sleep 0.1; done; printf 768 >status" & `
	}
	command := executor["command"].(J)
	command["value"] = nested + strings.TrimPrefix(command["value"].(string), "exec ")
	task := cluster.Task(offer, "pod", "")
	delete(task, "command")
	task["executor"], task["resources"] = aloof(executor), cluster.Resources(0.1, 32)
	s.Launch(offer, 0, task)
	s.AwaitState("pod", "TASK_RUNNING")

	agent.Kill9()
	becomeForeign(t, agent, "pod", true, false)
	root, sandbox, pids := nestForeign(t, agent, "pod", "ends", "killed")
	agent.Restart(t)
	cluster.Eventually(t, soon, func() error { return cluster.Registered(c.Master, agent) })
	call := func(kind, field, id string) cluster.Reply {
		container := J{"value": id, "parent": J{"value": root}}
		reply, err := cluster.Post(agent.URL+"/api/v1", nil, J{"type": kind, field: J{"container_id": container}})
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply := call("KILL_NESTED_CONTAINER", "kill_nested_container", "killed"); reply.Status != 200 {
		t.Errorf("killed: %d %s", reply.Status, reply.Body)
	}
	if err := os.WriteFile(filepath.Join(sandbox, "containers/ends/stop"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"ends": "768", "killed": "9"} {
		reply := call("WAIT_NESTED_CONTAINER", "wait_nested_container", id)
		if got := reply.JSON().Text("wait_nested_container.exit_status"); reply.Status != 200 || got != want {
			t.Errorf("%s: %d %s, want exit status %s", id, reply.Status, reply.Body, want)
		}
	}
	for _, pid := range pids {
		gone(t, pid)
	}
	cluster.Eventually(t, soon, func() error { return stillOn(s, "pod") })
	s.Teardown()
	cluster.Eventually(t, soon, func() error {
		if left := cluster.Inside(agent.WorkDir); len(left) > 0 {
			return fmt.Errorf("processes %v are left", left)
		}
		return nil
	})
}

// nestForeign writes what Mesos's agent knows of containers in that of an executor,
// each with its pid and its status in its sandbox.
func nestForeign(t *testing.T, agent *cluster.Node, executor string, nested ...string) (root, sandbox string, pids []int) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", executor, "runs/latest"))
	if err != nil || len(found) != 1 {
		t.Fatalf("sandboxes %v (%v)", found, err)
	}
	if sandbox, err = filepath.EvalSymlinks(found[0]); err != nil {
		t.Fatal(err)
	}
	root = filepath.Base(sandbox)
	for _, id := range nested {
		runtime := filepath.Join(agent.WorkDir, "run/containers", root, "containers", id)
		if err := os.MkdirAll(runtime, 0o755); err != nil {
			t.Fatal(err)
		}
		var pid int
		cluster.Eventually(t, soon, func() error {
			text, err := os.ReadFile(filepath.Join(sandbox, "containers", id, "pid"))
			if err == nil {
				_, err = fmt.Sscan(string(text), &pid)
			}
			return err
		})
		pids = append(pids, pid)
		for name, content := range map[string]string{"config": "what Mesos launched", "pid": strconv.Itoa(pid)} {
			if err := os.WriteFile(filepath.Join(runtime, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join(sandbox, "containers", id, "status"), filepath.Join(runtime, "status")); err != nil {
			t.Fatal(err)
		}
	}
	return root, sandbox, pids
}

// checkServed looks whether the agent shows what its executors use, and have
// written.
func checkServed(t *testing.T, agent *cluster.Node, executors map[string]int) {
	t.Helper()
	all := cluster.MustGet(t, agent.URL+"/monitor/statistics")
	for id := range executors {
		found := all.Find("", "executor_id", id)
		if found.Number("statistics.mem_rss_bytes") <= 0 {
			t.Errorf("executor %s uses nothing: %v", id, found)
		}
		sandbox, err := filepath.Glob(filepath.Join(agent.WorkDir, "slaves/*/frameworks/*/executors", id, "runs/latest"))
		if err != nil || len(sandbox) != 1 {
			t.Fatalf("sandboxes %v of %s (%v)", sandbox, id, err)
		}
		path, err := filepath.EvalSymlinks(sandbox[0])
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := cluster.Get(agent.URL + "/files/browse?path=" + url.QueryEscape(path)); err != nil || reply.Status != 200 {
			t.Errorf("sandbox of %s: %d %s (%v)", id, reply.Status, reply.Body, err)
		}
	}
}
