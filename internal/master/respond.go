package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// A response is a framework's to very many offers. It is taken a part at a time,
// and nothing is offered before it is taken in whole.
type response struct {
	framework *framework
	offers    []*mesos.OfferID // that are left
	filters   *mesos.Filters   // nil: there are none, or it has revived since
	take      func(*framework, *mesos.OfferID, *mesos.Filters)
}

// respond takes a response: to few offers at once. So it is with one that together
// with those before it names more offers than there are.
func (m *Master) respond(r response) {
	waiting := len(r.offers)
	for _, before := range m.responses {
		waiting += len(before.offers)
	}
	few := len(r.offers) <= m.cfg.AllocationBudget/4
	if few || len(m.responses) > 0 && waiting > len(m.offers)+len(m.inverse) {
		m.takeResponse(&r, len(r.offers))
		return
	}
	m.responses = append(m.responses, &r)
}

// takeResponse takes what a response says to the next so many offers.
func (m *Master) takeResponse(r *response, most int) {
	next := r.offers[:min(most, len(r.offers))]
	r.offers = r.offers[len(next):]
	for _, id := range next {
		r.take(r.framework, id, r.filters)
	}
}

// respondSome goes on with responses, the first come first. It may cost as much as
// to look at budget offers, and returns how many of them are left. To take one
// offer back is as much work as to look at four.
func (m *Master) respondSome(budget int) (left int) {
	for budget > 0 && len(m.responses) > 0 {
		r := m.responses[0]
		before := len(r.offers)
		m.takeResponse(r, (budget+3)/4)
		if budget -= 4 * (before - len(r.offers)); len(r.offers) > 0 {
			return 0
		}
		m.responses = m.responses[1:]
	}
	return max(0, budget)
}

// waive drops the filters of a framework's responses that are not taken in whole:
// it wants offers again.
func (m *Master) waive(f *framework) {
	for _, r := range m.responses {
		if r.framework == f {
			r.filters = nil
		}
	}
}
