package agent

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// An agent with a credential authenticates before it registers, and before each
// re-registration: another master, or the same after a restart, does not know
// it.
//
//	detected, disconnected ──▶ register: Authenticate ──▶ MasterAuthenticated ──▶ register
//	                              ▲                │
//	                              └── no answer ───┘

// needsAuthentication says whether the master has to be told who we are first.
func (a *Agent) needsAuthentication() bool { return a.cfg.Authenticate && !a.authenticated }

// authenticate begins an attempt, and plans the next in case that nothing comes
// of it.
func (a *Agent) authenticate() {
	a.out.Messages = append(a.out.Messages, Authenticate{To: a.master})
	wait := a.cfg.AuthenticationTimeoutMin + a.within(a.authPatience)
	a.timers.set(timer{kind: timerRegister}, a.now.Add(wait))
	a.authPatience = min(2*a.authPatience, max(a.cfg.AuthenticationTimeoutMax-a.cfg.AuthenticationTimeoutMin, 0))
}

// masterAuthenticated handles the outcome of an attempt. A master that refuses
// ends the agent, not what it runs: the operator has to give it another
// credential.
func (a *Agent) masterAuthenticated(master ids.UPID, refused bool) {
	switch {
	case master != a.master || a.state != Disconnected || a.authenticated:
	case refused:
		a.log.Error("the master refused authentication", slog.String("master", string(master)))
		a.out.Fatal = fmt.Errorf("master %s refused authentication: is the --credential among the master's --credentials?", master)
	default:
		a.log.Info("authenticated", slog.String("master", string(master)))
		a.authenticated = true
		a.register()
	}
}

// unauthenticate forgets that a master knows us.
func (a *Agent) unauthenticate() {
	a.authenticated = false
	a.authPatience = a.cfg.AuthenticationBackoff
}

// Times of authentication by default.
const (
	authenticationTimeoutMin = 5 * time.Second
	authenticationTimeoutMax = time.Minute
)
