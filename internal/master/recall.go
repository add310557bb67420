package master

// A recall looks through the offers that are out when quotas or weights change,
// in the order of their rows, and rescinds those that they speak against. It does
// so a part at a time: there may be as many offers as agents. None is made before
// it is done.
type recall struct {
	on   bool
	slot int  // the row to go on with
	all  bool // every offer, not only those that quotas speak against
	// reclaims: it is for a role that is below its guarantee.
	reclaims bool
}

// recall begins a recall. One that is not done yet is part of it.
func (m *Master) recall(all bool) {
	m.recalling = recall{on: true, all: all || m.recalling.all, reclaims: m.recalling.reclaims}
}

// recallSome goes on with a recall and reports whether there is more to do. To
// rescind an offer is as much work as to look at four.
func (m *Master) recallSome() (more bool) {
	r := &m.recalling
	if !r.on {
		return false
	}
	work := m.cfg.AllocationBudget
	for slot, row := range m.offerRows.table.From(r.slot) {
		if work <= 0 {
			r.slot = slot
			return true
		}
		work--
		if !r.all && !m.alloc.InTheWay(row.Role, row.Resources) {
			continue
		}
		work -= 3
		m.rescind(m.offers[row.ID])
		if r.reclaims {
			m.counters.Reclaim.Offers++
		}
	}
	*r = recall{}
	return false
}
