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
	all := sorted(list)
	slices.SortStableFunc(all, func(a, b ids.AgentID) int {
		return cmp.Compare(list[a].GetTimestamp().GetNanoseconds(), list[b].GetTimestamp().GetNanoseconds())
	})
	n := max(0, len(all)-maxCount)
	for n < len(all) && list[all[n]].GetTimestamp().GetNanoseconds() < oldest {
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
