package sim

import (
	"math"
	"time"

	"github.com/meseta-project/meseta/internal/agent"
)

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

func (w *world) leaveAgent() { pick(w, AgentLeave, w.agents).leave() }

// heal ends all faults, and starts what has died.
func (w *world) heal() {
	w.note("----- healed")
	w.healed = true
	w.freeLater()
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
