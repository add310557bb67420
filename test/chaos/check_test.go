package chaos

import (
	"fmt"
	"slices"
	"strings"
)

// order is how far a task is in a state that only ever goes up, for updates that
// come from the task's agent.
var order = map[string]int{"TASK_STAGING": 1, "TASK_STARTING": 2, "TASK_RUNNING": 3, "TASK_KILLING": 4}

var ends = map[string]bool{
	"TASK_FINISHED": true, "TASK_FAILED": true, "TASK_KILLED": true, "TASK_ERROR": true, "TASK_LOST": true,
	"TASK_DROPPED": true, "TASK_GONE": true, "TASK_GONE_BY_OPERATOR": true,
}

// account is what is known of one task.
type account struct {
	task     string
	launches int
	end      string          // the terminal state
	endUUID  string          // of the update that said so first
	rank     int             // of the latest state said by an update
	seen     map[string]bool // uuids
	unacked  map[string]bool
	faults   []string
}

func (a *account) fault(format string, args ...any) {
	a.faults = append(a.faults, a.task+": "+fmt.Sprintf(format, args...))
}

// over says whether the end was told, and answered if it wanted that.
func (a *account) over() bool { return a.end != "" && (a.endUUID == "" || !a.unacked[a.endUUID]) }

// forgotten says whether a record is the answer to a question about a task of
// which the master knows nothing.
func (r *record) forgotten() bool {
	return r.UUID == "" && strings.Contains(r.Why, "REASON_RECONCILIATION") && (r.State == "TASK_GONE" || r.State == "TASK_UNREACHABLE")
}

// accounts goes through a history.
func accounts(h *history) map[string]*account {
	all := map[string]*account{}
	of := func(task string) *account {
		if all[task] == nil {
			all[task] = &account{task: task, seen: map[string]bool{}, unacked: map[string]bool{}}
		}
		return all[task]
	}
	for _, r := range h.records {
		switch a := of(r.Task); r.Kind {
		case "launch":
			a.launches++
		case "update":
			a.update(r)
		case "ack":
			delete(a.unacked, r.UUID)
		default:
			a.fault("a record of kind %q", r.Kind)
		}
	}
	for task := range h.starts {
		of(task)
	}
	return all
}

// update takes in what a scheduler was told.
func (a *account) update(r record) {
	again := r.UUID != "" && a.seen[r.UUID]
	if r.UUID != "" {
		a.seen[r.UUID], a.unacked[r.UUID] = true, true
	}
	switch {
	case a.launches == 0:
		a.fault("%s of a task that nobody launched", r.State)
	case again: // at least once: it may come more often
	case a.over() && r.forgotten():
		// The scheduler asked before it knew, and the master has forgotten: it may,
		// once the end is acknowledged.
	case a.end != "" && !ends[r.State]:
		a.fault("%s after %s (%s)", r.State, a.end, r.Why)
	case a.end != "" && r.State != a.end:
		a.fault("it ended twice: %s, then %s (%s)", a.end, r.State, r.Why)
	case a.end != "" && r.UUID != "" && a.endUUID != "":
		a.fault("two updates say that it ended: %s", r.State)
	case ends[r.State]:
		a.end = r.State
		if r.UUID != "" {
			a.endUUID = r.UUID
		}
	case r.UUID != "" && order[r.State] != 0 && order[r.State] < a.rank:
		a.fault("%s came after a later state", r.State)
	case r.UUID != "":
		a.rank = max(a.rank, order[r.State])
	}
}

// check returns what is wrong with a history that is over: each task must have
// begun at most once, have exactly one end, and have had every update answered.
func check(h *history) []string {
	var faults []string
	for task, a := range accounts(h) {
		switch starts := h.starts[task]; {
		case a.launches == 0:
			a.fault("it began %d times and nobody launched it", starts)
		case a.launches > 1:
			a.fault("its scheduler launched it %d times", a.launches)
		case starts > 1:
			a.fault("it began %d times", starts)
		case starts == 0 && a.end == "TASK_FINISHED":
			a.fault("it is said to be finished and never began")
		}
		if a.end == "" && a.launches > 0 {
			a.fault("nobody said how it ended")
		}
		if len(a.unacked) > 0 {
			a.fault("%d updates were not acknowledged", len(a.unacked))
		}
		faults = append(faults, a.faults...)
	}
	slices.Sort(faults)
	return faults
}

// open returns how many tasks have yet to end, and how many updates to be
// acknowledged.
func open(h *history) (tasks, updates int) {
	for _, a := range accounts(h) {
		if a.end == "" {
			tasks++
		}
		updates += len(a.unacked)
	}
	return tasks, updates
}
