package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	agentpb "github.com/meseta-project/meseta/api/mesos/v1/agent"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/recordio"
	"github.com/meseta-project/meseta/resources"
)

// fakeCluster is a master and an agent in one server, as far as "run" needs
// them. It makes an offer of cpus:4;mem:4096 each time one was used up.
type fakeCluster struct {
	t        *testing.T
	url      *url.URL
	behave   func(f *fakeCluster, task *mesos.TaskInfo) // plays a task
	mu       sync.Mutex
	events   chan *schedulerpb.Event
	files    map[string]string
	agents   []*masterpb.Response_GetAgents_Agent
	offers   int
	killed   []*schedulerpb.Call_Kill
	launched []*mesos.TaskInfo
	torn     bool
}

const holds = "cpus:4;mem:4096;disk:1024;ports:[31000-32000]"

func startFake(t *testing.T, behave func(f *fakeCluster, task *mesos.TaskInfo)) *fakeCluster {
	f := &fakeCluster{t: t, behave: behave, files: map[string]string{}, events: make(chan *schedulerpb.Event, 1000)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url, _ = url.Parse(server.URL)
	f.agents = []*masterpb.Response_GetAgents_Agent{{
		AgentInfo: &mesos.AgentInfo{Hostname: new("node")}, Active: new(true), Version: new("1.11.0"),
		TotalResources: resources.MustParse(holds).Proto(),
	}}
	return f
}

func (f *fakeCluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	media := r.Header.Get("Content-Type")
	if r.URL.Path == "/api/v1/scheduler" {
		call := &schedulerpb.Call{}
		f.check(wire.Decode(media, body, call))
		f.schedule(w, r, call)
		return
	}
	call := &masterpb.Call{} // has the same numbers as the agent's where it matters
	f.check(wire.Decode(media, body, call))
	w.Header().Set("Content-Type", media)
	if call.GetType() == masterpb.Call_GET_AGENTS {
		answer, err := wire.Encode(media, &masterpb.Response{
			Type: masterpb.Response_GET_AGENTS.Enum(), GetAgents: &masterpb.Response_GetAgents{Agents: f.agents},
		})
		f.check(err)
		w.Write(answer)
		return
	}
	f.readFile(w, media, call.GetReadFile())
}

func (f *fakeCluster) check(err error) {
	if err != nil {
		f.t.Error(err)
	}
}

func (f *fakeCluster) readFile(w http.ResponseWriter, media string, call *masterpb.Call_ReadFile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, there := f.files[call.GetPath()]
	if !there {
		http.NotFound(w, nil)
		return
	}
	answer, err := wire.Encode(media, &agentpb.Response{Type: agentpb.Response_READ_FILE.Enum(), ReadFile: &agentpb.Response_ReadFile{
		Size: new(uint64(len(text))), Data: []byte(text[min(call.GetOffset(), uint64(len(text))):]),
	}})
	f.check(err)
	w.Write(answer)
}

func (f *fakeCluster) schedule(w http.ResponseWriter, r *http.Request, call *schedulerpb.Call) {
	if call.GetType() == schedulerpb.Call_SUBSCRIBE {
		f.stream(w, r)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch call.GetType() {
	case schedulerpb.Call_ACCEPT:
		for _, op := range call.GetAccept().GetOperations() {
			f.launched = append(f.launched, op.GetLaunch().GetTaskInfos()...)
			for _, task := range op.GetLaunch().GetTaskInfos() {
				go f.behave(f, task)
			}
		}
		f.offer()
	case schedulerpb.Call_KILL:
		f.killed = append(f.killed, call.GetKill())
		state, message := mesos.TaskState_TASK_KILLED, "Command terminated with signal Terminated"
		if call.GetKill().GetKillPolicy() == nil { // it does not heed the first
			state, message = mesos.TaskState_TASK_KILLING, ""
		}
		f.status(call.GetKill().GetTaskId().GetValue(), state, message)
	case schedulerpb.Call_REVIVE:
		f.offer()
	case schedulerpb.Call_TEARDOWN:
		f.torn = true
	default:
	}
}

func (f *fakeCluster) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Mesos-Stream-Id", "1")
	w.Header().Set("Content-Type", r.Header.Get("Accept"))
	f.events <- &schedulerpb.Event{Type: schedulerpb.Event_SUBSCRIBED.Enum(), Subscribed: &schedulerpb.Event_Subscribed{
		FrameworkId: &mesos.FrameworkID{Value: new("F")},
	}}
	f.mu.Lock()
	f.offer()
	f.mu.Unlock()
	for {
		http.NewResponseController(w).Flush()
		select {
		case event := <-f.events:
			body, err := wire.Encode(r.Header.Get("Accept"), event)
			f.check(err)
			recordio.NewWriter(w).WriteRecord(body)
		case <-r.Context().Done():
			return
		}
	}
}

// offer offers the agent. The caller holds f.mu.
func (f *fakeCluster) offer() {
	f.offers++
	at := netip.MustParseAddrPort(f.url.Host)
	f.events <- &schedulerpb.Event{Type: schedulerpb.Event_OFFERS.Enum(), Offers: &schedulerpb.Event_Offers{Offers: []*mesos.Offer{{
		Id: &mesos.OfferID{Value: new(fmt.Sprint("O", f.offers))}, FrameworkId: &mesos.FrameworkID{Value: new("F")},
		AgentId: &mesos.AgentID{Value: new("S0")}, Hostname: new("node"), Resources: resources.MustParse(holds).Proto(),
		Url: &mesos.URL{Scheme: new("http"), Address: &mesos.Address{Ip: new(at.Addr().String()), Port: new(int32(at.Port()))}},
	}}}}
}

func (f *fakeCluster) status(task string, state mesos.TaskState, message string) {
	status := &mesos.TaskStatus{
		TaskId: &mesos.TaskID{Value: &task}, State: state.Enum(), AgentId: &mesos.AgentID{Value: new("S0")},
		Uuid: []byte("0123456789abcdef"), Source: mesos.TaskStatus_SOURCE_EXECUTOR.Enum(),
	}
	if message != "" {
		status.Message = &message
	}
	f.events <- &schedulerpb.Event{Type: schedulerpb.Event_UPDATE.Enum(), Update: &schedulerpb.Event_Update{Status: status}}
}

func (f *fakeCluster) write(task, file, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files["/frameworks/F/executors/"+task+"/runs/latest/"+file] += text
}

// ends returns a behaviour: a task that writes and ends.
func ends(state mesos.TaskState, message string) func(*fakeCluster, *mesos.TaskInfo) {
	return func(f *fakeCluster, task *mesos.TaskInfo) {
		id := task.GetTaskId().GetValue()
		f.write(id, "stdout", "to out\n")
		f.write(id, "stderr", "to err\n")
		f.status(id, mesos.TaskState_TASK_STARTING, "")
		f.status(id, mesos.TaskState_TASK_RUNNING, "")
		f.write(id, "stdout", "no end of line")
		f.status(id, state, message)
	}
}

// run runs a command line against the fake.
func (f *fakeCluster) run(args ...string) (stdout, stderr string, err error) {
	f.t.Helper()
	root := Root()
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(append([]string{args[0], "--master=" + f.url.Host}, args[1:]...))
	err = root.ExecuteContext(f.t.Context())
	return out.String(), errs.String(), err
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name    string
		state   mesos.TaskState
		message string
		exit    int
		stderr  string
	}{
		{"finished", mesos.TaskState_TASK_FINISHED, "Command exited with status 0", 0, "to err\n"},
		{
			"failed", mesos.TaskState_TASK_FAILED, "Command exited with status 3", 3,
			"echo-1 failed: Command exited with status 3\nto err\n",
		},
		{
			"signal", mesos.TaskState_TASK_FAILED, "Command terminated with signal Killed", 137,
			"echo-1 failed: Command terminated with signal Killed\nto err\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := startFake(t, ends(tc.state, tc.message))
			stdout, stderr, err := f.run("run", "--env", "A=1", "--uri", "http://x/y", "--", "echo", "a b")
			if exit, is := err.(*ExitError); (tc.exit != 0) != is || is && exit.Status != tc.exit { //nolint:errorlint // returned bare
				t.Errorf("ended with %v", err)
			}
			if stdout != "to out\nno end of line" {
				t.Errorf("stdout %q", stdout)
			}
			slices.Sort(strings.Split(stderr, "\n"))
			if sortLines(stderr) != sortLines(tc.stderr) {
				t.Errorf("stderr %q", stderr)
			}
			if !f.torn {
				t.Error("the framework was not torn down")
			}
			task := f.launched[0]
			command := task.GetCommand()
			if command.GetShell() || command.GetValue() != "echo" || !slices.Equal(command.GetArguments(), []string{"echo", "a b"}) ||
				command.GetEnvironment().GetVariables()[0].GetName() != "A" || command.GetUris()[0].GetValue() != "http://x/y" {
				t.Errorf("launched %v", command)
			}
			if got := resources.Trusted(task.GetResources()).String(); got != "cpus:1; mem:128" {
				t.Errorf("launched with %s", got)
			}
		})
	}
}

func sortLines(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestRunMany(t *testing.T) {
	f := startFake(t, ends(mesos.TaskState_TASK_FINISHED, "Command exited with status 0"))
	stdout, stderr, err := f.run("run", "-n", "10", "--name", "job", "--", "echo a | cat")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(stdout, " | to out\n"); n != 10 || !strings.Contains(stdout, "job-7 | no end of line\n") {
		t.Errorf("stdout\n%s", stdout)
	}
	if n := strings.Count(stderr, " finished: Command exited with status 0\n"); n != 10 || !strings.HasSuffix(stderr, "10 of 10 over, 0 failed\n") {
		t.Errorf("stderr\n%s", stderr)
	}
	if command := f.launched[0].GetCommand(); command.Shell != nil || command.GetValue() != "echo a | cat" {
		t.Errorf("launched %v", command)
	}
}

// A task that was dropped before it ran is launched again, under a new id.
func TestRunDropped(t *testing.T) {
	f := startFake(t, func(f *fakeCluster, task *mesos.TaskInfo) {
		id := task.GetTaskId().GetValue()
		if id == "true-1" {
			f.status(id, mesos.TaskState_TASK_DROPPED, "Task launched with invalid offers")
			return
		}
		f.status(id, mesos.TaskState_TASK_FINISHED, "Command exited with status 0")
		f.write(id, "stdout", "")
		f.write(id, "stderr", "")
	})
	if _, stderr, err := f.run("run", "--", "true"); err != nil || len(f.launched) != 2 {
		t.Errorf("%v, %d launched\n%s", err, len(f.launched), stderr)
	}
}

func TestRunJSON(t *testing.T) {
	f := startFake(t, ends(mesos.TaskState_TASK_FAILED, "Command exited with status 3"))
	stdout, _, err := f.run("run", "--json", "--", "false")
	if err == nil {
		t.Error("no exit status")
	}
	var kinds []string
	for line := range strings.Lines(stdout) {
		var e jsonEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Event != "output" {
			kinds = append(kinds, strings.TrimSpace(e.Event+" "+e.State))
		}
		if e.Event == "done" && (*e.Exit != 3 || e.Tasks != 1 || e.Failed != 1) {
			t.Errorf("done: %s", line)
		}
	}
	want := []string{"subscribed", "submitted", "status TASK_STARTING", "status TASK_RUNNING", "status TASK_FAILED", "done"}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %q", kinds)
	}
}

func TestRunRefuses(t *testing.T) {
	f := startFake(t, nil)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "--cpus", "64", "--", "true"}, "no agent is large enough: cpus:64; mem:128 is asked for, and the largest of 1 has cpus:4; disk:1024; mem:4096"},
		{[]string{"run", "--cpus", "-1", "--", "true"}, "--cpus is negative"},
		{[]string{"run", "--cpus", "0", "--mem", "0", "--", "true"}, "needs resources"},
		{[]string{"run", "-n", "0", "--", "true"}, "-n must be between"},
		{[]string{"run", "--env", "=x", "--", "true"}, "want NAME=VALUE"},
		{[]string{"run"}, "requires at least 1 arg"},
		{[]string{"run", "--master", "127.0.0.1:1", "--", "true"}, "Start a cluster with 'meseta dev'"},
		{[]string{"run", "--master", "zk://127.0.0.1:2181", "--", "true"}, "a path is missing"},
		{[]string{"execute", "--name=t"}, "--name and --command"},
		{[]string{"execute", "--name=t", "--command=true", "--resources=ports:[1-2]"}, "only amounts"},
	} {
		if _, _, err := f.run(tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v", tc.args, err)
		}
	}
}

// The first interrupt kills as the task has it, the second at once.
func TestRunInterrupted(t *testing.T) {
	running := make(chan struct{})
	f := startFake(t, func(f *fakeCluster, task *mesos.TaskInfo) {
		f.status(task.GetTaskId().GetValue(), mesos.TaskState_TASK_RUNNING, "")
		close(running)
	})
	o := runOptions{Master: f.url.Host, CPUs: 1, Mem: 1, Role: "*", Instances: 1, command: []string{"sleep 100"}}
	task, err := o.task()
	if err != nil {
		t.Fatal(err)
	}
	want, err := o.quantities()
	if err != nil {
		t.Fatal(err)
	}
	l := launch{access: access{masters: []string{f.url.Host}}, framework: o.framework(), task: task, want: want, instances: 1}
	interrupts := make(chan os.Signal, 2)
	go func() {
		<-running
		interrupts <- os.Interrupt
		interrupts <- os.Interrupt
	}()
	status, err := l.run(t.Context(), newTextReport(io.Discard, io.Discard, 1), interrupts)
	if err != nil || status != exitInterrupt {
		t.Errorf("ended with %d, %v", status, err)
	}
	if len(f.killed) != 2 || f.killed[0].KillPolicy != nil || f.killed[1].GetKillPolicy().GetGracePeriod().GetNanoseconds() != 0 {
		t.Errorf("killed by %v", f.killed)
	}
}

func TestPresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals := make(chan os.Signal)
		passed := 0
		presses := presses(t.Context(), signals)
		go func() {
			for range 5 {
				<-presses
				passed++
			}
		}()
		for _, wait := range []time.Duration{0, time.Millisecond, onePress / 2, time.Second, 0} {
			time.Sleep(wait)
			signals <- os.Interrupt
			synctest.Wait()
		}
		if passed != 2 {
			t.Errorf("%d passed", passed)
		}
		for passed < 5 {
			time.Sleep(time.Second)
			signals <- os.Interrupt
			synctest.Wait()
		}
	})
}

// What mesos-execute says is what Mesos's says.
func TestExecute(t *testing.T) {
	sample := string(golden.Read(t, "mesos-execute.out"))
	_, sample, _ = strings.Cut(sample, "New master detected at master@127.0.0.1:5050\n")
	f := startFake(t, ends(mesos.TaskState_TASK_FINISHED, "Command exited with status 0"))
	stdout, _, err := f.run("execute", "--name=t", "--command=true", `--env={"A": "1"}`)
	if err != nil {
		t.Fatal(err)
	}
	ids := regexp.MustCompile(`(with ID|to agent) \S+`)
	if got, want := ids.ReplaceAllString(stdout, "$1"), ids.ReplaceAllString(sample, "$1"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if v := f.launched[0].GetCommand().GetEnvironment().GetVariables(); len(v) != 1 || v[0].GetName() != "A" || v[0].GetValue() != "1" {
		t.Errorf("environment %v", v)
	}
}

func TestExecuteTask(t *testing.T) {
	f := startFake(t, ends(mesos.TaskState_TASK_FINISHED, "Command exited with status 0"))
	_, _, err := f.run("execute", `--task={"name": "n", "task_id": {"value": "id"}, "command": {"value": "true"},
		"resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5}}]}`)
	if err != nil || f.launched[0].GetTaskId().GetValue() != "id" || f.launched[0].GetAgentId().GetValue() != "S0" {
		t.Errorf("%v, launched %v", err, f.launched)
	}
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct {
		state   mesos.TaskState
		message string
		want    int
	}{
		{mesos.TaskState_TASK_FINISHED, "", 0},
		{mesos.TaskState_TASK_FINISHED, "Command exited with status 0", 0},
		{mesos.TaskState_TASK_KILLED, "Command exited with status 0", 1},
		{mesos.TaskState_TASK_FAILED, "Command exited with status 127", 127},
		{mesos.TaskState_TASK_FAILED, "Command terminated with signal Segmentation fault (core dumped)", 139},
		{mesos.TaskState_TASK_KILLED, "Command terminated with signal Terminated", 143},
		{mesos.TaskState_TASK_LOST, "Executor terminated", 1},
	} {
		if got := exitStatus(&mesos.TaskStatus{State: tc.state.Enum(), Message: &tc.message}); got != tc.want {
			t.Errorf("%v %q: %d, want %d", tc.state, tc.message, got, tc.want)
		}
	}
}
