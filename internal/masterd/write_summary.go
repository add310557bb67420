package masterd

import (
	"maps"
	"net/http"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/wire"
)

// counts are how many tasks there are in each state.
type counts [mesos.TaskState_TASK_UNKNOWN + 1]int

func (c *counts) of(state mesos.TaskState) int { return c[state] }

// A tally counts the tasks of agents or of frameworks, and remembers with whom
// each has to do.
type tally[K, Other ~string] map[K]*tallied[Other]

type tallied[Other ~string] struct {
	counts
	with map[Other]bool
}

func (t tally[K, Other]) add(key K, other Other, state mesos.TaskState) {
	one := t.of(key)
	one.counts[state]++
	one.with[other] = true
	t[key] = one
}

func (t tally[K, Other]) of(key K) *tallied[Other] {
	if t[key] == nil {
		return &tallied[Other]{with: map[Other]bool{}}
	}
	return t[key]
}

func (t *tallied[Other]) write(w *wire.Writer, others string) {
	w.TaskStateFields(t.counts.of)
	w.Key(others).BeginArray()
	for _, id := range slices.Sorted(maps.Keys(t.with)) {
		w.String(string(id))
	}
	w.EndArray()
}

// writeSummary is /state-summary. Tasks of completed frameworks do not count.
func writeSummary(v *view, w *wire.Writer, _ *http.Request) {
	byAgent, byFramework := v.tallies()
	w.BeginObject()
	w.Key("hostname").String(v.Info.GetHostname())
	optional(w, "cluster", v.server.cfg.Cluster)
	w.Key("slaves").BeginArray()
	for _, row := range v.agents {
		w.BeginObject()
		writeAgentFields(w, row)
		byAgent.of(row.ID).write(w, "framework_ids")
		w.EndObject()
	}
	w.EndArray()
	w.Key("frameworks").BeginArray()
	for _, row := range v.frameworks {
		w.BeginObject()
		w.FrameworkFields(summaryOf(row))
		byFramework.of(row.ID).write(w, "slave_ids")
		w.EndObject()
	}
	w.EndArray()
	w.EndObject()
}

func (v *view) tallies() (tally[ids.AgentID, ids.FrameworkID], tally[ids.FrameworkID, ids.AgentID]) {
	known := map[ids.FrameworkID]bool{}
	for _, row := range v.frameworks {
		known[row.ID] = true
	}
	byAgent, byFramework := tally[ids.AgentID, ids.FrameworkID]{}, tally[ids.FrameworkID, ids.AgentID]{}
	for row := range v.Tasks.All() {
		if known[row.Framework] {
			byAgent.add(row.Agent, row.Framework, row.State)
			byFramework.add(row.Framework, row.Agent, row.State)
		}
	}
	return byAgent, byFramework
}
