package chaos

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asked is why a scheduler is told something that it has asked for.
const asked = "SOURCE_MASTER REASON_RECONCILIATION"

// good is the life of a task.
func good() *history {
	return &history{
		records: []record{
			{Kind: "launch", Task: "t"},
			{Kind: "update", Task: "t", State: "TASK_STARTING", UUID: "1"},
			{Kind: "update", Task: "t", State: "TASK_STARTING", UUID: "1"}, // again: the answer was lost
			{Kind: "ack", Task: "t", UUID: "1"},
			{Kind: "update", Task: "t", State: "TASK_RUNNING", UUID: "2"},
			{Kind: "ack", Task: "t", UUID: "2"},
			{Kind: "update", Task: "t", State: "TASK_UNREACHABLE"},
			{Kind: "update", Task: "t", State: "TASK_RUNNING"}, // asked for
			{Kind: "update", Task: "t", State: "TASK_FINISHED", UUID: "3"},
			{Kind: "ack", Task: "t", UUID: "3"},
			{Kind: "update", Task: "t", State: "TASK_FINISHED"}, // asked for
		},
		starts: map[string]int{"t": 1},
	}
}

// TestCheckerAccepts: lives that are in order.
func TestCheckerAccepts(t *testing.T) {
	for what, h := range map[string]*history{
		"a life": good(),
		"never arrived": {records: []record{
			{Kind: "launch", Task: "t"}, {Kind: "update", Task: "t", State: "TASK_GONE"}, {Kind: "update", Task: "t", State: "TASK_GONE"},
		}},
		"failed before it wrote anything": {records: []record{
			{Kind: "launch", Task: "t"}, {Kind: "update", Task: "t", State: "TASK_FAILED", UUID: "1"}, {Kind: "ack", Task: "t", UUID: "1"},
		}},
		"ended unseen, and told of later": {starts: map[string]int{"t": 1}, records: []record{
			{Kind: "launch", Task: "t"},
			{Kind: "update", Task: "t", State: "TASK_FINISHED"},
			{Kind: "update", Task: "t", State: "TASK_FINISHED", UUID: "1"},
			{Kind: "ack", Task: "t", UUID: "1"},
		}},
		"dropped, and asked about when its agent was away": {records: []record{
			{Kind: "launch", Task: "t"},
			{Kind: "update", Task: "t", State: "TASK_DROPPED"},
			{Kind: "update", Task: "t", State: "TASK_UNREACHABLE", Why: asked},
		}},
		"asked about after its end": {starts: map[string]int{"t": 1}, records: []record{
			{Kind: "launch", Task: "t"},
			{Kind: "update", Task: "t", State: "TASK_FINISHED", UUID: "1"},
			{Kind: "ack", Task: "t", UUID: "1"},
			{Kind: "update", Task: "t", State: "TASK_GONE", Why: asked},
		}},
		"nothing": {},
	} {
		if faults := check(h); len(faults) > 0 {
			t.Errorf("%s: %v", what, faults)
		}
		if tasks, updates := open(h); tasks+updates > 0 {
			t.Errorf("%s: %d tasks and %d updates are open", what, tasks, updates)
		}
	}
}

// TestCheckerCatches plants one fault at a time.
func TestCheckerCatches(t *testing.T) {
	for what, plant := range map[string]func(h *history){
		"began 2 times":                      func(h *history) { h.starts["t"] = 2 },
		"launched it 2 times":                func(h *history) { h.records = append(h.records, h.records[0]) },
		"never began":                        func(h *history) { delete(h.starts, "t") },
		"nobody launched it":                 func(h *history) { h.starts["other"] = 1 },
		"a task that nobody launched":        func(h *history) { h.records = h.records[1:] },
		"nobody said how it ended":           func(h *history) { h.records = h.records[:8] },
		"1 updates were not acknowledged":    func(h *history) { h.records = slices.Delete(h.records, 9, 10) },
		"two updates say that it ended":      func(h *history) { h.add("update", "TASK_FINISHED", "4"); h.add("ack", "", "4") },
		"ended twice: TASK_FINISHED, then T": func(h *history) { h.add("update", "TASK_LOST", "") },
		"TASK_RUNNING after TASK_FINISHED":   func(h *history) { h.add("update", "TASK_RUNNING", "") },
		"TASK_UNREACHABLE after":             func(h *history) { h.add("update", "TASK_UNREACHABLE", "") },
		"TASK_STARTING came after a later":   func(h *history) { h.records[1].UUID, h.records[4], h.records[1] = "2", h.records[1], h.records[4] },
		"TASK_FINISHED, then TASK_GONE": func(h *history) {
			h.records[9].Kind, h.records[10].State, h.records[10].Why = "update", "TASK_GONE", asked
		},
		"kind \"typo\"":    func(h *history) { h.add("typo", "", "") },
		"not acknowledged": func(h *history) { h.add("update", "TASK_FINISHED", "3") }, // again, after its answer
	} {
		h := good()
		plant(h)
		faults := strings.Join(check(h), "; ")
		if !strings.Contains(faults, what) {
			t.Errorf("%s is not caught: %q", what, faults)
		}
	}
}

func (h *history) add(kind, state, uuid string) {
	h.records = append(h.records, record{Kind: kind, Task: "t", State: state, UUID: uuid})
}

// TestLose: only what is on those agents, and has not begun.
func TestLose(t *testing.T) {
	h := &history{
		records: []record{
			{Kind: "launch", Task: "lost", Agent: "gone"},
			{Kind: "update", Task: "lost", State: "TASK_UNREACHABLE"},
			{Kind: "launch", Task: "began", Agent: "gone"},
			{Kind: "launch", Task: "other", Agent: "there"},
		},
		starts: map[string]int{"began": 1},
	}
	h.lose(map[string]bool{"gone": true})
	if tasks, _ := open(h); tasks != 2 || h.lost != 1 || len(h.records) != 2 {
		t.Errorf("%+v", h)
	}
}

// TestReadHistory: a line that was being written when its scheduler was killed
// has not happened; rubbish is an error.
func TestReadHistory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.history"), `{"kind":"launch","task":"t"}`+"\n"+`{"kind":"upd`)
	write(t, filepath.Join(dir, "starts", "t"), "began\nonce more\n")
	h, err := readHistory(dir)
	if err != nil || len(h.records) != 1 || h.records[0].Task != "t" || h.starts["t"] != 2 {
		t.Errorf("%+v %v", h, err)
	}
	write(t, filepath.Join(dir, "b.history"), "rubbish\n")
	if h, err := readHistory(dir); err == nil {
		t.Errorf("%+v", h)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
