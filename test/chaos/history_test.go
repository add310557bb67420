package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A record is one thing that a scheduler did or was told. Schedulers write each
// before they act on it, so that a kill -9 leaves no gap.
type record struct {
	Kind  string `json:"kind"` // launch, update, ack
	Task  string `json:"task"`
	State string `json:"state,omitempty"` // of an update
	UUID  string `json:"uuid,omitempty"`  // of an update that wants an answer, and of the answer
	Agent string `json:"agent,omitempty"`
	Why   string `json:"why,omitempty"` // reason and message, for people
}

// history is what the schedulers recorded, in the order of each, and how often
// each task began, as it wrote down itself.
type history struct {
	records []record
	starts  map[string]int
	lost    int // tasks that are left out
}

// lose leaves out what was launched on some agents and never began.
func (h *history) lose(agents map[string]bool) {
	lost := map[string]bool{}
	for _, r := range h.records {
		if r.Kind == "launch" && agents[r.Agent] && h.starts[r.Task] == 0 {
			lost[r.Task] = true
		}
	}
	h.records = slices.DeleteFunc(h.records, func(r record) bool { return lost[r.Task] })
	h.lost = len(lost)
}

// readRecords reads a scheduler's file. A line without an end was being written
// when the scheduler was killed.
func readRecords(path string) ([]record, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []record
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// readHistory reads what is in a folder: NAME.history of each scheduler, and
// starts/TASK, to which a task adds a line when it begins.
func readHistory(dir string) (*history, error) {
	h := &history{starts: map[string]int{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.history"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		records, err := readRecords(file)
		if err != nil {
			return nil, err
		}
		h.records = append(h.records, records...)
	}
	begun, err := os.ReadDir(filepath.Join(dir, "starts"))
	if err != nil {
		return nil, err
	}
	for _, entry := range begun {
		text, err := os.ReadFile(filepath.Join(dir, "starts", entry.Name()))
		if err != nil {
			return nil, err
		}
		h.starts[entry.Name()] = strings.Count(string(text), "\n")
	}
	return h, nil
}
