package agent

import (
	"time"

	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
)

// collector keeps what is to be deleted, in the order in which it was given up:
// folders of runs, of executors, of frameworks, and of the agents that this one
// was before. They are deleted after a delay, and earlier as the disk fills.
type collector struct {
	delay    time.Duration
	headroom float64
	maxAge   time.Duration // how long folders are kept as full as the disk is
	queue    []waste       // the oldest first; those kept after all are blanked
	where    map[meta.Run]int
	first    int // number of the first of the queue, counted from the beginning
}

// waste is a folder: of a run, or with fields left out of an executor, a
// framework, or an agent.
type waste struct {
	run   meta.Run
	paths []string
	since time.Time
}

// give gives up a folder; paths is where it is.
func (c *collector) give(now time.Time, w waste) {
	if c.where == nil {
		c.where = map[meta.Run]int{}
	}
	w.since = now
	if w.run != (meta.Run{}) {
		c.keep(w.run)
		c.where[w.run] = c.first + len(c.queue)
	}
	c.queue = append(c.queue, w)
}

// keep takes back a folder that is used again.
func (c *collector) keep(r meta.Run) {
	if i, ok := c.where[r]; ok {
		c.queue[i-c.first] = waste{since: c.queue[i-c.first].since}
		delete(c.where, r)
	}
}

// age returns how long folders are kept when that part of the disk is used.
func (c *collector) age(used float64) time.Duration {
	return time.Duration(float64(c.delay) * max(0, 1-c.headroom-used))
}

// maxWaste bounds the folders that are kept, whatever the disk has room for: an
// agent that runs many short tasks gives up millions in a week.
const maxWaste = 100_000

// due returns what is to be deleted now.
func (c *collector) due(now time.Time) []string { return c.olderThan(now.Add(-c.delay)) }

// olderThan takes out what was given up at or before a time, and what there is
// too much of.
func (c *collector) olderThan(t time.Time) []string {
	var paths []string
	for len(c.queue) > maxWaste || len(c.queue) > 0 && !c.queue[0].since.After(t) {
		paths = append(paths, c.queue[0].paths...)
		if c.queue[0].paths != nil {
			delete(c.where, c.queue[0].run)
		}
		c.queue[0] = waste{}
		c.queue = c.queue[1:]
		c.first++
	}
	return paths
}

// next returns when something will be due; zero: nothing is.
func (c *collector) next() time.Time {
	if len(c.queue) == 0 {
		return time.Time{}
	}
	return c.queue[0].since.Add(c.delay)
}

// collect deletes what is too old for a disk that is so full.
func (a *Agent) collect(used float64) {
	a.gc.maxAge = a.gc.age(used)
	a.remove(a.gc.olderThan(a.now.Add(-a.gc.maxAge)))
}

func (a *Agent) remove(paths []string) {
	if len(paths) > 0 {
		a.act(Remove{Paths: paths})
	}
}

// collectExecutor gives up the folders of a run that has ended, and those of its
// executor, which a later run may take back.
func (a *Agent) collectExecutor(x *executor) {
	if !x.generated { // a command executor has one run: its folder goes with the executor's
		a.gc.give(a.now, waste{run: x.run, paths: a.both(x.checkpoint(), func(l meta.Layout) string { return l.Sandbox(x.run) })})
	}
	a.gc.give(a.now, waste{
		run:   meta.Run{Framework: x.run.Framework, Executor: x.run.Executor},
		paths: a.both(x.checkpoint(), func(l meta.Layout) string { return l.ExecutorDir(x.run.Framework, x.run.Executor) }),
	})
}

// collectFramework gives up the folders of a framework that has none left.
func (a *Agent) collectFramework(f *framework) {
	a.gc.give(a.now, waste{
		run:   meta.Run{Framework: f.id},
		paths: a.both(f.info.GetCheckpoint(), func(l meta.Layout) string { return l.FrameworkDir(f.id) }),
	})
}

// collectAgent gives up the folders of an agent that this one was before.
func (a *Agent) collectAgent(id ids.AgentID) {
	l := meta.Layout{WorkDir: a.cfg.WorkDir, Agent: id}
	a.gc.give(a.now, waste{paths: []string{l.AgentDir(), l.Meta().AgentDir()}})
}

// both returns the place of sandboxes and, if there are records, that of those.
func (a *Agent) both(recorded bool, at func(meta.Layout) string) []string {
	if !recorded {
		return []string{at(a.layout)}
	}
	return []string{at(a.layout), at(a.layout.Meta())}
}
