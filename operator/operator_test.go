package operator_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/fakenet"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/operator"
	"github.com/meseta-project/meseta/recordio"
)

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// replies answers each call with what its type names.
type replies map[string][]byte

func (answers replies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var call struct{ Type string }
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, known := answers[call.Type]
	if !known {
		http.Error(w, "no "+call.Type, http.StatusNotImplemented)
		return
	}
	w.Header().Set("Content-Type", wire.JSON)
	w.Write(answer)
}

// What a Mesos master answered is read.
func TestMaster(t *testing.T) {
	answers := replies{"TEARDOWN": nil}
	for _, kind := range []string{"VERSION", "FLAGS", "METRICS", "STATE", "AGENTS", "FRAMEWORKS", "EXECUTORS", "OPERATIONS", "TASKS", "ROLES", "WEIGHTS", "QUOTA"} {
		answers["GET_"+kind] = golden.Read(t, "v1master/GET_"+kind+".json")
	}
	answers["LIST_FILES"], answers["READ_FILE"] = golden.Read(t, "v1master/LIST_FILES.json"), golden.Read(t, "v1master/READ_FILE.json")
	server := httptest.NewServer(answers)
	defer server.Close()
	m, err := operator.NewMaster(operator.Config{Addresses: []string{server.URL}, JSON: true})
	ok(t, err)
	ctx := t.Context()

	version, err := m.Version(ctx)
	check(t, "version", version.GetVersion() == "1.12.0", err)
	flags, err := m.Flags(ctx)
	check(t, "flags", len(flags) > 50, err)
	metrics, err := m.Metrics(ctx)
	check(t, "metrics", metrics["master/elected"] == 1, err)
	state, err := m.State(ctx)
	check(t, "state", len(state.GetGetAgents().GetAgents()) == 1, err)
	agents, err := m.Agents(ctx)
	check(t, "agents", len(agents.GetAgents()) == 1, err)
	frameworks, err := m.Frameworks(ctx)
	check(t, "frameworks", len(frameworks.GetFrameworks())+len(frameworks.GetCompletedFrameworks()) > 0, err)
	_, err = m.Executors(ctx)
	check(t, "executors", true, err)
	_, err = m.Operations(ctx)
	check(t, "operations", true, err)
	tasks, err := m.Tasks(ctx)
	check(t, "tasks", len(tasks.GetTasks())+len(tasks.GetCompletedTasks()) > 0, err)
	roles, err := m.Roles(ctx)
	check(t, "roles", len(roles) > 0, err)
	_, err = m.Weights(ctx)
	check(t, "weights", true, err)
	_, err = m.Quota(ctx)
	check(t, "quota", true, err)
	data, size, err := m.ReadFile(ctx, "/master/log", 0, 100)
	check(t, "file", len(data) > 0 && size > 0, err)
	_, err = m.ListFiles(ctx, "/")
	check(t, "files", true, err)
	check(t, "teardown", true, m.Teardown(ctx, &mesos.FrameworkID{Value: new("F")}))
	err = m.MarkAgentGone(ctx, &mesos.AgentID{Value: new("S")})
	if refused, is := errors.AsType[*operator.StatusError](err); !is || refused.Status != http.StatusNotImplemented || refused.Message != "no MARK_AGENT_GONE" {
		t.Errorf("refused: %v", err)
	}
}

func check(t *testing.T, what string, right bool, err error) {
	t.Helper()
	if err != nil || !right {
		t.Errorf("%s: %v", what, err)
	}
}

// What a Mesos agent answered is read.
func TestAgent(t *testing.T) {
	answers := replies{"READ_FILE": golden.Read(t, "v1agent/READ_FILE.json")}
	for _, kind := range []string{"VERSION", "FLAGS", "METRICS", "STATE", "CONTAINERS", "AGENT"} {
		answers["GET_"+kind] = golden.Read(t, "v1agent/GET_"+kind+".json")
	}
	server := httptest.NewServer(answers)
	defer server.Close()
	a, err := operator.NewAgent(operator.Config{Addresses: []string{server.URL}, JSON: true})
	ok(t, err)
	ctx := t.Context()

	version, err := a.Version(ctx)
	check(t, "version", version.GetVersion() == "1.12.0", err)
	flags, err := a.Flags(ctx)
	check(t, "flags", len(flags) > 50, err)
	metrics, err := a.Metrics(ctx)
	check(t, "metrics", len(metrics) > 10, err)
	_, err = a.State(ctx)
	check(t, "state", true, err)
	containers, err := a.Containers(ctx)
	check(t, "containers", len(containers) > 0, err)
	info, err := a.Info(ctx)
	check(t, "info", info.GetHostname() != "", err)
	data, size, err := a.ReadFile(ctx, "/slave/log", 0, 0)
	check(t, "file", len(data) > 0 && size > 0, err)
}

// growing is a file that grows, is there only after a while, and gives little
// at once.
type growing struct {
	mu   sync.Mutex
	data []byte // nil: not there
}

func (g *growing) add(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.data = append(g.data, text...)
}

func (g *growing) ReadFile(_ string, offset uint64) (data []byte, size uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.data == nil {
		return nil, 0, &operator.StatusError{Status: http.StatusNotFound}
	}
	rest := g.data[min(int(offset), len(g.data)):]
	return bytes.Clone(rest[:min(3, len(rest))]), uint64(len(g.data)), nil
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, done := &growing{}, make(chan struct{})
		var out bytes.Buffer
		ended := make(chan error)
		go func() { ended <- operator.Follow(t.Context(), reader{file}, "f", &out, done) }()
		for _, text := range []string{"hello", " ", "world\n"} {
			time.Sleep(time.Second)
			file.add(text)
		}
		synctest.Wait()
		file.add("the end\n")
		close(done)
		ok(t, <-ended)
		if out.String() != "hello world\nthe end\n" {
			t.Errorf("copied %q", out.String())
		}
	})
}

func TestFollowMissing(t *testing.T) {
	done := make(chan struct{})
	close(done)
	if err := operator.Follow(t.Context(), reader{&growing{}}, "f", io.Discard, done); err == nil {
		t.Error("a file that never was is no error")
	}
}

// A server that is away for a while is waited for; a reader that is gone is not.
func TestFollowFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, done := &growing{}, make(chan struct{})
		file.add("hello\n")
		flaky := &failing{reader: reader{file}, errs: []error{
			errors.New("connection refused"), &operator.StatusError{Status: http.StatusServiceUnavailable}, nil, io.ErrUnexpectedEOF,
		}}
		var out bytes.Buffer
		ended := make(chan error)
		go func() { ended <- operator.Follow(t.Context(), flaky, "f", &out, done) }()
		time.Sleep(time.Second)
		close(done)
		ok(t, <-ended)
		if out.String() != "hello\n" {
			t.Errorf("copied %q", out.String())
		}
		closed, _ := os.Open(os.DevNull) // which cannot be written to
		defer closed.Close()
		if err := operator.Follow(t.Context(), reader{file}, "f", closed, nil); !errors.Is(err, syscall.EBADF) {
			t.Errorf("a reader that is gone: %v", err)
		}
		forbidden := &failing{errs: []error{&operator.StatusError{Status: http.StatusForbidden}}}
		if err := operator.Follow(t.Context(), forbidden, "f", &out, nil); err == nil {
			t.Error("what is forbidden is waited for")
		}
	})
}

// failing fails as told, and then no more.
type failing struct {
	reader
	errs []error
}

func (f *failing) ReadFile(ctx context.Context, path string, offset, length uint64) (data []byte, size uint64, err error) {
	if len(f.errs) > 0 {
		err, f.errs = f.errs[0], f.errs[1:]
	}
	if err != nil {
		return nil, 0, err
	}
	return f.reader.ReadFile(ctx, path, offset, length)
}

// eventMaster answers SUBSCRIBE, and each event is asked for by its type.
type eventMaster chan masterpb.Event_Type

func (m eventMaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	media := r.Header.Get("Accept")
	w.Header().Set("Content-Type", media)
	for {
		http.NewResponseController(w).Flush()
		select {
		case kind := <-m:
			if kind == masterpb.Event_UNKNOWN {
				return
			}
			event := &masterpb.Event{Type: kind.Enum()}
			if kind == masterpb.Event_SUBSCRIBED {
				event.Subscribed = &masterpb.Event_Subscribed{HeartbeatIntervalSeconds: proto.Float64(15)}
			}
			body, err := wire.Encode(media, event)
			if err != nil {
				panic(err)
			}
			recordio.NewWriter(w).WriteRecord(body)
		case <-r.Context().Done():
			return
		}
	}
}

// The stream is opened again when it breaks or goes silent.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network fakenet.Network
		listener, err := network.Listen("10.0.0.1:5050")
		ok(t, err)
		events := make(eventMaster, 10)
		server := &http.Server{Handler: events}
		go server.Serve(listener)
		defer server.Close()
		transport := &http.Transport{DialContext: network.DialContext}
		defer transport.CloseIdleConnections()
		m, err := operator.NewMaster(operator.Config{Addresses: []string{"10.0.0.1:5050"}, Transport: transport})
		ok(t, err)
		var seen []string
		for _, kind := range []masterpb.Event_Type{
			masterpb.Event_SUBSCRIBED, masterpb.Event_HEARTBEAT, masterpb.Event_AGENT_ADDED, masterpb.Event_UNKNOWN, masterpb.Event_SUBSCRIBED,
		} {
			events <- kind
		}
		began := time.Now()
		for event, err := range m.Events(t.Context()) {
			ok(t, err)
			seen = append(seen, event.GetType().String())
			if len(seen) == 3 {
				go func() {
					time.Sleep(46 * time.Second)
					events <- masterpb.Event_SUBSCRIBED
				}()
			}
			if len(seen) == 4 {
				break
			}
		}
		if want := []string{"SUBSCRIBED", "AGENT_ADDED", "SUBSCRIBED", "SUBSCRIBED"}; !slices.Equal(seen, want) {
			t.Errorf("seen %q", seen)
		}
		if took := time.Since(began); took < 45*time.Second || took > 62*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestSandbox(t *testing.T) {
	if got, want := fmt.Sprint(operator.Sandbox("F", "E")), "/frameworks/F/executors/E/runs/latest"; got != want {
		t.Errorf("got %s", got)
	}
}

// reader makes a growing file a FileReader.
type reader struct{ *growing }

func (r reader) ReadFile(_ context.Context, path string, offset, _ uint64) (data []byte, size uint64, err error) {
	return r.growing.ReadFile(path, offset)
}
