package masterd

import (
	"net/http"

	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/registry"
	"github.com/meseta-project/meseta/internal/wire"
)

// serveHealth is /health.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) { httpd.Empty(w, http.StatusOK) }

func (s *Server) serveVersion(w http.ResponseWriter, r *http.Request) { httpd.ServeVersion(w, r) }

func (s *Server) serveFlags(w http.ResponseWriter, r *http.Request) {
	httpd.ServeFlags(w, r, s.cfg.Flags)
}

func (s *Server) serveSystem(w http.ResponseWriter, r *http.Request) { httpd.ServeSystem(w, r) }

func (s *Server) serveHelp(w http.ResponseWriter, r *http.Request) { s.help.ServeHTTP(w, r) }

func (s *Server) serveVerbosity(w http.ResponseWriter, r *http.Request) {
	s.cfg.Verbosity.ServeHTTP(w, r)
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	s.metricsSnapshot.ServeHTTP(w, r)
}

// servePrometheus is /metrics/prometheus.
func (s *Server) servePrometheus(w http.ResponseWriter, r *http.Request) error {
	all, err := s.readMetrics(r)
	if err != nil {
		return err
	}
	httpd.Prometheus(w, r, all)
	return nil
}

// serveRegistry is /registrar(1)/registry: what is stored, and so what a master
// would know after a restart.
func (s *Server) serveRegistry(w http.ResponseWriter, r *http.Request) error {
	records, _, err := s.cfg.Store.Load(r.Context())
	if err != nil {
		return err
	}
	known, err := registry.Load(records)
	if err != nil {
		return err
	}
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.SortedMessage(known.Proto())
		return nil
	})
	return nil
}
