package authn_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/meseta-project/meseta/internal/authn"
)

func TestParseCredentials(t *testing.T) {
	want := authn.Credentials{"p1": "s1", "p2": "s 2"}
	got, err := authn.ParseCredentials([]byte(` {"credentials": [{"principal": "p1", "secret": "s1"}, {"principal": "p2", "secret": "s 2"}]}`))
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v %v", got, err)
	}
	got, err = authn.ParseCredentials([]byte("p1 s1\n\n p2\ts2 \n"))
	if err != nil || !maps.Equal(got, authn.Credentials{"p1": "s1", "p2": "s2"}) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{
		`{`, `{"credentials": [{"secret": "s"}]}`, `{"credentials": [{"principal": ""}]}`,
		`{"credentials": [{"principal": "p"}, {"principal": "p"}]}`, `{"credentials": 1}`, "p", "p s x", "p s\np t",
	} {
		if got, err := authn.ParseCredentials([]byte(bad)); err == nil {
			t.Errorf("%s: %v", bad, got)
		}
	}
}

func TestVerify(t *testing.T) {
	c := authn.Credentials{"p": "s", "empty": ""}
	for _, x := range []struct {
		principal, secret string
		want              bool
	}{{"p", "s", true}, {"p", "S", false}, {"p", "", false}, {"q", "s", false}, {"q", "", false}, {"", "", false}, {"empty", "", true}} {
		if got := c.Verify(x.principal, x.secret); got != x.want {
			t.Errorf("%q %q: %t", x.principal, x.secret, got)
		}
	}
}

func TestBasic(t *testing.T) {
	h := authn.Basic(authn.MasterScheduler, authn.Credentials{"p": "s:x"}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, authn.Principal(r.Context()))
	}))
	for header, want := range map[string]int{
		"":                   401,
		"Basic cDpzOng=":     200, // p:s:x
		"basic cDpzOng=":     200,
		"Basic cDpz":         401, // p:s
		"Basic %":            401,
		"Bearer cDpzOng=":    401,
		"Basic":              401,
		"Basic cA==":         401, // p
		"Basic cDpzOng= cDp": 401,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d", header, w.Code)
		}
		if want == 200 && w.Body.String() != "p" {
			t.Errorf("%s: principal %q", header, w.Body)
		}
		if want == 401 && (w.Header().Get("WWW-Authenticate") != `Basic realm="mesos-master-scheduler"` || w.Body.String() != "401 Unauthorized.") {
			t.Errorf("%s: %v %q", header, w.Header(), w.Body)
		}
	}
	if p := authn.Principal(t.Context()); p != "" {
		t.Errorf("%q", p)
	}
}
