package master

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	maintenancepb "github.com/meseta-project/meseta/api/mesos/v1/maintenance"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	quotapb "github.com/meseta-project/meseta/api/mesos/v1/quota"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/role"
	"github.com/meseta-project/meseta/resources"
)

// TestRandomHistories has agents, frameworks and operators do anything in any
// order, the master die now and then, and records be slow. The books must
// agree after every step; at last, when all has been quiet for long, nothing
// may be left undone.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := smallConfig(t)
		if rapid.Bool().Draw(t, "all is done a part at a time") {
			cfg.AllocationBudget = rapid.IntRange(1, 8).Draw(t, "budget")
		}
		h := &history{t: t, w: newWorld(cfg)}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			deeds[rapid.SampledFrom(usual).Draw(t, "deed")](h)
			h.conserved()
			h.w.out.Reset()
		}
		h.w.hold = false
		h.w.commit()
		h.w.advance(10 * time.Minute)
		h.rest()
	})
}

// smallConfig has little of everything, so that bounds are met.
func smallConfig(t *rapid.T) Config {
	cfg := DefaultConfig()
	cfg.AgentReregisterTimeout = time.Minute
	cfg.MaxCompletedTasksPerFramework = 3
	cfg.MaxUnreachableTasksPerFramework = 3
	cfg.MaxCompletedFrameworks = 2
	cfg.MaxRemovedAgents = 2
	if rapid.Bool().Draw(t, "offers time out") {
		cfg.OfferTimeout = 7 * time.Second
	}
	if rapid.Bool().Draw(t, "removals are limited") {
		cfg.AgentRemovalRate = Rate{1, 20 * time.Second}
	}
	return cfg
}

// A history is a random run. Names are few, so that things meet.
type history struct {
	t     *rapid.T
	w     *world
	tasks int
}

// deeds may be done at any time, some more often than others; those that make
// no sense do nothing.
var deeds = map[string]func(*history){
	"join":                 (*history).join,
	"breakAgent":           (*history).breakAgent,
	"returnAgent":          (*history).returnAgent,
	"leave":                (*history).leave,
	"silence":              (*history).silence,
	"subscribe":            (*history).subscribe,
	"closeStream":          (*history).closeStream,
	"teardown":             (*history).teardown,
	"redescribe":           (*history).redescribe,
	"accept":               (*history).accept,
	"decline":              (*history).decline,
	"revive":               (*history).revive,
	"progress":             (*history).progress,
	"acknowledge":          (*history).acknowledge,
	"kill":                 (*history).kill,
	"reconcile":            (*history).reconcile,
	"exitExecutor":         (*history).exitExecutor,
	"settleOperation":      (*history).settleOperation,
	"listOperations":       (*history).listOperations,
	"acknowledgeOperation": (*history).acknowledgeOperation,
	"wait":                 (*history).wait,
	"delayRecords":         (*history).delayRecords,
	"elect":                (*history).elect,
	"setQuota":             (*history).setQuota,
	"weigh":                (*history).weigh,
	"operate":              (*history).operate,
	"setApart":             (*history).setApart,
	"maintain":             (*history).maintain,
}

var usual = append(slices.Sorted(maps.Keys(deeds)),
	"subscribe", "accept", "accept", "progress", "progress", "acknowledge", "wait")

func pick[V any](h *history, name string, m map[string]V) (v V, ok bool) {
	if len(m) == 0 {
		return v, false
	}
	return m[rapid.SampledFrom(slices.Sorted(maps.Keys(m))).Draw(h.t, name)], true
}

func (h *history) join() {
	if len(h.w.agents) < 3 {
		h.w.register(h.w.addAgent(fmt.Sprintf("a%d", len(h.w.agents)), "cpus:4;mem:1024;disk:64", "h"), "1.11.0")
	}
}

func (h *history) breakAgent() {
	if a, ok := pick(h, "agent", h.w.agents); ok {
		h.w.step(Exited{a.pid.Address()})
	}
}

// returnAgent has an agent come back, with all it ran or less.
func (h *history) returnAgent() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok {
		return
	}
	if rapid.Bool().Draw(h.t, "loses tasks") {
		for _, id := range slices.Sorted(maps.Keys(a.tasks)) {
			if rapid.Bool().Draw(h.t, "loses "+id) {
				delete(a.tasks, id)
			}
		}
	}
	if a.info.Id == nil {
		h.w.register(a, "1.11.0")
		return
	}
	h.w.reregister(a)
}

func (h *history) leave() {
	if a, ok := pick(h, "agent", h.w.agents); ok && a.info.Id != nil {
		h.w.from(a, &messages.UnregisterSlaveMessage{SlaveId: a.info.Id})
		if rapid.Bool().Draw(h.t, "for good") {
			a.tasks, a.info.Id = map[string]*mesos.Task{}, nil
			a.life++
		}
	}
}

func (h *history) silence() {
	if a, ok := pick(h, "agent", h.w.agents); ok {
		a.mute = !a.mute
	}
}

func (h *history) subscribe() {
	name := fmt.Sprintf("f%d", rapid.IntRange(0, 2).Draw(h.t, "framework"))
	f := h.w.frameworks[name]
	if f == nil {
		f = &testFramework{name: name, info: &mesos.FrameworkInfo{
			User: new("u"), Name: new(name), FailoverTimeout: new(float64(rapid.IntRange(0, 50).Draw(h.t, "timeout"))),
		}}
		for _, c := range []mesos.FrameworkInfo_Capability_Type{
			mesos.FrameworkInfo_Capability_MULTI_ROLE, mesos.FrameworkInfo_Capability_PARTITION_AWARE,
			mesos.FrameworkInfo_Capability_SHARED_RESOURCES, mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT,
		} {
			if rapid.Bool().Draw(h.t, c.String()) {
				f.info.Capabilities = append(f.info.Capabilities, &mesos.FrameworkInfo_Capability{Type: &c})
			}
		}
		h.w.frameworks[name] = f
	}
	h.chooseRoles(f)
	h.w.subscribe(f, &schedulerpb.Call_Subscribe{})
}

func (h *history) chooseRoles(f *testFramework) {
	info := f.info.CloneVT()
	roles := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"x", "y", "x/z"}), rapid.ID[string]).Draw(h.t, "roles")
	switch {
	case frameworkCapsOf(info).multiRole:
		info.Roles = roles
	case len(roles) > 0:
		info.Role = &roles[0]
	default:
		info.Role = new("*")
	}
	f.info = info
}

func (h *history) redescribe() {
	if f, ok := pick(h, "framework", h.w.frameworks); ok {
		h.chooseRoles(f)
		h.w.call(f, &schedulerpb.Call{
			Type:            schedulerpb.Call_UPDATE_FRAMEWORK.Enum(),
			UpdateFramework: &schedulerpb.Call_UpdateFramework{FrameworkInfo: f.info},
		})
	}
}

func (h *history) closeStream() {
	if f, ok := pick(h, "framework", h.w.frameworks); ok {
		h.w.step(PeerClosed{f.peer.Conn})
	}
}

func (h *history) teardown() {
	f, ok := pick(h, "framework", h.w.frameworks)
	if !ok || rapid.IntRange(0, 3).Draw(h.t, "really") > 0 {
		return
	}
	h.w.call(f, &schedulerpb.Call{Type: schedulerpb.Call_TEARDOWN.Enum()})
	if rapid.Bool().Draw(h.t, "forgets its ID") {
		f.info = f.info.CloneVT()
		f.info.Id = nil
	}
}

// offer returns an offer, and its framework.
func (h *history) offer() (*offer, *testFramework) {
	open := inOrder(h.w.m.offers)
	if len(open) == 0 {
		return nil, nil
	}
	o := rapid.SampledFrom(open).Draw(h.t, "offer")
	for _, f := range h.w.frameworks {
		if f.id == o.framework.id {
			return o, f
		}
	}
	return nil, nil
}

func (h *history) accept() {
	o, f := h.offer()
	if o == nil {
		return
	}
	call := &schedulerpb.Call_Accept{OfferIds: offerIDs(string(o.row.ID)), Filters: h.filters()}
	for range rapid.IntRange(0, 3).Draw(h.t, "operations") {
		call.Operations = append(call.Operations, h.operation(agentID(o.agent.id), o.row.Role))
	}
	h.w.call(f, &schedulerpb.Call{Type: schedulerpb.Call_ACCEPT.Enum(), Accept: call})
	if h.w.m.offers[o.row.ID] != nil && !o.isWithdrawn() && len(h.w.m.responses)+len(h.w.m.backlogs) == 0 {
		h.t.Fatalf("offer %s is there after it was accepted", o.row.ID)
	}
}

func (h *history) filters() *mesos.Filters {
	if rapid.Bool().Draw(h.t, "default filters") {
		return nil
	}
	return &mesos.Filters{RefuseSeconds: new(float64(rapid.IntRange(-1, 100).Draw(h.t, "refuse")))}
}

// conversion returns an operation on what there may be to reserve.
func (h *history) conversion(role string) *mesos.Offer_Operation {
	disk := volumes("disk("+role+"):8", []string{"v" + role + rapid.SampledFrom([]string{"", "*"}).Draw(h.t, "shared")})
	op := &mesos.Offer_Operation{}
	switch rapid.IntRange(0, 3).Draw(h.t, "conversion") {
	case 0:
		op.Type = mesos.Offer_Operation_RESERVE.Enum()
		op.Reserve = &mesos.Offer_Operation_Reserve{Resources: dynamic("cpus(" + role + "):0.5;disk(" + role + "):8")}
	case 1:
		op.Type = mesos.Offer_Operation_UNRESERVE.Enum()
		op.Unreserve = &mesos.Offer_Operation_Unreserve{Resources: dynamic("cpus(" + role + "):0.5;disk(" + role + "):8")}
	case 2:
		op.Type = mesos.Offer_Operation_CREATE.Enum()
		op.Create = &mesos.Offer_Operation_Create{Volumes: disk}
	case 3:
		op.Type = mesos.Offer_Operation_DESTROY.Enum()
		op.Destroy = &mesos.Offer_Operation_Destroy{Volumes: disk}
	}
	if rapid.Bool().Draw(h.t, "feedback") {
		op.Id = &mesos.OperationID{Value: new(rapid.SampledFrom([]string{"op1", "op2"}).Draw(h.t, "operation ID"))}
	}
	return op
}

// settleOperation has an agent say what became of an operation.
func (h *history) settleOperation() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok || len(a.operations) == 0 || a.info.Id == nil {
		return
	}
	op := rapid.SampledFrom(a.operations).Draw(h.t, "operation")
	state := rapid.SampledFrom([]mesos.OperationState{
		mesos.OperationState_OPERATION_FINISHED, mesos.OperationState_OPERATION_FAILED,
	}).Draw(h.t, "outcome")
	h.w.from(a, a.outcome(op, state, h.w.uuid()))
}

// listOperations has an agent list operations, all that it has done or some.
func (h *history) listOperations() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok || len(a.operations) == 0 || a.info.Id == nil {
		return
	}
	h.w.from(a, a.listing(a.operations[rapid.IntRange(0, len(a.operations)-1).Draw(h.t, "first"):]))
}

// acknowledgeOperation has a framework acknowledge what it was told of an operation.
func (h *history) acknowledgeOperation() {
	f, ok := pick(h, "framework", h.w.frameworks)
	if !ok || h.w.m.operations[f.id] == nil {
		return
	}
	for o := h.w.m.operations[f.id].byAge.oldest; o != nil; o = o.age.younger {
		if s := o.row.Latest; s.GetUuid() != nil && rapid.Bool().Draw(h.t, "this one") {
			h.w.call(f, &schedulerpb.Call{
				Type: schedulerpb.Call_ACKNOWLEDGE_OPERATION_STATUS.Enum(),
				AcknowledgeOperationStatus: &schedulerpb.Call_AcknowledgeOperationStatus{
					AgentId: agentID(o.agent.id), OperationId: o.row.Info.Id, Uuid: s.Uuid.Value,
				},
			})
			return
		}
	}
}

func (h *history) operation(on *mesos.AgentID, role string) *mesos.Offer_Operation {
	if role != "*" && rapid.Bool().Draw(h.t, "converts") {
		return h.conversion(role)
	}
	h.tasks++
	id := fmt.Sprintf("t%d", h.tasks)
	if rapid.IntRange(0, 5).Draw(h.t, "a name again") == 0 {
		id = fmt.Sprintf("t%d", h.tasks/2)
	}
	cpus := rapid.SampledFrom([]string{"0.5", "1", "3", "100"}).Draw(h.t, "cpus")
	task := testTask(id, "cpus:"+cpus+";mem:32", on)
	executor := testExecutor(fmt.Sprintf("e%d", rapid.IntRange(0, 1).Draw(h.t, "executor")), "cpus:0.1;mem:32;disk:1")
	switch rapid.IntRange(0, 2).Draw(h.t, "kind") {
	case 0:
		executor.Type = mesos.ExecutorInfo_DEFAULT.Enum()
		executor.ExecutorId = executorID("group-" + executor.ExecutorId.GetValue())
		other := testTask(id+"b", "cpus:0.1;mem:32", on)
		return &mesos.Offer_Operation{
			Type: mesos.Offer_Operation_LAUNCH_GROUP.Enum(),
			LaunchGroup: &mesos.Offer_Operation_LaunchGroup{
				Executor: executor, TaskGroup: &mesos.TaskGroupInfo{Tasks: []*mesos.TaskInfo{task, other}},
			},
		}
	case 1:
		task.Command = nil
		task.Executor = executor
		task.Executor.Command = &mesos.CommandInfo{Value: new("run")}
	}
	tasks := []*mesos.TaskInfo{task}
	for i := range rapid.IntRange(0, 2).Draw(h.t, "more") {
		tasks = append(tasks, testTask(fmt.Sprintf("%s-%d", id, i), "cpus:0.5;mem:32", on))
	}
	return &mesos.Offer_Operation{
		Type:   mesos.Offer_Operation_LAUNCH.Enum(),
		Launch: &mesos.Offer_Operation_Launch{TaskInfos: tasks},
	}
}

func (h *history) decline() {
	if o, f := h.offer(); o != nil {
		h.w.call(f, &schedulerpb.Call{
			Type:    schedulerpb.Call_DECLINE.Enum(),
			Decline: &schedulerpb.Call_Decline{OfferIds: offerIDs(string(o.row.ID)), Filters: h.filters()},
		})
	}
}

func (h *history) revive() {
	if f, ok := pick(h, "framework", h.w.frameworks); ok {
		typ := rapid.SampledFrom([]schedulerpb.Call_Type{schedulerpb.Call_REVIVE, schedulerpb.Call_SUPPRESS}).Draw(h.t, "call")
		h.w.call(f, &schedulerpb.Call{Type: &typ, Revive: &schedulerpb.Call_Revive{}, Suppress: &schedulerpb.Call_Suppress{}})
	}
}

// task returns an agent's task that is not over.
func (h *history) task() (*testAgent, *mesos.Task) {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok {
		return nil, nil
	}
	t, _ := pick(h, "task", a.tasks)
	return a, t
}

func (h *history) progress() {
	a, t := h.task()
	if t == nil {
		return
	}
	latest := t.GetState()
	if !isTerminal(latest) {
		latest = rapid.SampledFrom([]mesos.TaskState{
			mesos.TaskState_TASK_RUNNING, mesos.TaskState_TASK_FINISHED, mesos.TaskState_TASK_FAILED, mesos.TaskState_TASK_KILLING,
		}).Draw(h.t, "state")
	}
	h.w.updateOf(a, t, latest, latest, nil)
}

func (h *history) acknowledge() {
	a, t := h.task()
	if t == nil || t.StatusUpdateUuid == nil {
		return
	}
	for _, f := range h.w.frameworks {
		if frameworkID(f.id).GetValue() == t.FrameworkId.GetValue() {
			h.w.call(f, &schedulerpb.Call{
				Type:        schedulerpb.Call_ACKNOWLEDGE.Enum(),
				Acknowledge: &schedulerpb.Call_Acknowledge{AgentId: t.AgentId, TaskId: t.TaskId, Uuid: t.StatusUpdateUuid},
			})
		}
	}
	if isTerminal(t.GetState()) {
		delete(a.tasks, t.TaskId.GetValue())
	}
}

func (h *history) kill() {
	f, ok := pick(h, "framework", h.w.frameworks)
	if _, t := h.task(); ok && t != nil {
		h.w.call(f, &schedulerpb.Call{Type: schedulerpb.Call_KILL.Enum(), Kill: &schedulerpb.Call_Kill{TaskId: t.TaskId}})
	}
}

// reconcile has a framework ask for all its tasks or operations.
func (h *history) reconcile() {
	if f, ok := pick(h, "framework", h.w.frameworks); ok {
		typ := rapid.SampledFrom([]schedulerpb.Call_Type{schedulerpb.Call_RECONCILE, schedulerpb.Call_RECONCILE_OPERATIONS}).Draw(h.t, "of")
		h.w.call(f, &schedulerpb.Call{
			Type: &typ, Reconcile: &schedulerpb.Call_Reconcile{}, ReconcileOperations: &schedulerpb.Call_ReconcileOperations{},
		})
	}
}

func (h *history) exitExecutor() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok {
		return
	}
	if e, ok := pick(h, "executor", a.execs); ok {
		h.w.from(a, &messages.ExitedExecutorMessage{
			SlaveId: a.info.Id, FrameworkId: e.FrameworkId, ExecutorId: e.ExecutorId, Status: new(int32(0)),
		})
	}
}

func (h *history) wait() {
	h.w.advance(time.Duration(rapid.IntRange(0, 70).Draw(h.t, "seconds")) * time.Second)
}

// delayRecords makes records slow to become durable, or durable at last.
func (h *history) delayRecords() {
	h.w.hold = !h.w.hold
	if !h.w.hold {
		h.w.commit()
	}
}

// elect replaces the master. Records that were not durable may be lost.
func (h *history) elect() {
	h.w.held = nil
	h.w.elect()
}

// operator makes a call of an operator's.
func (h *history) operator(call *masterpb.Call) {
	h.w.requests++
	h.w.step(OperatorCall{Request: h.w.requests, Call: call})
}

// someRole returns a role that has a tree of its own.
func (h *history) someRole() string {
	return rapid.SampledFrom([]string{"x", "y"}).Draw(h.t, "role")
}

func (h *history) setQuota() {
	quota := &quotapb.QuotaConfig{Role: new(h.someRole())}
	least := rapid.SampledFrom([]string{"-", "cpus:1", "cpus:3;mem:512"}).Draw(h.t, "guarantees")
	most := rapid.SampledFrom([]string{"-", "cpus:3;mem:512", "cpus:6;mem:2048"}).Draw(h.t, "limits")
	quota.Guarantees, quota.Limits = amounts(least), amounts(most)
	h.operator(&masterpb.Call{Type: masterpb.Call_UPDATE_QUOTA.Enum(), UpdateQuota: &masterpb.Call_UpdateQuota{
		Force: new(rapid.Bool().Draw(h.t, "force")), QuotaConfigs: []*quotapb.QuotaConfig{quota},
	}})
}

func (h *history) weigh() {
	h.operator(&masterpb.Call{Type: masterpb.Call_UPDATE_WEIGHTS.Enum(), UpdateWeights: &masterpb.Call_UpdateWeights{
		WeightInfos: []*mesos.WeightInfo{{Role: new(h.someRole()), Weight: new(float64(rapid.IntRange(1, 3).Draw(h.t, "weight")))}},
	}})
}

// operate has an operator reserve, or take back what is reserved.
func (h *history) operate() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok || a.info.Id == nil {
		return
	}
	rs := dynamic("cpus(" + h.someRole() + "):0.5")
	if rapid.Bool().Draw(h.t, "reserve") {
		h.operator(&masterpb.Call{Type: masterpb.Call_RESERVE_RESOURCES.Enum(), ReserveResources: &masterpb.Call_ReserveResources{
			AgentId: a.info.Id, Resources: rs,
		}})
		return
	}
	h.operator(&masterpb.Call{Type: masterpb.Call_UNRESERVE_RESOURCES.Enum(), UnreserveResources: &masterpb.Call_UnreserveResources{
		AgentId: a.info.Id, Resources: rs,
	}})
}

// setApart has an operator drain an agent, have it offered no more or again, or mark
// it gone.
func (h *history) setApart() {
	a, ok := pick(h, "agent", h.w.agents)
	if !ok || a.info.Id == nil {
		return
	}
	switch rapid.IntRange(0, 6).Draw(h.t, "how") {
	case 0:
		h.operator(&masterpb.Call{Type: masterpb.Call_DRAIN_AGENT.Enum(), DrainAgent: &masterpb.Call_DrainAgent{
			AgentId: a.info.Id, MarkGone: new(rapid.Bool().Draw(h.t, "gone then")),
		}})
	case 1, 2:
		h.operator(&masterpb.Call{Type: masterpb.Call_DEACTIVATE_AGENT.Enum(), DeactivateAgent: &masterpb.Call_DeactivateAgent{AgentId: a.info.Id}})
	case 3:
		h.operator(&masterpb.Call{Type: masterpb.Call_MARK_AGENT_GONE.Enum(), MarkAgentGone: &masterpb.Call_MarkAgentGone{AgentId: a.info.Id}})
	default:
		h.operator(&masterpb.Call{Type: masterpb.Call_REACTIVATE_AGENT.Enum(), ReactivateAgent: &masterpb.Call_ReactivateAgent{AgentId: a.info.Id}})
	}
}

// maintain has an operator schedule the maintenance of the machines of some agents.
func (h *history) maintain() {
	schedule := &maintenancepb.Schedule{}
	for _, name := range slices.Sorted(maps.Keys(h.w.agents)) {
		if rapid.Bool().Draw(h.t, "maintain "+name) {
			a := h.w.agents[name]
			schedule.Windows = append(schedule.Windows, &maintenancepb.Window{
				MachineIds:     []*mesos.MachineID{{Hostname: a.info.Hostname, Ip: new(a.pid.AddrPort().Addr().String())}},
				Unavailability: &mesos.Unavailability{Start: &mesos.TimeInfo{Nanoseconds: new(h.w.now.Add(time.Hour).UnixNano())}},
			})
		}
	}
	h.operator(&masterpb.Call{
		Type:                      masterpb.Call_UPDATE_MAINTENANCE_SCHEDULE.Enum(),
		UpdateMaintenanceSchedule: &masterpb.Call_UpdateMaintenanceSchedule{Schedule: schedule},
	})
}

// conserved checks that the allocator takes for used what is on the books, what is
// offered, and what is left of the offers of an ACCEPT that goes on; no more and no
// less.
func (h *history) conserved() {
	m := h.w.m
	used := map[string]*tally{}
	count := func(top string, r resources.Resource) {
		if used[top] == nil {
			used[top] = &tally{}
		}
		used[top].add(r.Name(), r.Amount())
	}
	countUsed := func(rs resources.Resources) {
		for r := range rs.All() {
			if countsForQuota(r) {
				count(role.Top(r.AllocationRole()), r)
			}
		}
	}
	for _, a := range m.agents {
		for r := range a.row.Total.All() {
			if r.IsReserved() {
				count(role.Top(r.Role()), r)
			}
		}
		countUsed(a.row.Allocated)
		countUsed(a.row.Offered)
	}
	for _, b := range m.backlogs {
		if x := b.accepting; x != nil && x.agent != nil {
			countUsed(x.remaining.Add(x.resized))
		}
	}
	for _, top := range []string{"x", "y", "*"} {
		want := tally{}
		if used[top] != nil {
			want = *used[top]
		}
		if got := m.alloc.Consumed(top); !got.Equal(want.quantities()) {
			h.t.Fatalf("the allocator takes %s for used by %s, the books %s", got, top, want.quantities())
		}
	}
}

// rest checks what must be so when nothing has happened for long: whoever is
// silent is off the books, and nothing waits any more.
func (h *history) rest() {
	m := h.w.m
	if len(m.waiting)+len(m.backlogs)+len(m.leaving)+len(m.returning)+len(m.admitting)+m.recovered.Len()+len(m.removals.waits)+len(m.entering) > 0 {
		h.t.Fatalf("something is left undone: waiting %d, backlogs %d, leaving %v, returning %v, admitting %v, recovered %d, removals %d, entering %d",
			len(m.waiting), len(m.backlogs), m.leaving, m.returning, m.admitting, m.recovered.Len(), len(m.removals.waits), len(m.entering))
	}
	for _, a := range m.agents {
		if !a.row.Connected {
			h.t.Fatalf("agent %s is on the books and disconnected", a.id)
		}
	}
	for _, f := range m.frameworks {
		if f.state == away {
			h.t.Fatalf("framework %s is on the books and away", f.id)
		}
	}
	known := map[ids.AgentID]bool{}
	for _, r := range m.registry.Agents() {
		known[ids.AgentID(r.Info.Id.GetValue())] = true
	}
	for id := range m.agents {
		if !known[id] {
			h.t.Fatalf("agent %s is not in the registry", id)
		}
	}
	if len(known) != len(m.agents) {
		h.t.Fatalf("the registry has %d agents, the books %d", len(known), len(m.agents))
	}
}
