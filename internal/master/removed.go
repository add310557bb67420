package master

import "github.com/meseta-project/meseta/internal/ids"

// removedAgents remembers the last agents that left, so that what they still
// send is not taken for news. It is bounded; the oldest is forgotten first.
type removedAgents struct {
	at   map[ids.AgentID]uint64 // when it left, by number
	list []removedAgent         // oldest first; some may have come back since
	max  int
	seq  uint64
}

type removedAgent struct {
	id  ids.AgentID
	seq uint64
}

func newRemovedAgents(limit int) removedAgents {
	return removedAgents{at: map[ids.AgentID]uint64{}, max: limit}
}

func (r *removedAgents) has(id ids.AgentID) bool {
	_, ok := r.at[id]
	return ok
}

func (r *removedAgents) remember(id ids.AgentID) {
	r.seq++
	r.at[id] = r.seq
	r.list = append(r.list, removedAgent{id, r.seq})
	for len(r.list) > r.max {
		if oldest := r.list[0]; r.at[oldest.id] == oldest.seq {
			delete(r.at, oldest.id)
		}
		r.list = r.list[1:]
	}
}

func (r *removedAgents) forget(id ids.AgentID) { delete(r.at, id) }
