package masterd

import (
	"cmp"
	"iter"
	"slices"

	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/master"
)

// A view is a snapshot with what rendering looks for: rows in the order of
// their arrival, and by what they belong to. It belongs to one reader.
type view struct {
	*master.Snapshot
	server *Server

	agents     []*master.AgentRow
	frameworks []*master.FrameworkRow // without the completed ones
	of         map[ids.FrameworkID]*belongings
}

// belongings are what a framework has.
type belongings struct {
	tasks     [3][]*master.TaskRow // by [master.Place]
	executors []*master.ExecutorRow
	offers    []*master.OfferRow
	inverse   []*master.InverseOfferRow
}

func newView(s *Server, snapshot *master.Snapshot) *view {
	v := &view{Snapshot: snapshot, server: s, of: map[ids.FrameworkID]*belongings{}}
	v.agents = ordered(snapshot.Agents, func(r *master.AgentRow) uint64 { return r.Serial })
	v.frameworks = ordered(snapshot.Frameworks, func(r *master.FrameworkRow) uint64 { return r.Serial })
	return v
}

// ordered returns the rows of a table in the order of their arrival.
func ordered[R any](rows cow.Snapshot[R], serial func(*R) uint64) []*R {
	all := make([]*R, 0, rows.Len())
	for row := range rows.All() {
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b *R) int { return cmp.Compare(serial(a), serial(b)) })
	return all
}

// belongings returns what a framework has; nothing before one of group's
// functions was called.
func (v *view) belongings(id ids.FrameworkID) *belongings {
	if v.of[id] == nil {
		v.of[id] = &belongings{}
	}
	return v.of[id]
}

// group finds out what all frameworks have.
func (v *view) group() {
	v.groupTasks()
	v.groupExecutors()
	v.groupOffers()
}

func (v *view) groupTasks() {
	for _, row := range ordered(v.Tasks, func(r *master.TaskRow) uint64 { return r.Serial }) {
		b := v.belongings(row.Framework)
		b.tasks[row.Place] = append(b.tasks[row.Place], row)
	}
}

func (v *view) groupExecutors() {
	for _, row := range ordered(v.Executors, func(r *master.ExecutorRow) uint64 { return r.Serial }) {
		b := v.belongings(row.Framework)
		b.executors = append(b.executors, row)
	}
}

func (v *view) groupOffers() {
	for _, row := range ordered(v.Offers, func(r *master.OfferRow) uint64 { return r.Serial }) {
		b := v.belongings(row.Framework)
		b.offers = append(b.offers, row)
	}
	for _, row := range ordered(v.Inverse, func(r *master.InverseOfferRow) uint64 { return r.Serial }) {
		b := v.belongings(row.Framework)
		b.inverse = append(b.inverse, row)
	}
}

// frameworkLists yields the frameworks that are not completed and those that
// are, under the names that lists have.
func (v *view) frameworkLists() iter.Seq2[string, []*master.FrameworkRow] {
	return func(yield func(string, []*master.FrameworkRow) bool) {
		if yield("frameworks", v.frameworks) {
			yield("completed_frameworks", v.Completed)
		}
	}
}
