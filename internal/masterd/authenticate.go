package masterd

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/master"
)

// Authentication says who has to prove who they are, and against what.
type Authentication struct {
	// Credentials are those of --credentials; without any, nobody can.
	Credentials authn.Credentials
	// Frameworks and Agents that come by libprocess are turned away unless they
	// have authenticated (--authenticate_frameworks, --authenticate_agents).
	Frameworks, Agents bool
	// Timeout is how long one may take (--authentication_v0_timeout).
	Timeout time.Duration
	// The requests of HTTP frameworks, those that only read and those that may
	// change something must carry a credential (--authenticate_http_frameworks,
	// --authenticate_http_readonly, --authenticate_http_readwrite).
	HTTPFrameworks, HTTPReadOnly, HTTPReadWrite bool
}

// What is kept of clients that authenticate, at most. Of the known, who is
// dropped has to authenticate again.
const (
	maxSessions = 100_000
	maxKnown    = 400_000
)

// An authenticator knows who the drivers and agents are that send messages. Each
// of them authenticates in a session, which is a process of its own:
//
//	AuthenticateMessage     starting ──Start──▶ stepping ──Step──▶ known, or not
//
// Whatever else comes, and a session that takes too long, ends it. It works in
// the goroutines of connections, and knows nothing over a restart: a new master
// is a new authentication.
type authenticator struct {
	cfg     Authentication
	host    string // in challenges
	seed    func() uint64
	clock   func() time.Time
	post    func(from string, to ids.UPID, m proto.Message)
	process processes
	log     *slog.Logger
	asked   atomic.Uint64 // messages that asked for a session

	mu       sync.Mutex
	serial   uint64
	sessions map[string]*session   // by process
	byClient map[ids.UPID]*session // the latest of each
	inOrder  []*session            // as begun, some of which have ended
	known    map[ids.UPID]string   // principals
}

// open makes the authenticator one of s.
func (a *authenticator) open(s *Server) {
	a.cfg, a.host, a.log = s.cfg.Authentication, s.cfg.Info.GetHostname(), s.log
	a.seed, a.clock, a.process = s.cfg.Seed, s.clock, s.process
	a.post = func(from string, to ids.UPID, m proto.Message) {
		s.post(master.ToProcess{From: from, To: to, Message: m})
	}
	a.sessions, a.byClient, a.known = map[string]*session{}, map[ids.UPID]*session{}, map[ids.UPID]string{}
}

// processes is what a session is reached by.
type processes interface {
	Handle(process string, h libprocess.Handler)
	Remove(process string)
}

// session is one client's attempt.
type session struct {
	process   string
	client    ids.UPID // who will be known
	with      ids.UPID // the client's own process for this
	begun     time.Time
	challenge []byte // nil: starting
}

// forAuthenticator are the messages of a session.
var forAuthenticator = map[string]bool{"AuthenticationStartMessage": true, "AuthenticationStepMessage": true}

const authenticate = "mesos.internal.AuthenticateMessage"

// begin begins a session for the client that a message names, in place of any
// other that the client has, and forgets who the client was.
func (a *authenticator) begin(from ids.UPID, body []byte) {
	a.asked.Add(1)
	message, err := libprocess.Decode(authenticate, body, map[string]bool{"AuthenticateMessage": true})
	if err != nil {
		a.log.Warn("dropping a message", attr("message", authenticate), attr("from", from), attrErr(err))
		return
	}
	client, err := ids.ParseUPID(message.(*messages.AuthenticateMessage).GetPid())
	if err != nil {
		a.log.Warn("dropping a message", attr("message", authenticate), attr("from", from), attrErr(err))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.known, client)
	if old := a.byClient[client]; old != nil {
		a.end(old)
	}
	a.makeRoom()
	a.serial++
	s := &session{
		process: fmt.Sprintf("crammd5-authenticator-session(%d)", a.serial), client: client, with: from, begun: a.clock(),
	}
	a.sessions[s.process], a.byClient[client] = s, s
	a.inOrder = append(a.inOrder, s)
	a.process.Handle(s.process, a.receive)
	a.post(s.process, from, &messages.AuthenticationMechanismsMessage{Mechanisms: []string{authn.CRAMMD5}})
}

// makeRoom ends the sessions that have taken too long, and the oldest if there
// are too many. a.mu is held.
func (a *authenticator) makeRoom() {
	late := a.clock().Add(-a.cfg.Timeout)
	for len(a.inOrder) > 0 {
		s := a.inOrder[0]
		if a.sessions[s.process] == s && s.begun.After(late) && len(a.inOrder) < maxSessions {
			return
		}
		a.end(s)
		a.inOrder = a.inOrder[1:]
	}
}

// end forgets a session. a.mu is held.
func (a *authenticator) end(s *session) {
	a.process.Remove(s.process)
	delete(a.sessions, s.process)
	if a.byClient[s.client] == s {
		delete(a.byClient, s.client)
	}
}

// receive takes a message to a session.
func (a *authenticator) receive(to string, from ids.UPID, _ libprocess.ConnID, name string, body []byte) {
	message, err := libprocess.Decode(name, body, forAuthenticator)
	if err != nil {
		a.log.Warn("dropping a message", attr("message", name), attr("from", from), attrErr(err))
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.sessions[to]
	if s == nil || s.with != from || a.expired(s) {
		return
	}
	switch m := message.(type) {
	case *messages.AuthenticationStartMessage:
		a.start(s, m)
	case *messages.AuthenticationStepMessage:
		a.step(s, m.GetData())
	}
}

func (a *authenticator) expired(s *session) bool { return a.clock().Sub(s.begun) >= a.cfg.Timeout }

// start answers with a challenge.
func (a *authenticator) start(s *session, m *messages.AuthenticationStartMessage) {
	switch {
	case s.challenge != nil:
		a.fail(s, "Unexpected authentication 'start' received")
	case m.GetMechanism() != authn.CRAMMD5 || len(m.GetData()) > 0:
		a.fail(s, "Only "+authn.CRAMMD5+" is supported, without initial data")
	default:
		s.challenge = authn.NewChallenge(a.seed(), a.clock(), a.host)
		a.post(s.process, s.with, &messages.AuthenticationStepMessage{Data: s.challenge})
	}
}

// step ends a session: the client has answered.
func (a *authenticator) step(s *session, answer []byte) {
	if s.challenge == nil {
		a.fail(s, "Unexpected authentication 'step' received")
		return
	}
	principal, ok := a.cfg.Credentials.VerifyAnswer(s.challenge, answer)
	switch {
	case principal == "":
		a.fail(s, "The answer to the challenge has no principal")
	case !ok:
		a.log.Warn("authentication refused", attr("client", s.client), attr("principal", principal))
		a.post(s.process, s.with, &messages.AuthenticationFailedMessage{})
		a.end(s)
	default:
		a.log.Info("authenticated", attr("client", s.client), attr("principal", principal))
		a.remember(s.client, principal)
		a.post(s.process, s.with, &messages.AuthenticationCompletedMessage{})
		a.end(s)
	}
}

func (a *authenticator) fail(s *session, why string) {
	a.log.Warn("authentication failed", attr("client", s.client), attr("why", why))
	a.post(s.process, s.with, &messages.AuthenticationErrorMessage{Error: &why})
	a.end(s)
}

func (a *authenticator) remember(client ids.UPID, principal string) {
	for other := range a.known {
		if len(a.known) < maxKnown {
			break
		}
		delete(a.known, other)
	}
	a.known[client] = principal
}

// who returns the principal as whom a client has authenticated, "" if it has
// not. It is busy while a session goes on.
func (a *authenticator) who(client ids.UPID) (principal string, busy bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.byClient[client]
	return a.known[client], s != nil && !a.expired(s)
}

var (
	errReauthenticating = errors.New("authentication is still in progress")
	errUnauthenticated  = errors.New("it is not authenticated")
)

// framework returns as whom a driver subscribes, or why it may not. A framework
// may leave its principal out, and is then who it has authenticated as.
func (a *authenticator) framework(driver ids.UPID, principal *string) (as string, err error) {
	as, busy := a.who(driver)
	switch {
	case busy:
		return "", errReauthenticating
	case as == "" && a.cfg.Frameworks:
		return "", fmt.Errorf("Framework at %s is not authenticated", driver) //nolint:staticcheck // Mesos's words, to the driver
	case as != "" && principal != nil && *principal != as:
		return "", fmt.Errorf("Framework principal '%s' does not match authenticated principal '%s'", *principal, as) //nolint:staticcheck // the same
	}
	return as, nil
}

// agent says whether an agent may register.
func (a *authenticator) agent(pid ids.UPID) error {
	switch as, busy := a.who(pid); {
	case busy:
		return errReauthenticating
	case as == "" && a.cfg.Agents:
		return errUnauthenticated
	}
	return nil
}
