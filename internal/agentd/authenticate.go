package agentd

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/libprocess"
	"github.com/meseta-project/meseta/internal/wire"
)

// Authentication is who the agent is, and who has to say so to it.
type Authentication struct {
	// Credential is what the agent proves to masters that it knows
	// (--credential); nil: nothing.
	Credential *authn.Credential
	// HTTPCredentials are those of --http_credentials. Requests that only read,
	// and those that may change something, must carry one
	// (--authenticate_http_readonly, --authenticate_http_readwrite).
	HTTPCredentials             authn.Credentials
	HTTPReadOnly, HTTPReadWrite bool
	// ExecutorKey signs the tokens that custom executors get (--jwt_secret_key); nil:
	// they get none. Executors says whether to ask for them at the executor API
	// (--authenticate_http_executors).
	ExecutorKey authn.Key
	Executors   bool
}

// authenticatee proves to a master who the agent is, one attempt at a time. Each
// is a process of its own, so that what comes late from an earlier one is
// nobody's.
type authenticatee struct {
	credential *authn.Credential
	client     ids.UPID // the agent
	processes  processes
	post       func(from string, to ids.UPID, m proto.Message)
	tell       func(...agent.Input)
	log        *slog.Logger

	mu       sync.Mutex
	serial   int
	process  string   // of the present attempt; "": there is none
	master   ids.UPID // to whom
	answered bool     // the challenge
}

// processes is what an attempt is reached by.
type processes interface {
	Handle(process string, h libprocess.Handler)
	Remove(process string)
}

// forAuthenticatee are the messages of a master's authenticator.
var forAuthenticatee = map[string]bool{
	"AuthenticationMechanismsMessage": true, "AuthenticationStepMessage": true, "AuthenticationCompletedMessage": true,
	"AuthenticationFailedMessage": true, "AuthenticationErrorMessage": true,
}

// begin begins an attempt in place of any other.
func (a *authenticatee) begin(master ids.UPID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end()
	a.serial++
	a.process, a.master, a.answered = fmt.Sprintf("crammd5-authenticatee(%d)", a.serial), master, false
	a.processes.Handle(a.process, a.receive)
	pid := string(a.client)
	a.post(a.process, master, &messages.AuthenticateMessage{Pid: &pid})
}

// end forgets the attempt. a.mu is held.
func (a *authenticatee) end() {
	if a.process != "" {
		a.processes.Remove(a.process)
		a.process = ""
	}
}

// receive takes a message to an attempt.
func (a *authenticatee) receive(to string, from ids.UPID, _ libprocess.ConnID, name string, body []byte) {
	message, err := libprocess.Decode(name, body, forAuthenticatee)
	if err != nil {
		a.log.Warn("dropping a message", attr("message", name), attr("from", from), attrErr(err))
		return
	}
	if outcome := a.step(to, from, message); outcome != nil {
		a.tell(outcome) // which may wait for the loop, and the loop for the lock
	}
}

// step goes on with an attempt, and returns its outcome, if there is one. An
// attempt that failed for another reason than the credential is repeated when
// the core's patience is over.
func (a *authenticatee) step(to string, from ids.UPID, message proto.Message) agent.Input {
	a.mu.Lock()
	defer a.mu.Unlock()
	if to != a.process || from.Address() != a.master.Address() {
		return nil
	}
	switch m := message.(type) {
	case *messages.AuthenticationMechanismsMessage:
		a.start(from, m.GetMechanisms())
	case *messages.AuthenticationStepMessage:
		a.answered = true
		answer := authn.Answer(a.credential.Principal, a.credential.Secret, m.GetData())
		a.post(to, from, &messages.AuthenticationStepMessage{Data: answer})
	case *messages.AuthenticationCompletedMessage:
		a.end()
		if a.answered { // else the master does not know who we are
			return agent.MasterAuthenticated{Master: a.master}
		}
	case *messages.AuthenticationFailedMessage:
		a.end()
		return agent.MasterAuthenticated{Master: a.master, Refused: true}
	case *messages.AuthenticationErrorMessage:
		a.end()
		a.log.Warn("authentication failed", attr("master", a.master), attr("why", m.GetError()))
	}
	return nil
}

// start takes the mechanism that we know. a.mu is held.
func (a *authenticatee) start(with ids.UPID, offered []string) {
	if !slices.Contains(offered, authn.CRAMMD5) {
		a.log.Error("the master offers no way to authenticate that this agent has", attr("offered", strings.Join(offered, ",")))
		a.end()
		return
	}
	mechanism := authn.CRAMMD5
	a.post(a.process, with, &messages.AuthenticationStartMessage{Mechanism: &mechanism, Data: []byte{}})
}

// postAs sends a message from one of the agent's processes.
func (s *Server) postAs(process string, to ids.UPID, m proto.Message) {
	body, err := wire.Marshal(m)
	if err != nil {
		s.log.Error("cannot encode a message", attr("to", to), attrErr(err))
		return
	}
	s.links.Send(to, ids.UPID(process+"@"+s.pid.Address()), libprocess.MessageName(m), body)
}

// public are the paths that anybody may read, whatever is asked of others.
var public = map[string]bool{"health": true, "version": true, "help/": true}

// authenticated lets through to h who carries a credential, or a token where
// executors have something to do, if the endpoint's realm asks for one.
func (s *Server) authenticated(process, path string, h http.Handler) http.Handler {
	a := &s.cfg.Authentication
	switch {
	case public[path] || public[process+"/"+path]:
		return h
	case path == "api/v1/executor":
		if !a.Executors {
			return h
		}
		return authn.Tokens(authn.AgentExecutor, a.HTTPCredentials, a.ExecutorKey, h)
	case path == "api/v1" && a.HTTPReadWrite && a.Executors:
		return authn.Tokens(authn.AgentReadWrite, a.HTTPCredentials, a.ExecutorKey, h)
	case path == "api/v1" || process == "logging":
		return basicIf(a.HTTPReadWrite, authn.AgentReadWrite, a.HTTPCredentials, h)
	default:
		return basicIf(a.HTTPReadOnly, authn.AgentReadOnly, a.HTTPCredentials, h)
	}
}

func basicIf(asked bool, realm string, c authn.Credentials, h http.Handler) http.Handler {
	if !asked {
		return h
	}
	return authn.Basic(realm, c, h)
}
