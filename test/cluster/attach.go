package cluster

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// recordIO asks for records of JSON.
var recordIO = map[string]string{
	"Content-Type": "application/json", "Accept": "application/recordio", "Message-Accept": "application/json",
}

// A Record is one that tells of a container's output, as it came.
type Record struct {
	Raw  string
	Type string // "DATA" or "CONTROL"
	From string // "STDOUT" or "STDERR"
	Text string
}

// Output is what a container writes, as an agent streams it.
type Output struct {
	Status int
	Header http.Header
	Body   string // of an answer that is no stream

	t      TB
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	records []Record
	err     error
}

// OpenOutput makes a call of an agent that is answered by a container's output, with
// the header given, or else asking for records of JSON.
func OpenOutput(t TB, n *Node, header map[string]string, body string) *Output {
	t.Helper()
	if header == nil {
		header = recordIO
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL+"/api/v1", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Do(request)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	o := &Output{Status: answer.StatusCode, Header: answer.Header, t: t, cancel: cancel, done: make(chan struct{})}
	if len(answer.TransferEncoding) == 0 {
		text, _ := io.ReadAll(answer.Body)
		o.Body = string(text)
		close(o.done)
		return o
	}
	go o.read(answer.Body)
	return o
}

// OpenSession runs a command in a container, with a terminal if told.
func OpenSession(t TB, n *Node, id J, command string, tty bool) *Output {
	t.Helper()
	session := J{"container_id": id, "command": J{"value": command}}
	if tty {
		session["container"] = J{"type": "MESOS", "tty_info": J{}}
	}
	return OpenOutput(t, n, nil, encode(t, J{"type": "LAUNCH_NESTED_CONTAINER_SESSION", "launch_nested_container_session": session}))
}

// AttachOutput attaches to a container's output.
func AttachOutput(t TB, n *Node, id J) *Output {
	t.Helper()
	return OpenOutput(t, n, nil, encode(t, J{"type": "ATTACH_CONTAINER_OUTPUT", "attach_container_output": J{"container_id": id}}))
}

func encode(t TB, call J) string {
	t.Helper()
	text, err := json.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (o *Output) read(body io.ReadCloser) {
	defer close(o.done)
	defer body.Close()
	r := bufio.NewReader(body)
	for {
		raw, err := ReadRecord(r)
		o.mu.Lock()
		if err != nil {
			o.err = err
			o.mu.Unlock()
			return
		}
		v, _ := ParseJSON(raw)
		text, _ := base64.StdEncoding.DecodeString(v.Text("data.data"))
		o.records = append(o.records, Record{string(raw), v.Text("type"), v.Text("data.type"), string(text)})
		o.mu.Unlock()
	}
}

// Records returns what has come so far.
func (o *Output) Records() []Record {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Record(nil), o.records...)
}

// Text returns what has come so far of both outputs.
func (o *Output) Text() string {
	var text strings.Builder
	for _, r := range o.Records() {
		text.WriteString(r.Text)
	}
	return text.String()
}

// Size returns how much has come so far of both outputs.
func (o *Output) Size() (bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.records {
		bytes += len(r.Text)
	}
	return bytes
}

// Await waits until the output has a text in it.
func (o *Output) Await(text string) {
	o.t.Helper()
	Eventually(o.t, Patience, func() error {
		if got := o.Text(); !strings.Contains(got, text) {
			return fmt.Errorf("%q is not in the output %.1000q", text, got)
		}
		return nil
	})
}

// End waits for the end of the stream and says whether it was in good order.
func (o *Output) End() error {
	o.t.Helper()
	select {
	case <-o.done:
	case <-time.After(2 * Patience):
		o.t.Fatalf("the output does not end: %.1000q", o.Text())
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if errors.Is(o.err, io.EOF) && !errors.Is(o.err, io.ErrUnexpectedEOF) {
		return nil
	}
	return o.err
}

// Close hangs up.
func (o *Output) Close() { o.cancel() }

// Input gives input to a container.
type Input struct {
	t     TB
	pipe  *io.PipeWriter
	reply chan Reply
}

// AttachInput attaches to a container's input.
func AttachInput(t TB, n *Node, id J) *Input {
	t.Helper()
	in := OpenInput(t, n)
	in.Call(J{"type": "CONTAINER_ID", "container_id": id})
	return in
}

// OpenInput is AttachInput that has not yet said to what.
func OpenInput(t TB, n *Node) *Input {
	t.Helper()
	from, to := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, n.URL+"/api/v1", from)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/recordio")
	request.Header.Set("Message-Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	in := &Input{t, to, make(chan Reply, 1)}
	t.Cleanup(func() { to.CloseWithError(errors.New("the test is over")) })
	go func() {
		defer close(in.reply)
		answer, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
		if err != nil {
			in.reply <- Reply{Body: err.Error()}
			return
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		in.reply <- Reply{answer.StatusCode, answer.Header, string(text)}
		from.CloseWithError(errors.New("it was answered"))
	}()
	return in
}

// Call sends one record of ATTACH_CONTAINER_INPUT. Where the answer has come already
// nothing is sent.
func (in *Input) Call(of J) {
	in.t.Helper()
	in.Raw(encode(in.t, J{"type": "ATTACH_CONTAINER_INPUT", "attach_container_input": of}))
}

// Raw sends a record as it is.
func (in *Input) Raw(record string) { in.Bytes(fmt.Sprintf("%d\n%s", len(record), record)) }

// Bytes sends what may be no record at all.
func (in *Input) Bytes(text string) { io.WriteString(in.pipe, text) }

// Send gives text to the container; none is the end of its input.
func (in *Input) Send(text string) {
	in.t.Helper()
	in.Call(J{"type": "PROCESS_IO", "process_io": J{"type": "DATA", "data": J{
		"type": "STDIN", "data": base64.StdEncoding.EncodeToString([]byte(text)),
	}}})
}

// Resize sets the size of the container's terminal.
func (in *Input) Resize(rows, columns int) {
	in.t.Helper()
	in.Call(J{"type": "PROCESS_IO", "process_io": J{"type": "CONTROL", "control": J{
		"type": "TTY_INFO", "tty_info": J{"window_size": J{"rows": rows, "columns": columns}},
	}}})
}

// End ends the request and returns the answer.
func (in *Input) End() Reply {
	in.t.Helper()
	in.pipe.Close()
	return in.Reply()
}

// Reply waits for the answer.
func (in *Input) Reply() Reply {
	in.t.Helper()
	select {
	case reply := <-in.reply:
		return reply
	case <-time.After(2 * Patience):
		in.t.Fatal("ATTACH_CONTAINER_INPUT is not answered")
		return Reply{}
	}
}

// Leave breaks the connection.
func (in *Input) Leave() { in.pipe.CloseWithError(errors.New("the client is gone")) }
