package chaos

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/meseta-project/meseta/test/cluster"
)

// monkey does harm, each kind for a while, and makes it good again.
type monkey struct {
	w      *world
	rand   *rand.Rand
	done   map[string]int // harm, by kind
	harmed []harm         // not yet made good
}

// harm is what has been done to a member.
type harm struct {
	to    *member
	until time.Time
	heal  func()
}

// How long anything stays stopped or cut off: long enough for an agent to be
// unreachable, and for a leader to lose its session.
const (
	shortest = 300 * time.Millisecond
	longest  = 6 * time.Second
)

// run does harm for a while, and heals.
func (m *monkey) run(long time.Duration) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	next := time.Now()
	for end := time.Now().Add(long); time.Now().Before(end); <-tick.C {
		m.heal(time.Now())
		m.w.revive()
		if !time.Now().Before(next) {
			m.strike()
			next = time.Now().Add(time.Duration(100+m.rand.IntN(700)) * time.Millisecond)
		}
	}
	m.heal(time.Now().Add(longest)) // all there is
	m.w.revive()
}

// heal ends the harm whose time has come.
func (m *monkey) heal(now time.Time) {
	left := m.harmed[:0]
	for _, h := range m.harmed {
		if now.Before(h.until) {
			left = append(left, h)
			continue
		}
		h.heal()
	}
	m.harmed = left
}

// strike does something to a member that is well, or to an executor.
func (m *monkey) strike() {
	if m.rand.IntN(5) == 0 {
		m.harmTask("executor", m.w.executors())
		return
	}
	to := m.w.members[m.rand.IntN(len(m.w.members))]
	for _, h := range m.harmed {
		if h.to == to {
			return
		}
	}
	if !to.Running() {
		return
	}
	switch n := m.rand.IntN(10); {
	case to.hold != "" && m.w.clocks && m.rand.IntN(2) == 0:
		m.misset(to)
	case n < 3:
		m.note("kill " + to.kind)
		to.Signal(syscall.SIGKILL) // and it is started again
	case n < 5:
		m.note("stop " + to.kind)
		to.Signal(syscall.SIGSTOP)
		pid := to.Pid()
		m.later(to, func() { _ = syscall.Kill(-pid, syscall.SIGCONT) }) // and what it was about to launch
	case to.kind == "agent" && n < 7:
		m.harmTask("task", cluster.Inside(to.work))
	case to.hold == "":
	case n < 9:
		m.note("cut off " + to.kind)
		m.try("", "link", "set", to.dev, "down")
		m.later(to, func() { m.try("", "link", "set", to.dev, "up") })
	default:
		m.deafen(to)
	}
}

// harmTask kills or stops one of the processes that an agent runs.
func (m *monkey) harmTask(what string, all []int) {
	if len(all) == 0 {
		return
	}
	pid := all[m.rand.IntN(len(all))]
	if m.rand.IntN(2) == 0 {
		m.note("kill " + what)
		_ = syscall.Kill(pid, syscall.SIGKILL)
		return
	}
	m.note("stop " + what)
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	m.later(&member{}, func() { _ = syscall.Kill(pid, syscall.SIGCONT) })
}

// deafen has what a member sends to another lost, and not what it is sent.
func (m *monkey) deafen(to *member) {
	masters := m.w.of("master")
	other := masters[m.rand.IntN(len(masters))]
	if other == to {
		return
	}
	m.note("one way " + to.kind)
	m.try(to.hold, "route", "add", "blackhole", other.ip+"/32")
	m.later(to, func() { m.try(to.hold, "route", "del", "blackhole", other.ip+"/32") })
}

func (m *monkey) note(what string) { m.done[what]++ }

func (m *monkey) later(to *member, heal func()) {
	long := shortest + time.Duration(m.rand.Int64N(int64(longest-shortest)))
	m.harmed = append(m.harmed, harm{to, time.Now().Add(long), heal})
}

func (m *monkey) try(namespace string, args ...string) {
	if err := tryIP(namespace, args...); err != nil {
		m.w.t.Error(fmt.Errorf("the test itself: %w", err))
	}
}
