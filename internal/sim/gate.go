package sim

import "time"

// A gate is where all that a process is sent comes in: by as many ways as it has
// connections, and others that it listens to. While the process is stopped it waits
// there. When the process goes on it reads the ways one by one, in any order: what
// was sent later may be read earlier, though not on the same way.
type gate struct {
	w     *world
	until time.Time // the process is stopped; in the past: it runs
	held  []arrival
	late  map[string]time.Time // when it comes to a way that has waited
}

type arrival struct {
	way   string
	enter func()
}

func newGate(w *world) *gate { return &gate{w: w, late: map[string]time.Time{}} }

// stopFor stops the process for a while.
func (g *gate) stopFor(d time.Duration) {
	g.until = g.w.now.Add(d)
	g.w.after(d, g.open)
}

// over reports whether the process runs. If not, again happens when it does.
func (g *gate) over(again func()) bool {
	if !g.w.now.Before(g.until) {
		return true
	}
	g.w.after(g.until.Sub(g.w.now), again)
	return false
}

// pass has something come in.
func (g *gate) pass(way string, enter func()) {
	switch at := g.late[way]; {
	case g.w.now.Before(g.until):
		g.held = append(g.held, arrival{way, enter})
	case g.w.now.Before(at):
		g.w.after(at.Sub(g.w.now), enter)
	default:
		enter()
	}
}

// open lets in what waits, when the process goes on.
func (g *gate) open() {
	if g.w.now.Before(g.until) {
		return
	}
	held := g.held
	g.held = nil
	for way, at := range g.late { // what waited before still comes first
		if !g.w.now.Before(at) {
			delete(g.late, way)
		}
	}
	for _, a := range held {
		if g.late[a.way].IsZero() {
			g.late[a.way] = g.w.now.Add(g.delay())
		}
		g.w.after(g.late[a.way].Sub(g.w.now), a.enter)
	}
}

// delay draws when a process that goes on comes to a way: mostly at once, later if
// the machine is busy.
func (g *gate) delay() time.Duration {
	if g.w.once("gates", 0.5) {
		return g.w.between("gates", time.Nanosecond, time.Millisecond)
	}
	return g.w.between("gates", time.Nanosecond, 60*time.Millisecond)
}
