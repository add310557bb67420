package masterd

import (
	"net/http"

	"github.com/meseta-project/meseta/internal/authn"
)

// open are the paths that anybody may read, whatever is asked of others.
var open = map[string]bool{"master/health": true, "master/redirect": true, "master/version": true, "master/": true, "help/": true}

// writing are the paths by which something may be changed.
var writing = map[string]bool{
	"master/api/v1": true, "master/create-volumes": true, "master/destroy-volumes": true, "master/reserve": true,
	"master/unreserve": true, "master/teardown": true, "master/maintenance/schedule": true, "master/machine/down": true,
	"master/machine/up": true, "master/weights": true, "master/quota": true, "logging/toggle": true,
}

// authenticated lets through to h who carries a credential, if the endpoint's
// realm asks for one. It comes before everything else: a standby does not even
// redirect who is not let through.
func (s *Server) authenticated(process, path string, h http.Handler) http.Handler {
	realm, asked := s.realm(process + "/" + path)
	if !asked {
		return h
	}
	return authn.Basic(realm, s.cfg.Authentication.Credentials, h)
}

// realm returns the realm of an endpoint, and whether it asks for credentials.
func (s *Server) realm(endpoint string) (realm string, asked bool) {
	switch a := &s.cfg.Authentication; {
	case open[endpoint]:
		return "", false
	case endpoint == "master/api/v1/scheduler":
		return authn.MasterScheduler, a.HTTPFrameworks
	case writing[endpoint]:
		return authn.MasterReadWrite, a.HTTPReadWrite
	default:
		return authn.MasterReadOnly, a.HTTPReadOnly
	}
}

// principal is who made a request, "" if nobody was authenticated.
func principal(r *http.Request) string { return authn.Principal(r.Context()) }
