package master

import (
	"fmt"
	"math"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// An acceptance is an ACCEPT while it is done: its operations take, one after
// the other, from what the offers held together. One of very many tasks or
// operations is done a part at a time:
//
//	each is well-formed? ─▶ each is done ─▶ what is left of the offers is declined
//	     │                     │  ▲
//	     └─▶ it fails alone    │  └─ the offers were wrong: each fails
//	                           └──── the agent went away: what is left fails
//
// Between parts what is left of the offers is on no book but the allocator's.
type acceptance struct {
	framework *framework
	agent     *agent // nil: the offers were wrong, or it went away
	role      string
	filters   *mesos.Filters
	offered   resources.Resources // by the offers
	held      resources.Resources // what was left of the offers when this part began
	remaining resources.Resources // of the offers
	resized   resources.Resources // volumes that changed their size
	shared    resources.Resources // volumes that any number of tasks can use
	asks      *validate.Framework
	at        *validate.Agent

	conversions []resources.Conversion // that the allocator does not know of
	converted   bool                   // there were some

	scattered  int // of how many pieces what it takes from, and adds to, is
	operations []*mesos.Offer_Operation
	checked    bool         // they are, for their form
	next       int          // the operation to go on with
	task       int          // the task of it to go on with
	group      *launching   // that it launches, nil if it has not begun
	malformed  map[int]bool // operations
	fails      *verdict     // why the one to go on with is malformed, nil if it is not known to be
	fail       *verdict     // why all that are left fail, nil if they do not
}

// A verdict says why operations fail.
type verdict struct {
	state  mesos.TaskState // of the tasks that they launch
	reason mesos.TaskStatus_Reason
	task   string // what is said of these
	other  string // what is said of an operation that is no launch
}

// accept answers ACCEPT. Wrong offers fail it as a whole; a wrong operation, or
// a wrong task of a LAUNCH, fails alone. What is left is declined.
func (m *Master) accept(f *framework, call *schedulerpb.Call_Accept) *refusal.Error {
	x := &acceptance{framework: f, operations: call.Operations, filters: call.Filters}
	offers, why := m.offersFor(f, m.enough(call.OfferIds))
	var err *refusal.Error
	if why == "" {
		m.take(x, offers)
	} else {
		err = m.respond(response{f, call.OfferIds, nil, m.returnOne})
		x.fail = f.lost(mesos.TaskStatus_REASON_INVALID_OFFERS, "Task launched with invalid offers: "+why,
			"Operation attempted with invalid offers: "+why)
	}
	if countTasks(call.Operations, m.few()) > m.few() {
		m.acceptLater(x)
		return err
	}
	budget := math.MaxInt
	m.goOnAccepting(x, &budget)
	return err
}

// lost returns why a framework's operations fail that were right, but cannot be
// done any more.
func (f *framework) lost(reason mesos.TaskStatus_Reason, task, other string) *verdict {
	v := &verdict{mesos.TaskState_TASK_DROPPED, reason, task, other}
	if !f.caps.partitionAware {
		v.state = mesos.TaskState_TASK_LOST
	}
	return v
}

// goOnAccepting goes on with an ACCEPT, and reports whether it is done in whole.
func (m *Master) goOnAccepting(x *acceptance, budget *int) (whole bool) {
	for ; !x.checked && x.next < len(x.operations); x.next++ {
		if !m.checkForm(x, x.operations[x.next], budget) {
			return false
		}
	}
	if !x.checked {
		x.checked, x.next = true, 0
	}
	for ; x.next < len(x.operations); x.next++ {
		if !m.perform(x, x.operations[x.next], budget) {
			return false
		}
	}
	m.finish(x, filtersOr(x.filters))
	return true
}

// turn reports whether there is something left of a budget, which is what it may cost
// in looks at offers, and takes what is done next from it.
func turn(budget *int, cost int) bool {
	if *budget <= 0 {
		return false
	}
	*budget -= cost
	return true
}

// cost returns what it costs to do one thing, in looks at offers: as much as to look at
// so many, or more if what the agent has is in very many pieces.
func (x *acceptance) cost(looks int) int { return looks + x.scattered/64 }

// pieces returns of how many pieces resources are, as of a range of numbers; one of
// another kind than all others is as much work as eight.
func pieces(rs resources.Resources) (n int) {
	for r := range rs.All() {
		n += 8 + len(r.Ranges()) + len(r.Set())
	}
	return n
}

// countTasks returns how many tasks, and operations that have none, there are in
// operations, or a number above most if it is more.
func countTasks(operations []*mesos.Offer_Operation, most int) (n int) {
	for _, op := range operations {
		if n > most {
			break
		}
		n += max(1, len(tasksOf(op)))
	}
	return n
}

// enough returns as many of the offers that an ACCEPT names as are to be looked at:
// they must all be of one agent, so of more than that has, something is wrong with
// the first of them.
func (m *Master) enough(names []*mesos.OfferID) []*mesos.OfferID {
	if len(names) <= m.cfg.AllocationBudget {
		return names
	}
	most := 1
	if first := m.offers[ids.OfferID(names[0].GetValue())]; first != nil {
		most += len(first.agent.offers)
	}
	return names[:min(len(names), max(most, m.cfg.AllocationBudget))]
}

func (m *Master) countLaunch(op *mesos.Offer_Operation) {
	switch {
	case op.GetType() != mesos.Offer_Operation_LAUNCH:
	case len(op.Launch.GetTaskInfos()) > 0:
		m.counters.Messages.LaunchTasks++
	default:
		m.counters.Messages.DeclineOffers++
	}
}

// offersFor returns the offers with the IDs, or says why they cannot be
// accepted together by the framework.
func (m *Master) offersFor(f *framework, names []*mesos.OfferID) (offers []*offer, why string) {
	if len(names) == 0 {
		return nil, "No offers specified"
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name.GetValue()] {
			return nil, "Duplicate offer " + name.GetValue() + " in offer list"
		}
		seen[name.GetValue()] = true
	}
	for _, name := range names {
		o := m.offers[ids.OfferID(name.GetValue())]
		if o == nil || o.isWithdrawn() {
			return nil, "Offer " + name.GetValue() + " is no longer valid"
		}
		offers = append(offers, o)
	}
	return offers, disagreement(f, offers)
}

// disagreement says why offers are not one framework's, in one role, of one
// agent, or nothing.
func disagreement(f *framework, offers []*offer) string {
	for _, o := range offers {
		if o.framework != f {
			return fmt.Sprintf("Offer %s has invalid framework %s while framework %s is expected",
				o.row.ID, o.framework.id, f.id)
		}
	}
	first := offers[0]
	for _, o := range offers {
		if o.row.Role != first.row.Role {
			return fmt.Sprintf("Aggregated offers must be allocated to the same role. Offer %s uses role '%s"+
				" but another is using role '%s", o.row.ID, o.row.Role, first.row.Role)
		}
	}
	for _, o := range offers {
		if o.agent != first.agent {
			return fmt.Sprintf("Aggregated offers must belong to one single agent. Offer %s uses agent %s and agent %s",
				o.row.ID, o.agent.id, first.agent.id)
		}
	}
	return ""
}

func isLaunch(op *mesos.Offer_Operation) bool {
	return op.GetType() == mesos.Offer_Operation_LAUNCH || op.GetType() == mesos.Offer_Operation_LAUNCH_GROUP
}

// tasksOf returns the tasks that an operation launches, if it does.
func tasksOf(op *mesos.Offer_Operation) []*mesos.TaskInfo {
	switch op.GetType() {
	case mesos.Offer_Operation_LAUNCH:
		return op.Launch.GetTaskInfos()
	case mesos.Offer_Operation_LAUNCH_GROUP:
		return op.LaunchGroup.GetTaskGroup().GetTasks()
	default:
		return nil
	}
}

// failOperation fails what is left of an operation, and reports whether it did so
// for all of it.
func (m *Master) failOperation(x *acceptance, op *mesos.Offer_Operation, v *verdict, budget *int) (done bool) {
	if !isLaunch(op) {
		if !turn(budget, 1) {
			return false
		}
		m.dropOperation(x.framework, op, v.other)
		return true
	}
	return x.eachTask(tasksOf(op), budget, 1, func(t *mesos.TaskInfo) { m.failTask(x.framework, t, v) })
}

// eachTask goes on with the tasks of an operation, and reports whether it is done
// with all of them.
func (x *acceptance) eachTask(tasks []*mesos.TaskInfo, budget *int, cost int, do func(*mesos.TaskInfo)) (done bool) {
	for ; x.task < max(1, len(tasks)); x.task++ {
		if !turn(budget, cost) {
			return false
		}
		if x.task < len(tasks) {
			do(tasks[x.task])
		}
	}
	x.task = 0
	return true
}

// failTask tells a framework that a task was not launched. It is on no book.
func (m *Master) failTask(f *framework, t *mesos.TaskInfo, v *verdict) {
	s := m.masterStatus(t.TaskId, t.AgentId, v.state, v.reason, v.task)
	m.countEnd(v.state, s)
	m.notify(f, updateEvent(s))
}

// take takes offers off the books, for an ACCEPT.
func (m *Master) take(x *acceptance, offers []*offer) {
	f := x.framework
	x.agent, x.role = offers[0].agent, offers[0].row.Role
	for _, o := range offers {
		x.offered = x.offered.Add(o.row.Resources)
		m.removeOffer(o)
	}
	x.held, x.remaining, x.shared = x.offered, x.offered, x.offered.Shared()
	m.editFramework(f).Counters.OffersAccepted += uint64(len(offers))
	x.asks, x.at = f.view(), m.viewOf(x.agent, f)
}

// checkForm fails an operation that makes no sense by itself. It reports whether it
// is done with it.
func (m *Master) checkForm(x *acceptance, op *mesos.Offer_Operation, budget *int) (done bool) {
	if x.fail == nil && x.fails == nil {
		if done, x.fails = x.form(op, budget); !done {
			return false
		}
	}
	if x.fails != nil {
		if !m.failOperation(x, op, x.fails, budget) {
			return false
		}
		if x.malformed == nil {
			x.malformed = map[int]bool{}
		}
		x.malformed[x.next], x.fails = true, nil
	}
	m.countLaunch(op)
	return true
}

// form looks at an operation, and says why it makes no sense by itself, or nothing.
func (x *acceptance) form(op *mesos.Offer_Operation, budget *int) (done bool, fails *verdict) {
	tasks := tasksOf(op)
	var err error
	for ; err == nil && x.task < max(1, len(tasks)); x.task++ {
		if !turn(budget, 1) {
			return false, nil
		}
		if x.task == 0 {
			err = validate.OperationForm(op)
		}
		if err == nil && x.task < len(tasks) {
			err = validate.TaskForm(tasks[x.task])
		}
	}
	x.task = 0
	var why string
	switch {
	case err != nil:
		why = err.Error()
	case op.Id != nil && isLaunch(op):
		why = "The `id` field cannot be set on " + op.GetType().String() + " operations"
	default:
		return true, nil
	}
	v := &verdict{mesos.TaskState_TASK_ERROR, mesos.TaskStatus_REASON_TASK_INVALID, why, "Operation attempted with invalid resources: " + why}
	if op.GetType() == mesos.Offer_Operation_LAUNCH_GROUP {
		v.reason = mesos.TaskStatus_REASON_TASK_GROUP_INVALID
	}
	return true, v
}

// perform does one operation, and reports whether it did all of it.
func (m *Master) perform(x *acceptance, op *mesos.Offer_Operation, budget *int) (done bool) {
	switch {
	case x.malformed[x.next]:
		return turn(budget, 1)
	case x.fail != nil:
		return m.failOperation(x, op, x.fail, budget)
	}
	switch op.GetType() {
	case mesos.Offer_Operation_LAUNCH:
		done = x.eachTask(op.Launch.GetTaskInfos(), budget, x.cost(4), func(info *mesos.TaskInfo) { m.launch(x, info) })
	case mesos.Offer_Operation_LAUNCH_GROUP:
		done = m.launchGroup(x, op.LaunchGroup, budget)
	default:
		if !turn(budget, x.cost(4)) {
			return false
		}
		if !m.operate(x, op) {
			return true
		}
		done = true
	}
	if c := &m.editFramework(x.framework).Counters; done && int(op.GetType()) < len(c.Operations) {
		c.Operations[op.GetType()]++
	}
	return done
}
