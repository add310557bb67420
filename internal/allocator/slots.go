package allocator

// slots gives subscriptions small numbers, by which bitsets and filters name
// them.
type slots struct {
	of      []slot
	active  bitset   // those of subscriptions that want offers now
	behind  bitset   // those of subscriptions that are served after others
	doubted bitset   // those that have declined so many offers in a row that they are or were
	full    bitset   // those to whom quota leaves nothing of plain agents
	filled  uint64   // the epoch in which full is right
	free    []uint32 // named by no filter and in no bitset
	spent   []uint32 // named by no filter, but perhaps in agents' bitsets
	gather  int      // how many spent slots are gathered before they are made free
	retired uint64   // how often one was retired that filters name
	all     int      // how many filters there are
	dead    int      // how many of them name slots that nobody has

	// What agents remember of some slots is void from a version on. The last
	// few such sets are kept, by version.
	version uint64
	voided  [16]bitset
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
		s.void(s.free)
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
	s.behind.remove(i)
	s.doubted.remove(i)
	s.of[i].sub = nil
	if s.of[i].filters > 0 {
		s.retired++
		s.dead += s.of[i].filters
		return
	}
	s.spent = append(s.spent, i)
}

// fill says that in an epoch quota leaves nothing to subscriptions.
func (s *slots) fill(subs []*subscription, epoch uint64) {
	if s.filled != epoch {
		clear(s.full)
		s.filled = epoch
	}
	for _, sub := range subs {
		s.full.add(sub.slot)
	}
}

// filter says that there is a filter which names the slot.
func (s *slots) filter(i uint32) {
	s.of[i].filters++
	s.all++
}

// unfilter says that a filter which names the slot is gone.
func (s *slots) unfilter(i uint32) {
	s.of[i].filters--
	s.all--
	if s.of[i].sub != nil {
		return
	}
	s.dead--
	if s.of[i].filters == 0 {
		s.spent = append(s.spent, i)
	}
}

// filters returns how many filters name the slot.
func (s *slots) filters(i uint32) int { return s.of[i].filters }

// crowded reports whether so many filters are dead that it is worth the while
// to look for them.
func (s *slots) crowded() bool { return 8*s.dead > s.all }

// void makes void what agents remember of slots.
func (s *slots) void(which []uint32) {
	s.version++
	var set bitset
	for _, i := range which {
		set.add(i)
	}
	s.voided[s.version%uint64(len(s.voided))] = set
}

// forget removes from b, which is right for a version, what is void since, and
// reports whether that is known still.
func (s *slots) forget(b bitset, version uint64) bool {
	if s.version-version > uint64(len(s.voided)) {
		return false
	}
	for v := version + 1; v <= s.version; v++ {
		b.removeAll(s.voided[v%uint64(len(s.voided))])
	}
	return true
}
