package master

import (
	"fmt"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// An acceptance is an ACCEPT while it is done: its operations take, one after
// the other, from what the offers held together.
type acceptance struct {
	framework *framework
	agent     *agent
	role      string
	offered   resources.Resources
	remaining resources.Resources // of the offers
	resized   resources.Resources // volumes that changed their size
	shared    resources.Resources // volumes that any number of tasks can use
	asks      *validate.Framework
	at        *validate.Agent

	conversions []resources.Conversion
}

// accept answers ACCEPT. Wrong offers fail it as a whole; a wrong operation, or
// a wrong task of a LAUNCH, fails alone. What is left is declined.
func (m *Master) accept(f *framework, call *schedulerpb.Call_Accept) *refusal.Error {
	m.countLaunches(call.Operations)
	offers, why := m.offersFor(f, m.enough(call.OfferIds))
	if why != "" {
		return m.refuseAccept(f, call, why)
	}
	x := m.acceptanceOf(f, offers)
	var rest []*mesos.Offer_Operation
	for _, op := range call.Operations {
		if m.wellFormed(f, op) {
			rest = append(rest, op)
		}
	}
	for _, op := range rest {
		m.perform(x, op)
	}
	m.finish(x, call.Filters)
	return nil
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

func (m *Master) countLaunches(ops []*mesos.Offer_Operation) {
	for _, op := range ops {
		switch {
		case op.GetType() != mesos.Offer_Operation_LAUNCH:
		case len(op.Launch.GetTaskInfos()) > 0:
			m.counters.Messages.LaunchTasks++
		default:
			m.counters.Messages.DeclineOffers++
		}
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

// refuseAccept gives back what there is of the offers, and fails every
// operation.
func (m *Master) refuseAccept(f *framework, call *schedulerpb.Call_Accept, why string) *refusal.Error {
	err := m.respond(response{f, call.OfferIds, nil, m.returnOne})
	state := mesos.TaskState_TASK_DROPPED
	if !f.caps.partitionAware {
		state = mesos.TaskState_TASK_LOST
	}
	for _, op := range call.Operations {
		if !isLaunch(op) {
			m.dropOperation(f, op, "Operation attempted with invalid offers: "+why)
			continue
		}
		m.failTasks(f, tasksOf(op), state, mesos.TaskStatus_REASON_INVALID_OFFERS,
			"Task launched with invalid offers: "+why)
	}
	return err
}

func isLaunch(op *mesos.Offer_Operation) bool {
	return op.GetType() == mesos.Offer_Operation_LAUNCH || op.GetType() == mesos.Offer_Operation_LAUNCH_GROUP
}

// tasksOf returns the tasks that an operation launches.
func tasksOf(op *mesos.Offer_Operation) []*mesos.TaskInfo {
	if op.GetType() == mesos.Offer_Operation_LAUNCH {
		return op.Launch.GetTaskInfos()
	}
	return op.LaunchGroup.GetTaskGroup().GetTasks()
}

// failTasks tells a framework that tasks were not launched. They are on no
// book.
func (m *Master) failTasks(f *framework, tasks []*mesos.TaskInfo, state mesos.TaskState, why mesos.TaskStatus_Reason, text string) {
	for _, t := range tasks {
		s := m.masterStatus(t.TaskId, t.AgentId, state, why, text)
		m.countEnd(state, s)
		m.notify(f, updateEvent(s))
	}
}

// acceptanceOf takes offers off the books.
func (m *Master) acceptanceOf(f *framework, offers []*offer) *acceptance {
	x := &acceptance{framework: f, agent: offers[0].agent, role: offers[0].row.Role}
	for _, o := range offers {
		x.offered = x.offered.Add(o.row.Resources)
		m.removeOffer(o)
	}
	x.remaining, x.shared = x.offered, x.offered.Shared()
	m.editFramework(f).Counters.OffersAccepted += uint64(len(offers))
	x.asks, x.at = f.view(), x.agent.view(f)
	return x
}

// wellFormed reports whether an operation makes sense by itself. If not, it
// fails.
func (m *Master) wellFormed(f *framework, op *mesos.Offer_Operation) bool {
	why := ""
	if err := validate.OperationForm(op); err != nil {
		why = err.Error()
	}
	switch {
	case why == "" && (op.Id == nil || !isLaunch(op)):
		return true
	case why == "":
		why = "The `id` field cannot be set on " + op.GetType().String() + " operations"
	case !isLaunch(op):
		why = "Operation attempted with invalid resources: " + why
	}
	switch op.GetType() {
	case mesos.Offer_Operation_LAUNCH:
		m.failTasks(f, tasksOf(op), mesos.TaskState_TASK_ERROR, mesos.TaskStatus_REASON_TASK_INVALID, why)
	case mesos.Offer_Operation_LAUNCH_GROUP:
		m.failTasks(f, tasksOf(op), mesos.TaskState_TASK_ERROR, mesos.TaskStatus_REASON_TASK_GROUP_INVALID, why)
	default:
		m.dropOperation(f, op, why)
	}
	return false
}

// perform does one operation.
func (m *Master) perform(x *acceptance, op *mesos.Offer_Operation) {
	switch op.GetType() {
	case mesos.Offer_Operation_LAUNCH:
		m.launch(x, op.Launch.GetTaskInfos())
	case mesos.Offer_Operation_LAUNCH_GROUP:
		m.launchGroup(x, op.LaunchGroup)
	default:
		if !m.operate(x, op) {
			return
		}
	}
	if c := &m.editFramework(x.framework).Counters; int(op.GetType()) < len(c.Operations) {
		c.Operations[op.GetType()]++
	}
}
