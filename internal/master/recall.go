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
		if !r.all && !m.alloc.InTheWay(row.Role, row.Resources) {
			continue
		}
		budget -= 3
		m.rescind(m.offers[row.ID])
		if r.reclaims {
			m.counters.Reclaim.Offers++
		}
	}
	*r = recall{}
	return max(0, budget)
}
