package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/resources"
)

// recoverFrameworks puts frameworks on the books of which an agent that is
// back runs something, and which have not subscribed with this master.
func (m *Master) recoverFrameworks(infos []*mesos.FrameworkInfo) {
	for _, info := range infos {
		id := ids.FrameworkID(info.GetId().GetValue())
		if m.frameworks[id] == nil && !m.isCompleted(id) {
			m.recoverFramework(info)
		}
	}
}

func (m *Master) recoverExecutors(a *agent, infos []*mesos.ExecutorInfo) {
	for _, info := range infos {
		if f := m.frameworks[ids.FrameworkID(info.GetFrameworkId().GetValue())]; f != nil {
			m.addExecutor(f, a, upgradedExecutor(info, f.onlyRole()))
		}
	}
}

// recoverTasks puts the tasks of an agent that is back on the books. If it is
// back from where its frameworks were told the worst, they are told better.
func (m *Master) recoverTasks(a *agent, tasks []*mesos.Task, was whereabouts) {
	if was != admittedBefore {
		listed := map[taskKey]bool{}
		for _, desc := range tasks {
			listed[keyOfTask(desc)] = true
		}
		for _, f := range m.bereaved(a.id) {
			m.settleUnreachable(f, a.id, listed)
		}
	}
	for _, desc := range tasks {
		f := m.frameworks[ids.FrameworkID(desc.GetFrameworkId().GetValue())]
		if f == nil { // it is over, and its tasks will be shut down
			continue
		}
		if f.tasks[ids.TaskID(desc.GetTaskId().GetValue())] != nil {
			m.log.Warn("task runs on two agents", slog.String("framework_id", string(f.id)),
				slog.String("task_id", desc.GetTaskId().GetValue()), slog.String("agent_id", string(a.id)))
			continue
		}
		if f.acknowledgedEnd(a.id, desc) {
			continue
		}
		m.forgetCompleted(f, ids.TaskID(desc.GetTaskId().GetValue()))
		t := m.recoverTask(f, a, desc)
		if was != admittedBefore {
			m.notify(f, updateEvent(m.latestOf(t, t.reportedState(), mesos.TaskStatus_REASON_AGENT_REREGISTERED, was.welcomeBack())))
		}
	}
}

// upgradedExecutor returns info with resources in the form with the stack of
// reservations, allocated to role where they are to none.
func upgradedExecutor(info *mesos.ExecutorInfo, role string) *mesos.ExecutorInfo {
	up := info.CloneVT()
	up.Resources = allocatedTo(info.Resources, role)
	return up
}

// allocatedTo returns rs in the form with the stack of reservations, allocated
// to role where they are to none.
func allocatedTo(rs []*mesos.Resource, role string) []*mesos.Resource {
	out := make([]*mesos.Resource, len(rs))
	for i, r := range rs {
		out[i] = allocatedOne(r, role)
	}
	return out
}

func allocatedOne(r *mesos.Resource, role string) *mesos.Resource {
	if r.AllocationInfo != nil && r.Role == nil && r.Reservation == nil {
		return r
	}
	c := &mesos.Resource{
		Name:           r.Name,
		Type:           r.Type,
		Scalar:         r.Scalar,
		Ranges:         r.Ranges,
		Set:            r.Set,
		Role:           r.Role,
		Reservation:    r.Reservation,
		Reservations:   r.Reservations,
		AllocationInfo: r.AllocationInfo,
		Disk:           r.Disk,
		Revocable:      r.Revocable,
		Shared:         r.Shared,
		ProviderId:     r.ProviderId,
	}
	if c.AllocationInfo == nil {
		c.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &role}
	}
	resources.Upgrade(c)
	return c
}
