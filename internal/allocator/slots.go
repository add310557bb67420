package allocator

// slots gives subscriptions small numbers, by which bitsets and filters name
// them.
type slots struct {
	of      []slot
	active  bitset   // those of subscriptions that want offers now
	free    []uint32 // named by no filter and in no bitset
	spent   []uint32 // named by no filter, but perhaps in agents' bitsets
	gather  int      // how many spent slots are gathered before they are made free
	retired uint64   // how often one was retired that filters name
	version uint64   // agents' bitsets of another are void
}

// A slot is a number's use.
type slot struct {
	sub     *subscription // nil: nobody has it
	filters int           // how many name it
}

// take gives a slot to a subscription.
func (s *slots) take(sub *subscription) uint32 {
	if len(s.free) == 0 && len(s.spent) >= s.gather {
		s.free, s.spent = s.spent, nil
		s.recheck()
	}
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.of[i].sub = sub
		return i
	}
	s.of = append(s.of, slot{sub: sub})
	return uint32(len(s.of) - 1)
}

// retire takes a slot from its subscription. Filters that name it are dead.
func (s *slots) retire(i uint32) {
	s.active.remove(i)
	s.of[i].sub = nil
	if s.of[i].filters > 0 {
		s.retired++
		return
	}
	s.spent = append(s.spent, i)
}

// unfilter says that a filter which names the slot is gone.
func (s *slots) unfilter(i uint32) {
	s.of[i].filters--
	if s.of[i].filters == 0 && s.of[i].sub == nil {
		s.spent = append(s.spent, i)
	}
}

// filters returns how many filters name the slot.
func (s *slots) filters(i uint32) int { return s.of[i].filters }

// recheck makes void what agents remember of who can get nothing.
func (s *slots) recheck() { s.version++ }
