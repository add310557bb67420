package sim

import (
	"math"
	"time"

	"github.com/meseta-project/meseta/internal/agent"
)

// sessionTimeout is after how long the election gives up a leader that is not
// heard of.
const sessionTimeout = 10 * time.Second

// An attack is a kind of fault that comes by itself. Others are looked up where
// they matter, by world.suffers.
type attack struct {
	fault Fault
	every time.Duration // on average
	do    func(*world)
}

var attacks = []attack{
	{MasterCrash, 30 * time.Second, (*world).crashMaster},
	{AgentCrash, 15 * time.Second, (*world).crashAgent},
	{HostReboot, 40 * time.Second, (*world).rebootHost},
	{SchedulerCrash, 25 * time.Second, (*world).crashScheduler},
	{StreamBreak, 15 * time.Second, (*world).breakStream},
	{LinkBreak, 10 * time.Second, (*world).breakALink},
	{Partition, 25 * time.Second, (*world).partition},
	{ExecutorCrash, 10 * time.Second, (*world).crashExecutor},
	{SessionExpiry, 40 * time.Second, (*world).expireSession},
	{AgentLeave, 80 * time.Second, (*world).leaveAgent},
	{HostLoss, 80 * time.Second, (*world).loseHost},
	{Frozen, 30 * time.Second, (*world).freeze},
	{Flapping, 50 * time.Second, (*world).flap},
	{RollingUpgrade, 90 * time.Second, (*world).upgrade},
	{StoreFailover, 10 * time.Second, (*world).failStoreOver},
	{StoreAmnesia, 50 * time.Second, (*world).forgetInStore},
	{AgentDrain, 12 * time.Second, (*world).drainSomeAgent},
	{AgentGone, 50 * time.Second, (*world).markSomeAgentGone},
	{Maintenance, 10 * time.Second, (*world).maintainSomething},
	{ClockJump, 20 * time.Second, (*world).setSomeClock},
}

// setSomeClock has an operator, or NTP, set the wall clock of a node.
func (w *world) setSomeClock() {
	c, name := &pick(w, ClockJump, w.masters).clock, "a master's"
	if w.once(ClockJump.String(), 0.7) {
		a := pick(w, ClockJump, w.agents)
		c, name = &a.clock, a.name
	}
	by := w.between(ClockJump.String(), -maxJump, maxJump)
	w.jumps++
	c.skew += by
	w.note("%s    clock is set by %s", name, by)
}

// startFaults has the plan's faults begin.
func (w *world) startFaults() {
	for _, a := range attacks {
		if w.plan.Faults.Has(a.fault) {
			w.plague(a)
		}
	}
}

// plague has an attack happen again and again, at random times.
func (w *world) plague(a attack) {
	wait := time.Duration(-math.Log(1-w.rand(a.fault.String()).Float64()) * float64(a.every))
	w.after(wait, func() {
		if !w.healed {
			a.do(w)
			w.plague(a)
		}
	})
}

func pick[T any](w *world, f Fault, all []T) T { return all[w.rand(f.String()).IntN(len(all))] }

func (w *world) crashMaster() { pick(w, MasterCrash, w.masters).die("crash") }

func (w *world) crashAgent() { pick(w, AgentCrash, w.agents).die("crash") }

func (w *world) rebootHost() {
	a := pick(w, HostReboot, w.agents)
	a.machine.reboot()
	a.die("reboot")
}

// loseHost loses a machine with all that is on it. Another one takes its place,
// with another address: the agent that was there never comes back.
func (w *world) loseHost() {
	a := pick(w, HostLoss, w.agents)
	w.note("%s    the machine is lost", a.name)
	a.machine.reboot()
	a.die("lost")
	a.disk.clear()
	a.lost = true
}

func (w *world) crashScheduler() { pick(w, SchedulerCrash, w.schedulers).die() }

func (w *world) breakStream() {
	if st := pick(w, StreamBreak, w.schedulers).stream; st != nil {
		w.note("net   stream of %s breaks", st.scheduler.name)
		st.broken()
	}
}

func (w *world) breakALink() {
	m, a := pick(w, LinkBreak, w.masters), pick(w, LinkBreak, w.agents)
	which := w.rand(LinkBreak.String()).IntN(3)
	w.note("net   link %s - %s breaks, %d", m.name, a.name, which)
	if which != 0 {
		w.net.breakLink(m.name, a.name)
	}
	if which != 1 {
		w.net.breakLink(a.name, m.name)
	}
}

// partition blocks the way between a master and another node, in one direction
// or both, for some time.
func (w *world) partition() {
	r := w.rand(Partition.String())
	m := pick(w, Partition, w.masters).name
	other := pick(w, Partition, w.agents).name
	if r.IntN(3) == 0 {
		other = pick(w, Partition, w.schedulers).name
	}
	ways := []route{{m, other}, {other, m}}
	switch r.IntN(4) {
	case 0:
		ways = ways[:1]
	case 1:
		ways = ways[1:]
	}
	for _, way := range ways {
		w.note("net   %s -> %s is blocked", way.from, way.to)
		w.net.block(way.from, way.to)
	}
	w.after(w.between(Partition.String(), time.Second, 60*time.Second), func() {
		for _, way := range ways {
			w.note("net   %s -> %s is open", way.from, way.to)
			w.net.unblock(way.from, way.to)
		}
	})
}

// crashExecutor kills a custom executor.
func (w *world) crashExecutor() {
	m := pick(w, ExecutorCrash, w.agents).machine
	for _, id := range m.order {
		c := m.containers[id]
		if c != nil && c.spec.Builtin == agent.Custom && c.process != nil && c.process.alive {
			w.note("%s    executor %s is killed", m.name, c.spec.Run.Executor)
			c.kill()
			return
		}
	}
}

// expireSession has the election take the lead from a live master, which learns
// of it later, and ends.
func (w *world) expireSession() {
	m := w.leader
	if m == nil || len(w.masters) == 1 {
		return
	}
	w.note("elect session of %s expires", m.name)
	life := m.life
	w.depose()
	w.after(w.between(SessionExpiry.String(), 0, 15*time.Second), func() {
		if m.life == life {
			m.die("it leads no more")
		}
	})
}

// freeze stops a process for a while, as a debugger or a full machine does. A
// leader that is away for longer than its session does not know that it leads no
// more until it looks.
func (w *world) freeze() {
	r := w.rand(Frozen.String())
	d := w.between(Frozen.String(), 100*time.Millisecond, 25*time.Second)
	if r.IntN(2) == 0 {
		a := pick(w, Frozen, w.agents)
		a.gate.stopFor(d)
		w.note("%s    is stopped for %s", a.name, d)
		return
	}
	m := pick(w, Frozen, w.masters)
	m.gate.stopFor(d)
	w.note("%s    is stopped for %s", m.name, d)
	if m == w.leader && d > sessionTimeout && len(w.masters) > 1 {
		learns := m.inThisLife(func() { m.die("it leads no more") })
		w.after(sessionTimeout, func() {
			if w.leader == m {
				w.depose()
			}
		})
		w.after(d+w.between(Frozen.String(), 0, time.Second), learns)
	}
}

// flap blocks the way between a master and an agent, and opens it, some times.
func (w *world) flap() {
	r := w.rand(Flapping.String())
	m, a := pick(w, Flapping, w.masters).name, pick(w, Flapping, w.agents).name
	ways := []route{{m, a}, {a, m}}[r.IntN(2):]
	w.note("net   %s - %s flaps", m, a)
	w.flapOn(ways, 2*(2+r.IntN(6)))
}

// flapOn opens or blocks the ways so many more times; the last time opens them.
func (w *world) flapOn(ways []route, times int) {
	for _, way := range ways {
		if times%2 == 0 && times > 0 && !w.healed {
			w.net.block(way.from, way.to)
		} else {
			w.net.unblock(way.from, way.to)
		}
	}
	if times > 0 && !w.healed {
		w.after(w.between(Flapping.String(), 200*time.Millisecond, 6*time.Second), func() { w.flapOn(ways, times-1) })
	}
}

// upgrade restarts all agents, and then all masters, as another version.
func (w *world) upgrade() {
	w.note("----- upgrade")
	wait := time.Duration(0)
	for _, a := range w.agents {
		w.after(wait, func() {
			a.version = "1.12.0"
			a.die("upgrade")
		})
		wait += w.between(RollingUpgrade.String(), time.Second, 8*time.Second)
	}
	for _, m := range w.masters {
		w.after(wait, func() { m.die("upgrade") })
		wait += w.between(RollingUpgrade.String(), time.Second, 8*time.Second)
	}
}

func (w *world) failStoreOver() { w.store.failOver() }

// forgetInStore has a single master die, and start with an older registry: the
// machine died, and its disk had not kept what it said it had.
func (w *world) forgetInStore() {
	if m := w.masters[0]; len(w.masters) == 1 && m.core != nil {
		m.die("its machine dies")
		w.store.goBack()
	}
}

func (w *world) leaveAgent() { pick(w, AgentLeave, w.agents).leave() }

// heal ends all faults, and starts what has died.
func (w *world) heal() {
	w.note("----- healed")
	w.healed = true
	w.freeLater()
	w.bringBackLater()
	w.dropQuotasLater()
	for _, from := range w.net.names {
		for _, to := range w.net.names {
			if w.net.blocked[route{from, to}] != 0 {
				w.net.unblock(from, to)
			}
		}
	}
	for _, a := range w.agents {
		for _, id := range a.machine.order {
			if c := a.machine.containers[id]; c != nil && c.process != nil {
				c.process.stubborn = false
			}
		}
	}
}
