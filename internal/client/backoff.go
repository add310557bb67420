package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff spaces out attempts: each wait is random up to a bound that doubles,
// so that the clients of a server that comes back do not all arrive at once.
type Backoff struct {
	// First is the first bound, Max the last. Both are more than 0.
	First, Max time.Duration

	bound time.Duration
}

// Wait waits before the next attempt. It is an error if ctx ends meanwhile.
func (b *Backoff) Wait(ctx context.Context) error {
	b.bound = min(max(2*b.bound, b.First), b.Max)
	timer := time.NewTimer(rand.N(b.bound) + 1) //nolint:forbidigo // to differ from other clients is the point
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Lasted is told how long an attempt that succeeded did so. If it was longer than
// the longest wait, the next wait is a first one; what breaks at once each time
// is spaced out all the same.
func (b *Backoff) Lasted(d time.Duration) {
	if d >= b.Max {
		b.bound = 0
	}
}
