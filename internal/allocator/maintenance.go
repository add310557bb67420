package allocator

import (
	"maps"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
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
	asked          map[*framework]bool // those that have not answered yet
	refused        map[*framework]pastRefusal
}

// A pastRefusal is a framework's to leave an agent: it holds until a time, unless
// the framework has revived since.
type pastRefusal struct {
	until   time.Time
	revived int
}

func (m *maintenance) refuses(f *framework, now time.Time) bool {
	r, ok := m.refused[f]
	return ok && r.revived == f.revived && now.Before(r.until)
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
			asked:          map[*framework]bool{},
			refused:        map[*framework]pastRefusal{},
		}
		a.maintained[id] = ag
	}
	a.suggest(ag)
}

// AnswerInverse says that an inverse offer is gone: answered or rescinded. With
// filters the framework is not asked again for RefuseSeconds, as for offers;
// without, or for 0, it is with the next batch. What is not known any more is
// ignored.
func (a *Allocator) AnswerInverse(now time.Time, id ids.FrameworkID, agent ids.AgentID, filters *mesos.Filters) {
	ag, f := a.maintained[agent], a.frameworks[id]
	if ag == nil || f == nil {
		return
	}
	m := ag.maintenance
	delete(m.asked, f)
	if refuse := refuseFor(filters, 0); refuse > 0 {
		m.refused[f] = pastRefusal{now.Add(refuse), f.revived}
	}
	a.wait(ag)
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
	a.forgetLeavers(ag)
	for _, h := range ag.holdings {
		f := a.frameworks[h.framework]
		if f == nil || !f.active || m.asked[f] || m.refuses(f, now) {
			continue
		}
		m.asked[f] = true
		a.work -= offerCost
		a.inverse = append(a.inverse, InverseOffer{Framework: f.id, Agent: ag.id, Unavailability: m.unavailability})
	}
	a.wait(ag)
}

// forgetLeavers forgets what frameworks that are no more were asked about an agent.
func (a *Allocator) forgetLeavers(ag *agent) {
	m := ag.maintenance
	maps.DeleteFunc(m.asked, func(f *framework, _ bool) bool { return a.frameworks[f.id] != f })
	maps.DeleteFunc(m.refused, func(f *framework, _ pastRefusal) bool { return a.frameworks[f.id] != f })
}
