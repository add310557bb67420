package sim

import (
	"fmt"
	"hash/fnv"

	"github.com/meseta-project/meseta/internal/master"
)

// A frozen is a snapshot that was taken of a master, and what it said then.
type frozen struct {
	snapshot *master.Snapshot
	digest   uint64
	rounds   int
}

// look takes a snapshot now and then, and checks that the one before still says
// what it said: readers may take their time.
func (m *masterNode) look() {
	if m.frozen == nil {
		m.frozen = &frozen{}
	}
	f := m.frozen
	if f.rounds++; f.rounds%32 != 1 {
		return
	}
	if f.snapshot != nil && digest(f.snapshot) != f.digest {
		fail("snapshots", "a snapshot of %s has changed", m.name)
	}
	f.snapshot = m.core.Snapshot()
	f.digest = digest(f.snapshot)
}

// digest sums up what a snapshot says.
func digest(s *master.Snapshot) uint64 {
	h := fnv.New64a()
	for a := range s.Agents.All() {
		fmt.Fprint(h, a.ID, a.Connected, a.Active, a.Total, a.Allocated, a.Offered)
	}
	for f := range s.Frameworks.All() {
		fmt.Fprint(h, f.ID, f.Connected, f.Active, f.Allocated, f.Offered, f.Counters)
	}
	for t := range s.Tasks.All() {
		fmt.Fprint(h, t.ID, t.State, t.Place, len(t.Statuses), string(t.UpdateUUID))
	}
	for o := range s.Offers.All() {
		fmt.Fprint(h, o.ID, o.Resources)
	}
	return h.Sum64()
}
