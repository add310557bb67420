package agentd

import (
	"net/http"

	"github.com/meseta-project/meseta/internal/httpd"
)

// routes are the paths of an agent, each also below /slave(1).
func (s *Server) routes() http.Handler {
	process := s.pid.Process()
	mux := httpd.NewMux(process)
	mux.Handle(process, "api/v1/executor", http.HandlerFunc(s.serveExecutor))
	mux.Handle(process, "health", http.HandlerFunc(s.serveHealth))
	return mux
}

// serveHealth is GET /health.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) { httpd.Empty(w, http.StatusOK) }
