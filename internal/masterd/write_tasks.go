package masterd

import (
	"cmp"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/meseta-project/meseta/internal/master"
	"github.com/meseta-project/meseta/internal/wire"
)

// taskLimit is how many tasks /tasks lists unless told.
const taskLimit = 100

// writeTasks is /tasks: running, unreachable and completed ones, by the time of
// their first status, the latest first.
func writeTasks(v *view, w *wire.Writer, r *http.Request) {
	query := r.URL.Query()
	rows := v.selected(query.Get("framework_id"), query.Get("task_id"))
	order := latestFirst
	if query.Get("order") == "asc" {
		order = func(a, b *master.TaskRow) int { return latestFirst(b, a) }
	}
	slices.SortStableFunc(rows, order)
	first := min(natural(query, "offset", 0), len(rows))
	last := first + min(natural(query, "limit", taskLimit), len(rows)-first)
	w.BeginObject()
	w.Key("tasks").BeginArray()
	for _, row := range rows[first:last] {
		w.Task(row.Task())
	}
	w.EndArray()
	w.EndObject()
}

// selected returns the tasks with the given IDs, of which "" is any.
func (v *view) selected(framework, task string) []*master.TaskRow {
	var rows []*master.TaskRow
	for row := range v.Tasks.All() {
		if (framework == "" || framework == string(row.Framework)) && (task == "" || task == string(row.ID)) {
			rows = append(rows, row)
		}
	}
	return rows
}

func latestFirst(a, b *master.TaskRow) int {
	return cmp.Or(cmp.Compare(begun(b), begun(a)), cmp.Compare(b.Serial, a.Serial))
}

// begun returns the time of a task's first status. A task without one counts as
// the oldest, as in Mesos.
func begun(row *master.TaskRow) float64 {
	if len(row.Statuses) == 0 {
		return math.Inf(-1)
	}
	return row.Statuses[0].GetTimestamp()
}

// natural returns a number of the query: what is not one counts as absent, and
// a negative one, as clients say it, is without bound.
func natural(query url.Values, name string, absent int) int {
	n, err := strconv.Atoi(query.Get(name))
	switch {
	case err != nil:
		return absent
	case n < 0:
		return math.MaxInt
	}
	return n
}
