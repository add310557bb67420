package agentd

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/meseta-project/meseta/internal/ids"
)

// names remembers the host name of the present master, whose look-up may leave
// the machine. The zero value is ready for use, by several goroutines.
type names struct {
	mu         sync.Mutex
	addr, name string
}

// lookupTime bounds a look-up, which a reader of /state waits for.
const lookupTime = time.Second

// masterName returns the host name of a master, or its address if it has none;
// "" without a master.
func (s *Server) masterName(ctx context.Context, master ids.UPID) string {
	at, err := netip.ParseAddrPort(master.Address())
	if err != nil {
		return ""
	}
	addr := at.Addr().String()
	s.masters.mu.Lock()
	defer s.masters.mu.Unlock()
	if s.masters.addr != addr {
		s.masters.addr, s.masters.name = addr, lookUp(ctx, addr)
	}
	return s.masters.name
}

func lookUp(ctx context.Context, addr string) string {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupAddr(ctx, addr)
	if err != nil || len(found) == 0 {
		return addr
	}
	return strings.TrimSuffix(found[0], ".")
}
