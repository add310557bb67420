package agentd

import (
	"cmp"
	"slices"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/agent"
	"github.com/meseta-project/meseta/internal/cow"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// A view is a snapshot with what rendering looks for: rows in the order of
// their arrival, and by what they belong to. It belongs to one reader.
type view struct {
	*agent.Snapshot
	server *Server

	frameworks []*agent.FrameworkRow
	executors  []*agent.ExecutorRow
	tasks      []*agent.TaskRow
	byRun      map[ids.ContainerID][]*agent.TaskRow
}

func newView(s *Server, snapshot *agent.Snapshot) *view {
	v := &view{Snapshot: snapshot, server: s, byRun: map[ids.ContainerID][]*agent.TaskRow{}}
	v.frameworks = ordered(snapshot.Frameworks, func(r *agent.FrameworkRow) uint64 { return r.Serial })
	v.executors = ordered(snapshot.Executors, func(r *agent.ExecutorRow) uint64 { return r.Serial })
	v.tasks = ordered(snapshot.Tasks, func(r *agent.TaskRow) uint64 { return r.Serial })
	for _, row := range v.tasks {
		v.byRun[row.Run.Container] = append(v.byRun[row.Run.Container], row)
	}
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

// total returns what the agent has, with what was reserved and created here.
func (v *view) total() resources.Resources {
	total := resources.Trusted(v.Info.GetResources())
	made, err := total.WithCheckpointed(resources.Trusted(v.Reserved))
	if err != nil {
		return total // the core has checked it when it was made
	}
	return made
}

// used returns what a run uses.
func (v *view) used(x *agent.ExecutorRow) resources.Resources {
	used := resources.Trusted(x.Info.GetResources())
	for _, t := range v.byRun[x.Run.Container] {
		if t.Phase == agent.TaskQueued || t.Phase == agent.TaskLaunched {
			used = used.Add(resources.Trusted(t.Task.GetResources()))
		}
	}
	return used
}

// allUsed returns what all runs use that are not over.
func (v *view) allUsed() resources.Resources {
	var used resources.Resources
	for _, x := range v.executors {
		if !x.Completed && x.State != agent.ExecutorTerminated {
			used = used.Add(v.used(x))
		}
	}
	return used
}

// running returns the runs that are not over.
func (v *view) running() []*agent.ExecutorRow {
	return slices.DeleteFunc(slices.Clone(v.executors), func(x *agent.ExecutorRow) bool {
		return x.Completed || x.State == agent.ExecutorTerminated
	})
}

// info returns what the agent tells of itself. What drivers of the older
// protocol are told besides is not for this API.
func (v *view) info() *mesos.AgentInfo {
	info := v.Info
	return &mesos.AgentInfo{
		Hostname: info.Hostname, Port: info.Port, Resources: info.Resources, Attributes: info.Attributes,
		Id: info.Id, Domain: info.Domain,
	}
}
