package agent

import (
	"cmp"
	"maps"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/meta"
	"github.com/meseta-project/meseta/internal/status"
)

// actionKind is what is done about something found after a restart.
type actionKind uint8

const (
	// actAdopt waits for the executor to come back, and for its container to end.
	actAdopt actionKind = iota + 1
	// actDrop ends the tasks of a command executor whose process never existed.
	actDrop
	// actEnd asks the executor to end: the agent is to leave nothing running.
	actEnd
	// actBury ends the tasks of a run whose container is gone.
	actBury
	// actRecall keeps a run that is over for readers, and gives up its folders.
	actRecall
	// actDestroy ends a container of which nothing is remembered.
	actDestroy
	// actCollect gives up the folders of a run that a later one has replaced.
	actCollect
)

// action is one step of a recovery.
type action struct {
	kind   actionKind
	run    meta.Run // only its container, for actDestroy
	reason string
}

// plan decides what to do about each run that is remembered and each container
// that runs, in an order that does not depend on chance. cleanup says that the
// agent is to leave nothing running, rebooted that no container can have
// survived.
func plan(s *meta.State, running []ids.ContainerID, rebooted, cleanup bool) []action {
	alive := map[ids.ContainerID]bool{}
	for _, c := range running {
		alive[c] = true
	}
	var out []action
	known := map[ids.ContainerID]bool{}
	for _, fid := range sorted(s.Frameworks) {
		f := s.Frameworks[fid]
		for _, xid := range sorted(f.Executors) {
			x := f.Executors[xid]
			for _, c := range sorted(x.Runs) {
				run := meta.Run{Framework: fid, Executor: xid, Container: c}
				kind, reason := planRun(x, c, alive[c] && !rebooted, cleanup)
				known[c] = known[c] || kind == actAdopt || kind == actEnd
				out = append(out, action{kind, run, reason})
			}
		}
	}
	for _, c := range slices.Sorted(slices.Values(running)) {
		if !known[c] && !c.Nested() {
			out = append(out, action{actDestroy, meta.Run{Container: c}, "nothing is remembered of it"})
		}
	}
	return out
}

// planRun decides about one run.
func planRun(x *meta.ExecutorState, c ids.ContainerID, alive, cleanup bool) (actionKind, string) {
	run := x.Runs[c]
	switch {
	case c != x.Latest:
		return actCollect, "a later run has replaced it"
	case run.Ended:
		return actRecall, "it had ended"
	case x.Generated && run.ForkedPID == 0:
		return actDrop, "its task was never started"
	case !alive:
		return actBury, "its container is gone"
	case cleanup:
		return actEnd, "nothing is to be left running"
	}
	return actAdopt, "its container is there"
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// replay returns the task as its history has left it, and how far it was.
func replay(t *meta.TaskState) (*mesos.Task, TaskPhase) {
	row := t.Info
	for _, u := range t.Updates {
		row = withStatus(row, u.GetStatus())
		if !status.IsTerminal(u.GetStatus().GetState()) {
			continue
		}
		for _, ack := range t.Acks {
			if string(ack) == string(u.GetUuid()) {
				return row, TaskCompleted
			}
		}
		return row, TaskTerminated
	}
	return row, TaskLaunched
}
