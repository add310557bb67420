package agentd

import (
	"net/http"

	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/wire"
)

// serveState is /state.
func (s *Server) serveState(w http.ResponseWriter, r *http.Request) error {
	v, err := s.recovered(r.Context())
	if err != nil {
		return err
	}
	master := s.masterName(r.Context(), v.Master)
	httpd.Render(w, r, func(out *wire.Writer) error {
		v.writeState(out, master)
		return nil
	})
	return nil
}

func (v *view) writeState(w *wire.Writer, master string) {
	w.BeginObject()
	w.BuildFields(httpd.Build())
	v.writeAgent(w)
	v.writeResources(w)
	w.Key("resource_providers").Strings(nil)
	w.Key("attributes").Attributes(v.Info.GetAttributes())
	optional(w, "master_hostname", master)
	optional(w, "log_dir", v.server.cfg.LogDir)
	optional(w, "external_log_file", v.server.cfg.ExternalLogFile)
	w.Key("flags").StringMap(v.server.cfg.Flags)
	v.writeFrameworks(w, "frameworks", false)
	v.writeFrameworks(w, "completed_frameworks", true)
	w.EndObject()
}

func optional(w *wire.Writer, key, value string) {
	if value != "" {
		w.Key(key).String(value)
	}
}

func (v *view) writeAgent(w *wire.Writer) {
	w.Key("start_time").Time(v.server.started)
	w.Key("id").String(v.Info.GetId().GetValue())
	w.Key("pid").String(string(v.server.pid))
	w.Key("hostname").String(v.Info.GetHostname())
	w.Key("capabilities").AgentCapabilities(agent.Capabilities())
	if v.Info.Domain != nil {
		w.Key("domain").DomainInfo(v.Info.Domain)
	}
	if v.Drain != nil {
		w.Key("drain_config").SortedMessage(v.Drain)
	}
}

func (v *view) writeResources(w *wire.Writer) {
	total, used := v.total(), v.allUsed()
	w.Key("resources").ResourceSum(total)
	w.Key("reserved_resources").Reserved(total, nil)
	w.Key("unreserved_resources").ResourceSum(total.Unreserved())
	w.Key("reserved_resources_full").ReservedFull(total, nil)
	w.Key("unreserved_resources_full").ResourcesFull(total.Unreserved())
	w.Key("reserved_resources_allocated").Reserved(used, nil)
	w.Key("unreserved_resources_allocated").ResourceSum(used.Unreserved())
}

func (v *view) writeFrameworks(w *wire.Writer, key string, completed bool) {
	w.Key(key).BeginArray()
	for _, row := range v.frameworks {
		if row.Completed == completed {
			v.writeFramework(w, row)
		}
	}
	w.EndArray()
}

func (v *view) writeFramework(w *wire.Writer, row *agent.FrameworkRow) {
	info := row.Info
	w.BeginObject()
	w.Key("id").String(info.GetId().GetValue())
	w.Key("name").String(info.GetName())
	w.Key("user").String(info.GetUser())
	w.Key("failover_timeout").Double(info.GetFailoverTimeout())
	w.Key("checkpoint").Bool(info.GetCheckpoint())
	w.Key("hostname").String(info.GetHostname())
	if info.Principal != nil {
		w.Key("principal").String(info.GetPrincipal())
	}
	w.FrameworkRoles(info)
	id := ids.FrameworkID(info.GetId().GetValue())
	v.writeExecutors(w, "executors", id, false)
	v.writeExecutors(w, "completed_executors", id, true)
	w.EndObject()
}

func (v *view) writeExecutors(w *wire.Writer, key string, of ids.FrameworkID, completed bool) {
	w.Key(key).BeginArray()
	for _, row := range v.executors {
		if row.Run.Framework == of && row.Completed == completed {
			v.writeExecutor(w, row)
		}
	}
	w.EndArray()
}

func (v *view) writeExecutor(w *wire.Writer, row *agent.ExecutorRow) {
	w.BeginObject()
	w.ExecutorFields(wire.ExecutorSummary{
		Info: row.Info, ContainerID: string(row.Run.Container), Directory: row.Sandbox, Resources: v.used(row),
	})
	tasks := v.byRun[row.Run.Container]
	writeTasks(w, "tasks", tasks, agent.TaskLaunched)
	w.Key("queued_tasks").BeginArray()
	for _, t := range tasks {
		if t.Phase == agent.TaskQueued && t.Info != nil {
			w.TaskInfo(t.Info)
		}
	}
	w.EndArray()
	writeTasks(w, "completed_tasks", tasks, agent.TaskCompleted, agent.TaskTerminated)
	w.EndObject()
}

func writeTasks(w *wire.Writer, key string, tasks []*agent.TaskRow, phases ...agent.TaskPhase) {
	w.Key(key).BeginArray()
	for _, phase := range phases {
		for _, t := range tasks {
			if t.Phase == phase {
				w.Task(t.Task)
			}
		}
	}
	w.EndArray()
}
