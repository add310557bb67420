package compat

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// J is a JSON object being written.
type J = cluster.J

func TestMain(m *testing.M) {
	cluster.ExecutorMain()
	os.Exit(m.Run())
}

// live is a cluster in the state in which the samples were taken: one framework
// of the older kind with a command task, one of the newer kind with a pod, and
// two that have completed, one of which had a task.
type live struct {
	*cluster.Cluster
	sleeper *cluster.Scheduler
}

func startLive(t *testing.T) *live {
	t.Helper()
	golden.Dir(t)
	l := &live{Cluster: cluster.New(t, 1)}
	l.complete(t)
	l.sleeper = cluster.Subscribe(t, l.Master, olderFramework())
	offer := l.sleeper.AwaitOffer()
	l.sleeper.Launch(offer, 3600, cluster.Task(offer, "sleeper", "echo hello; sleep 1000"))
	l.sleeper.AwaitState("sleeper", "TASK_RUNNING")
	pods := cluster.Subscribe(t, l.Master, cluster.Framework("pysched", "eng"))
	offer = pods.AwaitOffer()
	pods.Accept(offer, 3600, podOperation(offer, pods.ID, "echo started; sleep 1000", "t0", "t1"))
	for _, task := range []string{"t0", "t1"} {
		pods.AwaitState(task, "TASK_RUNNING")
	}
	return l
}

// complete leaves two completed frameworks behind.
func (l *live) complete(t *testing.T) {
	t.Helper()
	s := cluster.Subscribe(t, l.Master, olderFramework())
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t", "true"))
	s.AwaitState("t", "TASK_FINISHED")
	s.Teardown()
	cluster.Subscribe(t, l.Master, cluster.Framework("pysched", "eng")).Teardown()
}

// olderFramework is a framework without MULTI_ROLE, as mesos-execute is.
func olderFramework() J {
	return J{
		"user": "root", "name": "mesos-execute instance", "capabilities": []J{
			{"type": "RESERVATION_REFINEMENT"},
			{"type": "TASK_KILLING_STATE"},
			{"type": "REVOCABLE_RESOURCES"},
			{"type": "PARTITION_AWARE"},
		},
	}
}

// podOperation launches a pod of tasks that run a command.
func podOperation(offer cluster.Value, framework, command string, names ...string) J {
	var tasks []J
	for _, name := range names {
		task := cluster.Task(offer, name, command)
		task["name"] = "task"
		tasks = append(tasks, task)
	}
	executor := J{
		"type": "DEFAULT", "executor_id": J{"value": "de"}, "framework_id": J{"value": framework},
		"resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 32}}),
	}
	return J{"type": "LAUNCH_GROUP", "launch_group": J{"executor": executor, "task_group": J{"tasks": tasks}}}
}

// sampled are the files of a golden folder that end in the suffix, without it.
func sampled(t *testing.T, folder, suffix string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(golden.Path(t, folder), "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no samples %s/*%s: %v", folder, suffix, err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), suffix))
	}
	return names
}

// checkHead compares status and headers with a captured head: which headers
// there are, and what they say, but for dates, lengths and stream ids.
func checkHead(t *testing.T, head string, reply cluster.Reply) {
	t.Helper()
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(head), "\r", ""), "\n")
	if status := strings.Fields(lines[0])[1]; status != itoa(reply.Status) {
		t.Errorf("status %d, in Mesos %s: %s", reply.Status, status, reply.Body)
		return
	}
	want := http.Header{}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		want.Set(name, strings.TrimSpace(value))
	}
	for name := range want {
		switch got := reply.Header.Get(name); {
		case name == "Transfer-Encoding": // net/http keeps it to itself
		case got == "" && reply.Header[name] == nil:
			t.Errorf("header %s is missing, in Mesos %q", name, want.Get(name))
		case !volatile[name] && got != want.Get(name):
			t.Errorf("header %s is %q, in Mesos %q", name, got, want.Get(name))
		}
	}
	for name := range reply.Header {
		if want[name] == nil {
			t.Errorf("header %s is there (%q), in Mesos it is not", name, reply.Header.Get(name))
		}
	}
}

// volatile headers say something else each time.
var volatile = map[string]bool{"Date": true, "Content-Length": true, "Mesos-Stream-Id": true, "Location": true}
