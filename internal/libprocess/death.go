package libprocess

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// How a dead process is told from a slow one.
const (
	refusals   = 3 // in a row, after a connection that worked
	betweenTry = 20 * time.Millisecond
	dialTime   = 5 * time.Second
)

// Dies stays connected to an address until that breaks, and says whether the
// process there is dead for sure: its machine refuses connections from then on.
// A machine that is down or cut off refuses nothing, and of that, of a process
// that is there, and when ctx is done first, nothing is known.
func Dies(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	_, _ = conn.Read(make([]byte, 1)) // nothing is asked, so nothing comes but the end
	_ = conn.Close()
	for range refusals {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(betweenTry):
		}
		again, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			_ = again.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return true
}
