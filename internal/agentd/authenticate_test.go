package agentd

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/wire"
)

const leader = ids.UPID("master@127.0.0.1:5050")

// caller is an authenticatee without a network around it.
type caller struct {
	authenticatee
	processes map[string]libprocess.Handler
	sent      []letter
	told      []agent.Input
}

type letter struct {
	from string
	to   ids.UPID
	m    proto.Message
}

func newCaller() *caller {
	c := &caller{processes: map[string]libprocess.Handler{}}
	c.authenticatee = authenticatee{
		credential: &authn.Credential{Principal: "agent-principal", Secret: "agent-secret"},
		client:     "slave(1)@127.0.0.1:5051", processes: c, log: slog.New(slog.DiscardHandler),
		post: func(from string, to ids.UPID, m proto.Message) { c.sent = append(c.sent, letter{from, to, m}) },
		tell: func(in ...agent.Input) { c.told = append(c.told, in...) },
	}
	return c
}

func (c *caller) Handle(process string, h libprocess.Handler) { c.processes[process] = h }
func (c *caller) Remove(process string)                       { delete(c.processes, process) }

// take has a message arrive.
func (c *caller) take(t *testing.T, to string, from ids.UPID, m proto.Message) {
	t.Helper()
	body, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if h := c.processes[to]; h != nil {
		h(to, from, 1, libprocess.MessageName(m), body)
	}
}

// capturedMessage is a line of a capture.
type capturedMessage struct {
	Src, Dst, Kind, First, Type string
	Headers                     [][2]string
	Body                        []byte
}

func (m *capturedMessage) from() ids.UPID { return ids.UPID(m.Headers[1][1]) }

func (m *capturedMessage) to() string {
	path, _, _ := strings.Cut(strings.TrimPrefix(m.First, "POST /"), " ")
	process, _, _ := strings.Cut(path, "/")
	return process
}

// TestAuthenticatesAsCaptured has an agent of ours authenticate with a captured
// master of Mesos, and expects what Mesos's agent said, byte by byte.
func TestAuthenticatesAsCaptured(t *testing.T) {
	c := newCaller()
	c.begin(leader)
	compared := 0
	for line := range bytes.Lines(golden.Read(t, "v0_driver/02_cram_md5.jsonl")) {
		var m capturedMessage
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Kind != "request" || !strings.Contains(m.Type, "Authenticat"):
		case m.Dst == "agent":
			c.processes[m.to()](m.to(), m.from(), 1, m.Type, m.Body)
		case m.Src == "agent":
			if len(c.sent) == 0 {
				t.Fatalf("nothing said where Mesos says %s", m.Type)
			}
			got := c.sent[0]
			c.sent = c.sent[1:]
			body, err := wire.Marshal(got.m)
			if err != nil {
				t.Fatal(err)
			}
			if libprocess.MessageName(got.m) != m.Type || !bytes.Equal(body, m.Body) ||
				got.to.Process() != m.to() || ids.UPID(got.from+"@127.0.0.1:5051") != m.from() {
				t.Errorf("%s to %s: %v\nMesos: %s from %s: %q", got.from, got.to, got.m, m.Type, m.from(), m.Body)
			}
			compared++
		}
	}
	if compared != 3 || len(c.sent) > 0 {
		t.Errorf("%d messages compared, %v left", compared, c.sent)
	}
	if len(c.told) != 1 || c.told[0] != (agent.MasterAuthenticated{Master: leader}) || len(c.processes) > 0 {
		t.Errorf("told %v, processes %v", c.told, c.processes)
	}
}

// TestAuthenticateeOutcomes: what makes the agent known, refused, or neither.
func TestAuthenticateeOutcomes(t *testing.T) {
	const session = ids.UPID("crammd5-authenticator-session(1)@127.0.0.1:5050")
	mechanisms := &messages.AuthenticationMechanismsMessage{Mechanisms: []string{"PLAIN", "CRAM-MD5"}}
	challenge := &messages.AuthenticationStepMessage{Data: []byte("<1@h>")}
	for what, x := range map[string]struct {
		from ids.UPID
		in   []proto.Message
		want []agent.Input
		said int
	}{
		"known":     {session, []proto.Message{mechanisms, challenge, &messages.AuthenticationCompletedMessage{}}, []agent.Input{agent.MasterAuthenticated{Master: leader}}, 3},
		"refused":   {session, []proto.Message{mechanisms, challenge, &messages.AuthenticationFailedMessage{}}, []agent.Input{agent.MasterAuthenticated{Master: leader, Refused: true}}, 3},
		"error":     {session, []proto.Message{&messages.AuthenticationErrorMessage{Error: new("No authenticator loaded")}, mechanisms}, nil, 1},
		"unproved":  {session, []proto.Message{mechanisms, &messages.AuthenticationCompletedMessage{}}, nil, 2},
		"other way": {session, []proto.Message{&messages.AuthenticationMechanismsMessage{Mechanisms: []string{"PLAIN"}}, challenge}, nil, 1},
		"another":   {"crammd5-authenticator-session(1)@127.0.0.1:6666", []proto.Message{mechanisms, challenge, &messages.AuthenticationFailedMessage{}}, nil, 1},
		"not asked": {session, []proto.Message{&messages.AuthenticateMessage{Pid: new("x@1.2.3.4:5")}}, nil, 1},
	} {
		c := newCaller()
		c.begin(leader)
		for _, m := range x.in {
			c.take(t, "crammd5-authenticatee(1)", x.from, m)
		}
		if len(c.told) != len(x.want) || len(c.told) > 0 && c.told[0] != x.want[0] || len(c.sent) != x.said {
			t.Errorf("%s: told %v, want %v; said %v", what, c.told, x.want, c.sent)
		}
		c.begin(leader)
		c.take(t, "crammd5-authenticatee(1)", session, &messages.AuthenticationFailedMessage{})
		if len(c.told) != len(x.want) || len(c.processes) != 1 {
			t.Errorf("%s: an earlier attempt is still answered", what)
		}
	}
}

// TestHTTPCredentials: which endpoints ask for a credential, by realm.
func TestHTTPCredentials(t *testing.T) {
	for _, x := range []struct {
		read, write bool
		path, realm string
	}{
		{true, true, "/state", authn.AgentReadOnly},
		{true, true, "/slave(1)/containers", authn.AgentReadOnly},
		{true, true, "/metrics/snapshot", authn.AgentReadOnly},
		{true, true, "/files/browse", authn.AgentReadOnly},
		{true, true, "/api/v1", authn.AgentReadWrite},
		{true, true, "/logging/toggle", authn.AgentReadWrite},
		{true, true, "/health", ""},
		{true, true, "/version", ""},
		{true, true, "/api/v1/executor", ""},
		{true, false, "/api/v1", ""},
		{false, true, "/flags", ""},
		{false, false, "/flags", ""},
	} {
		s := &Server{
			pid: "slave(1)@127.0.0.1:5051", help: httpd.NewHelp("slave(1)"), stopped: make(chan struct{}),
			cfg: Config{Authentication: Authentication{
				HTTPCredentials: authn.Credentials{"p": "s"}, HTTPReadOnly: x.read, HTTPReadWrite: x.write,
			}},
		}
		s.metricsSnapshot = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		got := httptest.NewRecorder()
		s.routes().ServeHTTP(got, httptest.NewRequest(http.MethodPut, x.path, nil))
		challenge := ""
		if x.realm != "" {
			challenge = `Basic realm="` + x.realm + `"`
		}
		if (got.Code == http.StatusUnauthorized) != (x.realm != "") || got.Header().Get("Www-Authenticate") != challenge {
			t.Errorf("%s: %d %q, want realm %q", x.path, got.Code, got.Header().Get("Www-Authenticate"), x.realm)
		}
	}
}
