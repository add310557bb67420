package masterd

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/meseta-project/meseta/internal/authn"
	"github.com/meseta-project/meseta/internal/httpd"
)

// TestRealms: which endpoints ask for a credential, by realm, and that a standby
// asks as well: who is not let through is not even told who leads.
func TestRealms(t *testing.T) {
	const ro, rw, scheduler = authn.MasterReadOnly, authn.MasterReadWrite, authn.MasterScheduler
	for path, realm := range map[string]string{
		"/state": ro, "/master/state.json": ro, "/master/frameworks": ro, "/roles": ro, "/slaves": ro, "/tasks": ro, "/flags": ro,
		"/state-summary": ro, "/maintenance/status": ro, "/metrics/snapshot": ro, "/system/stats.json": ro,
		"/registrar(1)/registry": ro, "/files/read": ro, "/files/browse.json": ro,
		"/api/v1": rw, "/master/api/v1": rw, "/reserve": rw, "/unreserve": rw, "/create-volumes": rw, "/destroy-volumes": rw,
		"/teardown": rw, "/quota": rw, "/quota/role": rw, "/weights": rw, "/machine/up": rw, "/machine/down": rw,
		"/maintenance/schedule": rw, "/logging/toggle": rw,
		"/api/v1/scheduler": scheduler, "/master/api/v1/scheduler": scheduler,
		"/health": "", "/version": "", "/redirect": "", "/master/redirect": "", "/help": "",
	} {
		for _, a := range []Authentication{{HTTPReadOnly: true}, {HTTPReadWrite: true}, {HTTPFrameworks: true}, {}} {
			a.Credentials = authn.Credentials{"p": "s"}
			asked := realm == ro && a.HTTPReadOnly || realm == rw && a.HTTPReadWrite || realm == scheduler && a.HTTPFrameworks
			if got := statusOf(a, path, ""); (got == http.StatusUnauthorized) != asked {
				t.Errorf("%s: %d, realm %q, %+v", path, got, realm, a)
			}
			if got := statusOf(a, path, "s"); got == http.StatusUnauthorized {
				t.Errorf("%s: %d with the right secret, %+v", path, got, a)
			}
			if got := statusOf(a, path, "wrong"); (got == http.StatusUnauthorized) != asked {
				t.Errorf("%s: %d with a wrong secret, %+v", path, got, a)
			}
		}
	}
}

// statusOf returns what a standby answers.
func statusOf(a Authentication, path, secret string) int {
	s, _ := standby(masterInfo("leader", 5050))
	s.cfg.Authentication = a
	s.cfg.Verbosity = httpd.NewVerbosity(new(slog.LevelVar), time.ParseDuration)
	s.metricsSnapshot = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodPatch, path, nil)
	if secret != "" {
		r.SetBasicAuth("p", secret)
	}
	got := httptest.NewRecorder()
	s.routes().ServeHTTP(got, r)
	return got.Code
}
