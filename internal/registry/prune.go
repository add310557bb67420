package registry

import (
	"cmp"
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
)

// Expired returns the unreachable and the gone agents that need not be
// remembered longer: those marked more than maxAge before now, and of each
// list the oldest beyond maxCount.
func (r *Registry) Expired(now time.Time, maxAge time.Duration, maxCount int) (unreachable, gone []ids.AgentID) {
	oldest := now.Add(-maxAge).UnixNano()
	return expired(r.unreachable, oldest, maxCount), expired(r.gone, oldest, maxCount)
}

type marked interface {
	GetTimestamp() *mesos.TimeInfo
}

func expired[V marked](list map[ids.AgentID]V, oldest int64, maxCount int) []ids.AgentID {
	at := func(id ids.AgentID) int64 { return list[id].GetTimestamp().GetNanoseconds() }
	all := make([]ids.AgentID, 0, len(list))
	for id := range list {
		if len(list) > maxCount || at(id) < oldest { // to sort a long list takes long
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b ids.AgentID) int {
		return cmp.Or(cmp.Compare(at(a), at(b)), cmp.Compare(a, b))
	})
	n := max(0, len(list)-maxCount)
	for n < len(all) && at(all[n]) < oldest {
		n++
	}
	return all[:n]
}

// Prune forgets agents that were unreachable or gone. Those that are not, by
// now, are passed over.
func (r *Registry) Prune(unreachable, gone []ids.AgentID) []Put {
	var puts []Put
	for _, id := range unreachable {
		if _, ok := r.unreachable[id]; ok {
			delete(r.unreachable, id)
			puts = append(puts, Put{keyUnreachable(id), nil})
		}
	}
	for _, id := range gone {
		if _, ok := r.gone[id]; ok {
			delete(r.gone, id)
			puts = append(puts, Put{keyGone(id), nil})
		}
	}
	return puts
}
