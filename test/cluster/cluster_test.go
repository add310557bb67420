package cluster

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	p := Start(t, "shell", []string{"GREETING=hello"}, "/bin/sh", "-c", "echo $GREETING; exec sleep 1000")
	p.WaitLog("hello", Patience)
	if !p.Running() || !Alive(p.Pid()) {
		t.Fatal("the process has ended by itself")
	}
	p.Kill9()
	if p.Running() || Alive(p.Pid()) {
		t.Fatal("the process lives on")
	}
	p.Start()
	Eventually(t, Patience, func() error {
		if strings.Count(p.Log(), "hello") != 2 {
			return io.ErrNoProgress
		}
		return nil
	})
	state := p.Terminate()
	if status := state.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("ended by %v, want a SIGTERM", state)
	}
}

func TestInside(t *testing.T) {
	dir := t.TempDir()
	p := Start(t, "task", []string{"MESOS_SANDBOX=" + dir + "/slaves/S0"}, "/bin/sh", "-c", "echo up; exec sleep 1000")
	p.WaitLog("up", Patience)
	if pids := Inside(dir); len(pids) != 1 || pids[0] != p.Pid() {
		t.Fatalf("inside %s: %v, want %d", dir, pids, p.Pid())
	}
	killInside(dir)
	p.Exit(Patience)
}

func TestReadRecord(t *testing.T) {
	for _, test := range []struct {
		in   string
		want []string
		err  string
	}{
		{"2\n{}0\n3\nabc", []string{"{}", "", "abc"}, "EOF"},
		{"5\nabc", nil, "unexpected EOF"},
		{"-1\nabc", nil, `record length "-1\n"`},
		{"x\n", nil, `record length "x\n"`},
		{"99999999999\n", nil, `record length "99999999999\n"`},
	} {
		r := bufio.NewReader(strings.NewReader(test.in))
		for i := 0; ; i++ {
			record, err := ReadRecord(r)
			if err != nil {
				if err.Error() != test.err || i != len(test.want) {
					t.Errorf("%q: %v after %d records, want %s after %d", test.in, err, i, test.err, len(test.want))
				}
				break
			}
			if i >= len(test.want) || string(record) != test.want[i] {
				t.Errorf("%q: record %d is %q", test.in, i, record)
			}
		}
	}
}

// stream answers SUBSCRIBE with two updates and everything else with 202, and
// passes on what it was sent.
func stream(calls chan<- Value) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		call, _ := ParseJSON(body)
		if call.Text("type") != "SUBSCRIBE" {
			calls <- call
			w.WriteHeader(http.StatusAccepted)
			return
		}
		w.Header().Set("Mesos-Stream-Id", "stream")
		for _, record := range []string{
			`{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"F"}}}`, `{"type":"HEARTBEAT"}`,
			`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_RUNNING","uuid":"YQ=="}}}`,
			`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_RUNNING","uuid":"YQ=="}}}`,
			`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_FINISHED"}}}`,
		} {
			fmt.Fprintf(w, "%d\n%s", len(record), record)
			w.(http.Flusher).Flush()
		}
	}
}

func TestScheduler(t *testing.T) {
	calls := make(chan Value, 10)
	server := httptest.NewServer(stream(calls))
	defer server.Close()
	s := Subscribe(t, &Node{URL: server.URL}, Framework("f", "*"))
	if s.ID != "F" || s.Stream != "stream" {
		t.Fatalf("framework %q, stream %q", s.ID, s.Stream)
	}
	s.AwaitState("t", "TASK_FINISHED")
	if got := strings.Join(s.History("t"), " "); got != "TASK_RUNNING TASK_FINISHED" {
		t.Errorf("history %q", got)
	}
	for range 2 {
		call := <-calls
		if call.Text("type") != "ACKNOWLEDGE" || call.Text("framework_id.value") != "F" || call.Text("acknowledge.uuid") != "YQ==" {
			t.Errorf("sent %v", call)
		}
	}
	s.AwaitEnd()
	if _, err := s.Poll("OFFERS", nil, time.Minute); err == nil {
		t.Error("an event after the end of the stream")
	}
}

func TestOverride(t *testing.T) {
	got := override([]string{"--a=1", "--b=2"}, []string{"--b=3", "--no-c"})
	if strings.Join(got, " ") != "--a=1 --b=3 --no-c" {
		t.Errorf("%q", got)
	}
}

func TestScript(t *testing.T) {
	var dir string
	err := Script(func(t TB) {
		dir = t.TempDir()
		Start(t, "quick", nil, "/bin/true").Exit(Patience)
		t.Fatalf("no %s", "luck")
	})
	if err == nil || err.Error() != "no luck" {
		t.Errorf("ended with %v", err)
	}
	if Alive(0) || Script(func(TB) {}) != nil {
		t.Error("an empty script fails")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
}
