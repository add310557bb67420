package masterd

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/golden"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/wire"
)

// desk is an authenticator without a network around it.
type desk struct {
	authenticator
	processes map[string]libprocess.Handler
	sent      []letter
	now       time.Time
}

type letter struct {
	from string
	to   ids.UPID
	m    proto.Message
}

func newDesk(cfg Authentication) *desk {
	d := &desk{processes: map[string]libprocess.Handler{}, now: time.Unix(30625, 0)}
	d.authenticator = authenticator{
		cfg: cfg, host: "node1.test", seed: func() uint64 { return 2509362343 }, log: slog.New(slog.DiscardHandler),
		clock: func() time.Time { return d.now }, process: d,
		post:     func(from string, to ids.UPID, m proto.Message) { d.sent = append(d.sent, letter{from, to, m}) },
		sessions: map[string]*session{}, byClient: map[ids.UPID]*session{}, known: map[ids.UPID]string{},
	}
	return d
}

func (d *desk) Handle(process string, h libprocess.Handler) { d.processes[process] = h }
func (d *desk) Remove(process string)                       { delete(d.processes, process) }

// take has a message arrive and returns what was sent because of it.
func (d *desk) take(to string, from ids.UPID, name string, body []byte) []letter {
	d.sent = nil
	if name == authenticate {
		d.begin(from, body)
	} else if h := d.processes[to]; h != nil {
		h(to, from, 1, name, body)
	}
	return d.sent
}

// tell is take with a message.
func (d *desk) tell(t *testing.T, to string, from ids.UPID, m proto.Message) string {
	t.Helper()
	body, err := wire.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, l := range d.take(to, from, libprocess.MessageName(m), body) {
		said = append(said, strings.TrimPrefix(libprocess.MessageName(l.m), "mesos.internal.Authentication"))
	}
	return strings.Join(said, " ")
}

// captured are the messages of a capture that belong to authentication.
func captured(t *testing.T, name string) []capturedMessage {
	var all []capturedMessage
	for line := range bytes.Lines(golden.Read(t, "v0_driver/"+name+".jsonl")) {
		var m capturedMessage
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		if m.Kind == "request" && strings.Contains(m.Type, "Authenticat") {
			all = append(all, m)
		}
	}
	return all
}

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

// TestAuthenticationAsCaptured has Mesos's drivers and agent authenticate as
// they did, and expects what Mesos's master answered, byte by byte. What is
// random is as it was.
func TestAuthenticationAsCaptured(t *testing.T) {
	for name, known := range map[string][]string{
		"02_cram_md5":         {"agent-principal", "test-principal"},
		"03_cram_md5_refused": nil,
	} {
		exchange := captured(t, name)
		d := newDesk(Authentication{
			Credentials: authn.Credentials{"test-principal": "test-secret", "agent-principal": "agent-secret"}, Timeout: time.Minute,
		})
		var said []letter
		for i, m := range exchange {
			if m.Dst == "master" {
				d.challengeAs(exchange[i+1:])
				said = append(said, d.take(m.to(), m.from(), m.Type, m.Body)...)
				continue
			}
			if len(said) == 0 {
				t.Fatalf("%s: nothing said where Mesos says %s", name, m.Type)
			}
			got := said[0]
			said = said[1:]
			body, err := wire.Marshal(got.m)
			if err != nil {
				t.Fatal(err)
			}
			if libprocess.MessageName(got.m) != m.Type || !bytes.Equal(body, m.Body) ||
				got.to.Process() != m.to() || ids.UPID(got.from+"@127.0.0.1:5050") != m.from() {
				t.Errorf("%s: %s to %s: %v\nMesos: %s from %s: %q", name, got.from, got.to, got.m, m.Type, m.from(), m.Body)
			}
		}
		if len(said) > 0 || len(exchange) < 6 {
			t.Errorf("%s: said more: %v", name, said)
		}
		if strings.Join(slices.Sorted(maps.Values(d.known)), " ") != strings.Join(known, " ") {
			t.Errorf("%s: known are %v, want %v", name, d.known, known)
		}
	}
}

// challengeAs makes the next challenge the one that the capture has.
func (d *desk) challengeAs(rest []capturedMessage) {
	for _, m := range rest {
		if m.Src == "master" && m.Type == "mesos.internal.AuthenticationStepMessage" {
			step := &messages.AuthenticationStepMessage{}
			if err := wire.Unmarshal(m.Body, step); err == nil {
				nonce, at, host := parsedChallenge(string(step.GetData()))
				d.seed, d.now, d.host = func() uint64 { return nonce }, at, host
			}
			return
		}
	}
}

func parsedChallenge(text string) (nonce uint64, at time.Time, host string) {
	numbers, host, _ := strings.Cut(strings.Trim(text, "<>"), "@")
	n, seconds, _ := strings.Cut(numbers, ".")
	return digits(n), time.Unix(int64(digits(seconds)), 0), host
}

func digits(text string) (n uint64) {
	for _, c := range text {
		n = 10*n + uint64(c-'0')
	}
	return n
}

const (
	driver     ids.UPID = "scheduler-1@10.0.0.9:4000"
	session1            = "crammd5-authenticator-session(1)"
	session2            = "crammd5-authenticator-session(2)"
	driverSelf ids.UPID = "crammd5-authenticatee(1)@10.0.0.9:4000"
)

var (
	hello  = &messages.AuthenticateMessage{Pid: new(string(driver))}
	start  = &messages.AuthenticationStartMessage{Mechanism: new("CRAM-MD5"), Data: []byte{}}
	answer = &messages.AuthenticationStepMessage{Data: authn.Answer("p", "s", []byte("<2509362343.30625@node1.test>"))}
)

func allRequired() Authentication {
	return Authentication{Credentials: authn.Credentials{"p": "s"}, Frameworks: true, Agents: true, Timeout: 15 * time.Second}
}

// TestAuthenticationOutOfOrder: whatever comes, nobody becomes known by it.
func TestAuthenticationOutOfOrder(t *testing.T) {
	for what, c := range map[string]struct {
		messages []proto.Message
		want     string
	}{
		"step first":        {[]proto.Message{hello, answer}, "MechanismsMessage ErrorMessage"},
		"start twice":       {[]proto.Message{hello, start, start, answer}, "MechanismsMessage StepMessage ErrorMessage "},
		"another mechanism": {[]proto.Message{hello, &messages.AuthenticationStartMessage{Mechanism: new("PLAIN")}, answer}, "MechanismsMessage ErrorMessage "},
		"initial data": {
			[]proto.Message{hello, &messages.AuthenticationStartMessage{Mechanism: new("CRAM-MD5"), Data: []byte("x")}},
			"MechanismsMessage ErrorMessage",
		},
		"no principal": {
			[]proto.Message{hello, start, &messages.AuthenticationStepMessage{Data: []byte("0123")}},
			"MechanismsMessage StepMessage ErrorMessage",
		},
		"wrong digest": {
			[]proto.Message{hello, start, &messages.AuthenticationStepMessage{Data: []byte("p 0123")}, answer},
			"MechanismsMessage StepMessage FailedMessage ",
		},
		"no session":       {[]proto.Message{start, answer}, " "},
		"no process":       {[]proto.Message{&messages.AuthenticateMessage{Pid: new("nobody")}, start}, " "},
		"another's answer": {[]proto.Message{hello, start, &messages.AuthenticationCompletedMessage{}}, "MechanismsMessage StepMessage "},
	} {
		d := newDesk(allRequired())
		var said []string
		for _, m := range c.messages {
			said = append(said, d.tell(t, session1, driverSelf, m))
		}
		if got := strings.Join(said, " "); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
		if len(d.known) > 0 {
			t.Errorf("%s: %v known", what, d.known)
		}
	}
}

// TestAuthenticationAnew: who authenticates again is nobody until that is done,
// and an earlier session does not help.
func TestAuthenticationAnew(t *testing.T) {
	d := newDesk(allRequired())
	d.tell(t, "master", driverSelf, hello)
	d.tell(t, session1, driverSelf, start)
	d.tell(t, session1, driverSelf, answer)
	if as, err := d.framework(driver, nil); as != "p" || err != nil {
		t.Fatalf("%q %v", as, err)
	}
	if _, err := d.framework(driver, new("q")); err == nil || !strings.Contains(err.Error(), "'q' does not match authenticated principal 'p'") {
		t.Errorf("another principal: %v", err)
	}
	d.tell(t, "master", driverSelf, hello)
	if _, err := d.framework(driver, nil); err == nil {
		t.Error("known while authenticating anew")
	}
	d.tell(t, "master", "crammd5-authenticatee(2)@10.0.0.9:4000", hello)
	if said := d.tell(t, session2, driverSelf, start); said != "" {
		t.Errorf("the session before answers %q", said)
	}
	if len(d.sessions) != 1 || len(d.processes) != 1 || len(d.byClient) != 1 {
		t.Errorf("sessions left: %v", d.sessions)
	}
}

// TestAuthenticationTakesTooLong: the session ends, and the client may register
// if nobody has to authenticate.
func TestAuthenticationTakesTooLong(t *testing.T) {
	d := newDesk(Authentication{Credentials: authn.Credentials{"p": "s"}, Timeout: 15 * time.Second})
	d.tell(t, "master", driverSelf, hello)
	d.tell(t, session1, driverSelf, start)
	if err := d.agent(driver); err == nil {
		t.Error("admitted while authenticating")
	}
	d.now = d.now.Add(15 * time.Second)
	if said := d.tell(t, session1, driverSelf, answer); said != "" || len(d.known) > 0 {
		t.Errorf("said %q, known %v", said, d.known)
	}
	if err := d.agent(driver); err != nil {
		t.Error(err)
	}
	d.tell(t, "master", "crammd5-authenticatee(1)@10.0.0.8:1", &messages.AuthenticateMessage{Pid: new("slave(1)@10.0.0.8:1")})
	if len(d.sessions) != 1 || len(d.inOrder) != 1 {
		t.Errorf("%d sessions, %d in order", len(d.sessions), len(d.inOrder))
	}
}

// TestAuthenticationRequired: who has not authenticated is turned away, and let
// in where nobody asks.
func TestAuthenticationRequired(t *testing.T) {
	d := newDesk(allRequired())
	if _, err := d.framework(driver, nil); err == nil || err.Error() != "Framework at scheduler-1@10.0.0.9:4000 is not authenticated" {
		t.Errorf("framework: %v", err)
	}
	if err := d.agent(driver); err == nil {
		t.Error("agent admitted")
	}
	d = newDesk(Authentication{})
	if as, err := d.framework(driver, new("any")); as != "" || err != nil {
		t.Errorf("framework: %q %v", as, err)
	}
	if err := d.agent(driver); err != nil {
		t.Error(err)
	}
}
