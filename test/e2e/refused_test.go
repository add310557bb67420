package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/test/cluster"
)

// TestStreamID: a call needs the stream id of the current subscription.
func TestStreamID(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 0)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	call := J{"type": "REVIVE", "framework_id": J{"value": s.ID}}
	const stale = "00000000-0000-0000-0000-000000000000"
	for _, test := range []struct {
		header map[string]string
		want   string
	}{
		{nil, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"},
		{map[string]string{"Mesos-Stream-Id": stale}, "The stream ID '" + stale + "' included in this request " +
			"didn't match the stream ID currently associated with framework ID " + s.ID},
	} {
		reply, err := cluster.Post(c.Master.URL+schedulerAPI, test.header, call)
		if err != nil || reply.Status != 400 || reply.Body != test.want {
			t.Errorf("%v: %v %d %q, want 400 %q", test.header, err, reply.Status, reply.Body, test.want)
		}
	}
	info := withID(cluster.Framework("f", "*"), s.ID)
	reply, err := cluster.Post(c.Master.URL+schedulerAPI, map[string]string{"Mesos-Stream-Id": s.Stream},
		J{"type": "SUBSCRIBE", "framework_id": J{"value": s.ID}, "subscribe": J{"framework_info": info}})
	if want := "Subscribe calls should not include the 'Mesos-Stream-Id' header"; err != nil || reply.Status != 400 || reply.Body != want {
		t.Errorf("SUBSCRIBE with a stream id: %v %d %q", err, reply.Status, reply.Body)
	}
}

// TestNotConnected: a framework that has lost its stream may not make calls.
func TestNotConnected(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 0)
	s := cluster.Subscribe(t, c.Master, durable("f"))
	s.Close()
	cluster.Eventually(t, cluster.Patience, func() error {
		if reply := s.Send(J{"type": "REVIVE"}); reply.Status != 403 {
			return fmt.Errorf("answered %d %s", reply.Status, reply.Body)
		}
		return nil
	})
}

// refusedTask is a task that the master must refuse with the text, changed from
// an ordinary one.
type refusedTask struct {
	name   string
	change func(task J)
	text   string
}

var refusedTasks = []refusedTask{
	{"empty id", setID(""), "ID must not be empty"},
	{"dots", setID(".."), "'..' is disallowed"},
	{"slash", setID("../../x"), "'../../x' contains invalid characters"},
	{"newline", setID("a\nb"), "'a\nb' contains invalid characters"},
	{"long id", setID(strings.Repeat("x", 256)), "ID must not be greater than 255 characters"},
	{"another agent", func(task J) { task["agent_id"] = J{"value": "elsewhere"} }, "Task uses invalid agent elsewhere while agent …is expected"},
	{"no resources", func(task J) { task["resources"] = []J{} }, "Task uses no resources"},
	{"too large", func(task J) { task["resources"] = cluster.Resources(1000, 32) }, "Total resources … required by task and its executor is more than available …"},
	{"negative", func(task J) { task["resources"] = cluster.Resources(-1, 32) }, "Resource 'cpus:-1' is invalid: …"},
	{"neither command nor executor", func(task J) { delete(task, "command") }, "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
	{"command and executor", func(task J) { task["executor"] = cluster.Executor("e") }, "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"},
	{"hostile executor id", func(task J) {
		delete(task, "command")
		task["executor"] = cluster.Executor("../../../e")
	}, "'../../../e' contains invalid characters"},
	{"an executor without a command", func(task J) {
		delete(task, "command")
		task["executor"] = J{"executor_id": J{"value": "e"}}
	}, "'ExecutorInfo.command' must be set"},
	{"negative grace", func(task J) { task["kill_policy"] = J{"grace_period": J{"nanoseconds": -1}} }, "Task's 'kill_policy.grace_period' must be non-negative"},
	{"negative time", func(task J) { task["max_completion_time"] = J{"nanoseconds": -1} }, "Task's `max_completion_time` must be non-negative"},
}

func setID(id string) func(J) {
	return func(task J) { task["task_id"] = J{"value": id} }
}

// TestRefusedTasks offers the master tasks that it must not launch. Each costs
// the framework nothing but the task.
func TestRefusedTasks(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	for _, test := range refusedTasks {
		offer := s.AwaitOffer()
		task := cluster.Task(offer, "t", "true")
		test.change(task)
		s.Launch(offer, 0, task)
		status := s.Await("UPDATE", nil).Get("update.status")
		if status.Text("state") != "TASK_ERROR" || status.Text("reason") != "REASON_TASK_INVALID" || status.At("uuid") != nil {
			t.Errorf("%s: %v", test.name, status)
		}
		if got := status.Text("message"); !like(got, test.text) {
			t.Errorf("%s: refused with %q, want %q", test.name, got, test.text)
		}
	}
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "twice", "sleep 1000"))
	s.AwaitState("twice", "TASK_RUNNING")
	offer = s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "twice", "true"))
	if got := s.AwaitUpdate("twice").Text("message"); got != "Task has duplicate ID: twice" {
		t.Errorf("a second task of that id: %q", got)
	}
	if err := reconciled(s, "twice", "TASK_RUNNING"); err != nil {
		t.Error(err)
	}
}

// TestOthersOffers: an offer is good once, and only to the framework that got it.
func TestOthersOffers(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	owner := cluster.Subscribe(t, c.Master, cluster.Framework("owner", "*"))
	offer := owner.AwaitOffer()
	id := offer.Text("id.value")
	thief := cluster.Subscribe(t, c.Master, cluster.Framework("thief", "*"))
	thief.Launch(offer, 0, cluster.Task(offer, "stolen", "true"))
	checkInvalidOffer(t, thief, "stolen", "Task launched with invalid offers: Offer "+id+" has invalid framework "+owner.ID+
		" while framework "+thief.ID+" is expected")
	thief.Teardown()
	owner.Call(J{"type": "ACCEPT", "accept": J{
		"offer_ids":  []any{offer.At("id"), offer.At("id")},
		"operations": []J{{"type": "LAUNCH", "launch": J{"task_infos": []J{cluster.Task(offer, "double", "true")}}}},
		"filters":    J{"refuse_seconds": 3600},
	}})
	checkInvalidOffer(t, owner, "double", "Task launched with invalid offers: Duplicate offer "+id+" in offer list")
	next := owner.AwaitOffer()
	owner.Launch(next, 0, cluster.Task(next, "fine", "true"))
	owner.AwaitState("fine", "TASK_FINISHED")
	owner.Launch(next, 0, cluster.Task(next, "late", "true"))
	checkInvalidOffer(t, owner, "late", "Task launched with invalid offers: Offer "+next.Text("id.value")+" is no longer valid")
}

func checkInvalidOffer(t *testing.T, s *cluster.Scheduler, task, message string) {
	t.Helper()
	status := s.AwaitUpdate(task)
	if status.Text("state") != "TASK_DROPPED" || status.Text("reason") != "REASON_INVALID_OFFERS" || status.Text("message") != message {
		t.Errorf("%v, want %q", status, message)
	}
}

// TestSandboxWalls: neither the files API nor a link in a sandbox shows a file
// from outside.
func TestSandboxWalls(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	agent := c.Agents[0]
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("classified"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t",
		fmt.Sprintf("ln -s %s link; ln -s / root; ln -s .. up; echo inside >file; echo $$ >pid; exec sleep 1000", secret)))
	s.AwaitState("t", "TASK_RUNNING")
	sandboxPid(t, agent, "t")
	sandbox := sandboxOf(t, agent, "t")
	if reply := readFile(t, agent, sandbox+"/file"); !strings.Contains(reply.Body, "inside") {
		t.Errorf("the sandbox's own file: %d %s", reply.Status, reply.Body)
	}
	if reply, err := cluster.Get(agent.URL + "/files/download?path=" + url.QueryEscape(sandbox+"/file")); err != nil ||
		reply.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(reply.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a browser might run what a task wrote: %v %v", err, reply.Header)
	}
	for _, path := range []string{
		"/link", "/root" + secret, "/../../../../../../../../../../.." + secret, "/%2e%2e/%2e%2e" + secret,
		"/up/../../../../../../../../../.." + secret, "//" + secret,
	} {
		for _, reply := range outside(t, agent, sandbox+path) {
			if reply.Status == 200 && strings.Contains(reply.Body+string(cluster.Bytes(reply.JSON().Text("read_file.data"))), "classified") {
				t.Errorf("%s leaves the sandbox: %s", path, reply.Body)
			}
		}
	}
	cluster.Healthy(t, agent)
}

// sandboxOf returns the directory that /state gives for an executor.
func sandboxOf(t *testing.T, agent *cluster.Node, executor string) string {
	t.Helper()
	for _, framework := range cluster.MustGet(t, agent.URL+"/state").List("frameworks") {
		if row := framework.Find("executors", "id", executor); row.V != nil {
			return row.Text("directory")
		}
	}
	t.Fatalf("no executor %s", executor)
	return ""
}

func readFile(t *testing.T, node *cluster.Node, path string) cluster.Reply {
	t.Helper()
	reply, err := cluster.Get(node.URL + "/files/read?offset=0&path=" + url.QueryEscape(path))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// outside asks for a file in all the ways there are.
func outside(t *testing.T, node *cluster.Node, path string) []cluster.Reply {
	t.Helper()
	replies := []cluster.Reply{readFile(t, node, path)}
	for _, verb := range []string{"download", "browse"} {
		reply, err := cluster.Get(node.URL + "/files/" + verb + "?path=" + url.QueryEscape(path))
		if err != nil {
			t.Fatal(err)
		}
		replies = append(replies, reply)
	}
	reply, err := cluster.Post(node.URL+"/api/v1", nil, J{"type": "READ_FILE", "read_file": J{"path": path, "offset": 0}})
	if err != nil {
		t.Fatal(err)
	}
	return append(replies, reply)
}

// TestFetcherWalls: a fetched file stays in the sandbox, whatever it is called.
func TestFetcherWalls(t *testing.T) {
	t.Parallel()
	c := cluster.New(t, 1)
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := cluster.Subscribe(t, c.Master, cluster.Framework("f", "*"))
	for i, output := range []string{"../escaped", filepath.Join(dir, "absolute"), "a/../../escaped"} {
		offer := s.AwaitOffer()
		id := fmt.Sprintf("t%d", i)
		task := cluster.Task(offer, id, "true")
		task["command"] = J{"value": "true", "uris": []J{{"value": "file://" + source, "output_file": output}}}
		s.Launch(offer, 0, task)
		status := s.AwaitUpdate(id)
		for status.Text("state") == "TASK_STARTING" || status.Text("state") == "TASK_RUNNING" {
			status = s.AwaitUpdate(id)
		}
		if got := status.Text("state"); got != "TASK_FAILED" && got != "TASK_ERROR" {
			t.Errorf("%s: %v", output, status)
		}
	}
	for _, pattern := range []string{c.Agents[0].WorkDir + "/slaves/*/frameworks/*/executors/*/runs/escaped", dir + "/absolute"} {
		if found, _ := filepath.Glob(pattern); len(found) != 0 {
			t.Errorf("the fetcher has written %v", found)
		}
	}
}
