package sim

import (
	"time"
	"unsafe"
)

// Bounds of how wrong clocks are.
const (
	maxSkew = 30 * time.Second // from the start of a process
	maxJump = 2 * time.Hour    // when somebody sets the clock of a machine
)

// A clock is what a node's process takes the time from, as time.Now gives it: a
// wall clock, which may be wrong and may be set at any time, and a monotonic
// reading, which runs evenly for as long as the process lives.
type clock struct {
	w    *world
	skew time.Duration // of the wall clock
}

// reset is what happens to the clock while no process looks.
func (c *clock) reset() {
	c.skew = 0
	if c.w.suffers(ClockSkew, 0.7) {
		c.skew = c.w.between(ClockSkew.String(), -maxSkew, maxSkew)
	}
}

func (c *clock) now() time.Time { return instant(c.w.now.Add(c.skew), c.w.now.Sub(epoch)) }

// real returns when it is what the clock says, by its monotonic reading; zero
// stays zero, which is never.
func (c *clock) real(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	return c.w.now.Add(at.Sub(c.now()))
}

// An instantLayout is how package time keeps a time with a monotonic reading:
// the seconds since 1885 and the nanoseconds of the wall clock, and the reading.
// There is no other way to make one that differs from the wall clock.
type instantLayout struct {
	wall      uint64
	monotonic int64
	loc       *time.Location
}

// instant returns a time with both readings.
func instant(wall time.Time, monotonic time.Duration) time.Time {
	since := wall.Unix() - time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	t := epoch // for its location
	l := (*instantLayout)(unsafe.Pointer(&t))
	l.wall = 1<<63 | uint64(since)<<30 | uint64(wall.Nanosecond())
	l.monotonic = int64(monotonic) + 1
	return t
}

// tolerance is by how much times from two clocks may be out of order.
func (w *world) tolerance() (seconds float64) {
	if w.plan.Faults.Has(ClockSkew) {
		seconds += (2 * maxSkew).Seconds()
	}
	if w.plan.Faults.Has(ClockJump) {
		seconds += float64(w.jumps) * maxJump.Seconds()
	}
	return seconds
}
