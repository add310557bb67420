package agentd

import (
	"context"
	"net/http"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
)

// An endpoint is one path of an agent.
type endpoint struct {
	process, path string
	serve         func(*Server, http.ResponseWriter, *http.Request) error
	help          string
}

// self stands in endpoints for the agent's own process, whose paths are found
// without it as well.
const self = ""

// endpoints are the paths of an agent beside those of its files.
var endpoints = []endpoint{
	{self, "api/v1", (*Server).serveOperator, "The operator API: POST a call."},
	{self, "api/v1/executor", (*Server).serveExecutor, "The executor API: POST a call."},
	{self, "health", (*Server).serveHealth, "Answers 200 while the agent is up."},
	{self, "version", (*Server).serveVersion, "Which Mesos this is the API of, and which Meseta this is."},
	{self, "flags", (*Server).serveFlags, "The flags that the agent runs with."},
	{self, "state", (*Server).serveState, "Resources, frameworks, executors and tasks, all that is known of them."},
	{self, "containers", (*Server).serveContainers, "Containers of executors, and what they use. container_id=ID: only that one."},
	{self, "containerizer/debug", (*Server).serveContainerizer, "What the containerizer waits for."},
	{self, "monitor/statistics", (*Server).serveStatistics, "What executors use."},
	{"metrics", "snapshot", (*Server).serveMetrics, "All metrics, as a JSON object of numbers."},
	{"metrics", "prometheus", (*Server).servePrometheus, "All metrics, in Prometheus's text format."},
	{"logging", "toggle", (*Server).serveVerbosity, "level=N and duration=10mins log more for a while; without, tells the level."},
	{"system", "stats.json", (*Server).serveSystem, "Load and memory of the machine."},
	{"help", "", (*Server).serveHelp, "This."},
}

// routes are the paths of an agent.
func (s *Server) routes() http.Handler {
	mux := httpd.NewMux(s.pid.Process())
	for _, e := range endpoints {
		process := e.process
		if process == self {
			process = s.pid.Process()
		}
		s.help.Add(process, e.path, e.help)
		mux.Handle(process, e.path, s.authenticated(process, e.path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := e.serve(s, w, r); err != nil {
				httpd.Refuse(w, err)
			}
		})))
	}
	s.files.Route(mux, func(h http.Handler) http.Handler { return s.authenticated("files", "", h) })
	return mux
}

// serveHealth is /health.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) error {
	httpd.Empty(w, http.StatusOK)
	return nil
}

func (s *Server) serveVersion(w http.ResponseWriter, r *http.Request) error {
	httpd.ServeVersion(w, r)
	return nil
}

func (s *Server) serveFlags(w http.ResponseWriter, r *http.Request) error {
	httpd.ServeFlags(w, r, s.cfg.Flags)
	return nil
}

func (s *Server) serveVerbosity(w http.ResponseWriter, r *http.Request) error {
	s.cfg.Verbosity.ServeHTTP(w, r)
	return nil
}

func (s *Server) serveSystem(w http.ResponseWriter, r *http.Request) error {
	httpd.ServeSystem(w, r)
	return nil
}

func (s *Server) serveHelp(w http.ResponseWriter, r *http.Request) error {
	s.help.ServeHTTP(w, r)
	return nil
}

// recovered returns the agent as it is now, and refuses while it finds out what
// an earlier life left.
func (s *Server) recovered(ctx context.Context) (*view, error) {
	snapshot, err := s.Snapshot(ctx)
	if err != nil {
		return nil, refusal.Unavailablef("The agent is stopping")
	}
	if snapshot.State == agent.Recovering {
		return nil, refusal.Unavailablef("Agent has not finished recovery")
	}
	return newView(s, snapshot), nil
}
