package agentd

import (
	"net/http"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/launcher/posix"
	"github.com/meseta-project/meseta/internal/wire"
	"github.com/meseta-project/meseta/resources"
)

// serveContainers is /containers.
func (s *Server) serveContainers(w http.ResponseWriter, r *http.Request) error {
	s.containersPaced.ServeHTTP(w, r)
	return nil
}

// serveStatistics is /monitor/statistics.
func (s *Server) serveStatistics(w http.ResponseWriter, r *http.Request) error {
	s.statisticsPaced.ServeHTTP(w, r)
	return nil
}

func (s *Server) writeContainers(w http.ResponseWriter, r *http.Request) error {
	only := r.URL.Query().Get("container_id")
	return s.writeRunning(w, r, true, func(x *agent.ExecutorRow) bool {
		return only == "" || only == string(x.Run.Container)
	})
}

func (s *Server) writeStatistics(w http.ResponseWriter, r *http.Request) error {
	return s.writeRunning(w, r, false, func(*agent.ExecutorRow) bool { return true })
}

// writeRunning writes the runs that there are, and what they use: as containers,
// or as executors.
func (s *Server) writeRunning(w http.ResponseWriter, r *http.Request, containers bool, chosen func(*agent.ExecutorRow) bool) error {
	v, err := s.recovered(r.Context())
	if err != nil {
		return err
	}
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.BeginArray()
		for _, x := range v.running() {
			if chosen(x) {
				v.writeRun(out, x, containers)
			}
		}
		out.EndArray()
		return nil
	})
	return nil
}

func (v *view) writeRun(w *wire.Writer, x *agent.ExecutorRow, container bool) {
	w.BeginObject()
	if container {
		w.Key("container_id").String(string(x.Run.Container))
	}
	w.Key("executor_id").String(string(x.Run.Executor))
	w.Key("executor_name").String(x.Info.GetName())
	w.Key("framework_id").String(string(x.Run.Framework))
	w.Key("source").String(x.Info.GetSource())
	if statistics := v.statistics(x); statistics != nil {
		w.Key("statistics").SortedMessage(statistics)
	}
	if container {
		w.Key("status").SortedMessage(containerStatus(x))
	}
	w.EndObject()
}

func containerStatus(x *agent.ExecutorRow) *mesos.ContainerStatus {
	id, pid := string(x.Run.Container), uint32(x.PID)
	return &mesos.ContainerStatus{ContainerId: &mesos.ContainerID{Value: &id}, ExecutorPid: &pid}
}

// statistics returns what a run uses and may use, or nil if it has just ended.
func (v *view) statistics(x *agent.ExecutorRow) *mesos.ResourceStatistics {
	process, ok := v.server.processes.Load(x.Run.Container)
	if !ok {
		return nil
	}
	now, limit := wire.Seconds(v.server.clock()), v.used(x)
	out := usage(process.(*posix.Process).Usage())
	out.Timestamp = &now
	if cpus := limit.Scalar("cpus").Float64(); cpus > 0 {
		out.CpusSoftLimit = &cpus
	}
	if bytes := megabytes(limit.Scalar("mem")); bytes > 0 {
		out.MemLimitBytes, out.MemSoftLimitBytes = &bytes, &bytes
	}
	return out
}

func megabytes(a resources.Amount) uint64 { return uint64(a.Float64() * (1 << 20)) }

// usage returns what processes have used as Mesos tells it.
func usage(u posix.Usage) *mesos.ResourceStatistics {
	user, system := u.User.Seconds(), u.System.Seconds()
	return &mesos.ResourceStatistics{CpusUserTimeSecs: &user, CpusSystemTimeSecs: &system, MemRssBytes: &u.RSS}
}

// serveContainerizer is /containerizer/debug. What waits here waits in the
// goroutine of its container, and nothing keeps a list of that.
func (s *Server) serveContainerizer(w http.ResponseWriter, r *http.Request) error {
	httpd.Render(w, r, func(out *wire.Writer) error {
		out.BeginObject()
		out.Key("pending").Strings(nil)
		out.EndObject()
		return nil
	})
	return nil
}
