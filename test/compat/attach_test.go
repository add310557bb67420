package compat

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/test/cluster"
)

// sampledTTY is the container of the pod's task that has a terminal.
const sampledTTY = "2a5e146a-5156-40fa-8917-b9c57827b76b"

// attach is a cluster with the pod that the captured calls are about.
type attach struct {
	t     *testing.T
	agent *cluster.Node
	words *dictionary
}

func startAttach(t *testing.T) *attach {
	t.Helper()
	golden.Dir(t)
	a := &attach{t: t, words: &dictionary{}}
	master := cluster.StartMaster(t)
	a.agent = cluster.StartAgent(t, master)
	s := cluster.Subscribe(t, master, cluster.Framework("pods", "eng"))
	offer := s.AwaitOffer()
	tty := cluster.Task(offer, "p2", "while :; do echo tick tty; sleep 0.2; done")
	tty["container"] = J{"type": "MESOS", "tty_info": J{"window_size": J{"rows": 30, "columns": 100}}}
	s.Accept(offer, 0, J{"type": "LAUNCH_GROUP", "launch_group": J{
		"executor": J{
			"type": "DEFAULT", "executor_id": J{"value": "pod"}, "framework_id": J{"value": s.ID},
			"resources": append(cluster.Resources(0.1, 32), J{"name": "disk", "type": "SCALAR", "scalar": J{"value": 16}}),
		},
		"task_group": J{"tasks": []J{cluster.Task(offer, "p1", "exec sleep 1000"), tty}},
	}})
	status := s.AwaitState("p1", "TASK_RUNNING")
	a.words.add(sampledTask, status.Text("container_status.container_id.value"))
	a.words.add(sampledPod, status.Text("container_status.container_id.parent.value"))
	a.words.add(sampledTTY, s.AwaitState("p2", "TASK_RUNNING").Text("container_status.container_id.value"))
	return a
}

// sample is one captured exchange, in this run's words.
type sample struct {
	header map[string]string
	body   string // of the request
	head   string // of the answer
	answer string
}

func (a *attach) sample(name string) sample {
	a.t.Helper()
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(a.words.translate(string(golden.Read(a.t, "attach/"+name+".request"))))))
	if err != nil {
		a.t.Fatal(err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // some were answered before their end
		a.t.Fatal(err)
	}
	s := sample{header: map[string]string{}, body: string(body)}
	for key := range request.Header {
		if key != "Content-Length" {
			s.header[key] = request.Header.Get(key)
		}
	}
	raw := a.words.translate(string(golden.Read(a.t, "attach/"+name+".response")))
	s.head, s.answer, _ = strings.Cut(raw, "\r\n\r\n")
	return s
}

// records returns those of a captured stream, and whether it had an end.
func (s sample) records(t *testing.T) (all []cluster.Record, ended bool) {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(s.answer))
	for {
		var size int
		if _, err := fmt.Fscanf(r, "%x\r\n", &size); err != nil || size == 0 {
			return all, err == nil
		}
		chunk := make([]byte, size+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			t.Fatal(err)
		}
		record, err := cluster.ReadRecord(bufio.NewReader(strings.NewReader(string(chunk[:size]))))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, cluster.Record{Raw: string(record)})
	}
}

// open makes a captured call that is answered by a stream, and checks its head.
func (a *attach) open(name string) *cluster.Output {
	a.t.Helper()
	s := a.sample(name)
	o := cluster.OpenOutput(a.t, a.agent, s.header, s.body)
	checkHead(a.t, s.head, cluster.Reply{Status: o.Status, Header: o.Header, Body: o.Body})
	return o
}

// send makes a captured call that is answered at once, and checks the answer.
func (a *attach) send(name string) {
	a.t.Helper()
	s := a.sample(name)
	reply, err := cluster.Do(http.MethodPost, a.agent.URL+"/api/v1", s.header, s.body)
	if err != nil {
		a.t.Fatal(err)
	}
	checkHead(a.t, s.head, reply)
	if reply.Body != s.answer {
		a.t.Errorf("%s: says %q, in Mesos %q", name, reply.Body, s.answer)
	}
}

// input gives a captured input, record by record, each when the output is as far.
func (a *attach) input(name string, to *cluster.Output, when map[int]string) *cluster.Input {
	a.t.Helper()
	in := cluster.OpenInput(a.t, a.agent)
	r := bufio.NewReader(strings.NewReader(a.sample(name).body))
	for i := 0; ; i++ {
		record, err := cluster.ReadRecord(r)
		if err != nil {
			return in
		}
		if text, ok := when[i]; ok {
			to.Await(text)
		}
		in.Raw(string(record))
	}
}

// said checks that a stream had the captured records and ended as the captured one.
// How output is cut into records depends on the moment: it is joined.
func (a *attach) said(name string, o *cluster.Output) {
	a.t.Helper()
	want, ended := a.sample(name).records(a.t)
	if err := o.End(); ended != (err == nil) {
		a.t.Errorf("%s: ended with %v, in Mesos in good order: %v", name, err, ended)
	}
	if got, want := joined(o.Records()), joined(want); got != want {
		a.t.Errorf("%s: says\n%s\nin Mesos\n%s", name, got, want)
	}
}

var (
	volatilePath = regexp.MustCompile(`/[^ \n]*/containers/[0-9a-f-]+`)
	volatilePTS  = regexp.MustCompile(`/dev/pts/\d+`)
)

// joined joins records from the same output that follow each other.
func joined(records []cluster.Record) string {
	var out strings.Builder
	last := ""
	for _, r := range records {
		v, _ := cluster.ParseJSON([]byte(r.Raw))
		if v.Text("type") != "DATA" {
			out.WriteString(r.Raw + "\n")
			continue
		}
		if kind := v.Text("data.type"); kind != last {
			fmt.Fprintf(&out, "%s:\n", kind)
			last = kind
		}
		out.WriteString(decode(v.Text("data.data")))
	}
	return volatilePTS.ReplaceAllString(volatilePath.ReplaceAllString(out.String(), "SANDBOX"), "/dev/pts/N")
}

// TestContainerSessions repeats the captured sessions, with what was given to them.
func TestContainerSessions(t *testing.T) {
	t.Parallel()
	a := startAttach(t)
	short := a.open("01_session_output_only")
	a.send("02_wait_of_that_session")
	a.said("01_session_output_only", short)

	cat := a.open("03_session_cat")
	reply := a.input("04_attach_input_to_cat", cat, map[int]string{3: "hello\n"}).End()
	a.answered("04_attach_input_to_cat", reply)
	a.said("03_session_cat", cat)

	if os.Getuid() == 0 { // whose prompt it is
		tty := a.open("05_session_tty")
		in := a.input("06_attach_input_tty", tty, map[int]string{1: "# ", 2: "\r\n# ", 4: "50 120\r\n# "})
		a.answered("06_attach_input_tty", in.Reply())
		a.said("05_session_tty", tty)
	}
	a.said("24_session_no_such_program", a.open("24_session_no_such_program"))
	left := a.open("25_session_client_leaves")
	left.Close()
	a.send("26_wait_of_left_session")
	a.said("35_session_protobuf_records", a.open("35_session_protobuf_records"))
}

// answered checks the answer to a captured input.
func (a *attach) answered(name string, reply cluster.Reply) {
	a.t.Helper()
	s := a.sample(name)
	checkHead(a.t, s.head, reply)
	if reply.Body != s.answer {
		a.t.Errorf("%s: says %q, in Mesos %q", name, reply.Body, s.answer)
	}
}

// TestAttachOutput repeats the captured calls that attach to a task with a terminal.
func TestAttachOutput(t *testing.T) {
	t.Parallel()
	a := startAttach(t)
	for _, name := range []string{
		"07_attach_output_tty_task", "11_attach_output_plain_accept", "12_attach_output_no_accept", "14_attach_output_no_message_accept",
	} {
		o := a.open(name)
		o.Await("tick tty\r\ntick tty\r\n")
		want, _ := a.sample(name).records(t)
		if got := o.Records()[0].Raw; !slices.ContainsFunc(o.Records(), func(r cluster.Record) bool { return r.Raw == want[0].Raw }) {
			t.Errorf("%s: a record is %s, in Mesos %s", name, got, want[0].Raw)
		}
		o.Close()
	}
}

// TestAttachRefused repeats the captured calls that are refused.
func TestAttachRefused(t *testing.T) {
	t.Parallel()
	a := startAttach(t)
	for _, name := range []string{
		"08_attach_output_no_tty_task", "09_attach_output_executor", "10_attach_output_unknown",
		"13_attach_output_bad_message_accept", "15_attach_input_no_message_content_type", "16_attach_input_as_json",
		"17_attach_input_data_first", "18_attach_input_to_no_tty_task", "19_attach_input_unknown", "20_recordio_other_call",
		"21_session_parent_unknown", "22_session_no_parent", "23_session_bad_id",
	} {
		t.Run(name, func(t *testing.T) {
			b := *a
			b.t = t
			b.send(name)
		})
	}
}

// TestSessionHeartbeat: the record is the captured one, with the interval that the
// agent was told.
func TestSessionHeartbeat(t *testing.T) {
	t.Parallel()
	golden.Dir(t)
	master := cluster.StartMaster(t)
	agent := cluster.StartAgent(t, master, "--http_heartbeat_interval=50ms")
	id := J{"value": "alone"}
	cluster.Operate(t, agent, J{"type": "LAUNCH_CONTAINER", "launch_container": J{"container_id": id, "command": J{"value": "exec sleep 1000"}}})
	o := cluster.OpenSession(t, agent, J{"value": "s", "parent": id}, "exec sleep 1000", false)
	want, _ := (&attach{t: t, words: &dictionary{}}).sample("36_session_heartbeat").records(t)
	beat := strings.Replace(want[0].Raw, "30000000000", "50000000", 1)
	cluster.Eventually(t, cluster.Patience, func() error {
		for _, r := range o.Records() {
			if r.Raw != beat {
				t.Fatalf("says %s, in Mesos %s", r.Raw, beat)
			}
		}
		if len(o.Records()) < 3 {
			return fmt.Errorf("%d heartbeats", len(o.Records()))
		}
		return nil
	})
}

func decode(text string) string {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	return string(data)
}
