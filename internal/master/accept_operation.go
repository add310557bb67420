package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// mayTellBack says why an operation with an ID, of which the framework wants to
// know the outcome, cannot be done, or nothing.
func (x *acceptance) mayTellBack(op *mesos.Offer_Operation) string {
	switch {
	case op.Id == nil:
		return ""
	case !x.agent.caps.resourceProvider:
		return "Operation requested feedback, but agent " + string(x.agent.id) +
			" does not have the required RESOURCE_PROVIDER capability"
	case !x.agent.caps.operationFeedback:
		return "Operation on agent default resources requested feedback, but agent " + string(x.agent.id) +
			" does not have the required AGENT_OPERATION_FEEDBACK and RESOURCE_PROVIDER capabilities"
	}
	return ""
}

// operate does an operation other than a launch.
func (m *Master) operate(x *acceptance, op *mesos.Offer_Operation) bool {
	f := x.framework
	if op.Id != nil && f.row.Peer.Driver != "" {
		m.notify(f, errorEvent("The 'id' field was set in an offer operation, but operation feedback is not supported"+
			" for the SchedulerDriver API; please use the HTTP scheduler API for this feature"))
		return false
	}
	if why := x.mayTellBack(op); why != "" {
		m.dropOperation(f, op, why)
		return false
	}
	op = allocatedOperation(op, x.role)
	conversions, err := m.convert(x, op)
	if err != nil {
		m.dropOperation(f, op, err.Error())
		return false
	}
	x.conversions = append(x.conversions, conversions...)
	m.apply(f, x.agent, op, conversions)
	x.at.Checkpointed = x.agent.row.Total.NeedingCheckpoint()
	return true
}

// convert takes what an operation consumes out of what is left, and puts what
// it makes there. What a volume becomes that changes its size is kept apart: no
// other operation of this ACCEPT can use it.
func (m *Master) convert(x *acceptance, op *mesos.Offer_Operation) ([]resources.Conversion, error) {
	by := validate.Requester{Principal: x.framework.row.Info.GetPrincipal(), Framework: x.asks}
	if err := validate.Operation(op, by, x.at); err != nil {
		return nil, err
	}
	conversions, err := resources.Conversions(op)
	if err != nil {
		return nil, err
	}
	if op.GetType() == mesos.Offer_Operation_DESTROY {
		m.rescindShared(x.agent, conversions)
	}
	left, err := x.remaining.Apply(conversions...)
	if err != nil {
		return nil, err
	}
	if t := op.GetType(); t == mesos.Offer_Operation_GROW_VOLUME || t == mesos.Offer_Operation_SHRINK_VOLUME {
		x.remaining = x.remaining.Sub(conversions[0].Consumed)
		x.resized = x.resized.Add(conversions[0].Converted)
	} else {
		x.remaining = left
	}
	x.shared = x.remaining.Shared()
	return conversions, nil
}

// rescindShared takes back the other offers that have copies of shared volumes
// which are to be destroyed.
func (m *Master) rescindShared(a *agent, conversions []resources.Conversion) {
	for _, o := range inOrder(a.offers) {
		for _, c := range conversions {
			if shared := c.Consumed.Shared().Unallocated(); !shared.IsEmpty() && o.row.Resources.Unallocated().Contains(shared) {
				m.rescind(o)
				break
			}
		}
	}
}

// available returns what a launch can use: all that is left, and shared volumes
// however often they were used by this ACCEPT.
func (x *acceptance) available() resources.Resources {
	if x.shared.IsEmpty() {
		return x.remaining
	}
	return x.remaining.NonShared().Add(x.shared)
}

// take takes what a launch uses out of what is left. Copies of shared volumes
// that are not left are made.
func (x *acceptance) take(rs resources.Resources) {
	if more := rs.Shared().Sub(x.remaining.Shared()); !more.IsEmpty() {
		x.conversions = append(x.conversions, resources.Conversion{Converted: more})
	}
	x.remaining = x.remaining.Sub(rs)
}

// settle has the allocator know what was converted in this part.
func (m *Master) settle(x *acceptance) {
	if len(x.conversions) == 0 {
		return
	}
	m.alloc.UpdateAllocation(x.framework.id, x.agent.id, x.held, x.conversions)
	x.converted = true
	x.conversions = nil
}

// finish gives back what is left of the offers: what was converted at once,
// what was not used with the filters.
func (m *Master) finish(x *acceptance, filters *mesos.Filters) {
	if x.agent == nil {
		return
	}
	m.settle(x)
	if x.converted || !x.remaining.Contains(x.offered) {
		m.alloc.Accepted(x.framework.id, x.role)
	}
	made := x.remaining.Add(x.resized).Sub(x.offered)
	m.alloc.Recover(m.now, x.framework.id, x.agent.id, made, nil)
	m.alloc.Recover(m.now, x.framework.id, x.agent.id, x.remaining.Add(x.resized).Sub(made), filters)
}

// allocatedOperation returns an operation whose resources are in the form with
// the stack of reservations, and allocated to role where they are to none.
func allocatedOperation(op *mesos.Offer_Operation, role string) *mesos.Offer_Operation {
	op = op.CloneVT()
	if o := op.Reserve; o != nil {
		o.Source, o.Resources = allocatedTo(o.Source, role), allocatedTo(o.Resources, role)
	}
	if o := op.Unreserve; o != nil {
		o.Resources = allocatedTo(o.Resources, role)
	}
	if o := op.Create; o != nil {
		o.Volumes = allocatedTo(o.Volumes, role)
	}
	if o := op.Destroy; o != nil {
		o.Volumes = allocatedTo(o.Volumes, role)
	}
	if o := op.GrowVolume; o != nil {
		o.Volume, o.Addition = allocatedOne(o.Volume, role), allocatedOne(o.Addition, role)
	}
	if o := op.ShrinkVolume; o != nil {
		o.Volume = allocatedOne(o.Volume, role)
	}
	return op
}
