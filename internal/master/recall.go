package master

// A recall looks through the offers that were out when quotas or weights
// changed, oldest first, and rescinds those that they speak against. It does so
// a part at a time: there may be as many offers as agents.
type recall struct {
	offers []*offer
	all    bool // every offer, not only those that quotas speak against
	// reclaims: it is for a role that is below its guarantee.
	reclaims bool
}

// recall begins a recall. One that is not done yet is part of it.
func (m *Master) recall(all bool) {
	m.recalling = recall{offers: inOrder(m.offers), all: all || m.recalling.all, reclaims: m.recalling.reclaims}
}

// recallSome goes on with a recall and reports whether there is more to do.
func (m *Master) recallSome() (more bool) {
	r := &m.recalling
	n := min(len(r.offers), m.cfg.AllocationBudget)
	for _, o := range r.offers[:n] {
		if m.offers[o.row.ID] == o && (r.all || m.alloc.InTheWay(o.row.Role, o.row.Resources)) {
			m.rescind(o)
			if r.reclaims {
				m.counters.Reclaim.Offers++
			}
		}
	}
	if r.offers = r.offers[n:]; len(r.offers) == 0 {
		*r = recall{}
	}
	return len(r.offers) > 0
}
