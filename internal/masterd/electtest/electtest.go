// Package electtest holds what every way of electing the leading master must
// do. An implementation's test calls [Run]; what passes is interchangeable.
package electtest

import (
	"context"
	"iter"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/wire"
)

// Elector is what is tested: masterd.Elector.
type Elector interface {
	Contend(ctx context.Context, info *mesos.MasterInfo) (lost <-chan struct{}, err error)
	Detect(ctx context.Context) iter.Seq[*mesos.MasterInfo]
}

// A Group is a place where masters meet, of the test's own.
type Group struct {
	// Elector returns another master's elector.
	Elector func() Elector
	// Cut cuts all masters off from where they meet, for as long as f runs.
	Cut func(f func())
}

// patience bounds a hang; nothing depends on how much of it is used.
const patience = 2 * time.Minute

// Run tests a way of electing. fresh makes a group for one test.
func Run(t *testing.T, fresh func(t *testing.T) Group) {
	t.Run("the first leads, the next waits", func(t *testing.T) { succession(t, fresh(t)) })
	t.Run("all see who leads", func(t *testing.T) { detection(t, fresh(t)) })
	t.Run("a leader that is cut off has lost", func(t *testing.T) { loss(t, fresh(t)) })
	t.Run("a follower that is cut off stands again", func(t *testing.T) { again(t, fresh(t)) })
	t.Run("a follower gives up", func(t *testing.T) { givingUp(t, fresh(t)) })
	t.Run("nothing is left running", func(t *testing.T) { leaves(t, fresh(t)) })
}

// Master returns what the nth master of a test tells of itself.
func Master(n int) *mesos.MasterInfo {
	return wire.MasterAt(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(5050+n)), "localhost")
}

// standing is a master that contends.
type standing struct {
	stop context.CancelFunc
	leads,
	ended chan struct{}
	lost <-chan struct{} // valid when leads is closed
	err  error           // valid when ended is closed
}

func contend(t *testing.T, e Elector, n int) *standing {
	ctx, cancel := context.WithCancel(t.Context())
	s := &standing{stop: cancel, leads: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		if s.lost, s.err = e.Contend(ctx, Master(n)); s.err == nil {
			close(s.leads)
		}
	}()
	t.Cleanup(func() {
		cancel()
		await(t, s.ended, "the end of standing for election")
		if s.err == nil {
			await(t, s.lost, "the end of leading")
		}
	})
	return s
}

func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
}

// watch returns what a detector sees.
func watch(t *testing.T, e Elector) <-chan *mesos.MasterInfo {
	ctx, cancel := context.WithCancel(t.Context())
	seen, ended := make(chan *mesos.MasterInfo, 100), make(chan struct{})
	go func() {
		defer close(ended)
		for leader := range e.Detect(ctx) {
			seen <- leader
		}
	}()
	t.Cleanup(func() {
		cancel()
		await(t, ended, "the end of detecting")
	})
	return seen
}

// sees waits until a detector sees a master lead, 0 for none.
func sees(t *testing.T, seen <-chan *mesos.MasterInfo, n int) {
	t.Helper()
	for {
		select {
		case leader := <-seen:
			if leader == nil && n == 0 || leader != nil && n != 0 && leader.GetPid() == Master(n).GetPid() {
				return
			}
		case <-time.After(patience):
			t.Fatalf("waited in vain to see master %d lead", n)
		}
	}
}

func succession(t *testing.T, g Group) {
	one := contend(t, g.Elector(), 1)
	await(t, one.leads, "the first to lead")
	seen := watch(t, g.Elector())
	sees(t, seen, 1)
	two := contend(t, g.Elector(), 2)
	sees(t, watch(t, g.Elector()), 1)
	select {
	case <-two.leads:
		t.Error("two lead at once")
	case <-one.lost:
		t.Error("the first lost for no reason")
	default:
	}
	one.stop()
	await(t, one.lost, "the first to have resigned")
	await(t, two.leads, "the second to lead")
	sees(t, seen, 2)
}

func detection(t *testing.T, g Group) {
	early := watch(t, g.Elector()) // before anybody was there
	e := g.Elector()
	one := contend(t, e, 1)
	await(t, one.leads, "the first to lead")
	sees(t, early, 1)
	own := watch(t, e) // a master's own, while it leads
	sees(t, own, 1)
	one.stop()
	await(t, one.lost, "the leader to have resigned")
	sees(t, early, 0)
	contend(t, g.Elector(), 2)
	sees(t, early, 2)
}

func loss(t *testing.T, g Group) {
	one := contend(t, g.Elector(), 1)
	await(t, one.leads, "the first to lead")
	seen := watch(t, g.Elector())
	sees(t, seen, 1)
	g.Cut(func() {
		await(t, one.lost, "the leader to learn that it has lost")
		sees(t, seen, 0)
	})
	contend(t, g.Elector(), 2)
	sees(t, seen, 2)
}

func again(t *testing.T, g Group) {
	one, two := contend(t, g.Elector(), 1), contend(t, g.Elector(), 2)
	first, other := one, two
	select {
	case <-one.leads:
	case <-two.leads:
		first, other = two, one
	case <-time.After(patience):
		t.Fatal("nobody leads")
	}
	g.Cut(func() { await(t, first.lost, "the leader to learn that it has lost") })
	await(t, other.leads, "the follower to lead in its turn")
}

func givingUp(t *testing.T, g Group) {
	await(t, contend(t, g.Elector(), 1).leads, "the first to lead")
	two := contend(t, g.Elector(), 2)
	two.stop()
	await(t, two.ended, "the follower to give up")
	if two.err == nil {
		t.Error("a follower that gave up leads")
	}
}

// leaves looks for goroutines that outlive what started them.
func leaves(t *testing.T, g Group) {
	ours := func() []string {
		stacks := make([]byte, 1<<20)
		var found []string
		for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(one, "internal/elect/") && !strings.Contains(one, "testing.") || strings.Contains(one, "go-zookeeper") {
				found = append(found, one)
			}
		}
		return found
	}
	t.Run("used", func(t *testing.T) {
		await(t, contend(t, g.Elector(), 1).leads, "the first to lead")
		contend(t, g.Elector(), 2)
		sees(t, watch(t, g.Elector()), 1)
	})
	for deadline := time.Now().Add(patience); ; {
		left := ours()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
		}
		runtime.Gosched()
	}
}
