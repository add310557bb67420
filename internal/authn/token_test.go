package authn_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/authn"
)

var (
	key    = authn.Key("the key")
	claims = authn.Claims{"fid": "f", "eid": "e", "cid": "c"}
	noon   = time.Unix(1_600_000_000, 0)
)

func sign(t testing.TB, k authn.Key, c authn.Claims) string {
	t.Helper()
	token, err := k.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestToken(t *testing.T) {
	token := sign(t, key, claims)
	if got, err := key.Verify(token, noon); err != nil || !maps.Equal(got, claims) {
		t.Errorf("%v, %v", got, err)
	}
	// As Mesos signs the same.
	const mesos = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaWQiOiJjIiwiZWlkIjoiZSIsImZpZCI6ImYifQ."
	if !strings.HasPrefix(token, mesos) {
		t.Errorf("a token is %s", token)
	}
	for name, bad := range map[string]string{
		"another key":  sign(t, authn.Key("another"), claims),
		"two parts":    "a.b",
		"four parts":   token + ".x",
		"no base64":    "%.%.%",
		"other claims": strings.Replace(token, "eyJjaWQiOiJjIi", "eyJjaWQiOiJkIi", 1),
		"no signature": token[:strings.LastIndex(token, ".")+1],
		"large":        strings.Repeat("a", 1<<20) + ".b.c",
		"no algorithm": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.",
	} {
		if got, err := key.Verify(bad, noon); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Claims that are no strings are kept as JSON, and the time counts.
func TestTokenOfOthers(t *testing.T) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE2MDAwMDAwMDAsIm4iOnsiYSI6WzEsdHJ1ZV19fQ.R97RVJKMuCWBgBoaxv2q1v3IxPD1rXT4KLOKAe3yI3k"
	got, err := key.Verify(token, noon.Add(-time.Minute))
	if err != nil || fmt.Sprint(got) != `map[exp:1600000000 n:{"a":[1,true]}]` {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := key.Verify(token, noon.Add(time.Minute)); err == nil {
		t.Errorf("expired: %v", got)
	}
}

func TestTokens(t *testing.T) {
	h := authn.Tokens(authn.AgentExecutor, authn.Credentials{"p": "s"}, key, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, authn.By(r.Context()).String()+" "+authn.Principal(r.Context()))
	}))
	for header, want := range map[string]string{
		"Bearer " + sign(t, key, claims): `200 {"claims":{"cid":"c","eid":"e","fid":"f"}} `,
		"Basic cDpz":                     `200 p p`,
		"Bearer":                         "401 \"Basic\" authenticator returned:\n401 Unauthorized.\n\n\"Bearer\" authenticator returned:\n401 Unauthorized.",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", header)
		h.ServeHTTP(w, r)
		if got := fmt.Sprint(w.Code, " ", w.Body); got != want {
			t.Errorf("%s: %q", header, got)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(sign(f, key, claims))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := key.Verify(token, noon); err == nil && sign(t, key, got) == "" {
			t.Errorf("%q: %v", token, got)
		}
	})
}
