package agentd

import (
	"net/http"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/httpd"
)

// metrics are numbers by Mesos's names for them.
type metrics = map[string]float64

// readMetrics returns all metrics of the agent as it is now, also while it
// recovers.
func (s *Server) readMetrics(r *http.Request) (metrics, error) {
	snapshot, err := s.Snapshot(r.Context())
	if err != nil {
		return nil, err
	}
	return newView(s, snapshot).metrics(), nil
}

func (v *view) metrics() metrics {
	all := metrics{}
	v.server.serverMetrics(all)
	v.counterMetrics(all)
	v.executorMetrics(all)
	v.taskMetrics(all)
	total, used := v.total(), v.allUsed()
	httpd.ResourceMetrics(all, "slave/", "", total.NonRevocable().ScalarQuantities(), used.NonRevocable().ScalarQuantities())
	httpd.ResourceMetrics(all, "slave/", "revocable_", total.Revocable().ScalarQuantities(), used.Revocable().ScalarQuantities())
	httpd.ReadSystem().Metrics(all)
	return all
}

func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metricsSnapshot.ServeHTTP(w, r)
	return nil
}

func (s *Server) servePrometheus(w http.ResponseWriter, r *http.Request) error {
	all, err := s.readMetrics(r)
	if err != nil {
		return err
	}
	httpd.Prometheus(w, r, all)
	return nil
}

// serverMetrics are those of the process around the core.
func (s *Server) serverMetrics(to metrics) {
	to["slave/uptime_secs"] = s.clock().Sub(s.started).Seconds()
	to["slave/recovery_time_secs"] = float64(s.recoveryTime.Load()) / 1e9
	to["gc/path_removals_succeeded"] = float64(s.removed.Load())
	to["gc/path_removals_failed"] = float64(s.unremoved.Load())
	to["containerizer/mesos/container_destroy_errors"] = float64(s.unkilled.Load())
	to["containerizer/mesos/provisioner/remove_container_errors"] = 0
	to["containerizer/mesos/provisioner/bind/remove_rootfs_errors"] = 0 // there is no backend "bind"
	if s.cfg.Launcher != nil {
		to["containerizer/mesos/filesystem/containers_new_rootfs"] = 0
	}
	if s.cfg.Images != nil {
		s.cfg.Images.Metrics(to)
		to["containerizer/mesos/filesystem/containers_new_rootfs"] = float64(s.cfg.Images.Roots())
	}
	if s.cfg.Docker != nil {
		s.cfg.Docker.Metrics(to)
	}
	to["resource_provider_manager/subscribed"] = 0 // there are no resource providers
	to["resource_provider_manager/events/subscribe"] = 0
	to["resource_provider_manager/events/disconnect"] = 0
	if projects := s.cfg.SandboxQuota.Projects; projects != nil {
		total, free := projects.Count()
		to["containerizer/mesos/disk/project_ids_total"], to["containerizer/mesos/disk/project_ids_free"] = float64(total), float64(free)
	}
	fetches := s.cfg.Fetcher.Statistics()
	to["containerizer/fetcher/task_fetches_succeeded"] = float64(fetches.Succeeded)
	to["containerizer/fetcher/task_fetches_failed"] = float64(fetches.Failed)
	to["containerizer/fetcher/cache_size_total_bytes"] = float64(fetches.CacheSize)
	to["containerizer/fetcher/cache_size_used_bytes"] = float64(fetches.CacheUsed)
}

func (v *view) counterMetrics(to metrics) {
	c := &v.Counters
	for name, n := range map[string]int{
		"recovery_errors":                 c.RecoveryErrors,
		"valid_status_updates":            c.ValidStatusUpdates,
		"invalid_status_updates":          c.InvalidStatusUpdates,
		"valid_framework_messages":        c.ValidFrameworkMessages,
		"invalid_framework_messages":      c.InvalidFrameworkMsgs,
		"container_launch_errors":         c.ContainerLaunchErrors,
		"executors_terminated":            c.ExecutorsTerminated,
		"executors_preempted":             c.ExecutorsPreempted,
		"executors_registration_timeouts": c.RegistrationTimeouts,
		"status_updates_forwarded":        c.UpdatesForwarded,
	} {
		to["slave/"+name] = float64(n)
	}
	to["slave/registered"] = 0
	if v.State == agent.Running {
		to["slave/registered"] = 1
	}
	to["slave/executor_directory_max_allowed_age_secs"] = v.MaxSandboxAge.Seconds()
	to["gc/path_removals_pending"] = float64(v.Waste)
}

func (v *view) executorMetrics(to metrics) {
	frameworks := 0
	for _, row := range v.frameworks {
		if !row.Completed {
			frameworks++
		}
	}
	to["slave/frameworks_active"] = float64(frameworks)
	now := map[agent.ExecutorState]int{}
	for _, row := range v.executors {
		if !row.Completed {
			now[row.State]++
		}
	}
	to["slave/executors_registering"] = float64(now[agent.ExecutorRegistering])
	to["slave/executors_running"] = float64(now[agent.ExecutorRunning])
	to["slave/executors_terminating"] = float64(now[agent.ExecutorTerminating])
}

// taskMetrics counts tasks as they are now and, in the states that end them, as
// often as those were reached.
func (v *view) taskMetrics(to metrics) {
	now := map[mesos.TaskState]int{}
	for _, row := range v.tasks {
		if row.Phase == agent.TaskQueued || row.Phase == agent.TaskLaunched {
			now[row.Task.GetState()]++
		}
	}
	for _, state := range []mesos.TaskState{
		mesos.TaskState_TASK_STAGING, mesos.TaskState_TASK_STARTING, mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_KILLING,
	} {
		to["slave/tasks_"+short(state)] = float64(now[state])
	}
	for _, state := range []mesos.TaskState{
		mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLED,
		mesos.TaskState_TASK_LOST, mesos.TaskState_TASK_GONE,
	} {
		to["slave/tasks_"+short(state)] = float64(v.Counters.TasksEnded[state])
	}
}

// short returns "running" for TASK_RUNNING.
func short(state mesos.TaskState) string {
	return strings.ToLower(strings.TrimPrefix(state.String(), "TASK_"))
}
