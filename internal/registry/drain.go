package registry

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/refusal"
)

// Availability returns what operators have said of an agent, admitted or
// unreachable: whether it is deactivated, and how far its draining is, nil if it
// is not drained. ok is false if the agent is not known.
func (r *Registry) Availability(id ids.AgentID) (drain *mesos.DrainInfo, deactivated, ok bool) {
	if a := r.agents[id]; a != nil {
		return a.DrainInfo, a.GetDeactivated(), true
	}
	if a, ok := r.unreachable.get(id); ok {
		return a.DrainInfo, a.GetDeactivated(), true
	}
	return nil, false, false
}

// SetAvailability records what an operator says of an agent, admitted or
// unreachable.
func (r *Registry) SetAvailability(id ids.AgentID, drain *mesos.DrainInfo, deactivated bool) ([]Change, error) {
	said := &deactivated
	if !deactivated {
		said = nil
	}
	if old := r.agents[id]; old != nil {
		return r.put(id, &messages.Registry_Slave{Info: old.Info, DrainInfo: drain, Deactivated: said}), nil
	}
	old, ok := r.unreachable.get(id)
	if !ok {
		return nil, refusal.NotFoundf("Agent %s is not known", id)
	}
	changed := &messages.Registry_UnreachableSlave{Id: old.Id, Timestamp: old.Timestamp, DrainInfo: drain, Deactivated: said}
	r.unreachable.set(id, changed)
	return []Change{{keyUnreachable(id), changed}}, nil
}
