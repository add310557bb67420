package allocator

import (
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	allocatorpb "github.com/meseta-project/meseta/api/mesos/v1/allocator"
	"github.com/meseta-project/meseta/internal/ids"
)

// An InverseOffer asks a framework to leave an agent that is going to be
// unavailable. It is answered by [Allocator.AnswerInverse].
type InverseOffer struct {
	Framework      ids.FrameworkID
	Agent          ids.AgentID
	Unavailability *mesos.Unavailability
}

// A maintenance is what is known of an agent that is going to be unavailable.
type maintenance struct {
	unavailability *mesos.Unavailability
	asked          map[ids.FrameworkID]bool // frameworks that have not answered yet
	refused        map[ids.FrameworkID]time.Time
	statuses       map[ids.FrameworkID]*allocatorpb.InverseOfferStatus
}

// SetUnavailability tells that an agent is going to be unavailable, and that
// the frameworks which have something on it are to be asked to leave; nil that
// it is not. Earlier answers are forgotten. The agent becomes a candidate.
func (a *Allocator) SetUnavailability(id ids.AgentID, u *mesos.Unavailability) {
	ag := a.agent(id)
	ag.maintenance = nil
	delete(a.maintained, id)
	if u != nil {
		ag.maintenance = &maintenance{
			unavailability: u,
			asked:          map[ids.FrameworkID]bool{},
			refused:        map[ids.FrameworkID]time.Time{},
			statuses:       map[ids.FrameworkID]*allocatorpb.InverseOfferStatus{},
		}
		a.maintained[id] = ag
	}
	a.suggest(ag)
}

// AnswerInverse says that an inverse offer is gone: answered, if there is a
// status, or rescinded. With filters the framework is not asked again for
// RefuseSeconds, as for offers; without, or for 0, it is with the next batch.
// What is not known any more is ignored.
func (a *Allocator) AnswerInverse(now time.Time, id ids.FrameworkID, agent ids.AgentID, status *allocatorpb.InverseOfferStatus, filters *mesos.Filters) {
	ag := a.maintained[agent]
	if ag == nil || a.frameworks[id] == nil {
		return
	}
	m := ag.maintenance
	if m.asked[id] && status != nil {
		m.statuses[id] = status
	}
	delete(m.asked, id)
	if refuse := refuseFor(filters, 0); refuse > 0 {
		m.refused[id] = now.Add(refuse)
	}
	a.wait(ag)
}

// InverseStatuses returns what frameworks answered about an agent, by
// framework; nil if it is not going to be unavailable.
func (a *Allocator) InverseStatuses(id ids.AgentID) []*allocatorpb.InverseOfferStatus {
	ag := a.maintained[id]
	if ag == nil {
		return nil
	}
	statuses := []*allocatorpb.InverseOfferStatus{}
	for _, framework := range sortedKeys(ag.maintenance.statuses) {
		statuses = append(statuses, ag.maintenance.statuses[framework])
	}
	return statuses
}

// InverseOffers returns the inverse offers that runs since the last call have
// made. Only a framework's answer, or [Allocator.SetUnavailability], makes
// another for the same agent.
func (a *Allocator) InverseOffers() []InverseOffer {
	made := a.inverse
	a.inverse = nil
	return made
}

// ask makes inverse offers to the active frameworks that have something on an
// agent, and has it visited with the next batch again.
func (a *Allocator) ask(ag *agent, now time.Time) {
	m := ag.maintenance
	a.work -= passCost * len(ag.holdings)
	for _, h := range ag.holdings {
		f := a.frameworks[h.framework]
		if f == nil || !f.active || m.asked[f.id] || now.Before(m.refused[f.id]) {
			continue
		}
		m.asked[f.id] = true
		a.work -= offerCost
		a.inverse = append(a.inverse, InverseOffer{Framework: f.id, Agent: ag.id, Unavailability: m.unavailability})
	}
	a.wait(ag)
}

// unrefuse drops a framework's refusals of inverse offers; gone also that it
// was asked and what it answered.
func (a *Allocator) unrefuse(id ids.FrameworkID, gone bool) {
	for _, ag := range a.maintained {
		delete(ag.maintenance.refused, id)
		if gone {
			delete(ag.maintenance.asked, id)
			delete(ag.maintenance.statuses, id)
		}
	}
}
