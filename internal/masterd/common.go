package masterd

import (
	"net/http"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/version"
)

// routes are the paths of a master, each also below /master.
func (s *Server) routes() http.Handler {
	mux := httpd.NewMux("master")
	mux.Handle("master", "api/v1/scheduler", http.HandlerFunc(s.serveScheduler))
	mux.Handle("master", "api/v1", http.HandlerFunc(s.serveOperator))
	mux.Handle("master", "health", http.HandlerFunc(s.serveHealth))
	return mux
}

// serveHealth is GET /health.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) { httpd.Empty(w, http.StatusOK) }

func (s *Server) getHealth(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	healthy := true
	return &masterpb.Response{GetHealth: &masterpb.Response_GetHealth{Healthy: &healthy}}, nil
}

func (s *Server) getVersion(*http.Request, *masterpb.Call) (*masterpb.Response, error) {
	mesosVersion := version.Mesos
	return &masterpb.Response{GetVersion: &masterpb.Response_GetVersion{VersionInfo: &mesos.VersionInfo{Version: &mesosVersion}}}, nil
}
