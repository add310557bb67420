package agent

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/status"
)

// chaos is a world in which anything happens, and what was heard in it.
type chaos struct {
	*world
	conns int
	alive map[ids.ContainerID]bool          // containers that were launched and did not end
	heard map[string]*messages.StatusUpdate // task → its terminal update, as the master heard it
	wire  []*messages.StatusUpdateMessage   // heard and not acknowledged yet
}

// lines are what can happen, with a framework, a task, an executor and a number
// drawn for it.
var lines = []string{
	"run %[1]s %[2]s", "run %[1]s %[2]s executor=%[3]s launch=-", "run %[1]s %[2]s executor=%[3]s", "run %[1]s %[2]s executor=%[3]s launch=false",
	"run %[1]s %[2]s+%[2]sx executor=%[3]s group=y launch=-", "run %[1]s %[2]s version=2", "run %[1]s %[2]s cpulimit=2",
	"subscribe %[1]s %[3]s ", "subscribe %[1]s %[2]s ", "subscribe %[1]s %[3]s tasks=%[2]s", "closed %[4]d",
	"update %[1]s %[3]s %[2]s RUNNING uuid=r%[4]d", "update %[1]s %[3]s %[2]s FINISHED uuid=f%[4]d", "update %[1]s %[2]s %[2]s RUNNING uuid=c%[4]d",
	"update %[1]s %[2]s %[2]s FAILED uuid=d%[4]d", "say %[1]s %[3]s x", "tell %[1]s %[3]s x",
	"kill %[1]s %[2]s", "kill %[1]s %[2]s grace=1s", "shutdown-executor %[1]s %[3]s", "shutdown-framework %[1]s", "update-framework %[1]s",
	"ready c%[4]d", "launched c%[4]d 7", "failed c%[4]d no", "ended c%[4]d 0", "ended c%[4]d ?",
	"ping", "ping disconnected", "exited", "detect none", "detect " + master, "registered", "reregistered", "reregistered lost=%[1]s/%[2]s",
	"after 1s", "after 1s", "after 3s", "after 1m", "after 200h", "disk 0.95", "drain", "drain gone", "reserve uuid=op%[4]d", "create uuid=op%[4]d", "destroy uuid=op%[4]d",
	"restart", "acknowledge", "acknowledge", "acknowledge",
}

func (c *chaos) happen(line string) {
	a := parse(line)
	switch a.word(0) {
	case "restart":
		var running []ids.ContainerID
		for _, id := range c.containers {
			if c.alive[id] {
				running = append(running, id)
			}
		}
		c.start(running)
	case "acknowledge":
		c.acknowledge()
	case "registered", "reregistered":
		if c.a.master != master || (a.word(0) == "registered") != (c.a.id() == "") {
			return // no master would say so
		}
		c.do(nil, a)
	case "subscribe": // streams are never taken for others
		c.conns++
		a.opts["conn"] = strconv.Itoa(c.conns)
		c.do(nil, a)
	case "ended", "failed":
		delete(c.alive, c.container(a.word(1)))
		c.do(nil, a)
	default:
		c.do(nil, a)
	}
}

// acknowledge lets the framework acknowledge what was heard first.
func (c *chaos) acknowledge() {
	if len(c.wire) == 0 {
		return
	}
	u := c.wire[0].GetUpdate()
	c.wire = c.wire[1:]
	c.step(MasterMessage{From: master, Message: &messages.StatusUpdateAcknowledgementMessage{
		SlaveId: u.GetSlaveId(), FrameworkId: u.GetFrameworkId(), TaskId: u.GetStatus().GetTaskId(), Uuid: u.GetUuid(),
	}})
}

// look carries out the effects.
func (c *chaos) look(t *rapid.T) {
	c.a.Check()
	fx := c.a.Effects()
	if fx.Fatal != nil {
		t.Fatalf("fatal: %v", fx.Fatal)
	}
	for _, r := range fx.Persist {
		c.disk.Apply(r)
	}
	for _, act := range fx.Containers {
		switch act := act.(type) {
		case Launch:
			c.short(act.Spec.Run.Container)
			c.alive[act.Spec.Run.Container] = true
		case Adopt:
			if !c.alive[act.Spec.Run.Container] {
				t.Fatalf("adopts a container that is gone")
			}
		}
	}
	for _, m := range fx.Deferred {
		if p, ok := m.(ToProcess); ok && p.To == master {
			c.hear(t, p.Message)
		}
	}
}

func (c *chaos) hear(t *rapid.T, m any) {
	u, ok := m.(*messages.StatusUpdateMessage)
	if !ok {
		return
	}
	c.wire = append(c.wire, u)
	task := fmt.Sprintf("%s/%s", u.GetUpdate().GetFrameworkId().GetValue(), u.GetUpdate().GetStatus().GetTaskId().GetValue())
	if status.IsTerminal(u.GetUpdate().GetStatus().GetState()) {
		c.heard[task] = u.GetUpdate()
	}
	if len(u.GetUpdate().GetUuid()) != 16 || u.GetUpdate().GetStatus().GetState() == mesos.TaskState_TASK_STAGING {
		t.Fatalf("an update that no master would take: %v", u)
	}
}

// TestAnythingMayHappen plays random histories. The agent never contradicts
// itself, whatever it is told; and when all containers have ended and all is
// acknowledged, nothing of any task is left, and each that the agent took on
// has had an end.
func TestAnythingMayHappen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &chaos{world: newWorld(), alive: map[ids.ContainerID]bool{}, heard: map[string]*messages.StatusUpdate{}}
		c.cfg.MaxCompletedExecutors, c.cfg.MaxCompletedFrameworks, c.cfg.MaxCompletedTasks = 2, 2, 2
		c.framework(parse("framework f pa ck killing"))
		c.framework(parse("framework g"))
		c.framework(parse("framework h ck"))
		c.start(nil)
		for _, line := range []string{"detect " + master, "after 1s", "registered"} {
			c.happen(line)
			c.look(t)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			line := fmt.Sprintf(rapid.SampledFrom(lines).Draw(t, "line")+"%[5]s",
				rapid.SampledFrom([]string{"f", "g", "h"}).Draw(t, "framework"), rapid.SampledFrom([]string{"t", "u", "x"}).Draw(t, "task"),
				rapid.SampledFrom([]string{"x", "y"}).Draw(t, "executor"), rapid.IntRange(1, 4).Draw(t, "number"), "")
			c.happen(line)
			c.look(t)
		}
		c.heal(t)
	})
}

// heal ends everything, and sees that it ends.
func (c *chaos) heal(t *rapid.T) {
	c.happen("detect " + master)
	c.look(t)
	for round := 0; ; round++ {
		if round > 50 {
			t.Fatalf("it does not come to rest: %d frameworks, %d updates, state %s", len(c.a.frameworks), c.a.updates.Pending(), c.a.state)
		}
		for _, id := range c.containers {
			if c.alive[id] {
				delete(c.alive, id)
				c.step(ContainerExited{Container: id, Status: 9, Known: true})
				c.look(t)
			}
		}
		c.now = c.now.Add(time.Minute)
		c.step(Tick{})
		c.look(t)
		c.happen("reregistered")
		c.look(t)
		for len(c.wire) > 0 {
			c.acknowledge()
			c.look(t)
		}
		if len(c.a.frameworks) == 0 && c.a.updates.Pending() == 0 {
			return
		}
	}
}
