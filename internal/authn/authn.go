// Package authn tells who makes a request, against the credentials that an
// operator gives in a file: HTTP Basic authentication, and the digests by which
// drivers and agents prove who they are.
package authn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Realms of the endpoints, as Mesos names them.
const (
	MasterReadOnly   = "mesos-master-readonly"
	MasterReadWrite  = "mesos-master-readwrite"
	MasterScheduler  = "mesos-master-scheduler"
	AgentReadOnly    = "mesos-agent-readonly"
	AgentReadWrite   = "mesos-agent-readwrite"
	AgentExecutor    = "mesos-agent-executor"
	ResourceProvider = "mesos-agent-resource-provider"
)

// Credentials are secrets by principal.
type Credentials map[string]string

// A Credential is a principal and its secret.
type Credential struct{ Principal, Secret string }

// ParseCredential reads what an agent's --credential names: JSON,
// {"principal": …, "secret": …}, or a principal and a secret with white space
// between them.
func ParseCredential(text []byte) (Credential, error) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) > 0 && trimmed[0] == '{' {
		var one Credential
		if err := json.Unmarshal(trimmed, &one); err != nil {
			return Credential{}, fmt.Errorf("parsing a credential: %w", err)
		}
		if one.Principal == "" {
			return Credential{}, errors.New("parsing a credential: it has no principal")
		}
		return one, nil
	}
	words := strings.Fields(string(trimmed))
	if len(words) != 2 {
		return Credential{}, errors.New("parsing a credential: want a principal and a secret, or JSON with both")
	}
	return Credential{Principal: words[0], Secret: words[1]}, nil
}

// ParseCredentials reads what --credentials and --http_credentials name: JSON,
// {"credentials": [{"principal": …, "secret": …}]}, or lines of a principal
// and a secret with white space between them.
func ParseCredentials(text []byte) (Credentials, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSON(trimmed)
	}
	return parseLines(text)
}

func parseJSON(text []byte) (Credentials, error) {
	var file struct {
		Credentials []struct {
			Principal *string `json:"principal"`
			Secret    string  `json:"secret"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("parsing credentials: %w", err)
	}
	c := Credentials{}
	for i, entry := range file.Credentials {
		if entry.Principal == nil {
			return nil, fmt.Errorf("parsing credentials: entry %d has no principal", i+1)
		}
		if err := c.add(*entry.Principal, entry.Secret); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func parseLines(text []byte) (Credentials, error) {
	c := Credentials{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		switch words := strings.Fields(lines.Text()); len(words) {
		case 0:
		case 2:
			if err := c.add(words[0], words[1]); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("parsing credentials: line %d is no principal and secret", n)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("parsing credentials: %w", err)
	}
	return c, nil
}

func (c Credentials) add(principal, secret string) error {
	switch _, there := c[principal]; {
	case principal == "":
		return errors.New("parsing credentials: a principal is empty")
	case there:
		return fmt.Errorf("parsing credentials: principal %q is there twice", principal)
	}
	c[principal] = secret
	return nil
}

// Verify reports whether secret is the principal's. How long it takes tells
// nothing about the secret.
func (c Credentials) Verify(principal, secret string) bool {
	want, known := c[principal]
	a, b := sha256.Sum256([]byte(want)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && known
}

// Basic lets through to next the requests that carry one of the credentials,
// with the principal in their context, and answers the others 401.
func Basic(realm string, c Credentials, next http.Handler) http.Handler {
	return require(realm, []way{basic(c)}, next)
}

const unauthorized = "401 Unauthorized."

func refuse(w http.ResponseWriter, challenge, text string) {
	w.Header().Set("WWW-Authenticate", challenge)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(http.StatusUnauthorized)
	_, _ = io.WriteString(w, text)
}

type whoKey struct{}

// WithPrincipal returns a context of a request that principal makes.
func WithPrincipal(ctx context.Context, principal string) context.Context {
	return context.WithValue(ctx, whoKey{}, &Who{Principal: principal})
}

// By returns who makes the request with the given context, nil if that was not
// asked.
func By(ctx context.Context) *Who {
	who, _ := ctx.Value(whoKey{}).(*Who)
	return who
}

// Principal returns the principal who makes the request with the given context,
// or "" if that was not asked, or the request carries a token.
func Principal(ctx context.Context) string {
	if who := By(ctx); who != nil {
		return who.Principal
	}
	return ""
}
