package master

import (
	"log/slog"

	mesos "github.com/meseta-project/meseta/api/mesos/v1"
	schedulerpb "github.com/meseta-project/meseta/api/mesos/v1/scheduler"
	messages "github.com/meseta-project/meseta/api/messages"
	"github.com/meseta-project/meseta/internal/ids"
	"github.com/meseta-project/meseta/internal/validate"
)

// A status from an agent has a UUID, is sent until it is acknowledged, and goes
// to the framework with the agent's address. One of the master's own has none,
// is sent once and must not be acknowledged.

// masterStatus returns a status of the master's own about a task that is on no
// book, or need not be. agent may be nil.
func (m *Master) masterStatus(id *mesos.TaskID, agent *mesos.AgentID, state mesos.TaskState, why mesos.TaskStatus_Reason, text string) *mesos.TaskStatus {
	return &mesos.TaskStatus{
		TaskId:    id,
		State:     state.Enum(),
		Message:   &text,
		Source:    mesos.TaskStatus_SOURCE_MASTER.Enum(),
		Reason:    why.Enum(),
		AgentId:   agent,
		Timestamp: m.secs(),
	}
}

// statusOf returns a status of the master's own about a task on the books.
func (m *Master) statusOf(t *task, state mesos.TaskState, why mesos.TaskStatus_Reason, text string) *mesos.TaskStatus {
	d := t.row.Desc
	s := m.masterStatus(d.TaskId, d.AgentId, state, why, text)
	s.ExecutorId = d.ExecutorId
	return s
}

// latestOf is statusOf with what the task's last status said of its health and
// container.
func (m *Master) latestOf(t *task, state mesos.TaskState, why mesos.TaskStatus_Reason, text string) *mesos.TaskStatus {
	s := m.statusOf(t, state, why, text)
	if n := len(t.row.Statuses); n > 0 {
		last := t.row.Statuses[n-1]
		s.Healthy, s.CheckStatus, s.ContainerStatus = last.Healthy, last.CheckStatus, last.ContainerStatus
	}
	return s
}

func updateEvent(s *mesos.TaskStatus) *schedulerpb.Event {
	return &schedulerpb.Event{
		Type:   schedulerpb.Event_UPDATE.Enum(),
		Update: &schedulerpb.Event_Update{Status: s},
	}
}

// statusUpdate takes a task's status from its agent, and hands it on. The
// framework gets it though the task be unknown here, as it must acknowledge.
func (m *Master) statusUpdate(from ids.UPID, msg *messages.StatusUpdateMessage) {
	m.counters.Messages.StatusUpdate++
	u := msg.GetUpdate()
	a := m.registered(ids.AgentID(u.GetSlaveId().GetValue()))
	if a == nil { // it will send it again once it is back
		m.counters.InvalidStatusUpdates++
		m.unwanted(msg, from, "the agent is not registered")
		return
	}
	if err := validate.UUID(u.GetUuid()); err != nil || u.GetStatus() == nil {
		m.counters.InvalidStatusUpdates++
		m.unwanted(msg, from, "it has no valid UUID or no status")
		return
	}
	s := completeStatus(u)
	f := m.frameworks[ids.FrameworkID(u.GetFrameworkId().GetValue())]
	if f == nil {
		m.counters.InvalidStatusUpdates++
		m.unwanted(msg, from, "the framework is not known")
		m.endStray(a, u.FrameworkId)
		return
	}
	latest := s.GetState()
	if u.LatestState != nil {
		latest = u.GetLatestState()
	}
	t := a.tasks[taskKey{f.id, ids.TaskID(s.GetTaskId().GetValue())}]
	if t == nil {
		t = m.adopt(f, a, ids.TaskID(s.GetTaskId().GetValue()), latest)
	}
	if t.hasReportedEnd() && !isTerminal(s.GetState()) || t == nil && f.knowsTheEnd(a, ids.TaskID(s.GetTaskId().GetValue()), s.GetState()) {
		m.counters.InvalidStatusUpdates++
		m.unwanted(msg, from, "the agent has told the task's end since it sent this")
		return
	}
	s = t.marked(s)
	if f.row.Connected {
		if t != nil {
			row := m.editTask(t)
			row.UpdateState, row.UpdateUUID = s.State, s.Uuid
		}
		m.notifyUpdate(f, s, ids.UPID(msg.GetPid()), u.LatestState)
	}
	if t == nil || !f.row.Connected {
		m.counters.InvalidStatusUpdates++
	} else {
		m.counters.ValidStatusUpdates++
	}
	if t != nil {
		t.front = s.State
		m.updateTask(t, s, latest)
	}
}

// endStray has an agent end what it runs of a framework that is over. It was
// told so once, but may not have heard: it was re-registering, or the task was
// still on its way.
func (m *Master) endStray(a *agent, id *mesos.FrameworkID) {
	if m.isCompleted(ids.FrameworkID(id.GetValue())) {
		m.send(a, &messages.ShutdownFrameworkMessage{FrameworkId: id})
	}
}

// completeStatus returns an update's status with what only the update around
// it says.
func completeStatus(u *messages.StatusUpdate) *mesos.TaskStatus {
	s := u.Status
	if s.Uuid != nil && s.AgentId != nil && s.Timestamp != nil &&
		(s.ExecutorId != nil || u.ExecutorId == nil) {
		return s
	}
	c := copyStatus(s)
	c.Uuid, c.AgentId, c.Timestamp = u.Uuid, u.SlaveId, u.Timestamp
	if u.ExecutorId != nil {
		c.ExecutorId = u.ExecutorId
	}
	return c
}

// acknowledge answers ACKNOWLEDGE: the agent sends the next status then. A
// task whose end is acknowledged leaves the books.
func (m *Master) acknowledge(f *framework, call *schedulerpb.Call_Acknowledge) {
	m.counters.Messages.StatusUpdateAck++
	a := m.agents[ids.AgentID(call.GetAgentId().GetValue())]
	if a == nil || !a.row.Connected || a == m.coming { // the agent sends the status again
		m.counters.InvalidAcks++
		m.log.Warn("dropping ACKNOWLEDGE", slog.String("framework_id", string(f.id)), slog.String("reason", "the agent is not connected, or not here in whole"))
		return
	}
	if t := a.tasks[taskKey{f.id, ids.TaskID(call.GetTaskId().GetValue())}]; t != nil {
		if t.row.UpdateState == nil {
			m.counters.InvalidAcks++
			m.log.Warn("dropping ACKNOWLEDGE", slog.String("framework_id", string(f.id)), slog.String("reason", "there is no status to acknowledge"))
			return
		}
		if isTerminal(*t.row.UpdateState) && string(t.row.UpdateUUID) == string(call.Uuid) {
			t.acknowledged = true
			m.removeTask(t, Completed)
		}
	}
	m.counters.ValidAcks++
	m.send(a, &messages.StatusUpdateAcknowledgementMessage{
		SlaveId:     call.AgentId,
		FrameworkId: frameworkID(f.id),
		TaskId:      call.TaskId,
		Uuid:        call.Uuid,
	})
}
