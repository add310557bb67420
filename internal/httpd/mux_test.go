package httpd_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/meseta-project/meseta/internal/httpd"
)

func newMux() *httpd.Mux {
	m := httpd.NewMux("slave(1)")
	for _, route := range []string{"slave(1)/", "slave(1)/state", "slave(1)/api/v1", "slave(1)/api/v1/executor", "slave(1)/quota", "slave(1)/app", "files/browse", "system/stats.json", "slave(1)/monitor/statistics"} {
		process, path, _ := strings.Cut(route, "/")
		m.Handle(process, path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, route+" "+r.PathValue("rest"))
		}))
	}
	return m
}

func TestMux(t *testing.T) {
	m := newMux()
	for path, want := range map[string]string{
		"/":                             "slave(1)/ ",
		"/slave(1)":                     "slave(1)/ ",
		"/state":                        "slave(1)/state ",
		"/state/":                       "slave(1)/state ",
		"//state":                       "slave(1)/state ",
		"/state.json":                   "slave(1)/state ",
		"/slave(1)/state":               "slave(1)/state ",
		"/slave%281%29/state":           "slave(1)/state ",
		"/slave%281%29/state.json":      "slave(1)/state ",
		"/api/v1":                       "slave(1)/api/v1 ",
		"/api/v1/":                      "slave(1)/api/v1 ",
		"/api/v1/executor":              "slave(1)/api/v1/executor ",
		"/slave(1)/api/v1/executor":     "slave(1)/api/v1/executor ",
		"/api/v1/other":                 "slave(1)/api/v1 other",
		"/quota/a%2Fb":                  "slave(1)/quota a/b",
		"/app/js/controllers.js":        "slave(1)/app js/controllers.js",
		"/files/browse":                 "files/browse ",
		"/files/browse.json":            "files/browse ",
		"/system/stats.json":            "system/stats.json ",
		"/monitor/statistics.json":      "slave(1)/monitor/statistics ",
		"/nope":                         "404 Not Found.",
		"/files":                        "404 Not Found.",
		"/files/nope":                   "404 Not Found.",
		"/slave(2)/state":               "404 Not Found.",
		"/system/stats":                 "404 Not Found.",
		"/state.jsonx":                  "404 Not Found.",
		"/app/../state":                 "404 Not Found.",
		"/app/%2e%2e/%2e%2e/etc/passwd": "404 Not Found.",
		"/app/..%2f..%2fetc":            "404 Not Found.",
	} {
		w := httptest.NewRecorder()
		m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if w.Body.String() != want {
			t.Errorf("%s: %q; want %q", path, w.Body, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	m := newMux()
	for path, want := range map[string]string{
		"/state":              "/slave(1)/state",
		"/slave(1)/state":     "/slave(1)/state",
		"/slave%281%29/state": "/slave%281%29/state",
		"/files/browse":       "/files/browse",
		"/api/v1/x":           "/slave(1)/api/v1/x",
	} {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Canonical(u); got != want {
			t.Errorf("%s: %s; want %s", path, got, want)
		}
	}
}

func FuzzMux(f *testing.F) {
	for _, seed := range []string{"/", "/state", "//", "/%", "/slave%281%29/state", "/..", "/a/%2e%2e", "/.json", "/\x00"} {
		f.Add(seed)
	}
	m := newMux()
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.Parse("http://h" + path)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		m.ServeHTTP(w, &http.Request{Method: http.MethodGet, URL: u})
		if strings.Contains(w.Body.String(), "..") && strings.HasPrefix(w.Body.String(), "slave(1)/app ..") {
			t.Errorf("%q climbs: %q", path, w.Body)
		}
	})
}
