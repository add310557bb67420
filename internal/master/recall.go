package master

import "github.com/meseta-project/meseta/internal/ids"

// A recall looks through the offers that are out when quotas or weights change,
// or a framework goes, in the order of their rows, and rescinds those that this
// speaks against. It does so a part at a time: there may be as many offers as
// agents. None is made before it is done.
type recall struct {
	on     bool
	slot   int  // the row to go on with
	all    bool // every offer
	quotas bool // those that quotas speak against
	// reclaims: it is for a role that is below its guarantee.
	reclaims bool
}

// recall begins a recall. One that is not done yet is part of it.
func (m *Master) recall(all bool) {
	m.recalling = recall{on: true, all: all || m.recalling.all, quotas: true, reclaims: m.recalling.reclaims}
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
	*r = recall{}
	return max(0, budget)
}

// A withdrawal is the offers that a framework held when it went, or another peer
// came for it. They are nobody's any more, and are taken back by a recall.
type withdrawal struct {
	offers  map[ids.OfferID]*offer
	counted bool // as rescinded
	told    bool // to the framework
}

func (o *offer) isWithdrawn() bool {
	w := o.framework.withdrawn.offers
	return len(w) > 0 && w[o.row.ID] == o
}

// withdraw takes back what a framework holds: few offers now, many a part at a
// time. It is told of each if they are rescinded, and it is connected.
func (m *Master) withdraw(f *framework, rescind bool) {
	told := rescind && f.row.Connected
	w := &f.withdrawn
	if len(w.offers) > 0 { // it has been offered nothing since
		w.told = w.told && told
		return
	}
	if len(f.offers) <= m.cfg.AllocationBudget/4 {
		for _, o := range inOrder(f.offers) {
			if rescind {
				m.rescind(o)
			} else {
				m.discard(o, nil)
			}
		}
		return
	}
	f.withdrawn = withdrawal{f.offers, rescind, told}
	f.offers = map[ids.OfferID]*offer{}
	m.recalling.on, m.recalling.slot = true, 0
}

// tellWithdrawn is tellRescinded for an offer that was withdrawn.
func (m *Master) tellWithdrawn(o *offer) {
	switch w := o.framework.withdrawn; {
	case w.told:
		m.tellRescinded(o)
	case w.counted:
		m.editFramework(o.framework).Counters.OffersRescinded++
	}
}
