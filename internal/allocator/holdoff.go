package allocator

import "time"

// A holdOff is the time after a change of leaders in which nothing is offered,
// because too few agents are back to tell what guarantees are satisfied.
type holdOff struct {
	until  time.Time // zero: there is none
	agents int       // that end it
}

// HoldOff is called once by a new leader, after quotas are set, with the number
// of agents that are to come back. If there are quotas, nothing is offered until
// Config.RecoveryFactor of them have, or Config.RecoveryTimeout has passed.
func (a *Allocator) HoldOff(now time.Time, agents int) {
	a.tell(now)
	expected := int(float64(agents) * a.cfg.RecoveryFactor)
	if a.quotas > 0 && expected > len(a.agents) {
		a.holdOff = holdOff{until: now.Add(a.cfg.RecoveryTimeout), agents: expected}
	}
}

// holding reports whether nothing is to be offered yet.
func (a *Allocator) holding(now time.Time) bool {
	h := &a.holdOff
	if !h.until.IsZero() && (len(a.agents) >= h.agents || !now.Before(h.until)) {
		*h = holdOff{}
	}
	return !h.until.IsZero()
}
