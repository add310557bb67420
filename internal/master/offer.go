package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	"github.com/meseta-project/meseta/internal/allocator"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/invariant"
	"github.com/meseta-project/meseta/internal/refusal"
	"github.com/meseta-project/meseta/resources"
)

// An offer's life:
//
//	allocated ─▶ offered ─┬─▶ accepted   some used, the rest recovered
//	                      ├─▶ declined   recovered, with a filter
//	                      ├─▶ rescinded  recovered, the framework is told
//	                      └─▶ discarded  recovered, there is nobody to tell
//
// Every end takes it off the books at once, so an answer that comes later, or
// a second time, finds no offer.
type offer struct {
	cell[OfferRow]
	framework *framework
	agent     *agent
	timeout   *deadline
}

func (o *offer) order() uint64 { return o.row.Serial }

// allocate lets the allocator decide, within its budget, and sends out what it
// offers. What is recalled must all be back before that, and a part of reclaiming
// takes a turn of its own.
func (m *Master) allocate() {
	budget := m.goOn(m.cfg.AllocationBudget)
	if budget == 0 || m.reclaimSome() {
		m.out.Wake = m.now
		return
	}
	m.rankNow()
	allocations, more := m.alloc.Run(m.now, budget)
	for len(allocations) > 0 {
		n := 1
		for n < len(allocations) && allocations[n].Framework == allocations[0].Framework {
			n++
		}
		m.makeOffers(allocations[:n])
		allocations = allocations[n:]
	}
	m.makeInverseOffers(m.alloc.InverseOffers())
	if more {
		m.out.Wake = m.now
	} else {
		m.out.Wake = m.alloc.Wake(m.now)
	}
}

// goOn goes on with what is done a part at a time. All of it together may cost
// what it costs to look at budget offers, and it returns how much of that is left:
// none if there is more to do.
func (m *Master) goOn(budget int) (left int) {
	budget = m.recallSome(budget)
	budget = m.respondSome(budget)
	budget = m.acceptSome(budget)
	budget = m.proceedSome(budget)
	budget = m.goOnErrands(budget)
	budget = m.giveUpSome(budget)
	budget = m.collectSome(budget)
	budget = m.maintainSome(budget)
	budget = m.enterSome(budget)
	budget = m.announceLosses(budget)
	budget = m.announceSome(budget)
	budget = m.answerAll(budget)
	return m.departSome(budget)
}

// makeOffers offers one framework what was allocated to it, as one event.
func (m *Master) makeOffers(allocations []allocator.Offer) {
	f := m.frameworks[allocations[0].Framework]
	invariant.Check(f != nil && f.state == active, "allocation is for no active framework",
		"framework", allocations[0].Framework)
	event := &schedulerpb.Event_Offers{}
	pids := make([]ids.UPID, 0, len(allocations))
	for _, al := range allocations {
		a := m.agents[al.Agent]
		invariant.Check(a != nil && a.row.Active, "allocation is of no active agent", "agent", al.Agent)
		o := m.addOffer(f, a, al)
		event.Offers = append(event.Offers, o.proto())
		pids = append(pids, a.row.PID)
	}
	m.editFramework(f).Counters.OffersSent += uint64(len(pids))
	m.notify(f, &schedulerpb.Event{Type: schedulerpb.Event_OFFERS.Enum(), Offers: event}, pids...)
}

func (m *Master) addOffer(f *framework, a *agent, al allocator.Offer) *offer {
	o := &offer{framework: f, agent: a}
	id := ids.OfferIDFor(m.id, m.offerCount)
	m.offerCount++
	o.cell = m.offerRows.add(id, &OfferRow{
		Serial:    m.nextSerial(),
		ID:        id,
		Framework: f.id,
		Agent:     a.id,
		Role:      al.Role,
		Resources: al.Resources,
		At:        m.now,
	})
	m.offered.count(al.Resources, 1)
	m.offers[id] = o
	f.offers[id] = o
	a.offers[id] = o
	fr, ar := m.editFramework(f), m.editAgent(a)
	fr.Offered, ar.Offered = fr.Offered.Add(al.Resources), ar.Offered.Add(al.Resources)
	if m.cfg.OfferTimeout > 0 {
		o.timeout = m.after(m.cfg.OfferTimeout, deadline{kind: offerExpired, offer: id})
	}
	return o
}

// proto returns the offer in the form that the framework understands.
func (o *offer) proto() *mesos.Offer {
	info := o.agent.row.Info
	p := &mesos.Offer{
		Id:             &mesos.OfferID{Value: new(string(o.row.ID))},
		FrameworkId:    frameworkID(o.framework.id),
		AgentId:        agentID(o.agent.id),
		Hostname:       info.Hostname,
		Url:            o.agent.url(),
		Domain:         info.Domain,
		Resources:      o.framework.understood(o.row.Resources),
		Attributes:     info.Attributes,
		Unavailability: o.agent.unavailability,
		AllocationInfo: &mesos.Resource_AllocationInfo{Role: &o.row.Role},
	}
	for _, e := range inOrder(o.agent.executors) {
		if e.framework == o.framework {
			p.ExecutorIds = append(p.ExecutorIds, e.row.Info.ExecutorId)
		}
	}
	if !o.framework.caps.multiRole {
		p.AllocationInfo = nil
	}
	return p
}

// understood returns rs in the form of the framework's capabilities: who does
// not know of several roles is not told of allocation, who does not know of
// refined reservations gets the older form, and is never offered what that
// cannot express.
func (f *framework) understood(rs resources.Resources) []*mesos.Resource {
	if !f.caps.multiRole {
		rs = rs.Unallocated()
	}
	if f.caps.reservationRefinement {
		return rs.Proto()
	}
	old, err := rs.PreRefinement()
	invariant.Check(err == nil, "refined reservation is offered to who does not know of them",
		"framework", f.id, "resources", rs)
	return old
}

// url returns where an agent's API is.
func (a *agent) url() *mesos.URL {
	at := a.row.PID.AddrPort()
	return &mesos.URL{
		Scheme: new("http"),
		Address: &mesos.Address{
			Hostname: a.row.Info.Hostname,
			Ip:       new(at.Addr().String()),
			Port:     new(int32(at.Port())),
		},
		Path: new("/" + a.row.PID.Process()),
	}
}

// removeOffer takes an offer off the books; its resources are the caller's.
func (m *Master) removeOffer(o *offer) {
	m.cancel(o.timeout)
	m.offered.count(o.row.Resources, -1)
	delete(m.offers, o.row.ID)
	delete(o.framework.offers, o.row.ID)
	delete(o.agent.offers, o.row.ID)
	m.alloc.Answered(o.framework.id)
	fr, ar := m.editFramework(o.framework), m.editAgent(o.agent)
	fr.Offered, ar.Offered = fr.Offered.Sub(o.row.Resources), ar.Offered.Sub(o.row.Resources)
	m.offerRows.remove(o.row.ID)
}

// discard takes an offer back without a word.
func (m *Master) discard(o *offer, filters *mesos.Filters) {
	m.removeOffer(o)
	m.alloc.Recover(m.now, o.framework.id, o.agent.id, o.row.Resources, filters)
}

// rescind takes an offer back and tells the framework.
func (m *Master) rescind(o *offer) {
	withdrawn := o.isWithdrawn()
	m.discard(o, nil)
	if withdrawn {
		m.tellWithdrawn(o)
	} else {
		m.tellRescinded(o)
	}
}

func (m *Master) tellRescinded(o *offer) {
	m.editFramework(o.framework).Counters.OffersRescinded++
	m.notify(o.framework, &schedulerpb.Event{
		Type:    schedulerpb.Event_RESCIND.Enum(),
		Rescind: &schedulerpb.Event_Rescind{OfferId: &mesos.OfferID{Value: new(string(o.row.ID))}},
	})
}

func (m *Master) offerTimeout(o *offer) { m.rescind(o) }

// decline answers DECLINE.
func (m *Master) decline(f *framework, call *schedulerpb.Call_Decline) *refusal.Error {
	m.counters.Messages.DeclineOffers++
	return m.respond(response{f, call.OfferIds, filtersOr(call.Filters), m.declineOne})
}

func (m *Master) declineOne(f *framework, id *mesos.OfferID, filters *mesos.Filters) bool {
	there := m.returnOne(f, id, filters)
	if there {
		m.editFramework(f).Counters.OffersDeclined++
	}
	return there
}

// returnOne takes an offer back from a framework.
func (m *Master) returnOne(f *framework, id *mesos.OfferID, filters *mesos.Filters) bool {
	o := f.offer(id)
	if o == nil { // answered, rescinded, or another's
		return false
	}
	m.discard(o, filters)
	return true
}

// filtersOr returns the filters of a call, or those that it has by default.
func filtersOr(f *mesos.Filters) *mesos.Filters {
	if f == nil {
		return &mesos.Filters{}
	}
	return f
}

// revive answers REVIVE. One wrong role drops the whole call.
func (m *Master) revive(f *framework, call *schedulerpb.Call_Revive) {
	m.counters.Messages.ReviveOffers++
	if why := f.notItsRoles(call.GetRoles()); why != "" {
		m.log.Warn("dropping REVIVE", slog.String("framework_id", string(f.id)), slog.String("reason", why))
		return
	}
	m.setSuppressed(f, call.GetRoles(), false)
	m.waive(f)
	m.alloc.Revive(f.id, call.GetRoles())
}

// suppress answers SUPPRESS. One wrong role drops the whole call.
func (m *Master) suppress(f *framework, call *schedulerpb.Call_Suppress) {
	m.counters.Messages.SuppressOffers++
	if why := f.notItsRoles(call.GetRoles()); why != "" {
		m.log.Warn("dropping SUPPRESS", slog.String("framework_id", string(f.id)), slog.String("reason", why))
		return
	}
	m.setSuppressed(f, call.GetRoles(), true)
	m.alloc.Suppress(f.id, call.GetRoles())
}
