package cluster

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Patience is how long a helper waits for something that should happen soon. It
// bounds a hang; no test depends on how much of it is used. MESETA_PATIENCE is another
// one, for where all takes longer.
var Patience = patience()

func patience() time.Duration {
	if more, err := time.ParseDuration(os.Getenv("MESETA_PATIENCE")); err == nil {
		return more
	}
	return 30 * time.Second
}

// poll is how often a condition is looked at again.
const poll = 10 * time.Millisecond

// Eventually calls cond until it returns nil and fails the test with its last
// error when within has passed.
func Eventually(t TB, within time.Duration, cond func() error) {
	t.Helper()
	if err := eventually(within, cond); err != nil {
		t.Fatalf("not within %v: %v", within, err)
	}
}

func eventually(within time.Duration, cond func() error) error {
	deadline := time.Now().Add(within)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

var ports struct {
	sync.Mutex
	given map[int]bool
}

// FreePort returns a loopback TCP port that nobody listens on and that this
// test process has not given out before.
func FreePort(t TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		listener.Close()
		if !ports.given[port] {
			if ports.given == nil {
				ports.given = map[int]bool{}
			}
			ports.given[port] = true
			return port
		}
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
