package allocator

import (
	"slices"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// maxBehind bounds for how long others are served before a framework.
const maxBehind = time.Minute

// A patience knows who has declined so many offers in a row that others are
// served before it.
type patience struct {
	behind []*subscription
	next   time.Time // when the first of them is served in its turn again
}

// Accepted tells that a framework used something of an offer in a role: it
// wants what it is offered.
func (a *Allocator) Accepted(id ids.FrameworkID, role string) {
	if s := a.framework(id).subs[role]; s != nil {
		a.takesPart(s)
	}
}

// takesPart has the subscription served in its turn, and doubts it no more.
func (a *Allocator) takesPart(s *subscription) {
	a.trust(s)
	s.declined = 0
	a.slots.doubted.remove(s.slot)
}

// trust has the subscription served in its turn: it says that it wants something. It
// is doubted as before, since it may say that over and over.
func (a *Allocator) trust(s *subscription) {
	s.behind = time.Time{}
	a.slots.behind.remove(s.slot)
}

// doubts reports whether it is doubted that the subscription wants anything.
func (a *Allocator) doubts(s *subscription) bool {
	return a.cfg.Patience > 0 && s.declined >= a.cfg.Patience
}

// A pastDecline is a call by which a framework refused something for some time.
type pastDecline struct {
	at     time.Time
	refuse time.Duration
	until  uint32 // in ticks: by this filters tell by which decline they came
}

// maxDeclines is how many of these a subscription remembers.
const maxDeclines = 4

// noteDecline remembers a refusal, once for all offers that a call names.
func (a *Allocator) noteDecline(s *subscription, now time.Time, refuse time.Duration) {
	d := pastDecline{now, refuse, a.ticks(now.Add(refuse))}
	if last := len(s.declines) - 1; last >= 0 && s.declines[last].until == d.until {
		return
	}
	if len(s.declines) == maxDeclines {
		s.declines = append(s.declines[:0], s.declines[1:]...)
	}
	s.declines = append(s.declines, d)
}

// decline counts a refusal, of something of the agent, that holds for some time.
func (a *Allocator) decline(ag *agent, s *subscription, now time.Time, refuse time.Duration) {
	s.declined++
	ag.spurned = a.doubts(s)
	if refuse > 0 {
		a.noteDecline(s, now, refuse)
	}
	if !a.doubts(s) {
		return
	}
	p := &a.patience
	s.behind = now.Add(min(max(refuse, a.cfg.Interval), maxBehind))
	a.slots.behind.add(s.slot)
	a.slots.doubted.add(s.slot)
	if !s.queued {
		s.queued = true
		p.behind = append(p.behind, s)
	}
	if p.next.IsZero() || s.behind.Before(p.next) {
		p.next = s.behind
	}
}

// forgive has those served in their turn again whose time has come.
func (a *Allocator) forgive(now time.Time) {
	p := &a.patience
	if p.next.IsZero() || now.Before(p.next) {
		return
	}
	p.next = time.Time{}
	p.behind = slices.DeleteFunc(p.behind, func(s *subscription) bool {
		if now.Before(s.behind) {
			if p.next.IsZero() || s.behind.Before(p.next) {
				p.next = s.behind
			}
			return false
		}
		s.queued, s.behind = false, time.Time{}
		if a.slots.of[s.slot].sub == s {
			a.slots.behind.remove(s.slot)
		}
		return true
	})
}
