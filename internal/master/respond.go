package master

import (
	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/refusal"
)

// maxNamed is how many offers, tasks and operations, of each, a framework may have named
// beyond those that there are in calls that are not taken in whole. It may not have
// many that it names twice, or are no more: more is nonsense, and would fill the memory.
const maxNamed = 1 << 20

// A response is a framework's to very many offers. It is taken a part at a time,
// and nothing is offered before it is taken in whole.
type response struct {
	framework *framework
	offers    []*mesos.OfferID // that are left
	filters   *mesos.Filters   // nil: there are none, or it has revived since
	// take takes back an offer, and reports whether there is such a one.
	take func(*framework, *mesos.OfferID, *mesos.Filters) bool
}

// respond takes a response: to few offers at once.
func (m *Master) respond(r response) *refusal.Error {
	f := r.framework
	if len(r.offers) <= m.cfg.AllocationBudget/4 {
		for _, id := range r.offers {
			r.take(f, id, r.filters)
		}
		return nil
	}
	if f.responding > len(f.offers)+len(f.inverse)+maxNamed {
		return refusal.Unavailablef("The master is busy with %d offers that the framework has named; try again in a moment", f.responding)
	}
	f.responding += len(r.offers)
	m.responses = append(m.responses, &r)
	return nil
}

// respondSome goes on with responses, the first come first. It may cost as much as
// to look at budget offers, and returns how many of them are left. To take one
// offer back is as much work as to look at four.
func (m *Master) respondSome(budget int) (left int) {
	for budget > 0 && len(m.responses) > 0 {
		r := m.responses[0]
		for ; budget > 0 && len(r.offers) > 0; r.offers = r.offers[1:] {
			r.framework.responding--
			budget--
			if r.take(r.framework, r.offers[0], r.filters) {
				budget -= 3
			}
		}
		if len(r.offers) > 0 {
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
