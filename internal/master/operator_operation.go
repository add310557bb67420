package master

import (
	"fmt"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	masterpb "github.com/meseta-project/meseta/api/mesos/v1/master"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/internal/validate"
	"github.com/meseta-project/meseta/resources"
)

// operationOfCall returns the operation that an operator's call asks for, and on
// which agent; ok is false if it is of another kind.
func operationOfCall(call *masterpb.Call) (on *mesos.AgentID, op *mesos.Offer_Operation, ok bool) {
	switch call.GetType() {
	case masterpb.Call_RESERVE_RESOURCES:
		c := call.GetReserveResources()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:    mesos.Offer_Operation_RESERVE.Enum(),
			Reserve: &mesos.Offer_Operation_Reserve{Source: c.GetSource(), Resources: c.GetResources()},
		}, true
	case masterpb.Call_UNRESERVE_RESOURCES:
		c := call.GetUnreserveResources()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:      mesos.Offer_Operation_UNRESERVE.Enum(),
			Unreserve: &mesos.Offer_Operation_Unreserve{Resources: c.GetResources()},
		}, true
	case masterpb.Call_CREATE_VOLUMES:
		c := call.GetCreateVolumes()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:   mesos.Offer_Operation_CREATE.Enum(),
			Create: &mesos.Offer_Operation_Create{Volumes: c.GetVolumes()},
		}, true
	case masterpb.Call_DESTROY_VOLUMES:
		c := call.GetDestroyVolumes()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:    mesos.Offer_Operation_DESTROY.Enum(),
			Destroy: &mesos.Offer_Operation_Destroy{Volumes: c.GetVolumes()},
		}, true
	case masterpb.Call_GROW_VOLUME:
		c := call.GetGrowVolume()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:       mesos.Offer_Operation_GROW_VOLUME.Enum(),
			GrowVolume: &mesos.Offer_Operation_GrowVolume{Volume: c.GetVolume(), Addition: c.GetAddition()},
		}, true
	case masterpb.Call_SHRINK_VOLUME:
		c := call.GetShrinkVolume()
		return c.GetAgentId(), &mesos.Offer_Operation{
			Type:         mesos.Offer_Operation_SHRINK_VOLUME.Enum(),
			ShrinkVolume: &mesos.Offer_Operation_ShrinkVolume{Volume: c.GetVolume(), Subtract: c.GetSubtract()},
		}, true
	default:
		return nil, nil, false
	}
}

// operatorOperation changes what an agent has on an operator's word. Offers that
// hold what it needs are rescinded, as many as it takes.
func (m *Master) operatorOperation(on *mesos.AgentID, op *mesos.Offer_Operation, principal string) *refusal.Error {
	a := m.agents[ids.AgentID(on.GetValue())]
	if a == nil || a == m.going {
		return refusal.Invalidf("No agent found with specified ID")
	}
	if a == m.coming { // what is used there is not known yet
		return refusal.Unavailablef("Agent %s is being taken back; try again in a moment", a.id)
	}
	op = op.CloneVT()
	resources.UpgradeMessage(op)
	if err := validate.Operation(op, validate.Requester{Principal: principal}, m.viewOf(a, nil)); err != nil {
		return refusal.Invalidf("Invalid %s operation on agent %s: %s", op.GetType(), a, err)
	}
	conversions, err := resources.Conversions(op)
	if err != nil {
		return refusal.Invalidf("Invalid %s operation: %s", op.GetType(), err)
	}
	if err := m.takeAvailable(a, conversions); err != nil {
		return refusal.Conflictf("%s", err)
	}
	m.apply(nil, a, op, conversions)
	return nil
}

// String names an agent for people: its ID, address and host.
func (a *agent) String() string {
	return fmt.Sprintf("%s at %s (%s)", a.id, a.row.PID, a.row.Info.GetHostname())
}

// takeAvailable applies conversions to what nobody has on an agent, which
// becomes more by rescinding offers.
func (m *Master) takeAvailable(a *agent, conversions []resources.Conversion) error {
	err := m.alloc.UpdateAvailable(a.id, conversions)
	for _, o := range inOrder(a.offers) {
		if err == nil {
			return nil
		}
		if overlaps(o.row.Resources.Unallocated(), conversions) {
			m.discardFor(o)
			err = m.alloc.UpdateAvailable(a.id, conversions)
		}
	}
	return err
}

// overlaps reports whether an offer has something of what conversions consume.
func overlaps(offered resources.Resources, conversions []resources.Conversion) bool {
	for _, c := range conversions {
		if !c.Consumed.Sub(offered).Equal(c.Consumed) {
			return true
		}
	}
	return false
}

// discardFor rescinds an offer in an operator's favour, with the usual filter,
// so that the same is not offered to the same framework at once.
func (m *Master) discardFor(o *offer) {
	m.discard(o, &mesos.Filters{})
	m.tellRescinded(o)
}
