package allocator

import (
	"slices"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
)

// DeclineAll has every framework that wants offers decline all that is free on
// every agent, as if each had been offered it and had answered one after the
// other. Benchmarks begin with it that have more pairs than could be offered.
func (a *Allocator) DeclineAll(now time.Time, filters *mesos.Filters) {
	a.tell(now)
	refuse := refuseFor(filters, a.cfg.Interval)
	for _, ag := range a.byNum {
		if ag == nil || !ag.active || ag.available.IsEmpty() {
			continue
		}
		ag.filters = slices.Grow(ag.filters, len(a.slots.of)) // exactly: there are many
		for _, slot := range a.slots.of {
			s := slot.sub
			if s == nil || !s.wanted || s.suppressed || !s.framework.active {
				continue
			}
			a.decline(ag, s, now, refuse)
			if refuse > 0 {
				a.refuse(ag, s, ag.available, now.Add(refuse))
			}
		}
		ag.sound = false
		a.suggest(ag)
	}
}
