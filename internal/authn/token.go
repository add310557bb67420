package authn

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A Key is what an agent signs the tokens of executors with (--jwt_secret_key).
// Tokens are JSON web tokens, signed by HMAC with SHA-256.
type Key []byte

// Claims are what a token says of who holds it. Those of an executor are fid,
// eid and cid: its framework, itself and its container.
type Claims map[string]string

// Sign returns a token that says this of who holds it.
func (k Key) Sign(c Claims) (string, error) {
	payload := jwt.MapClaims{}
	for name, value := range c {
		payload[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, payload).SignedString([]byte(k))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}

// tokenMax bounds a token, in bytes.
const tokenMax = 64 << 10

// Verify returns what a token says that was signed with the key and has not
// expired. The error is Mesos's words, where it has some.
func (k Key) Verify(token string, now time.Time) (Claims, error) {
	if n := strings.Count(token, ".") + 1; n != 3 || len(token) > tokenMax {
		return nil, fmt.Errorf("Expected 3 components in token, got %d", n) //nolint:staticcheck // Mesos's words
	}
	payload := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithJSONNumber())
	parsed, err := parser.ParseWithClaims(token, payload, func(*jwt.Token) (any, error) { return []byte(k), nil })
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return nil, errors.New("Token signature does not match") //nolint:staticcheck // Mesos's words
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, errors.New("Token has expired") //nolint:staticcheck // Mesos's words
	case err != nil:
		return nil, fmt.Errorf("Failed to decode token: %w", err) //nolint:staticcheck // Mesos's words
	case parsed.Header["crit"] != nil: // it is not to be taken without what that names
		return nil, errors.New("Token 'crit' field is unsupported") //nolint:staticcheck // Mesos's words
	}
	return texts(payload)
}

// texts returns claims as Mesos keeps them: what is no string as its JSON.
func texts(payload jwt.MapClaims) (Claims, error) {
	claims := Claims{}
	for name, value := range payload {
		if text, ok := value.(string); ok {
			claims[name] = text
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		claims[name] = string(text)
	}
	return claims, nil
}

// Who is who makes a request: a principal that gave a secret, or the holder of a
// token.
type Who struct {
	Principal string
	Claims    Claims
}

// String returns it as Mesos writes it.
func (w *Who) String() string {
	if w.Claims == nil {
		return w.Principal
	}
	text, err := json.Marshal(struct {
		Claims Claims `json:"claims"`
	}{w.Claims})
	if err != nil {
		return "" // there are only strings
	}
	return string(text)
}

// A way is one by which requests are authenticated: it returns who makes one, or
// else what is asked for.
type way struct {
	scheme string
	ask    func(r *http.Request, realm string) (who *Who, challenge string)
}

// Tokens lets through to next the requests that carry a token signed with the
// key, or one of the credentials, if there are any.
func Tokens(realm string, c Credentials, k Key, next http.Handler) http.Handler {
	ways := []way{bearer(k)}
	if c != nil {
		ways = []way{basic(c), ways[0]}
	}
	return require(realm, ways, next)
}

func basic(c Credentials) way {
	return way{"Basic", func(r *http.Request, realm string) (*Who, string) {
		principal, secret, ok := r.BasicAuth()
		if !ok || !c.Verify(principal, secret) {
			return nil, "Basic realm=" + strconv.Quote(realm)
		}
		return &Who{Principal: principal}, ""
	}}
}

func bearer(k Key) way {
	return way{"Bearer", func(r *http.Request, realm string) (*Who, string) {
		claims, err := k.ofHeader(r.Header.Values("Authorization"))
		if err == nil && len(claims) > 0 {
			return &Who{Claims: claims}, ""
		}
		challenge := "Bearer realm=" + strconv.Quote(realm)
		if r.Header.Get("Authorization") != "" { // without one, no error is to be told (RFC 6750, 3.1)
			challenge += `, error="invalid_token", error_description=` + strconv.Quote(cmp.Or(err, errNoClaims).Error())
		}
		return nil, challenge
	}}
}

var errNoClaims = errors.New("JWT claims missing")

func (k Key) ofHeader(values []string) (Claims, error) {
	if len(values) != 1 {
		return nil, errors.New("Malformed 'Authorization' header") //nolint:staticcheck // Mesos's words
	}
	scheme, token, ok := strings.Cut(values[0], " ")
	switch {
	case !ok || strings.Contains(token, " "):
		return nil, errors.New("Malformed 'Authorization' header") //nolint:staticcheck // Mesos's words
	case scheme != "Bearer":
		return nil, fmt.Errorf("Scheme '%s' unsupported", scheme) //nolint:staticcheck // Mesos's words
	}
	claims, err := k.Verify(token, time.Now())
	if err != nil {
		return nil, fmt.Errorf("Invalid JWT: %w", err) //nolint:staticcheck // Mesos's words
	}
	return claims, nil
}

// require lets through to next whom one of the ways knows. Several that do not
// are told together, as Mesos does.
func require(realm string, ways []way, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var challenges, texts []string
		for _, one := range ways {
			who, challenge := one.ask(r, realm)
			if who != nil {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), whoKey{}, who)))
				return
			}
			challenges = append(challenges, challenge)
			texts = append(texts, fmt.Sprintf("%q authenticator returned:\n%s", one.scheme, unauthorized))
		}
		text := unauthorized
		if len(ways) > 1 {
			text = strings.Join(texts, "\n\n")
		}
		refuse(w, strings.Join(challenges, ","), text)
	})
}
