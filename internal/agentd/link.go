package agentd

import (
	"sync"

	"github.com/meseta-project/meseta/internal/agent"
)

// A link is the present one to the master. Once it is broken nothing is sent that was
// meant to go over it, before the core knows, too: another connection may be to another
// master at the same address, which would take an old registration for what is now.
type link struct {
	mu      sync.Mutex
	id      agent.LinkID // 0: there is none
	address string
}

func (l *link) set(id agent.LinkID, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.id, l.address = id, address
}

// broken notes that the link is, if it is one to the address.
func (l *link) broken(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.address == address {
		l.id = 0
	}
}

func (l *link) is(id agent.LinkID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id == id
}
