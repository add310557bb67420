package master

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"google.golang.org/protobuf/types/known/durationpb"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// TestScenarios runs the files of testdata: each is a cluster's history, with
// what the master has done after every step. The commands:
//
//	master [ping=D] [pings=N] [offer=D] [completed=N] [frameworks=N]
//	       [reregister=D] [rate=N/D] [limit=F] [roles=R,…] [verbose]
//	       [reclaim=D] [reclaim-roles=R,…]
//	                            start over with a master so configured
//	elect [older]               the master is replaced by a new one, that knows no quotas
//	agent NAME RESOURCES [host=H] [version=V] [reregistration=old]
//	register|reregister|unregister NAME; exit NAME (its connection breaks);
//	mute|unmute NAME            it answers no pings; it does
//	forget NAME TASK            it lost a task
//	move NAME                   its address changes
//	subscribe NAME [role=R] [roles=R,…] [caps=C,…] [timeout=S] [id=ID]
//	       [principal=P] [suppressed=R,…] [user=U] [driver=PID] [force]
//	update-framework NAME …     as subscribe
//	close NAME                  its stream ends
//	accept NAME OFFER[,OFFER…] [refuse=S]
//	   launch TASK RESOURCES [TASK RESOURCES…] [executor=E:RESOURCES] [on=AGENT]
//	   group EXECUTOR RESOURCES TASK RESOURCES [TASK RESOURCES…]
//	   reserve RESOURCES [id=ID]
//	decline NAME OFFER,… [refuse=S]
//	revive|suppress NAME [ROLE…]; teardown NAME; operator-teardown NAME
//	update TASK STATE [latest=STATE] [reason=R]
//	ack NAME TASK UUID; kill NAME TASK [on=AGENT]
//	reconcile NAME [TASK[@AGENT]…]
//	message NAME EXECUTOR AGENT TEXT; executor-message NAME EXECUTOR AGENT TEXT
//	shutdown NAME EXECUTOR AGENT; exited NAME EXECUTOR AGENT STATUS
//	quota [force] ROLE GUARANTEES LIMITS [ROLE GUARANTEES LIMITS…] (none: -)
//	set-quota [force] ROLE AMOUNTS; remove-quota ROLE; weights ROLE WEIGHT…
//	whitelist [HOST…] [any]     hosts whose agents alone are offered; all
//	quotas                      what is in force
//	hold; commit                keep records from being durable; make them so
//	schedule [MACHINE… in=D]; down|up MACHINE…   machines are agents' names, or HOST/IP
//	accept-inverse|decline-inverse NAME OFFER,… [refuse=S]; answers
//	drain NAME [gone] [grace=D]; deactivate|reactivate|mark-gone NAME
//	advance D; parts N; state; counters
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := newWorld(DefaultConfig())
		w.quiet = true
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			w.out.Reset()
			if d.Cmd == "master" {
				w = configured(t, d)
				return w.out.String()
			}
			do, ok := commands[d.Cmd]
			if !ok {
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			do(w, line{t, d})
			return w.out.String()
		})
	})
}

// A line is one command with its arguments.
type line struct {
	t *testing.T
	*datadriven.TestData
}

// at returns the n-th argument without a key.
func (l line) at(n int) string {
	for _, a := range l.CmdArgs {
		if len(a.Vals) > 0 {
			continue
		}
		if n == 0 {
			return a.Key
		}
		n--
	}
	return ""
}

func (l line) rest(n int) (all []string) {
	for ; l.at(n) != ""; n++ {
		all = append(all, l.at(n))
	}
	return all
}

// opt returns the value of an argument with a key, or "".
func (l line) opt(key string) string {
	for _, a := range l.CmdArgs {
		if a.Key == key {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func (l line) list(key string) []string {
	if l.opt(key) == "" {
		return nil
	}
	return strings.Split(l.opt(key), ",")
}

func configured(t *testing.T, d *datadriven.TestData) *world {
	l := line{t, d}
	cfg := DefaultConfig()
	for key, to := range map[string]*time.Duration{
		"ping": &cfg.AgentPingTimeout, "offer": &cfg.OfferTimeout, "reregister": &cfg.AgentReregisterTimeout,
		"reclaim": &cfg.ReclaimAfter,
	} {
		if v := l.opt(key); v != "" {
			*to = duration(t, v)
		}
	}
	for key, to := range map[string]*int{
		"pings": &cfg.MaxAgentPingTimeouts, "completed": &cfg.MaxCompletedTasksPerFramework,
		"frameworks": &cfg.MaxCompletedFrameworks, "unreachable": &cfg.MaxUnreachableTasksPerFramework,
	} {
		if v := l.opt(key); v != "" {
			*to, _ = strconv.Atoi(v)
		}
	}
	if n, per, ok := strings.Cut(l.opt("rate"), "/"); ok {
		cfg.AgentRemovalRate.Events, _ = strconv.Atoi(n)
		cfg.AgentRemovalRate.Per = duration(t, per)
	}
	if v := l.opt("limit"); v != "" {
		cfg.RecoveryAgentRemovalLimit, _ = strconv.ParseFloat(v, 64)
	}
	if v := l.opt("budget"); v != "" {
		cfg.AllocationBudget, _ = strconv.Atoi(v)
	}
	cfg.Reclaim, cfg.ReclaimRoles = l.HasArg("reclaim"), l.list("reclaim-roles")
	cfg.Roles = l.list("roles")
	cfg.Weights = parseWeights(l.list("weights"))
	cfg.RootSubmissions = !l.HasArg("no-root")
	w := newWorld(cfg)
	w.quiet = !l.HasArg("verbose")
	return w
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var commands = map[string]func(*world, line){
	"elect": func(w *world, l line) {
		if l.HasArg("older") {
			w.caps = nil
		}
		w.elect()
	},
	"agent": func(w *world, l line) {
		host := l.opt("host")
		if host == "" {
			host = l.at(0) + ".test"
		}
		version := l.opt("version")
		if version == "" {
			version = "1.11.0"
		}
		a := w.addAgent(l.at(0), l.at(1), host)
		if l.opt("caps") == "none" {
			a.caps = nil
		}
		w.register(a, version)
	},
	"register": func(w *world, l line) {
		if l.HasArg("anew") {
			w.agents[l.at(0)].life++
		}
		w.register(w.agents[l.at(0)], "1.11.0")
	},
	"over": func(w *world, l line) {
		w.agents[l.at(0)].over, _ = strconv.ParseUint(l.at(1), 10, 64)
	},
	"restart":    func(w *world, l line) { w.agents[l.at(0)].life++ },
	"reregister": func(w *world, l line) { w.reregister(w.agents[l.at(0)]) },
	"unregister": func(w *world, l line) {
		a := w.agents[l.at(0)]
		w.from(a, &messages.UnregisterSlaveMessage{SlaveId: a.info.Id})
	},
	"exit":   func(w *world, l line) { w.step(Exited{w.agents[l.at(0)].pid.Address()}) },
	"mute":   func(w *world, l line) { w.agents[l.at(0)].mute = true },
	"unmute": func(w *world, l line) { w.agents[l.at(0)].mute = false },
	"forget": func(w *world, l line) {
		a := w.agents[l.at(0)]
		a.lost = a.tasks[l.at(1)]
		delete(a.tasks, l.at(1))
	},
	"late": func(w *world, l line) { w.agents[l.at(0)].tasks[l.at(1)] = w.agents[l.at(0)].lost },
	"move": func(w *world, l line) {
		a := w.agents[l.at(0)]
		delete(w.agentNames, a.pid)
		a.pid = ids.UPID("slave(1)@" + l.at(1))
		w.agentNames[a.pid] = a.name
	},
	"rehost": func(w *world, l line) { w.agents[l.at(0)].info.Hostname = new(l.at(1)) },
	"resize": func(w *world, l line) { w.agents[l.at(0)].info.Resources = resources.MustParse(l.at(1)).Endpoint() },

	"quota":        quotaCommand,
	"set-quota":    setQuotaCommand,
	"remove-quota": removeQuotaCommand,
	"weights":      weightsCommand,
	"whitelist":    whitelistCommand,
	"quotas":       func(w *world, _ line) { w.printQuotas() },

	"subscribe":        subscribeCommand,
	"update-framework": updateFrameworkCommand,
	"close":            func(w *world, l line) { w.step(PeerClosed{w.frameworks[l.at(0)].peer.Conn}) },
	"exit-driver":      func(w *world, l line) { w.step(Exited{w.frameworks[l.at(0)].peer.Driver.Address()}) },
	"stop-driver": func(w *world, l line) {
		f := w.frameworks[l.at(0)]
		w.step(DriverStopped{f.peer.Driver, f.id})
	},
	"stale": func(w *world, l line) { w.frameworks[l.at(0)].peer.StreamID = l.at(1) },

	"accept": acceptCommand,
	"decline": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type:    schedulerpb.Call_DECLINE.Enum(),
			Decline: &schedulerpb.Call_Decline{OfferIds: offerIDs(l.at(1)), Filters: filters(l)},
		})
	},
	"revive": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_REVIVE.Enum(), Revive: &schedulerpb.Call_Revive{Roles: l.rest(1)},
		})
	},
	"suppress": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_SUPPRESS.Enum(), Suppress: &schedulerpb.Call_Suppress{Roles: l.rest(1)},
		})
	},
	"teardown": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()})
	},
	"operator-teardown": func(w *world, l line) {
		id := ids.FrameworkID(l.at(0))
		if f := w.frameworks[l.at(0)]; f != nil {
			id = f.id
		}
		w.operate(&masterpb.Call{
			Type:     masterpb.Call_TEARDOWN.Enum(),
			Teardown: &masterpb.Call_Teardown{FrameworkId: frameworkID(id)},
		})
	},

	"explain": func(w *world, l line) {
		in := Explain{Role: l.opt("role"), Framework: ids.FrameworkID(l.opt("framework")), Agent: ids.AgentID(l.opt("agent"))}
		if f := w.frameworks[l.at(0)]; f != nil {
			in.Framework = f.id
		}
		if a := w.agents[l.opt("agent")]; a != nil {
			in.Agent = ids.AgentID(a.info.Id.GetValue())
		}
		w.requests++
		in.Request = w.requests
		w.step(in)
	},

	"update": func(w *world, l line) {
		state := mesos.TaskState(mesos.TaskState_value[l.at(1)])
		latest := state
		if v := l.opt("latest"); v != "" {
			latest = mesos.TaskState(mesos.TaskState_value[v])
		}
		w.update(l.at(0), state, latest, func(s *mesos.TaskStatus) {
			if v := l.opt("reason"); v != "" {
				s.Reason = mesos.TaskStatus_Reason(mesos.TaskStatus_Reason_value[v]).Enum()
			}
		})
	},
	"ack": func(w *world, l line) {
		a := w.agentOf(l.at(1))
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_ACKNOWLEDGE.Enum(),
			Acknowledge: &schedulerpb.Call_Acknowledge{
				AgentId: a.info.Id, TaskId: taskID(ids.TaskID(l.at(1))), Uuid: fmt.Appendf(nil, "%-16s", l.at(2)),
			},
		})
	},
	"kill": func(w *world, l line) {
		kill := &schedulerpb.Call_Kill{TaskId: taskID(ids.TaskID(l.at(1)))}
		if v := l.opt("on"); v != "" {
			kill.AgentId = w.agentID(v)
		}
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{Type: schedulerpb.Call_KILL.Enum(), Kill: kill})
	},
	"reconcile": func(w *world, l line) {
		call := &schedulerpb.Call_Reconcile{}
		for _, arg := range l.rest(1) {
			task, agent, on := strings.Cut(arg, "@")
			t := &schedulerpb.Call_Reconcile_Task{TaskId: taskID(ids.TaskID(task))}
			if on {
				t.AgentId = w.agentID(agent)
			}
			call.Tasks = append(call.Tasks, t)
		}
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{Type: schedulerpb.Call_RECONCILE.Enum(), Reconcile: call})
	},
	"message": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_MESSAGE.Enum(),
			Message: &schedulerpb.Call_Message{
				ExecutorId: executorID(l.at(1)), AgentId: w.agentID(l.at(2)), Data: []byte(l.at(3)),
			},
		})
	},
	"executor-message": func(w *world, l line) {
		w.from(w.agents[l.at(2)], &messages.ExecutorToFrameworkMessage{
			FrameworkId: frameworkID(w.frameworks[l.at(0)].id), ExecutorId: executorID(l.at(1)),
			SlaveId: w.agentID(l.at(2)), Data: []byte(l.at(3)),
		})
	},
	"shutdown": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type:     schedulerpb.Call_SHUTDOWN.Enum(),
			Shutdown: &schedulerpb.Call_Shutdown{ExecutorId: executorID(l.at(1)), AgentId: w.agentID(l.at(2))},
		})
	},
	"exited": func(w *world, l line) {
		status, _ := strconv.Atoi(l.at(3))
		delete(w.agents[l.at(2)].execs, l.at(1))
		w.from(w.agents[l.at(2)], &messages.ExitedExecutorMessage{
			FrameworkId: frameworkID(w.frameworks[l.at(0)].id), ExecutorId: executorID(l.at(1)),
			SlaveId: w.agentID(l.at(2)), Status: new(int32(status)),
		})
	},
	"drain": func(w *world, l line) {
		call := &masterpb.Call_DrainAgent{AgentId: w.agentID(l.at(0)), MarkGone: new(l.HasArg("gone"))}
		if v := l.opt("grace"); v != "" {
			call.MaxGracePeriod = durationpb.New(duration(l.t, v))
		}
		w.operate(&masterpb.Call{Type: masterpb.Call_DRAIN_AGENT.Enum(), DrainAgent: call})
	},
	"deactivate": func(w *world, l line) {
		w.operate(&masterpb.Call{
			Type: masterpb.Call_DEACTIVATE_AGENT.Enum(), DeactivateAgent: &masterpb.Call_DeactivateAgent{AgentId: w.agentID(l.at(0))},
		})
	},
	"reactivate": func(w *world, l line) {
		w.operate(&masterpb.Call{
			Type: masterpb.Call_REACTIVATE_AGENT.Enum(), ReactivateAgent: &masterpb.Call_ReactivateAgent{AgentId: w.agentID(l.at(0))},
		})
	},
	"mark-gone": func(w *world, l line) {
		w.operate(&masterpb.Call{
			Type: masterpb.Call_MARK_AGENT_GONE.Enum(), MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: w.agentID(l.at(0))},
		})
	},
	"schedule": func(w *world, l line) {
		s := &maintenancepb.Schedule{}
		if len(l.rest(0)) > 0 {
			at := w.now.Add(duration(l.t, l.opt("in"))).UnixNano()
			s.Windows = []*maintenancepb.Window{{
				MachineIds: w.machines(l.rest(0)), Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: &at}},
			}}
		}
		w.operate(&masterpb.Call{
			Type: masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(), UpdateMaintenanceSchedule: &masterpb.Call_UpdateMaintenanceSchedule{Schedule: s},
		})
	},
	"down": func(w *world, l line) {
		w.operate(&masterpb.Call{
			Type: masterpb.Call_START_MAINTENANCE.Enum(), StartMaintenance: &masterpb.Call_StartMaintenance{Machines: w.machines(l.rest(0))},
		})
	},
	"up": func(w *world, l line) {
		w.operate(&masterpb.Call{
			Type: masterpb.Call_STOP_MAINTENANCE.Enum(), StopMaintenance: &masterpb.Call_StopMaintenance{Machines: w.machines(l.rest(0))},
		})
	},
	"accept-inverse": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type:                schedulerpb.Call_ACCEPT_INVERSE_OFFERS.Enum(),
			AcceptInverseOffers: &schedulerpb.Call_AcceptInverseOffers{InverseOfferIds: offerIDs(l.at(1)), Filters: filters(l)},
		})
	},
	"decline-inverse": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type:                 schedulerpb.Call_DECLINE_INVERSE_OFFERS.Enum(),
			DeclineInverseOffers: &schedulerpb.Call_DeclineInverseOffers{InverseOfferIds: offerIDs(l.at(1)), Filters: filters(l)},
		})
	},
	"answers": func(w *world, _ line) {
		for _, a := range inOrder(w.m.agents) {
			for _, s := range a.row.Answers {
				w.printf("%s: %s of %s", a.id, s.GetStatus(), s.FrameworkId.GetValue())
			}
		}
	},

	"operator": func(w *world, l line) {
		var words []string
		for _, a := range l.CmdArgs[1:] {
			words = append(words, a.String())
		}
		op := testOperation(w, l, words, nil)
		call := &masterpb.Call{}
		id := w.agentID(l.at(0))
		switch op.GetType() {
		case mesos.Offer_Operation_RESERVE:
			call.Type = masterpb.Call_RESERVE_RESOURCES.Enum()
			call.ReserveResources = &masterpb.Call_ReserveResources{AgentId: id, Source: op.Reserve.Source, Resources: op.Reserve.Resources}
		case mesos.Offer_Operation_UNRESERVE:
			call.Type = masterpb.Call_UNRESERVE_RESOURCES.Enum()
			call.UnreserveResources = &masterpb.Call_UnreserveResources{AgentId: id, Resources: op.Unreserve.Resources}
		case mesos.Offer_Operation_CREATE:
			call.Type = masterpb.Call_CREATE_VOLUMES.Enum()
			call.CreateVolumes = &masterpb.Call_CreateVolumes{AgentId: id, Volumes: op.Create.Volumes}
		case mesos.Offer_Operation_DESTROY:
			call.Type = masterpb.Call_DESTROY_VOLUMES.Enum()
			call.DestroyVolumes = &masterpb.Call_DestroyVolumes{AgentId: id, Volumes: op.Destroy.Volumes}
		case mesos.Offer_Operation_GROW_VOLUME:
			call.Type = masterpb.Call_GROW_VOLUME.Enum()
			call.GrowVolume = &masterpb.Call_GrowVolume{AgentId: id, Volume: op.GrowVolume.Volume, Addition: op.GrowVolume.Addition}
		default:
			call.Type = masterpb.Call_SHRINK_VOLUME.Enum()
			call.ShrinkVolume = &masterpb.Call_ShrinkVolume{AgentId: id, Volume: op.ShrinkVolume.Volume, Subtract: op.ShrinkVolume.Subtract}
		}
		w.requests++
		w.step(OperatorCall{Request: w.requests, Call: call})
	},
	"done": func(w *world, l line) {
		a := w.agents[l.at(0)]
		state := mesos.OperationState(mesos.OperationState_value[l.at(2)])
		n, _ := strconv.Atoi(l.at(1))
		w.from(a, a.outcome(a.operations[n], state, w.uuid()))
	},
	"ack-operation": func(w *world, l line) {
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS.Enum(),
			AcknowledgeOperationStatus: &schedulerpb.Call_AcknowledgeOperationStatus{
				AgentId: w.agentID(l.at(2)), OperationId: &mesos.OperationID{Value: new(l.at(1))},
				Uuid: fmt.Appendf(nil, "%-16s", l.at(3)),
			},
		})
	},
	"reconcile-operations": func(w *world, l line) {
		call := &schedulerpb.Call_ReconcileOperations{}
		for _, arg := range l.rest(1) {
			id, agent, on := strings.Cut(arg, "@")
			op := &schedulerpb.Call_ReconcileOperations_Operation{OperationId: &mesos.OperationID{Value: &id}}
			if on {
				op.AgentId = w.agentID(agent)
			}
			call.Operations = append(call.Operations, op)
		}
		w.call(w.frameworks[l.at(0)], &schedulerpb.Call{
			Type: schedulerpb.Call_RECONCILE_OPERATIONS.Enum(), ReconcileOperations: call,
		})
	},
	"update-agent": func(w *world, l line) {
		a := w.agents[l.at(0)]
		var ops []*messages.ApplyOperationMessage
		for _, n := range l.rest(1) {
			i, _ := strconv.Atoi(n)
			ops = append(ops, a.operations[i])
		}
		msg := a.listing(ops)
		msg.UpdateOversubscribedResources = new(l.opt("oversubscribed") != "")
		if v := l.opt("oversubscribed"); v != "" {
			msg.OversubscribedResources = resources.MustParse(v).Proto()
			for _, r := range msg.OversubscribedResources {
				r.Revocable = &mesos.Resource_RevocableInfo{}
			}
		}
		w.from(a, msg)
	},
	"operation-update": func(w *world, l line) {
		w.from(w.agents[l.at(0)], &messages.UpdateOperationStatusMessage{
			SlaveId: agentID(ids.AgentID(l.at(1))), OperationUuid: &mesos.UUID{Value: w.uuid()},
			Status: &mesos.OperationStatus{State: mesos.OperationState_OPERATION_FINISHED.Enum()},
		})
	},

	"hold": func(w *world, _ line) { w.hold = true },
	"commit": func(w *world, _ line) {
		w.hold = false
		w.commit()
	},
	"advance": func(w *world, l line) { w.advance(duration(l.t, l.at(0))) },
	"parts": func(w *world, l line) {
		n, _ := strconv.Atoi(l.at(0))
		for range n {
			w.step(Tick{})
		}
	},
	"state": func(w *world, _ line) { w.printState() },
	"counters": func(w *world, _ line) {
		c := w.m.Snapshot().Counters
		w.printf("scheduled %d completed %d canceled %d removals %d unhealthy %d registered %d unregistered %d",
			c.AgentUnreachableScheduled, c.AgentUnreachableCompleted, c.AgentUnreachableCanceled, c.AgentRemovals,
			c.AgentRemovalsUnhealthy, c.AgentRemovalsRegistered, c.AgentRemovalsUnregistered)
		w.printf("updates valid %d invalid %d; acks valid %d invalid %d; dropped %d", c.ValidStatusUpdates,
			c.InvalidStatusUpdates, c.ValidAcks, c.InvalidAcks, c.DroppedMessages)
		for s, n := range c.Tasks {
			if n > 0 {
				w.printf("%s %d", mesos.TaskState(s), n)
			}
		}
	},
}

func executorID(id string) *mesos.ExecutorID { return &mesos.ExecutorID{Value: &id} }

// agentID returns the ID of an agent by its name, or the ID given.
func (w *world) agentID(name string) *mesos.AgentID {
	if a := w.agents[name]; a != nil {
		return a.info.Id
	}
	return agentID(ids.AgentID(name))
}

func offerIDs(list string) (out []*mesos.OfferID) {
	for id := range strings.SplitSeq(list, ",") {
		if id != "none" {
			out = append(out, &mesos.OfferID{Value: new(id)})
		}
	}
	return out
}

func filters(l line) *mesos.Filters {
	v := l.opt("refuse")
	if v == "" {
		return nil
	}
	secs, err := strconv.ParseFloat(v, 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return &mesos.Filters{RefuseSeconds: &secs}
}

// frameworkOf returns the framework of a command, described as it says.
func frameworkOf(w *world, l line) *testFramework {
	f := w.frameworks[l.at(0)]
	if f == nil {
		f = &testFramework{name: l.at(0), info: &mesos.FrameworkInfo{User: new("nobody"), Name: new(l.at(0))}}
		w.frameworks[f.name] = f
	}
	info := f.info.CloneVT()
	if v := l.opt("role"); v != "" {
		info.Role = &v
	}
	if v := l.list("roles"); v != nil {
		info.Roles = v
		info.Capabilities = []*mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_MULTI_ROLE.Enum()}}
	}
	for _, c := range l.list("caps") {
		t := mesos.FrameworkInfo_Capability_Type(mesos.FrameworkInfo_Capability_Type_value[c])
		info.Capabilities = append(info.Capabilities, &mesos.FrameworkInfo_Capability{Type: &t})
	}
	if v := l.opt("timeout"); v != "" {
		secs, _ := strconv.ParseFloat(v, 64)
		info.FailoverTimeout = &secs
	}
	if v := l.opt("id"); v != "" {
		info.Id = frameworkID(ids.FrameworkID(v))
		f.id = ids.FrameworkID(v)
	}
	if v := l.opt("user"); v != "" {
		info.User = &v
	}
	if v := l.opt("principal"); v != "" {
		info.Principal = &v
	}
	f.info = info
	return f
}

func subscribeCommand(w *world, l line) {
	f := frameworkOf(w, l)
	call := &schedulerpb.Call_Subscribe{SuppressedRoles: l.list("suppressed"), FrameworkInfo: f.info}
	if pid := l.opt("driver"); pid != "" {
		f.peer = Peer{Driver: ids.UPID(pid)}
		w.step(Subscribe{Peer: f.peer, Call: call, Force: l.HasArg("force")})
		return
	}
	w.subscribe(f, call)
}

func updateFrameworkCommand(w *world, l line) {
	before := w.frameworks[l.at(0)].info
	f := frameworkOf(w, l)
	w.call(f, &schedulerpb.Call{
		Type: schedulerpb.Call_UPDATE_FRAMEWORK.Enum(),
		UpdateFramework: &schedulerpb.Call_UpdateFramework{
			FrameworkInfo: f.info, SuppressedRoles: l.list("suppressed"),
		},
	})
	if l.HasArg("refused") {
		f.info = before
	}
}

// acceptCommand reads operations from the lines below the command.
func acceptCommand(w *world, l line) {
	call := &schedulerpb.Call_Accept{OfferIds: offerIDs(l.at(1)), Filters: filters(l)}
	on := &mesos.AgentID{Value: new("unknown")}
	if o := w.m.offers[ids.OfferID(strings.Split(l.at(1), ",")[0])]; o != nil {
		on = agentID(o.agent.id)
	}
	for text := range strings.Lines(l.Input) {
		call.Operations = append(call.Operations, testOperation(w, l, strings.Fields(text), on))
	}
	w.call(w.frameworks[l.at(0)], &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: call})
}

func testOperation(w *world, l line, words []string, on *mesos.AgentID) *mesos.Offer_Operation {
	op := &mesos.Offer_Operation{}
	var plain []string
	executor := ""
	var extra, source []*mesos.Resource
	for _, word := range words {
		switch key, value, _ := strings.Cut(word, "="); key {
		case "executor":
			executor = value
		case "on":
			on = w.agentID(value)
		case "volume":
			size, id, _ := strings.Cut(value, "/")
			extra = append(extra, volumes(size, []string{id})...)
		case "dynamic":
			extra = append(extra, dynamic(value)...)
		case "source":
			source = dynamic(value)
		case "static":
			source = resources.MustParse(value).Proto()
		case "id":
			op.Id = &mesos.OperationID{Value: &value}
		default:
			plain = append(plain, word)
		}
	}
	switch plain[0] {
	case "launch":
		op.Type = mesos.Offer_Operation_LAUNCH.Enum()
		op.Launch = &mesos.Offer_Operation_Launch{}
		for i := 1; i < len(plain); i += 2 {
			t := testTask(plain[i], plain[i+1], on)
			t.Resources = append(t.Resources, extra...)
			if name, rs, ok := strings.Cut(executor, ":"); ok {
				t.Command = nil
				t.Executor = testExecutor(name, rs)
				t.Executor.Command = &mesos.CommandInfo{Value: new("run")}
			}
			op.Launch.TaskInfos = append(op.Launch.TaskInfos, t)
		}
	case "group":
		op.Type = mesos.Offer_Operation_LAUNCH_GROUP.Enum()
		group := &mesos.TaskGroupInfo{}
		for i := 3; i < len(plain); i += 2 {
			group.Tasks = append(group.Tasks, testTask(plain[i], plain[i+1], on))
		}
		e := testExecutor(plain[1], plain[2])
		e.Type = mesos.ExecutorInfo_DEFAULT.Enum()
		op.LaunchGroup = &mesos.Offer_Operation_LaunchGroup{Executor: e, TaskGroup: group}
	case "reserve":
		op.Type = mesos.Offer_Operation_RESERVE.Enum()
		op.Reserve = &mesos.Offer_Operation_Reserve{Source: source, Resources: repeated(dynamic, plain[1:])}
	case "unreserve":
		op.Type = mesos.Offer_Operation_UNRESERVE.Enum()
		op.Unreserve = &mesos.Offer_Operation_Unreserve{Resources: repeated(dynamic, plain[1:])}
	case "create":
		op.Type = mesos.Offer_Operation_CREATE.Enum()
		op.Create = &mesos.Offer_Operation_Create{Volumes: repeatedVolumes(plain[1:])}
	case "destroy":
		op.Type = mesos.Offer_Operation_DESTROY.Enum()
		op.Destroy = &mesos.Offer_Operation_Destroy{Volumes: repeatedVolumes(plain[1:])}
	case "grow":
		op.Type = mesos.Offer_Operation_GROW_VOLUME.Enum()
		op.GrowVolume = &mesos.Offer_Operation_GrowVolume{
			Volume: volumes(plain[1], plain[2:])[0], Addition: dynamic(plain[3])[0],
		}
	case "shrink":
		by, _ := strconv.ParseFloat(plain[3], 64)
		op.Type = mesos.Offer_Operation_SHRINK_VOLUME.Enum()
		op.ShrinkVolume = &mesos.Offer_Operation_ShrinkVolume{
			Volume: volumes(plain[1], plain[2:])[0], Subtract: &mesos.Value_Scalar{Value: &by},
		}
	default:
		l.Fatalf(l.t, "unknown operation %q", plain[0])
	}
	return op
}

func testTask(id, rs string, on *mesos.AgentID) *mesos.TaskInfo {
	return &mesos.TaskInfo{
		Name: &id, TaskId: taskID(ids.TaskID(id)), AgentId: on,
		Resources: resources.MustParse(rs).Endpoint(),
		Command:   &mesos.CommandInfo{Value: new("true")},
	}
}

func testExecutor(id, rs string) *mesos.ExecutorInfo {
	return &mesos.ExecutorInfo{ExecutorId: executorID(id), Resources: resources.MustParse(rs).Endpoint()}
}

// dynamic returns resources whose reservations are dynamic.
func dynamic(text string) []*mesos.Resource {
	rs := resources.MustParse(text).Proto()
	for _, r := range rs {
		for _, info := range r.Reservations {
			info.Type = mesos.Resource_ReservationInfo_DYNAMIC.Enum()
		}
	}
	return rs
}

// repeated returns what of makes of each of the words, also of the same twice.
func repeated(of func(string) []*mesos.Resource, words []string) (all []*mesos.Resource) {
	for _, word := range words {
		all = append(all, of(word)...)
	}
	return all
}

// repeatedVolumes returns the volumes of pairs of size and ID.
func repeatedVolumes(words []string) (all []*mesos.Resource) {
	for i := 0; i+1 < len(words); i += 2 {
		all = append(all, volumes(words[i], words[i+1:])...)
	}
	return all
}

// volumes returns persistent volumes of a size, "disk(role):64", with an ID,
// shared if that ends in '*'.
func volumes(size string, ids []string) []*mesos.Resource {
	rs := dynamic(size)
	id, shared := strings.CutSuffix(ids[0], "*")
	for _, r := range rs {
		r.Disk = &mesos.Resource_DiskInfo{
			Persistence: &mesos.Resource_DiskInfo_Persistence{Id: &id},
			Volume:      &mesos.Volume{ContainerPath: new("data"), Mode: mesos.Volume_RW.Enum()},
		}
		if shared {
			r.Shared = &mesos.Resource_SharedInfo{}
		}
	}
	return rs
}

// operate makes an operator's call.
func (w *world) operate(call *masterpb.Call) {
	w.requests++
	w.step(OperatorCall{Request: w.requests, Call: call})
}

// machines returns the machines of agents, or those named as HOST|IP.
func (w *world) machines(names []string) []*mesos.MachineID {
	var all []*mesos.MachineID
	for _, name := range names {
		host, ip, _ := strings.Cut(name, "/")
		if a := w.agents[name]; a != nil {
			host, ip = a.info.GetHostname(), a.pid.AddrPort().Addr().String()
		}
		all = append(all, &mesos.MachineID{Hostname: &host, Ip: &ip})
	}
	return all
}
