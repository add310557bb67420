package sim

import "time"

// maxSkew is how far a clock is off at most.
const maxSkew = 30 * time.Second

// A clock is what a node's process takes the time from. It may be wrong, but
// runs evenly as long as the process lives, as monotonic clocks do.
type clock struct {
	w    *world
	skew time.Duration
}

// reset is what happens to the clock while no process looks.
func (c *clock) reset() {
	c.skew = 0
	if c.w.suffers(ClockSkew, 0.7) {
		c.skew = c.w.between(ClockSkew.String(), -maxSkew, maxSkew)
	}
}

func (c *clock) now() time.Time { return c.w.now.Add(c.skew) }

// real returns when it is what the clock says; zero stays zero, which is never.
func (c *clock) real(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return at.Add(-c.skew)
}

// tolerance is by how much times from two clocks may be out of order.
func (w *world) tolerance() float64 {
	if w.plan.Faults.Has(ClockSkew) {
		return (2 * maxSkew).Seconds()
	}
	return 0
}

// A sleep is the time for which a process is stopped, though it lives.
type sleep struct{ until time.Time }

// over reports whether the process runs. If not, again happens when it does.
func (s *sleep) over(w *world, again func()) bool {
	if !w.now.Before(s.until) {
		return true
	}
	w.after(s.until.Sub(w.now), again)
	return false
}
