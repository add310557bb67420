package sim

import (
	"hash/maphash"

	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/resources"
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

// digestSeed is that of all digests. They differ from process to process, and
// are compared within a run only.
var digestSeed = maphash.MakeSeed()

// digest sums up what a snapshot says.
func digest(s *master.Snapshot) uint64 {
	var h maphash.Hash
	h.SetSeed(digestSeed)
	text := func(of resources.Resources) string { return of.String() }
	for a := range s.Agents.All() {
		maphash.WriteComparable(&h, [...]any{a.ID, a.Connected, a.Active, text(a.Total), text(a.Allocated), text(a.Offered)})
	}
	for f := range s.Frameworks.All() {
		maphash.WriteComparable(&h, [...]any{f.ID, f.Connected, f.Active, text(f.Allocated), text(f.Offered), f.Counters})
	}
	for t := range s.Tasks.All() {
		maphash.WriteComparable(&h, [...]any{t.ID, t.State, t.Place, len(t.Statuses), string(t.UpdateUUID)})
	}
	for o := range s.Offers.All() {
		maphash.WriteComparable(&h, [...]any{o.ID, text(o.Resources)})
	}
	return h.Sum64()
}
