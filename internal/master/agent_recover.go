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

// A comeback is how far it is that what an agent brings is put on the books.
type comeback struct {
	agent     *agent // nil: it has not begun
	executors int    // of those that it has, are done with
	tasks     int
}

// bringSome goes on with putting an agent that is back on the books, with its executors
// and tasks, and reports whether it is done. Until then nobody is told that its tasks are
// not known, it is offered to nobody, and its messages are held.
func (m *Master) bringSome(back readmitted, budget *int) (done bool) {
	c, msg := back.came, back.msg
	if c.agent == nil {
		c.agent = m.beginComeback(back)
	}
	for ; c.executors < len(msg.ExecutorInfos); c.executors++ {
		if !turn(budget, 4) {
			return false
		}
		m.recoverExecutor(c.agent, msg.ExecutorInfos[c.executors])
	}
	for ; c.tasks < len(msg.Tasks); c.tasks++ {
		if !turn(budget, 4) {
			return false
		}
		m.bringTask(c.agent, msg.Tasks[c.tasks], back.was)
	}
	return true
}

// bringPart is bringSome for an agent that brings much. Others that bring little may be
// put on the books between its parts.
func (m *Master) bringPart(back readmitted, budget *int) (done bool) {
	done = m.bringSome(back, budget)
	m.coming = back.came.agent
	return done
}

// beginComeback puts an agent on the books that is back, without what runs there.
func (m *Master) beginComeback(back readmitted) *agent {
	msg := back.msg
	total := mustTotal(totalOf(msg.Slave, msg.CheckpointedResources, msg.AgentCapabilities))
	m.recovered.Delete(ids.AgentID(msg.GetSlave().GetId().GetValue()))
	a := m.addAgent(msg.Slave, back.from, msg.GetVersion(), msg.AgentCapabilities, total, msg.ResourceVersionUuid)
	m.editAgent(a).Reregistered = m.now
	m.recoverFrameworks(msg.Frameworks)
	if bereaved := m.bereaved(a.id); back.was != admittedBefore && len(bereaved) > 0 {
		listed := make(map[taskKey]bool, len(msg.Tasks))
		for _, desc := range msg.Tasks {
			listed[keyOfTask(desc)] = true
		}
		for _, f := range bereaved {
			m.settleUnreachable(f, a.id, listed)
		}
	}
	return a
}

func (m *Master) recoverExecutor(a *agent, info *mesos.ExecutorInfo) {
	if f := m.frameworks[ids.FrameworkID(info.GetFrameworkId().GetValue())]; f != nil {
		m.alloc.Allocate(f.id, a.id, m.addExecutor(f, a, upgradedExecutor(info, f.onlyRole())))
	}
}

// bringTask puts a task of an agent that is back on the books. If it is back from
// where its frameworks were told the worst, they are told better.
func (m *Master) bringTask(a *agent, desc *mesos.Task, was whereabouts) {
	f := m.frameworks[ids.FrameworkID(desc.GetFrameworkId().GetValue())]
	if f == nil { // it is over, and its tasks will be shut down
		return
	}
	if f.hasTask(ids.TaskID(desc.GetTaskId().GetValue())) {
		m.log.Warn("task runs on two agents", slog.String("framework_id", string(f.id)),
			slog.String("task_id", desc.GetTaskId().GetValue()), slog.String("agent_id", string(a.id)))
		return
	}
	if f.acknowledgedEnd(a.id, desc) {
		return
	}
	m.forgetCompleted(f, ids.TaskID(desc.GetTaskId().GetValue()))
	t := m.recoverTask(f, a, desc)
	if !t.released {
		m.alloc.Allocate(f.id, a.id, t.row.Resources)
	}
	if was != admittedBefore {
		m.notify(f, updateEvent(m.latestOf(t, t.reportedState(), mesos.TaskStatus_REASON_AGENT_REREGISTERED, was.welcomeBack())))
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
