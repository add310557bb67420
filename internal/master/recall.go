package master

import (
	"math"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// A recall looks through the offers that are out when quotas or weights change,
// or a framework goes, in the order of their rows, and rescinds those that this
// speaks against; then through inverse offers, if some are withdrawn. It does so a
// part at a time: there may be as many as agents. None is made before it is done.
type recall struct {
	on     bool
	slot   int  // the row to go on with
	all    bool // every offer
	quotas bool // those that quotas speak against
	// reclaims: it is for a role that is below its guarantee.
	reclaims bool
	// withdrawn are the frameworks with withdrawals.
	withdrawn []*framework
	inverse   bool // inverse offers are withdrawn as well
	looksAt   int  // the row of inverse offers to go on with
}

// recall begins a recall. One that is not done yet is part of it.
func (m *Master) recall(all bool) {
	r := &m.recalling
	r.on, r.slot, r.all, r.quotas = true, 0, all || r.all, true
}

// recallSome goes on with a recall, if there is one. It may look at budget offers,
// and returns how many of them are left: none if there is more to do. To rescind
// an offer is as much work as to look at four.
func (m *Master) recallSome(budget int) (left int) {
	r := &m.recalling
	if !r.on {
		return budget
	}
	for slot, row := range m.offerRows.table.From(r.slot) {
		if budget <= 0 {
			r.slot = slot
			return 0
		}
		budget--
		o := m.offers[row.ID]
		inTheWay := r.all || r.quotas && m.alloc.InTheWay(row.Role, row.Resources)
		if !inTheWay && !o.isWithdrawn() {
			continue
		}
		budget -= 3
		m.rescind(o)
		if r.reclaims && inTheWay {
			m.counters.Reclaim.Offers++
		}
	}
	r.slot = math.MaxInt // none is left to look at
	if budget = m.recallInverse(budget); r.inverse {
		return 0
	}
	for _, f := range r.withdrawn {
		f.withdrawn = nil
	}
	*r = recall{}
	return max(0, budget)
}

// recallInverse is recallSome for inverse offers, which are done then.
func (m *Master) recallInverse(budget int) (left int) {
	r := &m.recalling
	if !r.inverse {
		return budget
	}
	for slot, row := range m.inverseRows.table.From(r.looksAt) {
		if budget <= 0 {
			r.looksAt = slot
			return 0
		}
		budget--
		if o := m.inverse[row.id()]; o.isWithdrawn() {
			budget -= 3
			m.rescindInverse(o)
		}
	}
	r.inverse = false
	return budget
}

// A withdrawal is the offers that a framework had when it went, or left a role, or
// another peer came for it. They are nobody's any more, and are taken back by a
// recall.
type withdrawal struct {
	before  uint64 // by their serials
	counted bool   // as rescinded
	told    bool   // to the framework
}

// inverseOffers are withdrawn as if they were offers in a role of this name.
const inverseOffers = ""

func (f *framework) hasWithdrawn(role string, serial uint64) bool {
	w, ok := f.withdrawn[role]
	return ok && serial < w.before
}

func (o *offer) isWithdrawn() bool { return o.framework.hasWithdrawn(o.row.Role, o.row.Serial) }

func (o *inverseOffer) isWithdrawn() bool {
	return o.framework.hasWithdrawn(inverseOffers, o.row.Serial)
}

// offer returns what a framework is offered, or nil.
func (f *framework) offer(id *mesos.OfferID) *offer {
	if o := f.offers[ids.OfferID(id.GetValue())]; o != nil && !o.isWithdrawn() {
		return o
	}
	return nil
}

// withdraw takes back what a framework holds in roles: few offers now, many a part
// at a time. It is told of each if they are rescinded, and it is connected.
func (m *Master) withdraw(f *framework, roles []string, rescind bool) {
	if f.withdrawn == nil && len(f.offers) <= m.cfg.AllocationBudget/4 {
		for _, o := range inOrder(f.offers) {
			switch {
			case !slices.Contains(roles, o.row.Role):
			case rescind:
				m.rescind(o)
			default:
				m.discard(o, nil)
			}
		}
		return
	}
	m.withdrawLater(f, roles, rescind)
}

// withdrawInverse is withdraw for all inverse offers of a framework.
func (m *Master) withdrawInverse(f *framework) {
	if f.withdrawn == nil && len(f.inverse) <= m.cfg.AllocationBudget/4 {
		for _, o := range inOrder(f.inverse) {
			m.rescindInverse(o)
		}
		return
	}
	m.withdrawLater(f, []string{inverseOffers}, true)
	m.recalling.inverse, m.recalling.looksAt = true, 0
}

// withdrawLater has a recall take back what a framework holds. It is told of that,
// and of what was withdrawn before, only if it is still the same that hears of it.
func (m *Master) withdrawLater(f *framework, roles []string, rescind bool) {
	r, told := &m.recalling, rescind && f.row.Connected
	if f.withdrawn == nil {
		f.withdrawn = map[string]withdrawal{}
		r.withdrawn = append(r.withdrawn, f)
	}
	for role, w := range f.withdrawn {
		w.told = w.told && told
		f.withdrawn[role] = w
	}
	for _, role := range roles {
		if _, already := f.withdrawn[role]; !already { // else it has been offered nothing since
			f.withdrawn[role] = withdrawal{m.nextSerial(), rescind, told}
		}
	}
	r.on, r.slot = true, 0
}

// tellWithdrawn is tellRescinded for an offer that was withdrawn.
func (m *Master) tellWithdrawn(o *offer) {
	switch w := o.framework.withdrawn[o.row.Role]; {
	case w.told:
		m.tellRescinded(o)
	case w.counted:
		m.editFramework(o.framework).Counters.OffersRescinded++
	}
}
