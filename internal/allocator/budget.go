package allocator

import "github.com/meseta-project/meseta/internal/ids"

// atBudget reports whether a framework holds as many unanswered offers as it may.
func (a *Allocator) atBudget(f *framework) bool {
	return a.cfg.OfferBudget > 0 && f.outstanding >= a.cfg.OfferBudget
}

// Answered tells that an offer to a framework is no more: it was accepted,
// declined, rescinded, or timed out.
func (a *Allocator) Answered(id ids.FrameworkID) {
	f := a.frameworks[id]
	if f == nil {
		return
	}
	if a.atBudget(f) {
		a.epoch++ // what was held back from it is not any more
	}
	f.outstanding = max(0, f.outstanding-1)
}
