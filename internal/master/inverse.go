package master

import (
	"cmp"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	allocatorpb "github.com/meseta-project/meseta/api/mesos/v1/allocator"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/refusal"
)

// An inverseOffer asks a framework to leave an agent. There is one for each
// framework and agent at most, until the framework answers, the schedule
// changes, or one of them is gone. The allocator decides when to ask again.
type inverseOffer struct {
	cell[InverseOfferRow]
	framework *framework
	agent     *agent
	timeout   *deadline
}

func (o *inverseOffer) order() uint64 { return o.row.Serial }

func (o *inverseOffer) id() ids.OfferID { return o.row.id() }

func (r *InverseOfferRow) id() ids.OfferID { return ids.OfferID(r.Offer.GetId().GetValue()) }

// makeInverseOffers asks frameworks to leave agents, each in one event.
func (m *Master) makeInverseOffers(made []allocator.InverseOffer) {
	events := map[ids.FrameworkID]*schedulerpb.Event_InverseOffers{}
	var order []*framework
	for _, inv := range made {
		f, a := m.frameworks[inv.Framework], m.agents[inv.Agent]
		invariant.Check(f != nil && f.state == active && a != nil, "inverse offer is for an active framework and a known agent",
			"framework", inv.Framework, "agent", inv.Agent)
		if events[f.id] == nil {
			events[f.id] = &schedulerpb.Event_InverseOffers{}
			order = append(order, f)
		}
		events[f.id].InverseOffers = append(events[f.id].InverseOffers, m.addInverse(f, a, inv.Unavailability).row.Offer)
	}
	for _, f := range order {
		m.notify(f, &schedulerpb.Event{Type: schedulerpb.Event_INVERSE_OFFERS.Enum(), InverseOffers: events[f.id]})
	}
}

func (m *Master) addInverse(f *framework, a *agent, u *mesos.Unavailability) *inverseOffer {
	id := ids.OfferIDFor(m.id, m.offerCount)
	m.offerCount++
	o := &inverseOffer{framework: f, agent: a}
	o.cell = m.inverseRows.add(id, &InverseOfferRow{Serial: m.nextSerial(), Framework: f.id, Offer: &mesos.InverseOffer{
		Id:             &mesos.OfferID{Value: new(string(id))},
		Url:            a.url(),
		FrameworkId:    frameworkID(f.id),
		AgentId:        agentID(a.id),
		Unavailability: u,
	}})
	m.inverse[id], f.inverse[id], a.inverse[id] = o, o, o
	if m.cfg.OfferTimeout > 0 {
		o.timeout = m.after(m.cfg.OfferTimeout, deadline{kind: inverseExpired, offer: id})
	}
	return o
}

// removeInverse takes an inverse offer off the books; nobody is told.
func (m *Master) removeInverse(o *inverseOffer) {
	m.cancel(o.timeout)
	delete(m.inverse, o.id())
	delete(o.framework.inverse, o.id())
	delete(o.agent.inverse, o.id())
	m.inverseRows.remove(o.id())
}

// rescindInverse takes an inverse offer back and tells the framework.
func (m *Master) rescindInverse(o *inverseOffer) {
	m.removeInverse(o)
	m.alloc.AnswerInverse(m.now, o.framework.id, o.agent.id, nil)
	if o.isWithdrawn() && !o.framework.withdrawn[inverseOffers].told {
		return
	}
	m.notify(o.framework, &schedulerpb.Event{
		Type:                schedulerpb.Event_RESCIND_INVERSE_OFFER.Enum(),
		RescindInverseOffer: &schedulerpb.Event_RescindInverseOffer{InverseOfferId: o.row.Offer.Id},
	})
}

// answerInverse takes a framework's answer to inverse offers.
func (m *Master) answerInverse(f *framework, answered []*mesos.OfferID, answer allocatorpb.InverseOfferStatus_Status, filters *mesos.Filters) *refusal.Error {
	return m.respond(response{f, answered, filtersOr(filters), func(f *framework, id *mesos.OfferID, filters *mesos.Filters) bool {
		o := f.inverse[ids.OfferID(id.GetValue())]
		if o == nil || o.isWithdrawn() { // answered, rescinded, or another's
			return false
		}
		m.removeInverse(o)
		m.alloc.AnswerInverse(m.now, f.id, o.agent.id, filters)
		m.noteAnswer(o.agent, &allocatorpb.InverseOfferStatus{
			Status:      answer.Enum(),
			FrameworkId: frameworkID(f.id),
			Timestamp:   &mesos.TimeInfo{Nanoseconds: new(m.now.UnixNano())},
		})
		return true
	}})
}

// noteAnswer notes what a framework said last to an inverse offer of an agent, and
// forgets what those said that are no more.
func (m *Master) noteAnswer(a *agent, answer *allocatorpb.InverseOfferStatus) {
	row := m.editAgent(a)
	answers := []*allocatorpb.InverseOfferStatus{answer}
	for _, said := range row.Answers {
		id := said.GetFrameworkId().GetValue()
		if id != answer.GetFrameworkId().GetValue() && m.frameworks[ids.FrameworkID(id)] != nil {
			answers = append(answers, said)
		}
	}
	slices.SortFunc(answers, func(x, y *allocatorpb.InverseOfferStatus) int {
		return cmp.Compare(x.GetFrameworkId().GetValue(), y.GetFrameworkId().GetValue())
	})
	row.Answers = answers
}
