package masterd

import (
	"net/http"

	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/wire"
)

// An endpoint is one path of a master.
type endpoint struct {
	process, path string
	serve         func(*Server, http.ResponseWriter, *http.Request) error
	help          string
}

// endpoints are the paths of a master beside those of its files. Those of the
// process "master" are found without it as well.
var endpoints = []endpoint{
	{"master", "api/v1", plain((*Server).serveOperator), "The operator API: POST a call."},
	{"master", "api/v1/scheduler", plain((*Server).serveScheduler), "The scheduler API: POST a call."},
	{"master", "health", plain((*Server).serveHealth), "Answers 200 while the master is up."},
	{"master", "version", plain((*Server).serveVersion), "Which Mesos this is the API of, and which Meseta this is."},
	{"master", "flags", plain((*Server).serveFlags), "The flags that the master runs with."},
	{"master", "redirect", plain((*Server).serveRedirect), "Redirects to the leading master."},
	{"master", "state", rendered(writeState), "Agents, frameworks and tasks, all that is known of them."},
	{"master", "state-summary", rendered(writeSummary), "Agents and frameworks, with counts of their tasks by state."},
	{"master", "slaves", rendered(writeAgents), "Agents. slave_id=ID: only that one."},
	{"master", "frameworks", rendered(writeFrameworks), "Frameworks. framework_id=ID: only that one."},
	{"master", "tasks", rendered(writeTasks), "Tasks, the latest first. limit=N (100), offset=N (0), order=asc|des, framework_id=ID, task_id=ID."},
	{"master", "roles", rendered(writeRoles), "Roles in use, with their frameworks, resources, weights and quotas."},
	{"master", "quota", (*Server).serveQuota, "Quotas of roles. POST a quota request to set one, DELETE /quota/ROLE to remove one."},
	{"master", "weights", readable(rendered(writeWeights), http.MethodPut, weightsOf), "Weights of roles. PUT a JSON array of them to change some."},
	{"master", "maintenance/schedule", readable(rendered(writeSchedule), http.MethodPost, scheduleOf), "When machines will be taken down. POST a schedule to replace it."},
	{"master", "maintenance/status", rendered(writeMaintenance), "Which machines are draining or down."},
	{"master", "machine/down", posted(downOf), "POST a JSON array of machines that are taken down now."},
	{"master", "machine/up", posted(upOf), "POST a JSON array of machines that are back."},
	{"master", "explain", (*Server).serveExplain, "Meseta's own. Why a framework is offered what it is: framework_id=ID or role=ROLE or both, agent_id=ID for one agent, format=text for text."},
	{"master", "api/v1/explain", (*Server).serveExplainCall, "Meseta's own. The same as a call: POST an object of framework_id, role and agent_id."},
	{"master", "teardown", posted(form(teardownOf)), "POST frameworkId=ID ends a framework and its tasks."},
	{"master", "reserve", posted(form(reserveOf)), "POST slaveId=ID and resources=JSON reserves resources of an agent; source=JSON takes what is reserved already."},
	{"master", "unreserve", posted(form(onAgent("resources", unreserveOf))), "POST slaveId=ID and resources=JSON ends reservations."},
	{"master", "create-volumes", posted(form(onAgent("volumes", createOf))), "POST slaveId=ID and volumes=JSON makes persistent volumes."},
	{"master", "destroy-volumes", posted(form(onAgent("volumes", destroyOf))), "POST slaveId=ID and volumes=JSON deletes persistent volumes."},
	{"allocator", "offer_constraints_debug", rendered(writeOfferConstraints), "Which agents the offer constraints of frameworks exclude, by role."},
	{"registrar(1)", "registry", (*Server).serveRegistry, "What the master would know after a restart."},
	{"metrics", "snapshot", plain((*Server).serveMetrics), "All metrics, as a JSON object of numbers."},
	{"metrics", "prometheus", (*Server).servePrometheus, "All metrics, in Prometheus's text format."},
	{"logging", "toggle", plain((*Server).serveVerbosity), "level=N and duration=10mins log more for a while; without, tells the level."},
	{"system", "stats.json", plain((*Server).serveSystem), "Load and memory of the machine."},
	{"help", "", plain((*Server).serveHelp), "This."},
}

// routes are the paths of a master.
func (s *Server) routes() http.Handler {
	mux := httpd.NewMux("master")
	s.mux = mux
	for _, e := range endpoints {
		s.help.Add(e.process, e.path, e.help)
		mux.Handle(e.process, e.path, s.authenticated(e.process, e.path, s.led(e, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := e.serve(s, w, r); err != nil {
				httpd.Refuse(w, err)
			}
		}))))
	}
	s.files.Route(mux, func(h http.Handler) http.Handler { return s.authenticated("files", "", h) })
	return mux
}

// plain is what refuses requests by itself.
func plain(serve func(*Server, http.ResponseWriter, *http.Request)) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		serve(s, w, r)
		return nil
	}
}

// rendered serves JSON written from a snapshot, in the reader's goroutine.
func rendered(write func(*view, *wire.Writer, *http.Request)) func(*Server, http.ResponseWriter, *http.Request) error {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		v, err := s.view(r)
		if err != nil {
			return err
		}
		httpd.Render(w, r, func(out *wire.Writer) error {
			write(v, out, r)
			return nil
		})
		return nil
	}
}

// view returns the master as it is now, to render it.
func (s *Server) view(r *http.Request) (*view, error) {
	snapshot, err := s.Snapshot(r.Context())
	if err != nil {
		return nil, refusal.Unavailablef("The master is stopping")
	}
	return newView(s, snapshot), nil
}
