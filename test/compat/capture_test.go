package compat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
)

// message is one line of a capture: an HTTP message or a record of a stream.
type message struct {
	N       int
	Conn    int
	Src     string
	Dst     string
	Kind    string // connect, close, request, response, record, last-chunk
	First   string
	Headers [][2]string
	Body    []byte
	Type    string
}

// String names a message where a test complains.
func (m message) String() string {
	return fmt.Sprintf("#%d %s → %s %s %s", m.N, m.Src, m.Dst, m.Kind, m.Type)
}

func (m message) header(name string) string {
	for _, header := range m.Headers {
		if header[0] == name {
			return header[1]
		}
	}
	return ""
}

// readCapture returns the messages of a capture, named with its folder.
func readCapture(t *testing.T, name string) []message {
	t.Helper()
	var messages []message
	for line := range bytes.Lines(golden.Read(t, name+".jsonl")) {
		var m message
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// dictionary turns what a capture says into what this run says. All its words
// are as long as what they stand for, so that encoded messages stay valid.
type dictionary struct {
	pairs   [][2]string       // captured, ours; the longest first
	numbers map[string]string // ports, the other way round
	loose   map[string]bool   // places that are not compared
}

func (d *dictionary) add(theirs, ours string) {
	known := slices.ContainsFunc(d.pairs, func(p [2]string) bool { return p[0] == theirs })
	if known || len(theirs) != len(ours) {
		return
	}
	d.pairs = append(d.pairs, [2]string{theirs, ours})
	slices.SortStableFunc(d.pairs, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
}

func (d *dictionary) translate(text string) string {
	var table []string
	for _, pair := range d.pairs {
		table = append(table, pair[0], pair[1])
	}
	return strings.NewReplacer(table...).Replace(text)
}

// given matches ids that a server hands out, and the UUID that they begin with.
var given = regexp.MustCompile(`^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(-[SO]?\d+)?$`)

// learnAll learns from the first, second … value at each place.
func (d *dictionary) learnAll(theirs, ours []Line) {
	at := map[string][]Line{}
	for _, line := range ours {
		at[line.Path] = append(at[line.Path], line)
	}
	for _, line := range theirs {
		if same := at[line.Path]; len(same) > 0 {
			d.learn(line, same[0])
			at[line.Path] = same[1:]
		}
	}
}

// learn takes ids from a value of the capture and ours at the same place.
func (d *dictionary) learn(theirs, ours Line) {
	if theirs.Kind != 's' || ours.Kind != 's' {
		return
	}
	a, b := given.FindStringSubmatch(theirs.Value), given.FindStringSubmatch(ours.Value)
	switch {
	case a != nil && b != nil:
		d.add(a[1], b[1])
		d.add(a[0], b[0])
	case len(theirs.Value) == 16 && len(ours.Value) == 16 && !printable([]byte(theirs.Value)):
		d.add(theirs.Value, ours.Value)
	}
}

// compareMessages compares two encoded messages and learns the ids of this run.
func (d *dictionary) compareMessages(t *testing.T, what fmt.Stringer, theirs, ours []byte) {
	t.Helper()
	want, err := Lines(theirs)
	if err != nil {
		t.Fatalf("%v: %v", what, err)
	}
	skip := func(line Line) bool { return notOurs(line) || d.loose[line.Path] }
	want = slices.DeleteFunc(want, skip)
	got, err := Lines(ours)
	if err != nil {
		t.Errorf("%v: %v", what, err)
		return
	}
	got = slices.DeleteFunc(got, skip)
	d.learnAll(want, got)
	theirText, ourText := d.timeless(want, true), d.timeless(got, false)
	for _, line := range theirText {
		if !slices.Contains(ourText, line) {
			t.Errorf("%v: lacks %s", what, line)
		}
	}
	for _, line := range ourText {
		if !slices.Contains(theirText, line) {
			t.Errorf("%v: has %s, in Mesos it has not", what, line)
		}
	}
	if len(got) != len(want) && !t.Failed() {
		t.Errorf("%v: has %d values, in Mesos %d", what, len(got), len(want))
	}
}

// notOurs picks the values that are left out of the comparison: the capability
// QUOTA_V2 in SUBSCRIBED, which JSON clients of old cannot read and so is not
// shown to frameworks, and an executor's process, as built-in executors are none.
func notOurs(line Line) bool {
	quota := line.Path == "2.3.9.1" && line.Value == "3"
	return quota || executorPID.MatchString(line.Path) || line.Path == "2.3.9" && line.Kind == 'm'
}

// executorPID is the place of ContainerStatus.executor_pid in a TaskStatus.
var executorPID = regexp.MustCompile(`(^|\.)13\.3$`)

// timeless prints values without what each run says anew.
func (d *dictionary) timeless(lines []Line, captured bool) []string {
	var text []string
	for _, line := range lines {
		switch {
		case line.Kind == 'd' && strings.Contains(line.Value, "e+09"):
			line.Value = "a time"
		case line.Kind == 'v' && d.numbers[line.Value] != "" && !captured:
			line.Value = d.numbers[line.Value]
		case line.Value == "1.12.0" || line.Value == "1.11.0":
			line.Value = "a version"
		case captured && line.Kind == 's':
			line.Value = d.translate(line.Value)
		}
		text = append(text, line.String())
	}
	return text
}
