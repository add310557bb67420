package libprocess

import (
	"context"
	"net"
	"testing"
)

// TestDies tells a process that is dead from one that only breaks connections.
func TestDies(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	dies := make(chan bool, 1)
	begin := func(ctx context.Context) net.Conn {
		go func() { dies <- Dies(ctx, address) }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}

	if err := begin(t.Context()).Close(); err != nil {
		t.Fatal(err)
	}
	if <-dies {
		t.Error("a process that listens is taken for dead")
	}
	again, err := l.Accept() // it looked once more
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()

	ctx, cancel := context.WithCancel(t.Context())
	conn := begin(ctx)
	cancel()
	if <-dies {
		t.Error("a process is taken for dead that nobody looks at any more")
	}
	_ = conn.Close()

	conn = begin(t.Context())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if !<-dies {
		t.Error("a process that refuses connections is not taken for dead")
	}
	if Dies(t.Context(), address) {
		t.Error("a process that was never seen alive is taken for dead")
	}
}
