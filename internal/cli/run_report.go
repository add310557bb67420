package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// A reporter shows how a launch goes. It is called by several goroutines.
type reporter interface {
	subscribed(framework string)
	submitted(j *job)
	status(j *job, s *mesos.TaskStatus)
	killing(times int, jobs []*job)
	note(text string)
	output(j *job) (stdout, stderr io.WriteCloser)
	done(exit int, jobs []*job)
}

// A textReport is for people: what tasks write is all there is on standard
// output; the rest goes to standard error.
type textReport struct {
	mu             sync.Mutex
	stdout, stderr io.Writer
	instances      int
	live           bool // stderr is a terminal, and its last line shows the progress
	running        map[int]bool
	ended, failed  int
}

func newTextReport(stdout, stderr io.Writer, instances int) *textReport {
	r := &textReport{stdout: stdout, stderr: &whole{to: stderr}, instances: instances, running: map[int]bool{}}
	r.live = instances > 1 && isTerminal(stderr)
	return r
}

// whole lets several goroutines write to what not all writers are ready for: the
// output of a single task comes beside our own words.
type whole struct {
	mu sync.Mutex
	to io.Writer
}

func (w *whole) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// print writes text above the progress line. The caller holds r.mu.
func (r *textReport) print(w io.Writer, text string) {
	if r.live {
		fmt.Fprint(r.stderr, "\r\x1b[K")
	}
	fmt.Fprint(w, text)
	r.progress()
}

// progress writes the line that says how far we are. The caller holds r.mu.
func (r *textReport) progress() {
	if r.live {
		fmt.Fprintf(r.stderr, "\r\x1b[K%d of %d over, %d running, %d failed", r.ended, r.instances, len(r.running), r.failed)
	}
}

func (r *textReport) subscribed(string) {}
func (r *textReport) submitted(*job)    {}

func (r *textReport) status(j *job, s *mesos.TaskStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case terminal(s.GetState()):
		delete(r.running, j.index)
		r.ended++
		if exitStatus(s) != 0 {
			r.failed++
		}
	case s.GetState() == mesos.TaskState_TASK_RUNNING:
		r.running[j.index] = true
	}
	if terminal(s.GetState()) && (r.instances > 1 && !r.live || s.GetState() != mesos.TaskState_TASK_FINISHED) {
		r.print(r.stderr, fmt.Sprintf("%s %s%s\n", j.id, inWords(s.GetState()), because(s.GetMessage())))
		return
	}
	r.progress()
}

// inWords returns a state as people say it: "TASK_FINISHED" is "finished".
func inWords(state mesos.TaskState) string {
	text := strings.ToLower(strings.TrimPrefix(state.String(), "TASK_"))
	return strings.ReplaceAll(text, "_", " ")
}

func because(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func (r *textReport) killing(times int, _ []*job) {
	if times == 1 {
		r.note("killing what runs; again to kill it at once")
	}
}

func (r *textReport) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.print(r.stderr, "meseta: "+text+"\n")
}

func (r *textReport) output(j *job) (stdout, stderr io.WriteCloser) {
	if r.instances == 1 {
		return open{r.stdout}, open{r.stderr}
	}
	return &prefixed{report: r, to: r.stdout, prefix: j.id + " | "}, &prefixed{report: r, to: r.stderr, prefix: j.id + " | "}
}

// prefixed writes whole lines, each after a prefix.
type prefixed struct {
	report *textReport
	to     io.Writer
	prefix string
	rest   string // of a line that has not ended
}

func (p *prefixed) Write(b []byte) (int, error) {
	text := p.rest + string(b)
	end := strings.LastIndexByte(text, '\n') + 1
	if end == 0 && len(text) > 64<<10 { // a line without an end
		end = len(text)
	}
	p.rest = text[end:]
	var lines strings.Builder
	for line := range strings.Lines(text[:end]) {
		lines.WriteString(p.prefix + line)
	}
	p.report.mu.Lock()
	defer p.report.mu.Unlock()
	p.report.print(p.to, lines.String())
	return len(b), nil
}

// Close writes the end of a last line that has none.
func (p *prefixed) Close() error {
	if p.rest == "" {
		return nil
	}
	_, err := p.Write([]byte("\n"))
	return err
}

// open is a writer that is not closed with the output that it takes.
type open struct{ io.Writer }

// Close does nothing.
func (open) Close() error { return nil }

func (r *textReport) done(_ int, jobs []*job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live {
		fmt.Fprint(r.stderr, "\r\x1b[K")
	}
	if r.instances > 1 {
		fmt.Fprintf(r.stderr, "%d of %d over, %d failed\n", r.ended, len(jobs), r.failed)
	}
}

// A jsonReport is for programs: a JSON object a line, all on standard output.
type jsonReport struct {
	mu  sync.Mutex
	enc *json.Encoder
}

// jsonEvent is such an object. Exit and the counts belong to "done", which is
// always the last.
type jsonEvent struct {
	Event     string `json:"event"` // subscribed, submitted, status, output, note, done
	Framework string `json:"framework_id,omitempty"`
	Task      string `json:"task_id,omitempty"`
	Agent     string `json:"agent_id,omitempty"`
	State     string `json:"state,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
	Stream    string `json:"stream,omitempty"` // stdout or stderr
	Data      string `json:"data,omitempty"`
	Exit      *int   `json:"exit_status,omitempty"`
	Tasks     int    `json:"tasks,omitempty"`
	Failed    int    `json:"failed,omitempty"`
}

func newJSONReport(w io.Writer) *jsonReport {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &jsonReport{enc: enc}
}

func (r *jsonReport) event(e jsonEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.enc.Encode(e) // who does not read it does not want it
}

func (r *jsonReport) subscribed(framework string) {
	r.event(jsonEvent{Event: "subscribed", Framework: framework})
}

func (r *jsonReport) submitted(j *job) {
	r.event(jsonEvent{Event: "submitted", Task: j.id, Agent: j.agent.GetValue()})
}

func (r *jsonReport) status(j *job, s *mesos.TaskStatus) {
	e := jsonEvent{Event: "status", Task: j.id, Agent: j.agent.GetValue(), State: s.GetState().String(), Message: s.GetMessage()}
	if s.Reason != nil {
		e.Reason = s.GetReason().String()
	}
	if terminal(s.GetState()) {
		e.Exit = new(exitStatus(s))
	}
	r.event(e)
}

func (r *jsonReport) killing(int, []*job) {
	r.event(jsonEvent{Event: "note", Message: "killing what runs"})
}

func (r *jsonReport) note(text string) { r.event(jsonEvent{Event: "note", Message: text}) }

func (r *jsonReport) output(j *job) (stdout, stderr io.WriteCloser) {
	return open{&jsonOutput{r, j.id, "stdout"}}, open{&jsonOutput{r, j.id, "stderr"}}
}

// jsonOutput reports what is written to it.
type jsonOutput struct {
	report       *jsonReport
	task, stream string
}

func (o *jsonOutput) Write(b []byte) (int, error) {
	o.report.event(jsonEvent{Event: "output", Task: o.task, Stream: o.stream, Data: string(b)})
	return len(b), nil
}

func (r *jsonReport) done(exit int, jobs []*job) {
	e := jsonEvent{Event: "done", Exit: &exit, Tasks: len(jobs)}
	for _, j := range jobs {
		if j.exit != 0 {
			e.Failed++
		}
	}
	r.event(e)
}
