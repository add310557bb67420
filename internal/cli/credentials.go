package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/meseta-project/meseta/internal/agentd"
	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/flags"
	"github.com/meseta-project/meseta/internal/masterd"
)

// maxCredentials bounds a file of credentials.
const maxCredentials = 16 << 20

// readSecrets returns what the file says that a flag names. Who reads the log is
// told of one that is open to others.
func readSecrets(path string, log *slog.Logger) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Mode().Perm()&0o007 != 0 {
		log.Warn("a file of secrets is open to everybody on this machine", slog.String("file", path), slog.String("mode", info.Mode().String()))
	}
	text, err := io.ReadAll(io.LimitReader(file, maxCredentials+1))
	if err == nil && len(text) > maxCredentials {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxCredentials)
	}
	return text, err
}

// credentials reads the file that a flag names; none is no credentials.
func credentials(flag, path string, log *slog.Logger) (authn.Credentials, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readSecrets(path, log)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	c, err := authn.ParseCredentials(text)
	if err == nil && len(c) == 0 {
		err = errors.New("the file has no credentials")
	}
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	return c, nil
}

// authenticationFlags are a master's of who has to say who they are.
type authenticationFlags struct {
	Credentials, FrameworkAuthenticators string
	masterd.Authentication
}

func (a *authenticationFlags) define(set *flags.Set) {
	set.Group("Authentication")
	set.Path(&a.Credentials, "credentials", "", `File of principals and their secrets, as JSON {"credentials": [{"principal": "…", "secret": "…"}]}, or as lines of both.`).Optional()
	set.Bool(&a.Frameworks, "authenticate_frameworks", false, "Turn away frameworks with a libprocess driver that have not authenticated.").DeprecatedAlias("authenticate")
	set.Bool(&a.Agents, "authenticate_agents", false, "Turn away agents that have not authenticated.").DeprecatedAlias("authenticate_slaves")
	set.Choice(new(string), "authenticators", "crammd5", []string{"crammd5"}, "How drivers and agents authenticate.")
	set.Duration(&a.Timeout, "authentication_v0_timeout", 15*time.Second, "How long the authentication of a driver or an agent may take.")
	set.Bool(&a.HTTPFrameworks, "authenticate_http_frameworks", false, "Ask HTTP frameworks for a credential.").Check(a.frameworksNeed)
	set.Choice(&a.FrameworkAuthenticators, "http_framework_authenticators", "", []string{"basic"}, "How HTTP frameworks authenticate; needed with --authenticate_http_frameworks.").Optional()
	set.Bool(&a.HTTPReadOnly, "authenticate_http_readonly", false, "Ask for a credential at endpoints that only read.").Check(a.httpNeeds)
	set.Bool(&a.HTTPReadWrite, "authenticate_http_readwrite", false, "Ask for a credential at endpoints that may change something, the operator API among them.").
		DeprecatedAlias("authenticate_http").Check(a.httpNeeds)
	set.Choice(new(string), "http_authenticators", "basic", []string{"basic"}, "How requests are authenticated.")
}

func (a *authenticationFlags) frameworksNeed() error {
	if a.HTTPFrameworks && a.FrameworkAuthenticators == "" {
		return errors.New("it needs --http_framework_authenticators=basic")
	}
	return needCredentials(a.HTTPFrameworks, "credentials", a.Credentials)
}

func (a *authenticationFlags) httpNeeds() error {
	return needCredentials(a.HTTPReadOnly || a.HTTPReadWrite, "credentials", a.Credentials)
}

func needCredentials(asked bool, flag, path string) error {
	if asked && path == "" {
		return fmt.Errorf("it needs --%s, or nobody could authenticate", flag)
	}
	return nil
}

// load reads the file.
func (a *authenticationFlags) load(log *slog.Logger) (masterd.Authentication, error) {
	c, err := credentials("credentials", a.Credentials, log)
	out := a.Authentication
	out.Credentials = c
	return out, err
}

// agentAuthenticationFlags are an agent's, of who it is and who has to say so.
type agentAuthenticationFlags struct {
	Credential, HTTPCredentials, ExecutorKey string
	HTTPReadOnly, HTTPReadWrite, Executors   bool
}

func (f *agentFlags) authentication() {
	a := &f.Authentication
	f.Set.Group("Authentication")
	f.Set.Path(&a.Credential, "credential", "", `File with the agent's principal and secret, as JSON {"principal": "…", "secret": "…"}, or as a line of both. The agent authenticates with it.`).Optional()
	f.Set.Choice(new(string), "authenticatee", "crammd5", []string{"crammd5"}, "How the agent authenticates with masters.")
	f.Set.Duration(&f.Agent.AuthenticationBackoff, "authentication_backoff_factor", time.Second, "The first authentication waits for --authentication_timeout_min and a random part of this; later ones for twice as much more each time.")
	f.Set.Duration(&f.Agent.AuthenticationTimeoutMin, "authentication_timeout_min", 5*time.Second, "How long the agent waits for an authentication, at least, before it tries again.")
	f.Set.Duration(&f.Agent.AuthenticationTimeoutMax, "authentication_timeout_max", time.Minute, "How long the agent waits for an authentication, at most, before it tries again.")
	f.Set.Path(&a.HTTPCredentials, "http_credentials", "", "File of principals and their secrets who may use the agent's endpoints, in the form of a master's --credentials.").Optional()
	f.Set.Bool(&a.HTTPReadOnly, "authenticate_http_readonly", false, "Ask for a credential at endpoints that only read.").Check(a.httpNeeds)
	f.Set.Bool(&a.HTTPReadWrite, "authenticate_http_readwrite", false, "Ask for a credential at endpoints that may change something, the operator API among them.").
		DeprecatedAlias("authenticate_http").Check(a.httpNeeds)
	f.Set.Path(&a.ExecutorKey, "jwt_secret_key", "", "File with the key that the tokens of custom executors are signed with.").DeprecatedAlias("executor_secret_key").Optional()
	f.Set.Bool(&a.Executors, "authenticate_http_executors", false, "Ask executors for the token that they got, at the executor API; it also opens their own containers to them where --authenticate_http_readwrite asks for a credential.").
		Check(a.executorsNeed)
	f.Set.Choice(new(string), "http_authenticators", "basic", []string{"basic", "basic,jwt"}, "How requests are authenticated. jwt is for executors, with --authenticate_http_executors.")
}

func (a *agentAuthenticationFlags) executorsNeed() error {
	return needCredentials(a.Executors, "jwt_secret_key", a.ExecutorKey)
}

func (a *agentAuthenticationFlags) httpNeeds() error {
	return needCredentials(a.HTTPReadOnly || a.HTTPReadWrite, "http_credentials", a.HTTPCredentials)
}

// load reads the files.
func (a *agentAuthenticationFlags) load(log *slog.Logger) (out agentd.Authentication, err error) {
	out.HTTPReadOnly, out.HTTPReadWrite, out.Executors = a.HTTPReadOnly, a.HTTPReadWrite, a.Executors
	if out.ExecutorKey, err = executorKey(a.ExecutorKey, log); err != nil {
		return out, err
	}
	if out.HTTPCredentials, err = credentials("http_credentials", a.HTTPCredentials, log); err != nil || a.Credential == "" {
		return out, err
	}
	text, err := readSecrets(a.Credential, log)
	if err != nil {
		return out, fmt.Errorf("--credential: %w", err)
	}
	one, err := authn.ParseCredential(text)
	if err != nil {
		return out, fmt.Errorf("--credential: %w", err)
	}
	out.Credential = &one
	return out, nil
}

// executorKey reads the file of --jwt_secret_key, all of which is the key; none is
// no key.
func executorKey(path string, log *slog.Logger) (authn.Key, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readSecrets(path, log)
	if err == nil && len(text) == 0 {
		err = errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("--jwt_secret_key: %w", err)
	}
	return authn.Key(text), nil
}
