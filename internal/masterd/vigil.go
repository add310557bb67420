package masterd

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// nap is how long this process may not run before that is noticed: less than any
// session of an election lasts.
const nap = 500 * time.Millisecond

// A vigil notices that this process did not run for a while: it was stopped, or
// its machine was, or had no time for it. It is safe for concurrent use.
type vigil struct {
	clock func() time.Duration // goes on while the machine sleeps

	mu    sync.Mutex
	begun bool
	last  time.Duration
	slept time.Duration // 0: not since that was last settled
}

func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // it exists since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}

// look returns how long this process slept since that was last settled.
func (v *vigil) look() time.Duration {
	now := v.clock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if gap := now - v.last; v.begun && gap > nap {
		v.slept += gap
	}
	v.begun, v.last = true, max(now, v.last)
	return v.slept
}

// settle says that what might have happened meanwhile has not.
func (v *vigil) settle() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slept = 0
}

// keep looks until ctx is done.
func (v *vigil) keep(ctx context.Context) {
	tick := time.NewTicker(nap / 5)
	defer tick.Stop()
	for {
		v.look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// sure makes sure that this master leads still, if it did not run for a while.
// Its session may be over then, though nothing has told it so yet, while what was
// sent to it in its sleep is there to be answered, in the name of a leader that
// it is no more. Nothing leaves before the election has said who leads.
func (s *Server) sure(ctx context.Context) error {
	slept := s.vigil.look()
	if slept == 0 {
		return nil
	}
	s.log.Warn("this master did not run for a while: making sure that it leads still", slog.Duration("slept", slept))
	for leader := range s.cfg.Elector.Detect(ctx) { // which ends when the session's end is noticed
		switch {
		case leader == nil:
		case leader.GetId() != s.cfg.Info.GetId():
			return errLost
		default:
			s.vigil.settle()
			return nil
		}
	}
	return context.Cause(ctx)
}
