package masterd

import (
	"net/http"
	"net/url"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/refusal"
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

// serveTeardown is POST /teardown.
func (s *Server) serveTeardown(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return err
	}
	id := form.Get("frameworkId")
	if id == "" {
		return refusal.Invalidf("Missing 'frameworkId' query parameter in the request body")
	}
	_, err = s.ask(r, func(request master.RequestID) master.Input {
		return master.OperatorCall{Request: request, Principal: principal(r), Call: &masterpb.Call{
			Type:     masterpb.Call_TEARDOWN.Enum(),
			Teardown: &masterpb.Call_Teardown{FrameworkId: &mesos.FrameworkID{Value: &id}},
		}}
	})
	if err == nil {
		httpd.Empty(w, http.StatusOK)
	}
	return err
}

// formLimit is the largest form, in bytes.
const formLimit = 1 << 20

// readForm returns the form that a POST carries. Its type is not looked at, as
// Mesos does not.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if err := httpd.Method(r, http.MethodPost); err != nil {
		return nil, err
	}
	body, err := httpd.ReadBody(w, r, formLimit)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, refusal.Invalidf("Unable to decode query string: %v", err)
	}
	return form, nil
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
