package compat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// streamRules look away where a built-in executor shows: it is no process, so
// that there is none before the task's.
var streamRules = Rules{
	Missing: []string{".container_status.executor_pid"},
}

// TestCommandTaskStream repeats the captured life of a command task and compares
// every event, and the head of the stream.
func TestCommandTaskStream(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, pysched("*"))
	offer := s.AwaitOffer()
	task := cluster.Task(offer, "t0", "echo hi")
	task["name"], task["command"] = "task", J{"shell": true, "value": "echo hi"}
	s.Launch(offer, 0, task)
	s.AwaitState("t0", "TASK_FINISHED")
	s.Teardown()
	s.AwaitEnd()
	checkHead(t, subscribeHead(t, "sched1/calls.txt"), cluster.Reply{Status: 200, Header: s.Header})
	checkEvents(t, captured(t, "sched1/events.jsonl"), s.Events(), "t0")
}

// TestPodStream does the same for a pod of two tasks.
func TestPodStream(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	s := cluster.Subscribe(t, c.Master, pysched("eng"))
	offer := s.AwaitOffer()
	s.Accept(offer, 0, podOperation(offer, s.ID, "echo started; sleep 1", "t0", "t1"))
	for _, task := range []string{"t0", "t1"} {
		s.AwaitState(task, "TASK_FINISHED")
	}
	s.Teardown()
	s.AwaitEnd()
	checkEvents(t, captured(t, "sched_group/events.jsonl"), s.Events(), "t0", "t1")
}

// pysched is the framework of the captures.
func pysched(role string) J {
	return J{
		"user": "root", "name": "pysched", "roles": []string{role}, "failover_timeout": 0,
		"capabilities": []J{{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}},
	}
}

// captured returns the events of a capture.
func captured(t *testing.T, sample string) []cluster.Event {
	t.Helper()
	var events []cluster.Event
	lines := bufio.NewScanner(bytes.NewReader(golden.Read(t, sample)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Event json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		value, err := cluster.ParseJSON(line.Event)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, cluster.Event{Value: value, Type: value.Text("type"), Raw: line.Event})
	}
	return events
}

// subscribeHead returns the head of the answer to SUBSCRIBE from a capture's calls.
func subscribeHead(t *testing.T, sample string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(golden.Read(t, sample)), "== SUBSCRIBE response headers\n")
	if !ok {
		t.Fatalf("no head in %s", sample)
	}
	head, _, _ := strings.Cut(strings.ReplaceAll(rest, "\r", ""), "\n\n")
	return head
}

// checkEvents compares two streams: the first events in their order, the shape
// of all events of each type, and for each task the words of its updates.
func checkEvents(t *testing.T, want, got []cluster.Event, tasks ...string) {
	t.Helper()
	for i := range 3 { // SUBSCRIBED HEARTBEAT OFFERS
		if got[i].Type != want[i].Type {
			t.Errorf("event %d is %s, in Mesos %s", i, got[i].Type, want[i].Type)
		}
	}
	theirs, ours := byType(want), byType(got)
	delete(ours, "FAILURE") // of a pod's executor that ends before the framework does
	for _, kind := range slices.Sorted(maps.Keys(ours)) {
		if theirs[kind] == nil {
			t.Errorf("there are %s events, in Mesos there are none", kind)
			continue
		}
		compareTexts(t, kind, theirs[kind], ours[kind], streamRules)
	}
	for _, task := range tasks {
		if theirs, ours := words(want, task), words(got, task); theirs != ours {
			t.Errorf("the updates of %s say\n%sin Mesos\n%s", task, ours, theirs)
		}
	}
}

func byType(events []cluster.Event) map[string][][]byte {
	texts := map[string][][]byte{}
	for _, event := range events {
		texts[event.Type] = append(texts[event.Type], event.Raw)
	}
	return texts
}

func compareTexts(t *testing.T, name string, want, got [][]byte, rules Rules) {
	t.Helper()
	theirs, err := ShapeOf(want...)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := ShapeOf(got...)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range Diff(theirs, ours, rules) {
		t.Errorf("%s: %s", name, line)
	}
}

// words are what a task's updates say that does not depend on the moment, one
// line for each update.
func words(events []cluster.Event, task string) string {
	var text strings.Builder
	for _, event := range events {
		status := event.Get("update.status")
		if status.Text("task_id.value") != task {
			continue
		}
		fmt.Fprintf(&text, "%s %q %s %s\n", status.Text("state"), status.Text("message"), status.Text("source"), status.Text("reason"))
	}
	return text.String()
}

// TestOperatorStream compares the master's event stream through the life of a
// framework and its task.
func TestOperatorStream(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	c := cluster.New(t, 1)
	watcher, err := cluster.OpenAt(t, c.Master.URL+"/api/v1", J{"type": "SUBSCRIBE"})
	if err != nil {
		t.Fatal(err)
	}
	watcher.Await("SUBSCRIBED", nil)
	s := cluster.Subscribe(t, c.Master, pysched("*"))
	offer := s.AwaitOffer()
	s.Launch(offer, 0, cluster.Task(offer, "t0", "true"))
	s.AwaitState("t0", "TASK_FINISHED")
	s.Teardown()
	watcher.Await("FRAMEWORK_REMOVED", nil)
	checkHead(t, string(golden.Read(t, "v1master/SUBSCRIBE_events.hdr")), cluster.Reply{Status: 200, Header: watcher.Header})
	theirs, ours := byType(records(t, "v1master/SUBSCRIBE_events.stream")), byType(watcher.Events())
	delete(ours, "SUBSCRIBED") // the state of the cluster, compared as GET_STATE
	for _, kind := range []string{"HEARTBEAT", "FRAMEWORK_ADDED", "TASK_ADDED", "TASK_UPDATED", "FRAMEWORK_REMOVED"} {
		if ours[kind] == nil {
			t.Errorf("there is no %s event", kind)
		}
	}
	for kind, texts := range ours {
		compareTexts(t, kind, theirs[kind], texts, streamRules)
	}
}

// records returns the events of a captured RecordIO stream.
func records(t *testing.T, sample string) []cluster.Event {
	t.Helper()
	var events []cluster.Event
	for r := bufio.NewReader(bytes.NewReader(golden.Read(t, sample))); ; {
		record, err := cluster.ReadRecord(r)
		if err != nil {
			return events
		}
		value, err := cluster.ParseJSON(record)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, cluster.Event{Value: value, Type: value.Text("type"), Raw: record})
	}
}
