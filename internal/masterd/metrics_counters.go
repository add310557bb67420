package masterd

import (
	"slices"
	"strings"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/master"
)

// counterMetrics are what the core counts, under Mesos's names.
func (v *view) counterMetrics(to metrics) {
	c := &v.Counters
	to["master/messages_authenticate"] = float64(v.server.auth.asked.Load()) // sessions are not the core's
	for name, n := range map[string]uint64{
		"slave_registrations":                              c.AgentRegistrations,
		"slave_reregistrations":                            c.AgentReregistrations,
		"slave_removals":                                   c.AgentRemovals,
		"slave_removals/reason_registered":                 c.AgentRemovalsRegistered,
		"slave_removals/reason_unhealthy":                  c.AgentRemovalsUnhealthy,
		"slave_removals/reason_unregistered":               c.AgentRemovalsUnregistered,
		"slave_unreachable_scheduled":                      c.AgentUnreachableScheduled,
		"slave_unreachable_completed":                      c.AgentUnreachableCompleted,
		"slave_unreachable_canceled":                       c.AgentUnreachableCanceled,
		"slave_shutdowns_scheduled":                        c.AgentShutdownsScheduled,
		"slave_shutdowns_completed":                        c.AgentShutdownsCompleted,
		"slave_shutdowns_canceled":                         c.AgentShutdownsCanceled,
		"recovery_slave_removals":                          c.RecoveryAgentRemovals,
		"dropped_messages":                                 c.DroppedMessages,
		"valid_framework_to_executor_messages":             c.ValidFrameworkToExecutor,
		"invalid_framework_to_executor_messages":           c.InvalidFrameworkToExecutor,
		"valid_executor_to_framework_messages":             c.ValidExecutorToFramework,
		"invalid_executor_to_framework_messages":           c.InvalidExecutorToFramework,
		"valid_status_updates":                             c.ValidStatusUpdates,
		"invalid_status_updates":                           c.InvalidStatusUpdates,
		"valid_status_update_acknowledgements":             c.ValidAcks,
		"invalid_status_update_acknowledgements":           c.InvalidAcks,
		"valid_operation_status_updates":                   c.ValidOperationUpdates,
		"invalid_operation_status_updates":                 c.InvalidOperationUpdates,
		"valid_operation_status_update_acknowledgements":   c.ValidOperationAcks,
		"invalid_operation_status_update_acknowledgements": c.InvalidOperationAcks,
	} {
		to["master/"+name] = float64(n)
	}
	messageMetrics(to, &c.Messages)
	const policy = "allocator/meseta/policy/"
	to[policy+"answers"], to[policy+"failures"] = float64(c.Policy.Answers), float64(c.Policy.Failures)
	to[policy+"answers_late"] = float64(c.Policy.Late)
	const reclaim = "allocator/meseta/reclaim/"
	to[reclaim+"rounds"], to[reclaim+"offers_rescinded"] = float64(c.Reclaim.Rounds), float64(c.Reclaim.Offers)
	to[reclaim+"tasks_revoked"] = float64(c.Reclaim.Tasks)
}

func messageMetrics(to metrics, m *master.MessageCounters) {
	for name, n := range map[string]uint64{
		"register_framework":                      m.RegisterFramework,
		"reregister_framework":                    m.ReregisterFramework,
		"unregister_framework":                    m.UnregisterFramework,
		"deactivate_framework":                    m.DeactivateFramework,
		"kill_task":                               m.KillTask,
		"resource_request":                        m.ResourceRequest,
		"launch_tasks":                            m.LaunchTasks,
		"decline_offers":                          m.DeclineOffers,
		"revive_offers":                           m.ReviveOffers,
		"suppress_offers":                         m.SuppressOffers,
		"reconcile_tasks":                         m.ReconcileTasks,
		"reconcile_operations":                    m.ReconcileOperations,
		"framework_to_executor":                   m.FrameworkToExecutor,
		"executor_to_framework":                   m.ExecutorToFramework,
		"status_update":                           m.StatusUpdate,
		"status_update_acknowledgement":           m.StatusUpdateAck,
		"operation_status_update":                 m.OperationStatusUpdate,
		"operation_status_update_acknowledgement": m.OperationStatusUpdateAck,
		"exited_executor":                         m.ExitedExecutor,
		"register_slave":                          m.RegisterAgent,
		"reregister_slave":                        m.ReregisterAgent,
		"unregister_slave":                        m.UnregisterAgent,
		"update_slave":                            m.UpdateAgent,
	} {
		to["master/messages_"+name] = float64(n)
	}
}

// operations are the kinds that have metrics; launches are counted as tasks.
var operations = []mesos.Offer_Operation_Type{
	mesos.Offer_Operation_RESERVE, mesos.Offer_Operation_UNRESERVE, mesos.Offer_Operation_CREATE,
	mesos.Offer_Operation_DESTROY, mesos.Offer_Operation_GROW_VOLUME, mesos.Offer_Operation_SHRINK_VOLUME,
	mesos.Offer_Operation_CREATE_DISK, mesos.Offer_Operation_DESTROY_DISK,
}

// operationMetrics are how many of the operations on the books are in each
// state. Those whose end was acknowledged are not on the books any more.
func (v *view) operationMetrics(to metrics) {
	for _, state := range []string{
		"dropped", "error", "failed", "finished", "gone_by_operator", "pending", "recovering", "total", "unreachable",
	} {
		to["master/operations/"+state] = 0
		for _, op := range operations {
			to["master/operations/"+strings.ToLower(op.String())+"/"+state] = 0
		}
	}
	for row := range v.Operations.All() {
		state := strings.ToLower(strings.TrimPrefix(row.Latest.GetState().String(), "OPERATION_"))
		below := strings.ToLower(row.Info.GetType().String()) + "/"
		for _, name := range []string{state, "total", below + state, below + "total"} {
			to["master/operations/"+name]++
		}
	}
}

// frameworkMetrics are those of one framework.
func frameworkMetrics(to metrics, row *master.FrameworkRow) {
	c := &row.Counters
	prefix := "master/frameworks/" + escape(row.Info.GetName()) + "/" + string(row.ID) + "/"
	to[prefix+"subscribed"] = number(row.Connected)
	to[prefix+"offers/sent"] = float64(c.OffersSent)
	to[prefix+"offers/accepted"] = float64(c.OffersAccepted)
	to[prefix+"offers/declined"] = float64(c.OffersDeclined)
	to[prefix+"offers/rescinded"] = float64(c.OffersRescinded)
	countsByName(to, prefix+"calls", c.Calls[:], schedulerpb.Call_Type_name)
	countsByName(to, prefix+"events", c.Events[:], schedulerpb.Event_Type_name)
	countsByName(to, prefix+"operations", c.Operations[:], mesos.Offer_Operation_Type_name)
	for _, state := range slices.Concat(present, []mesos.TaskState{mesos.TaskState_TASK_UNKNOWN}) {
		to[prefix+"tasks/active/"+strings.ToLower(state.String())] = float64(c.Active[state])
	}
	for _, state := range final {
		to[prefix+"tasks/terminal/"+strings.ToLower(state.String())] = float64(c.Terminal[state])
	}
	for _, role := range row.Roles() {
		to[prefix+"roles/"+role+"/suppressed"] = 0
	}
	for _, role := range row.Suppressed {
		to[prefix+"roles/"+role+"/suppressed"] = 1
	}
}

// countsByName adds one metric for each kind, and one for all together.
func countsByName(to metrics, prefix string, counts []uint64, names map[int32]string) {
	sum := uint64(0)
	for kind, n := range counts {
		sum += n
		if name := names[int32(kind)]; kind != 0 && name != "" {
			to[prefix+"/"+strings.ToLower(name)] = float64(n)
		}
	}
	to[prefix] = float64(sum)
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// escape makes a framework's name fit for the name of a metric, as Mesos does:
// what would mean something in a URL is percent-encoded.
func escape(name string) string {
	const special = "$&+,/:;=?@ \"<>#%{}|\\^~[]`"
	var b strings.Builder
	for _, c := range []byte(name) {
		if c < 0x20 || c >= 0x7f || strings.IndexByte(special, c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&0xf])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const hex = "0123456789ABCDEF"
