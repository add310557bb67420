package sim

import (
	"testing"
	"time"
)

// TestInstant: a time made of two readings is what time.Now would give: wall
// clocks are shown, and durations are of the monotonic one.
func TestInstant(t *testing.T) {
	wall := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	a, b := instant(wall, 5*time.Second), instant(wall.Add(-time.Hour), 7*time.Second)
	if got := a.UTC(); got.UnixNano() != wall.UnixNano() || got.Year() != 2026 {
		t.Errorf("it shows %s, want %s", got, wall)
	}
	if b.Sub(a) != 2*time.Second || !b.After(a) || b.UnixNano() >= a.UnixNano() {
		t.Errorf("from %s to %s it is %s, want 2s", a, b, b.Sub(a))
	}
	if got := a.Add(3 * time.Second).Sub(b); got != time.Second {
		t.Errorf("a deadline is %s after, want 1s", got)
	}
}
